// @ts-check
/** One call: its state, its events, and the connection of the moment. */

import { Connecting } from "./connecting.js";
import { CallError } from "./errors.js";
import { BothLevels, SILENCE } from "./levels.js";
import { openMicrophone } from "./microphone.js";
import { pause } from "./patience.js";
import { Pulse } from "./pulse.js";

/** @typedef {import("./types.js").CallState} CallState */
/** @typedef {import("./types.js").ConnectOptions} ConnectOptions */
/** @typedef {import("./types.js").Level} Level */
/** @typedef {import("./types.js").Link} Link */
/** @typedef {import("./types.js").LinkEnd} LinkEnd */
/** @typedef {import("./types.js").WireMessage} WireMessage */

const RESUME_MS = 60000;
/** What a caller says without a voice: it waits for the next connection. */
const SAID = new Set(["text", "dtmf"]);
const FIRST_RETRY_MS = 200;
const LONGEST_RETRY_MS = 4000;
/** How long a hang-up waits for the call's last events. */
const FAREWELL_MS = 2000;

/**
 * A running call. It dispatches `CustomEvent`s:
 *
 * * every event of the gateway by its type (`transcript.final`, `reply.text`, …; docs/protocols.md), and all of them
 *   as `event` too; `detail` is the JSON object;
 * * `state`: `detail` is a {@link import("./types.js").StateDetail};
 * * `notice`: a degradation, of the gateway or (`detail.local`) of this client.
 */
export class Call extends EventTarget {
  /**
   * Use `connect`, which begins the call too.
   * @param {ConnectOptions} options
   */
  constructor(options) {
    super();
    this._options = options;
    this._connecting = new Connecting(options, {
      message: (message) => this._receive(message),
      lost: (end) => this._lost(end),
      notice: (code, message) => this._notice(code, message),
    });
    /** @type {Link | null} */
    this._link = null;
    /** @type {Pulse | null} */
    this._pulse = null;
    /** @type {MediaStream | null} */
    this._microphone = null;
    this._secret = "";
    /** @type {WireMessage[]} What was typed and pressed while there was no connection. */
    this._unsent = [];
    this._muted = false;
    /** @type {BothLevels | null} */
    this._levels = null;
    /** @type {AbortController} Ends all waiting. */
    this._over = new AbortController();
    /** Last event that was seen. */
    this.lastSeq = 0;
    /** @type {CallState} */
    this.state = "connecting";
  }

  get sessionId() {
    return this._connecting.sessionId;
  }

  /** What carries the call now. @returns {"webrtc" | "websocket" | ""} */
  get transport() {
    return this._link?.kind ?? "";
  }

  /** The agent's voice, for meters, recorders and visualisers; it plays without your help. */
  get agentStream() {
    return this._link?.agentStream() ?? null;
  }

  /** The caller's microphone; null while the caller only types. */
  get microphoneStream() {
    return this._microphone;
  }

  get muted() {
    return this._muted;
  }

  /** Milliseconds to the gateway and back; null where not known yet. */
  get roundTripMs() {
    return this._pulse?.roundTripMs ?? null;
  }

  /** What waits to be played, and how often it came too late; null without a connection. */
  get playback() {
    return this._link?.playback ?? null;
  }

  /** Silence the microphone, or let it speak again. @param {boolean} muted */
  mute(muted) {
    this._muted = muted;
    for (const track of this._microphone?.getAudioTracks() ?? []) track.enabled = !muted;
  }

  /** Type instead of speaking. @param {string} text 1 to 4000 characters. */
  text(text) {
    this._send({ type: "text", text });
  }

  /** Keys of a telephone. @param {string} digits 1 to 32 of `0-9 * # A-D`. */
  dtmf(digits) {
    this._send({ type: "dtmf", digits });
  }

  /** Stop what the agent is saying. */
  interrupt() {
    this._link?.flush();
    this._send({ type: "reply.cancel" });
  }

  /** End the call. Its last events still come; `state` becomes `ended`. */
  hangUp() {
    if (this.state !== "live") return this._end("client");
    this._send({ type: "session.end" });
    setTimeout(() => this._end("client"), FAREWELL_MS);
  }

  /** End the call at once, without its last events: for a page that goes away. */
  leave() {
    this._end("client");
  }

