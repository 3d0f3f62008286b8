// @ts-check
/**
 * Microphone and loudspeaker of a call over the WebSocket. It outlives the socket: a call that reconnects keeps its
 * audio graph, and what still waits to be played goes on.
 */

const CAPTURE = new URL("./capture.worklet.js", import.meta.url);
const PLAYBACK = new URL("./playback.worklet.js", import.meta.url);

/** @typedef {import("./types.js").PlaybackReport} PlaybackReport */

export class SocketAudio {
  /**
   * @param {AudioContext} context
   * @returns {Promise<SocketAudio>}
   */
  static async open(context) {
    await Promise.all([context.audioWorklet.addModule(CAPTURE), context.audioWorklet.addModule(PLAYBACK)]);
    return new SocketAudio(context);
  }

  /** @param {AudioContext} context Its worklets are loaded. */
  constructor(context) {
    this._context = context;
    this._capture = new AudioWorkletNode(context, "voicegate-capture", { numberOfOutputs: 0 });
    this._playback = new AudioWorkletNode(context, "voicegate-playback", { numberOfInputs: 0, outputChannelCount: [1] });
    this._tap = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
    /** @type {MediaStreamAudioSourceNode | null} */
    this._source = null;
    /** @type {(frame: ArrayBuffer) => void} */
    this.onFrame = () => {};
    /** @type {PlaybackReport} */
    this.report = { bufferedMs: 0, targetMs: 0, gaps: 0, playing: false };
    this._capture.port.onmessage = ({ data }) => this.onFrame(data);
    this._playback.port.onmessage = ({ data }) => (this.report = data);
    this._playback.connect(context.destination);
    this._playback.connect(this._tap);
  }

  /** The agent's voice, for meters and recorders. */
  get agentStream() {
    return this._tap.stream;
  }

  /** @param {MediaStream | null} stream The caller's; null: nothing is sent. */
  useMicrophone(stream) {
    this._source?.disconnect();
    this._source = stream && new MediaStreamAudioSourceNode(this._context, { mediaStream: stream });
    this._source?.connect(this._capture);
  }

  /** @param {ArrayBuffer} pcm16 Mono, 16 kHz, any length. */
  play(pcm16) {
    this._playback.port.postMessage(pcm16, [pcm16]);
  }

  flush() {
    this._playback.port.postMessage("flush");
  }

  close() {
    this.onFrame = () => {};
    this.useMicrophone(null);
    this._capture.disconnect();
    this._playback.disconnect();
  }
}
