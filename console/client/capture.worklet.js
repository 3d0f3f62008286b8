// @ts-check
/** Microphone to `pcm16`: 20 ms of 16 kHz mono a message, as an ArrayBuffer of little-endian int16. */

import { Resampler } from "./resampler.js";

const RATE_HZ = 16000;
const FRAME_SAMPLES = 320;

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this._resampler = new Resampler(sampleRate, RATE_HZ);
    this._frame = new Int16Array(FRAME_SAMPLES);
    this._filled = 0;
  }

  /** @param {Float32Array[][]} inputs */
  process([channels]) {
    if (channels.length > 0) for (const sample of this._resampler.push(mono(channels))) this._put(sample);
    return true;
  }

  /** @param {number} sample */
  _put(sample) {
    this._frame[this._filled++] = Math.max(-32768, Math.min(32767, Math.round(sample * 32768)));
    if (this._filled < FRAME_SAMPLES) return;
    this.port.postMessage(this._frame.buffer, [this._frame.buffer]);
    this._frame = new Int16Array(FRAME_SAMPLES);
    this._filled = 0;
  }
}

/** @param {Float32Array[]} channels */
function mono(channels) {
  if (channels.length === 1) return channels[0];
  return channels[0].map((_, index) => channels.reduce((sum, channel) => sum + channel[index], 0) / channels.length);
}

registerProcessor("voicegate-capture", Capture);