  /**
   * Speak into another microphone, or into one at last.
   * @param {string | MediaStream | null} choice Device id (empty: the system's), a stream, or null: type only.
   * @throws {import("./errors.js").MicrophoneError} The one before goes on.
   */
  async useMicrophone(choice) {
    const stream = typeof choice === "string" ? await openMicrophone(choice) : choice;
    if (this.state === "ended") return stop(stream, this._options);
    await this._link?.useMicrophone(stream);
    stop(this._microphone, this._options);
    this._microphone = stream;
    this.mute(this._muted);
    this._measure();
  }

  /** How loud both sides are now. @returns {{caller: Level, agent: Level}} */
  levels() {
    if (this.state === "ended") return { caller: SILENCE, agent: SILENCE };
    this._levels ??= new BothLevels(this._connecting.context());
    this._measure();
    return this._levels.read();
  }

  /**
   * Begin; once, by `connect`.
   * @param {MediaStream | null} microphone
   * @throws {CallError}
   */
  async begin(microphone) {
    this._microphone = microphone;
    try {
      const link = await this._connecting.begin(microphone, this._over.signal);
      this._attach(link);
    } catch (error) {
      this._end(/** @type {Error} */ (error).message);
      throw error;
    }
  }

  /** @param {Link} link */
  _attach(link) {
    if (this._over.signal.aborted) return link.close();
    this._link = link;
    this._pulse = new Pulse((message) => link.send(message), () => link.drop());
    this._measure();
    for (const message of this._unsent.splice(0)) this._send(message);
    this._become("live");
  }

  /** @param {WireMessage} message */
  _receive(message) {
    this._pulse?.heard(message);
    if (message.type === "session.welcome") {
      this._secret = message.resumeSecret;
      if (!message.resumed) this.lastSeq = 0;
    }
    if (typeof message.seq === "number") {
      if (message.seq <= this.lastSeq) return;
      this.lastSeq = message.seq;
    }
    if (message.type === "reply.interrupted") this._link?.flush();
    this._tell(message.type, message);
    if (typeof message.seq === "number") this._tell("event", message);
    if (message.type === "session.ended") this._end(message.reason);
  }

  /** @param {LinkEnd} end */
  _lost({ final, reason }) {
    this._detach();
    if (this.state === "ended") return;
    if (final || !this._secret) return this._end(reason);
    this._become("reconnecting", reason);
    this._reconnect().catch((error) => this._end(error.message));
  }

  async _reconnect() {
    const until = performance.now() + (this._options.resumeMs ?? RESUME_MS);
    let wait = FIRST_RETRY_MS;
    for (let attempt = 1; ; attempt++, wait = Math.min(2 * wait, LONGEST_RETRY_MS)) {
      await pause(wait * (0.75 + Math.random() / 2), this._over.signal);
      try {
        const claim = { lastSeq: this.lastSeq, secret: this._secret };
        return this._attach(await this._connecting.resume(claim, attempt, this._microphone, this._over.signal));
      } catch (error) {
        const refused = error instanceof CallError && error.final && !error.passing;
        if (refused || this._over.signal.aborted || performance.now() > until) throw error;
      }
    }
  }

  /** @param {string} reason */
  _end(reason) {
    if (this.state === "ended") return;
    this._become("ended", reason);
    this._link?.close();
    this._detach();
    this._over.abort(new CallError("The call is over.", { code: "aborted" }));
    stop(this._microphone, this._options);
    this._connecting.close();
  }

  _detach() {
    this._pulse?.stop();
    this._pulse = null;
    this._link = null;
    this._measure();
  }

  _measure() {
    this._levels?.of(this._microphone, this.agentStream);
  }

  /** @param {WireMessage} message */
  _send(message) {
    const sent = this._link?.send(message) ?? false;
    if (!sent && SAID.has(message.type)) this._unsent.push(message);
  }

  /**
   * @param {CallState} state
   * @param {string} [reason]
   */
  _become(state, reason = "") {
    this.state = state;
    this._tell("state", { state, transport: this.transport, reason });
  }

  /**
   * @param {string} code
   * @param {string} message
   */
  _notice(code, message) {
    this._tell("notice", { type: "notice", code, message, local: true });
  }

  /**
   * @param {string} type
   * @param {object} detail
   */
  _tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/**
 * @param {MediaStream | null} stream
 * @param {ConnectOptions} options Whose own stream is left alone.
 */
function stop(stream, options) {
  if (stream === options.microphone) return;
  for (const track of stream?.getTracks() ?? []) track.stop();
}
