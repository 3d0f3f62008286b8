// @ts-check
/** How loud a stream is at this moment. */

/** @typedef {import("./types.js").Level} Level */

const WINDOW = 1024;
const SILENCE_DB = -100;

/** @type {Level} */
export const SILENCE = { rmsDb: SILENCE_DB, peakDb: SILENCE_DB };

export class LevelMeter {
  /** @param {BaseAudioContext} context */
  constructor(context) {
    this._analyser = new AnalyserNode(context, { fftSize: WINDOW });
    this._samples = new Float32Array(WINDOW);
    /** @type {AudioNode | null} */
    this._source = null;
  }

  /**
   * Measure this node from now on; null: nothing.
   * @param {AudioNode | null} source
   */
  attach(source) {
    this._source?.disconnect(this._analyser);
    this._source = source;
    source?.connect(this._analyser);
  }

  /** @returns {Level} Of the last 21 ms (at 48 kHz). */
  read() {
    if (this._source === null) return SILENCE;
    this._analyser.getFloatTimeDomainData(this._samples);
    let peak = 0;
    let energy = 0;
    for (const sample of this._samples) {
      peak = Math.max(peak, Math.abs(sample));
      energy += sample * sample;
    }
    return { rmsDb: decibels(Math.sqrt(energy / WINDOW)), peakDb: decibels(peak) };
  }
}

/** Both sides of a call. Asking for the same streams again changes nothing. */
export class BothLevels {
  /** @param {AudioContext} context */
  constructor(context) {
    this._context = context;
    this._meters = { caller: new LevelMeter(context), agent: new LevelMeter(context) };
    /** @type {(MediaStreamTrack | null)[]} */
    this._measured = [null, null];
  }

  /**
   * @param {MediaStream | null} caller
   * @param {MediaStream | null} agent
   */
  of(caller, agent) {
    [caller, agent].forEach((stream, index) => {
      const track = stream?.getAudioTracks()[0] ?? null;
      if (track === this._measured[index]) return;
      this._measured[index] = track;
      const meter = index === 0 ? this._meters.caller : this._meters.agent;
      meter.attach(track && this._context.createMediaStreamSource(new MediaStream([track])));
    });
  }

  /** @returns {{caller: Level, agent: Level}} */
  read() {
    return { caller: this._meters.caller.read(), agent: this._meters.agent.read() };
  }
}

/** @param {number} amplitude */
function decibels(amplitude) {
  return Math.max(SILENCE_DB, 20 * Math.log10(Math.max(amplitude, 1e-9)));
}
