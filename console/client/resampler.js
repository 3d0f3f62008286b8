// @ts-check
/**
 * Sample rate conversion of one channel, pure: a windowed-sinc filter (Blackman window), evaluated at each output
 * sample from a table of {@link PHASES} fractional delays. Runs inside the audio worklets, so it allocates little.
 */

const PHASES = 256;
const LOBES = 12;
/** Share of the lower Nyquist frequency that passes: 16 kHz audio keeps what is below 7.4 kHz. */
const PASSBAND = 0.92;

export class Resampler {
  /**
   * @param {number} fromHz
   * @param {number} toHz
   */
  constructor(fromHz, toHz) {
    if (!(fromHz > 0 && toHz > 0)) throw new RangeError(`no conversion from ${fromHz} Hz to ${toHz} Hz`);
    this._step = fromHz / toHz;
    const cutoff = PASSBAND * Math.min(1, toHz / fromHz);
    this._half = Math.ceil(LOBES / Math.min(1, toHz / fromHz));
    this._table = same(fromHz, toHz) ? null : table(this._half, cutoff);
    this._held = new Float32Array(2 * this._half);
    this._count = this._half; // silence before the first sample, so that it is not delayed by half the filter
    this._at = this._half;
  }

  /**
   * Take samples, give the converted ones that are complete by now.
   * @param {Float32Array} input Samples at `fromHz`; not kept.
   * @returns {Float32Array} Samples at `toHz`; a new array.
   */
  push(input) {
    if (this._table === null) return input.slice();
    this._append(input);
    const ready = Math.max(0, Math.ceil((this._count - this._half - 1 - this._at) / this._step));
    const output = new Float32Array(ready);
    for (let index = 0; index < ready; index++) {
      output[index] = this._sample(this._at);
      this._at += this._step;
    }
    this._forget();
    return output;
  }

  /** @param {Float32Array} input */
  _append(input) {
    if (this._count + input.length > this._held.length) {
      const grown = new Float32Array(2 * (this._count + input.length));
      grown.set(this._held.subarray(0, this._count));
      this._held = grown;
    }
    this._held.set(input, this._count);
    this._count += input.length;
  }

  /** @param {number} at Position of the output sample among the held ones. */
  _sample(at) {
    const table = /** @type {Float32Array} */ (this._table);
    const width = 2 * this._half;
    const nearest = Math.round(at * PHASES);
    const whole = Math.floor(nearest / PHASES);
    const row = (nearest - whole * PHASES) * width;
    const first = whole - this._half + 1;
    let sum = 0;
    for (let tap = 0; tap < width; tap++) sum += table[row + tap] * this._held[first + tap];
    return sum;
  }

  _forget() {
    const drop = Math.floor(this._at) - this._half;
    if (drop <= 0) return;
    this._held.copyWithin(0, drop, this._count);
    this._count -= drop;
    this._at -= drop;
  }
}

/**
 * @param {number} fromHz
 * @param {number} toHz
 */
function same(fromHz, toHz) {
  return Math.abs(fromHz - toHz) < 1e-6;
}

/**
 * One row of `2 * half` coefficients for each fractional delay; each row sums to one, so that silence stays silence
 * and a constant stays that constant.
 * @param {number} half
 * @param {number} cutoff In multiples of the input's Nyquist frequency.
 */
function table(half, cutoff) {
  const width = 2 * half;
  const rows = new Float32Array(PHASES * width);
  for (let phase = 0; phase < PHASES; phase++) {
    let sum = 0;
    for (let tap = 0; tap < width; tap++) {
      const distance = tap - half + 1 - phase / PHASES;
      rows[phase * width + tap] = sinc(cutoff * distance) * blackman(distance / half);
      sum += rows[phase * width + tap];
    }
    for (let tap = 0; tap < width; tap++) rows[phase * width + tap] /= sum;
  }
  return rows;
}

/** @param {number} x */
function sinc(x) {
  return Math.abs(x) < 1e-9 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/** @param {number} x From -1 to 1. */
function blackman(x) {
  return Math.abs(x) >= 1 ? 0 : 0.42 + 0.5 * Math.cos(Math.PI * x) + 0.08 * Math.cos(2 * Math.PI * x);
}
