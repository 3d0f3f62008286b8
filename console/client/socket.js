// @ts-check
/** A call's connection as a WebSocket in the profile `voice.v1` (docs/protocols.md): JSON as text, audio as bytes. */

import { voiceAddress } from "./addresses.js";
import { CallError } from "./errors.js";

/** @typedef {import("./types.js").Link} Link */
/** @typedef {import("./types.js").LinkHandlers} LinkHandlers */
/** @typedef {import("./types.js").WireMessage} WireMessage */
/** @typedef {import("./socket_audio.js").SocketAudio} SocketAudio */

const PROFILE = "voice.v1";
const TOKEN_PREFIX = "voicegate.token.";
const NORMAL = 1000;
/** Close codes after which no new connection brings the call back. */
const FINAL = new Set([NORMAL, 1002, 1003, 1007, 1009, 4400, 4401, 4402, 4403, 4409, 4410, 4413, 4440]);
const OPEN_MS = 8000;
/** Microphone audio that may wait in the browser; a slower network loses the oldest instead of falling behind. */
const MOST_WAITING_BYTES = 32000;

/**
 * Open the socket; nothing is sent yet.
 * @param {object} options
 * @param {string | undefined} options.url
 * @param {string} options.sessionId
 * @param {string | undefined} options.token
 * @param {SocketAudio} options.audio
 * @param {LinkHandlers} options.handlers
 * @returns {Promise<Link>}
 * @throws {CallError} `unreachable`: browsers do not tell a page why.
 */
export async function openSocket({ url, sessionId, token, audio, handlers }) {
  const address = voiceAddress(url, sessionId);
  const socket = new WebSocket(address, token ? [PROFILE, TOKEN_PREFIX + token] : [PROFILE]);
  socket.binaryType = "arraybuffer";
  await opened(socket);
  return new SocketLink(socket, audio, handlers);
}

/** @param {WebSocket} socket */
function opened(socket) {
  return new Promise((resolve, reject) => {
    const fail = () => {
      clearTimeout(timer);
      socket.onopen = socket.onclose = null;
      socket.close();
      reject(new CallError("The gateway cannot be reached by WebSocket, or does not take this call."));
    };
    const timer = setTimeout(fail, OPEN_MS);
    socket.onclose = fail;
    socket.onopen = () => {
      clearTimeout(timer);
      resolve(undefined);
    };
  });
}

/** @implements {Link} */
class SocketLink {
  /**
   * @param {WebSocket} socket Open.
   * @param {SocketAudio} audio
   * @param {LinkHandlers} handlers
   */
  constructor(socket, audio, handlers) {
    this.kind = /** @type {const} */ ("websocket");
    this._socket = socket;
    this._audio = audio;
    this._handlers = handlers;
    this._joined = false;
    socket.onmessage = ({ data }) => this._receive(data);
    socket.onclose = ({ code, reason }) => this._lost(code, reason);
    audio.onFrame = (frame) => this._speak(frame);
  }

  get playback() {
    return this._audio.report;
  }

  /** @param {WireMessage} message */
  send(message) {
    const open = this._socket.readyState === WebSocket.OPEN;
    if (open) this._socket.send(JSON.stringify(message));
    return open;
  }

  /** @param {MediaStream | null} stream */
  async useMicrophone(stream) {
    this._audio.useMicrophone(stream);
  }

  flush() {
    this._audio.flush();
  }

  close() {
    this._forget();
    this._socket.close(NORMAL);
  }

  leave() {
    this._forget();
    this._socket.close(4000, "given up");
  }

  agentStream() {
    return this._audio.agentStream;
  }

  drop() {
    this._lost(1006, "the connection went silent");
    this._socket.close(4000, "silent");
  }

  /** @param {ArrayBuffer} frame */
  _speak(frame) {
    // The gateway takes the first binary message for the beginning of a call, so nothing is said before the welcome.
    const open = this._joined && this._socket.readyState === WebSocket.OPEN;
    if (open && this._socket.bufferedAmount < MOST_WAITING_BYTES) this._socket.send(frame);
  }

  /** @param {string | ArrayBuffer} data */
  _receive(data) {
    if (typeof data !== "string") return this._audio.play(data);
    const message = JSON.parse(data);
    if (message.type === "session.welcome") this._joined = true;
    this._handlers.message(message);
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  _lost(code, reason) {
    this._forget();
    this._handlers.lost({ final: FINAL.has(code), reason: reason || `closed with ${code}` });
  }

  _forget() {
    this._socket.onmessage = this._socket.onclose = null;
    this._audio.onFrame = () => {};
  }
}
