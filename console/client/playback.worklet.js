// @ts-check
/** The agent's `pcm16` to the loudspeaker, through a {@link JitterBuffer}. Messages in: an ArrayBuffer, or "flush". */

import { JitterBuffer } from "./jitter.js";
import { Resampler } from "./resampler.js";

const RATE_HZ = 16000;
const REPORT_EVERY_S = 0.1;

class Playback extends AudioWorkletProcessor {
  constructor() {
    super();
    this._resampler = new Resampler(RATE_HZ, sampleRate);
    this._buffer = new JitterBuffer(sampleRate);
    this._reported = 0;
    this.port.onmessage = ({ data }) => this._receive(data);
  }

  /** @param {ArrayBuffer | "flush"} data */
  _receive(data) {
    if (data === "flush") {
      this._resampler = new Resampler(RATE_HZ, sampleRate);
      this._buffer.flush();
    } else {
      const samples = Float32Array.from(new Int16Array(data, 0, data.byteLength >> 1), (value) => value / 32768);
      this._buffer.put(this._resampler.push(samples));
    }
  }

  /**
   * @param {Float32Array[][]} _inputs
   * @param {Float32Array[][]} outputs
   */
  process(_inputs, [[speaker]]) {
    this._buffer.take(speaker);
    if (currentTime - this._reported > REPORT_EVERY_S) {
      this._reported = currentTime;
      const { bufferedMs, targetMs, gaps, playing } = this._buffer;
      this.port.postMessage({ bufferedMs, targetMs, gaps, playing });
    }
    return true;
  }
}

registerProcessor("voicegate-playback", Playback);
