// @ts-check
/**
 * The agent's audio between its arrival over a WebSocket and the loudspeaker, pure: a ring of samples that begins to
 * play when enough has come, grows its reserve after a gap, shrinks it again while all goes well, and catches up
 * after a stall by leaving out silence. Time is counted in samples.
 */

const START_MS = 60;
const LEAST_MS = 40;
const MOST_MS = 240;
/** After a gap: this much more reserve. */
const GROW_MS = 30;
const SHRINK_MS = 5;
const SHRINK_EVERY_MS = 5000;
/** Audio that comes so soon after the ring ran dry came too late; after more, the agent had simply finished. */
const GAP_MS = 250;
/** Waiting beyond the reserve, above which silence is left out. */
const EXCESS_MS = 120;
const QUIET = 0.004;
const FADE_MS = 4;
const CAPACITY_S = 30;

export class JitterBuffer {
  /** @param {number} rateHz Rate of what is put in and taken out. */
  constructor(rateHz) {
    this._rateHz = rateHz;
    this._ring = new Float32Array(CAPACITY_S * rateHz);
    this._read = 0;
    this._held = 0;
    this._playing = false;
    this._waited = 0;
    this._sinceDry = Infinity;
    this._smooth = 0;
    this._fade = 0;
    this._target = this._samples(START_MS);
    /** Times that audio came too late. */
    this.gaps = 0;
  }

  /** Milliseconds that wait to be played. */
  get bufferedMs() {
    return (this._held * 1000) / this._rateHz;
  }

  /** The reserve with which playing begins, ms. */
  get targetMs() {
    return (this._target * 1000) / this._rateHz;
  }

  get playing() {
    return this._playing;
  }

  /**
   * Samples that arrived. What does not fit is dropped: half a minute waits already.
   * @param {Float32Array} samples
   */
  put(samples) {
    if (this._held === 0 && !this._playing && this._sinceDry < this._samples(GAP_MS)) this._late();
    const room = Math.min(samples.length, this._ring.length - this._held);
    const at = (this._read + this._held) % this._ring.length;
    const first = Math.min(room, this._ring.length - at);
    this._ring.set(samples.subarray(0, first), at);
    this._ring.set(samples.subarray(first, room), 0);
    this._held += room;
  }

  /**
   * Fill `output` with what is due now, or silence.
   * @param {Float32Array} output
   */
  take(output) {
    output.fill(0);
    if (!this._playing && !this._begin(output.length)) return;
    this._skipSilence(output.length);
    const count = Math.min(output.length, this._held);
    this._copy(output, count);
    this._smooth += count;
    if (this._fade > 0) this._fadeOut(output);
    else if (this._held === 0) this._dry(output, count);
    if (this._smooth > this._samples(SHRINK_EVERY_MS)) this._calm();
  }

  /** Fall silent within some milliseconds; nothing of what waits is played. */
  flush() {
    const fade = this._samples(FADE_MS);
    if (this._playing && this._held > 0) {
      this._held = Math.min(this._held, fade);
      this._fade = fade;
    } else {
      this._held = 0;
      this._playing = false;
    }
    this._sinceDry = Infinity;
    this._waited = 0;
  }

  /** @param {number} count */
  _begin(count) {
    this._sinceDry += count;
    if (this._held === 0) return false;
    this._waited += count;
    // A last word that is shorter than the reserve is not waited for longer than the reserve takes.
    if (this._held < this._target && this._waited < this._target) return false;
    this._playing = true;
    this._waited = 0;
    return true;
  }

  /** @param {number} count */
  _skipSilence(count) {
    while (this._held > this._target + this._samples(EXCESS_MS) + count && this._quiet(count)) {
      this._read = (this._read + count) % this._ring.length;
      this._held -= count;
    }
  }

  /** @param {number} count */
  _quiet(count) {
    for (let index = 0; index < count; index++) {
      if (Math.abs(this._ring[(this._read + index) % this._ring.length]) > QUIET) return false;
    }
    return true;
  }

  /**
   * @param {Float32Array} output
   * @param {number} count
   */
  _copy(output, count) {
    for (let index = 0; index < count; index++) output[index] = this._ring[(this._read + index) % this._ring.length];
    this._read = (this._read + count) % this._ring.length;
    this._held -= count;
  }

  /** @param {Float32Array} output */
  _fadeOut(output) {
    const whole = this._samples(FADE_MS);
    for (let index = 0; index < output.length; index++) {
      output[index] *= Math.max(0, this._fade) / whole;
      this._fade -= 1;
    }
    if (this._fade > 0) return;
    this._fade = 0;
    this._held = 0;
    this._playing = false;
  }

  /**
   * @param {Float32Array} output
   * @param {number} count
   */
  _dry(output, count) {
    const ramp = Math.min(count, this._samples(FADE_MS));
    for (let index = 0; index < ramp; index++) output[count - 1 - index] *= index / ramp; // no click at the edge
    this._playing = false;
    this._sinceDry = 0;
  }

  _late() {
    this.gaps += 1;
    this._smooth = 0;
    this._target = Math.min(this._target + this._samples(GROW_MS), this._samples(MOST_MS));
  }

  _calm() {
    this._smooth = 0;
    this._target = Math.max(this._target - this._samples(SHRINK_MS), this._samples(LEAST_MS));
  }

  /** @param {number} milliseconds */
  _samples(milliseconds) {
    return Math.round((milliseconds * this._rateHz) / 1000);
  }
}
