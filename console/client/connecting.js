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
/** @typedef {import("./types.js").Claim} Claim */
/** @typedef {LinkHandlers & {notice: (code: string, message: string) => void}} Handlers */

/** Where the WebSocket is the alternative, and where there is none. */
const WHIP_MS = 4000;
const ONLY_WHIP_MS = 15000;
const WELCOME_MS = 8000;
/** How long a failed attempt may take to tell the gateway that it is over. */
const LEAVE_MS = 1000;
const AGAIN = 4;
const AGAIN_MS = 400;

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
    /** @type {Link["kind"] | ""} What carried the call last. */
    this._last = "";
  }

  /** The audio context, made when it is first needed: after a click, or it stays silent. */
  context() {
    this._context ??= new AudioContext({ latencyHint: "interactive" });
    if (this._context.state === "suspended") this._context.resume().catch(() => {});
    return this._context;
  }

  /**
   * @param {MediaStream | null} microphone
   * @param {AbortSignal} signal
   * @returns {Promise<Link>} Welcomed: the call has begun.
   */
  async begin(microphone, signal) {
    if (!this._triesWhip(microphone)) return this._bySocket(this._start(), microphone, signal);
    try {
      return await this._byWhip(null, microphone, signal);
    } catch (error) {
      const failure = /** @type {CallError} */ (error);
      if (this._wanted === "webrtc" || failure.final || signal.aborted) throw failure;
      this._fallBack(failure);
      return this._bySocketSoon(microphone, signal);
    }
  }

  /**
   * Go on with a call. One over WebRTC tries WebRTC first; the network may have become another one, so every second
   * attempt goes over the WebSocket.
   * @param {Claim} claim
   * @param {number} attempt 1, 2, …
   * @param {MediaStream | null} microphone
   * @param {AbortSignal} signal
   * @returns {Promise<Link>}
   */
  async resume(claim, attempt, microphone, signal) {
    signal.throwIfAborted();
    const whip = this._wanted === "webrtc" || (this._last === "webrtc" && attempt % 2 === 1);
    if (whip) return this._byWhip(claim, microphone, signal);
    return this._bySocket({ type: "session.resume", ...claim }, microphone, signal);
  }

  close() {
    this.closed = true;
    this._audio?.close();
    if (this._context !== this._options.audioContext) this._context?.close().catch(() => {});
  }

  _start() {
    const { agent = "", greeting = true, context = {} } = this._options;
    return { type: "session.start", agent, greeting, context };
  }

  /** @param {MediaStream | null} microphone */
  _triesWhip(microphone) {
    if (this._wanted !== "auto") return this._wanted === "webrtc";
    const simple = Object.keys(this._options.context ?? {}).length === 0;
    return microphone !== null && simple && !blocked.has(this._options.url ?? "");
  }

  /** @param {CallError} failure */
  _fallBack(failure) {
    blocked.add(this._options.url ?? "");
    // The gateway may hold the session of the attempt for some seconds yet.
    this.sessionId = this._options.sessionId ?? newSessionId();
    const why = "WebRTC did not come up (some networks let no UDP through), so the call goes over the WebSocket.";
    this._handlers.notice("fell_back", `${why} ${failure.message}`);
  }

  /**
   * @param {Claim | null} claim
   * @param {MediaStream | null} microphone
   * @param {AbortSignal} signal
   */
  async _byWhip(claim, microphone, signal) {
    const { url, agent = "", greeting = true } = this._options;
    const query = { session: this.sessionId, ...(claim ? {} : { agent, greeting: String(greeting) }) };
    const limit = this._options.whipTimeoutMs ?? (this._wanted === "webrtc" ? ONLY_WHIP_MS : WHIP_MS);
    return this._welcomed(signal, limit, claim !== null, async (handlers, within) => {
      const token = await this._token();
      return openWhip({ url, query, token, claim, microphone, handlers, signal: within });
    });
  }

  /**
   * @param {WireMessage} first What begins the call, or goes on with it.
   * @param {MediaStream | null} microphone
   * @param {AbortSignal} signal
   */
  async _bySocket(first, microphone, signal) {
    const { url } = this._options;
    const resumes = first.type === "session.resume";
    const link = await this._welcomed(signal, WELCOME_MS, resumes, async (handlers) => {
      const token = await this._token();
      this._audio ??= await SocketAudio.open(this.context());
      const opened = await openSocket({ url, sessionId: this.sessionId, token, audio: this._audio, handlers });
      opened.send(first);
      return opened;
    });
    await link.useMicrophone(microphone);
    return link;
  }

  /**
   * Begin by the WebSocket; a session id of the page's own may belong for a moment yet to the attempt before.
   * @param {MediaStream | null} microphone
   * @param {AbortSignal} signal
   */
  async _bySocketSoon(microphone, signal) {
    for (let left = AGAIN; ; left--) {
      try {
        return await this._bySocket(this._start(), microphone, signal);
      } catch (error) {
        const { code } = /** @type {CallError} */ (error);
        if (code !== "refused" || left === 0 || signal.aborted) throw error;
        await pause(AGAIN_MS);
      }
    }
  }

  /**
   * A link on which the gateway has said welcome.
   * @param {AbortSignal} signal
   * @param {number} limitMs
   * @param {boolean} resumes A link that comes too late is no reason to hang up: the next attempt needs the call.
   * @param {(handlers: LinkHandlers, within: AbortSignal) => Promise<Link>} open
   * @returns {Promise<Link>}
   */
  async _welcomed(signal, limitMs, resumes, open) {
    const waiting = new Waiting(this._handlers, signal, limitMs);
    const opening = open(waiting.handlers, waiting.signal);
    try {
      const link = await waiting.orGone(opening);
      await waiting.orGone(waiting.welcome);
      this._last = link.kind;
      return link;
    } catch (error) {
      const goesOn = resumes && !signal.aborted;
      const left = opening.then((late) => (goesOn ? late.leave() : late.close())).catch(() => {});
      await Promise.race([left, pause(LEAVE_MS)]);
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

/** @param {number} milliseconds */
function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
