// @ts-check
/** Which transport carries a call, and what it needs of the browser; a call asks for links and gets them. */

import { CallError } from "./errors.js";
import { openSocket } from "./socket.js";
import { SocketAudio } from "./socket_audio.js";
import { Waiting } from "./waiting.js";
import { openWhip } from "./whip.js";

/** @typedef {import("./types.js").ConnectOptions} ConnectOptions */
/** @typedef {import("./types.js").Link} Link */
/** @typedef {import("./types.js").LinkHandlers} LinkHandlers */
/** @typedef {import("./types.js").WireMessage} WireMessage */
/** @typedef {{lastSeq: number, secret: string}} Claim */
/** @typedef {LinkHandlers & {notice: (code: string, message: string) => void}} Handlers */

const WHIP_MS = 4000;
const WELCOME_MS = 8000;

/** Gateways whose media did not come through from here; they are not tried again while the page lives. */
const blocked = new Set();

export class Connecting {
  /**
   * @param {ConnectOptions} options
   * @param {Handlers} handlers
   */
  constructor(options, handlers) {
    this._options = options;
    this._handlers = handlers;
    this._wanted = options.transport ?? "auto";
    this.sessionId = options.sessionId ?? newSessionId();
    /** @type {AudioContext | null} */
    this._context = options.audioContext ?? null;
    /** @type {SocketAudio | null} */
    this._audio = null;
    this.closed = false;
  }

  /** The audio context, made when it is first needed: after a click, or it stays silent. */
  context() {
    this._context ??= new AudioContext({ latencyHint: "interactive" });
    if (this._context.state === "suspended") this._context.resume().catch(() => {});
    return this._context;
  }

  get playback() {
    return this._audio?.report ?? null;
  }

  /**
   * @param {MediaStream | null} microphone
   * @param {AbortSignal} signal
   * @returns {Promise<Link>} Welcomed: the call has begun.
   */
  async begin(microphone, signal) {
    const { agent = "", greeting = true, context = {} } = this._options;
    const start = { type: "session.start", agent, greeting, context };
    if (!this._triesWhip(microphone)) return this._bySocket(start, microphone, signal);
    try {
      return await this._byWhip(start, microphone, signal);
    } catch (error) {
      const failure = /** @type {CallError} */ (error);
      if (this._wanted === "webrtc" || failure.final || signal.aborted) throw failure;
      this._fallBack(failure);
      return this._bySocket(start, microphone, signal);
    }
  }

  /**
   * @param {Claim} claim
   * @param {MediaStream | null} microphone
   * @param {AbortSignal} signal
   * @returns {Promise<Link>}
   */
  async resume(claim, microphone, signal) {
    signal.throwIfAborted();
    // The network may have changed under a call over WebRTC; what gets through most networks continues it.
    return this._bySocket({ type: "session.resume", ...claim }, microphone, signal);
  }

  close() {
    this.closed = true;
    this._audio?.close();
    if (this._context !== this._options.audioContext) this._context?.close().catch(() => {});
  }

  /** @param {MediaStream | null} microphone */
  _triesWhip(microphone) {
    if (this._wanted !== "auto") return this._wanted === "webrtc";
    return microphone !== null && !blocked.has(this._options.url ?? "");
  }

  /** @param {CallError} failure */
  _fallBack(failure) {
    blocked.add(this._options.url ?? "");
    const why = "The network lets no WebRTC audio (UDP) through, or the gateway does not take it";
    this._handlers.notice("fell_back", `${why}; the call goes over the WebSocket. ${failure.message}`);
  }

  /**
   * @param {WireMessage} first
   * @param {MediaStream | null} microphone
   * @param {AbortSignal} signal
   */
  async _byWhip(first, microphone, signal) {
    const limit = this._options.whipTimeoutMs ?? WHIP_MS;
    return this._welcomed(signal, first, limit, async (handlers, within) => {
      const { url } = this._options;
      const token = await this._token();
      return openWhip({ url, query: { session: this.sessionId }, token, microphone, handlers, signal: within });
    });
  }

  /**
   * @param {WireMessage} first
   * @param {MediaStream | null} microphone
   * @param {AbortSignal} signal
   */
  async _bySocket(first, microphone, signal) {
    return this._welcomed(signal, first, WELCOME_MS, async (handlers) => {
      const { url } = this._options;
      const token = await this._token();
      this._audio ??= await SocketAudio.open(this.context());
      return openSocket({ url, sessionId: this.sessionId, token, audio: this._audio, handlers });
    }, microphone);
  }

  /**
   * A link on which the gateway has answered `first` with a welcome.
   * @param {AbortSignal} signal
   * @param {WireMessage} first
   * @param {number} limitMs
   * @param {(handlers: LinkHandlers, within: AbortSignal) => Promise<Link>} open
   * @param {MediaStream | null} [microphone] To be attached; undefined: it is already.
   * @returns {Promise<Link>}
   */
  async _welcomed(signal, first, limitMs, open, microphone) {
    const waiting = new Waiting(this._handlers, signal, limitMs);
    const opening = open(waiting.handlers, waiting.signal);
    try {
      const link = await waiting.orGone(opening);
      link.send(first);
      await waiting.orGone(waiting.welcome);
      if (microphone !== undefined) await link.useMicrophone(microphone);
      return link;
    } catch (error) {
      opening.then((late) => late.close()).catch(() => {});
      throw error;
    } finally {
      waiting.over();
    }
  }

  /** @returns {Promise<string | undefined>} */
  async _token() {
    const { token } = this._options;
    return typeof token === "function" ? token() : token;
  }
}

/** A random UUID; browsers have `randomUUID` in secure contexts only. */
function newSessionId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
