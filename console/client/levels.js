// @ts-check
/** How loud a stream is at this moment. */

/** @typedef {import("./types.js").Level} Level */

const WINDOW = 1024;
const SILENCE_DB = -100;

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
    if (this._source === null) return { rmsDb: SILENCE_DB, peakDb: SILENCE_DB };
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

/** @param {number} amplitude */
function decibels(amplitude) {
  return Math.max(SILENCE_DB, 20 * Math.log10(Math.max(amplitude, 1e-9)));
}
