// @ts-check
/**
 * A call's connection as WebRTC, set up by WHIP (RFC 9725) with a two-way answer: audio as Opus, and a data channel
 * `events` with the JSON messages of `voice.v1`.
 */

import { httpAddress } from "./addresses.js";
import { CallError } from "./errors.js";
import { Exchange } from "./whip_exchange.js";

/** @typedef {import("./types.js").Link} Link */
/** @typedef {import("./types.js").LinkHandlers} LinkHandlers */
/** @typedef {import("./types.js").WireMessage} WireMessage */

const CHANNEL = "events";
/** Names of close codes, as the gateway's last notice says them: whether no new connection brings the call back. */
const FAREWELLS = new Map([
  ...["normal", "wrong_kind", "bad_payload", "bad_message", "unauthorized", "forbidden"].map(ended),
  ...["taken_over", "gone", "session_time"].map(ended),
  ...["going_away", "internal", "try_again", "too_fast", "too_slow"].map(kept),
]);
/** A peer connection that is `disconnected` often comes back by itself. */
const GRACE_MS = 3000;
const MEASURE_MS = 1000;

/**
 * Offer, get the answer, and wait until audio and events can flow.
 * @param {object} options
 * @param {string | undefined} options.url
 * @param {Record<string, string>} options.query Of the endpoint's address: `session`, `agent`, …
 * @param {string | undefined} options.token
 * @param {import("./types.js").Claim | null} options.claim To go on with a call; null: a new one.
 * @param {MediaStream | null} options.microphone
 * @param {LinkHandlers} options.handlers
 * @param {AbortSignal} options.signal Gives up, for example after some seconds.
 * @returns {Promise<Link>}
 * @throws {CallError} `whip_failed`: no connection came up; another code: the gateway refused.
 */
export async function openWhip({ url, query, token, claim, microphone, handlers, signal }) {
  if (!globalThis.RTCPeerConnection) throw new CallError("This browser has no WebRTC.", { code: "whip_failed" });
  const endpoint = new URL(httpAddress(url, "whip"));
  endpoint.search = new URLSearchParams(query).toString();
  const exchange = new Exchange(endpoint.href, token, claim, signal);
  try {
    const channel = exchange.peer.createDataChannel(CHANNEL);
    const source = microphone?.getAudioTracks()[0] ?? "audio";
    const { sender } = exchange.peer.addTransceiver(source, { direction: "sendrecv" });
    const link = new WhipLink(exchange, channel, sender, handlers);
    await exchange.connect(channel);
    link.watch();
    return link;
  } catch (error) {
    if (claim) exchange.leave();
    else await exchange.abandon();
    if (error instanceof CallError) throw error;
    const why = signal.aborted ? "no connection came up in time" : String(/** @type {Error} */ (error).message);
    throw new CallError(`WebRTC failed: ${why}.`, { code: "whip_failed", cause: error });
  }
}

/** @implements {Link} */
class WhipLink {
  /**
   * @param {Exchange} exchange
   * @param {RTCDataChannel} channel
   * @param {RTCRtpSender} sender
   * @param {LinkHandlers} handlers
   */
  constructor(exchange, channel, sender, handlers) {
    this.kind = /** @type {const} */ ("webrtc");
    this._exchange = exchange;
    this._channel = channel;
    this._sender = sender;
    this._handlers = handlers;
    this._stream = new MediaStream();
    this._speaker = new Audio();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this._grace = undefined;
    /** The gateway's farewell: the name of a close code. */
    this._farewell = "";
    /** @type {ReturnType<typeof setInterval> | undefined} */
    this._measuring = undefined;
    this._emitted = { delayS: 0, count: 0 };
    /** @type {import("./types.js").PlaybackReport} */
    this.playback = { bufferedMs: 0, targetMs: 0, gaps: 0, playing: true };
    exchange.peer.ontrack = ({ track }) => this._stream.addTrack(track);
    channel.onmessage = ({ data }) => this._receive(JSON.parse(data));
  }

  /** The connection is up: play, and notice its end. */
  watch() {
    const { peer } = this._exchange;
    peer.onconnectionstatechange = () => this._changed(peer.connectionState);
    this._channel.onclose = () => this._lost("the events' channel closed");
    this._speaker.srcObject = this._stream;
    this._speaker.play().catch(() => {}); // a page without a click stays silent until there is one
    this._measuring = setInterval(() => this._measure().catch(() => {}), MEASURE_MS);
  }

  /** @param {WireMessage} message */
  send(message) {
    const open = this._channel.readyState === "open";
    if (open) this._channel.send(JSON.stringify(message));
    return open;
  }

  /** @param {MediaStream | null} stream */
  async useMicrophone(stream) {
    await this._sender.replaceTrack(stream?.getAudioTracks()[0] ?? null);
  }

  flush() {
    // The browser's jitter buffer holds some 40 ms; the gateway has stopped sending already.
  }

  close() {
    this._forget();
    this._exchange.abandon();
  }

  leave() {
    this._forget();
    this._exchange.leave();
  }

  drop() {
    this._lost("the connection went silent");
  }

  agentStream() {
    return this._stream;
  }

  /** The browser's jitter buffer of the last second (W3C WebRTC statistics, `inbound-rtp`). */
  async _measure() {
    for (const report of (await this._exchange.peer.getStats()).values()) {
      if (report.type !== "inbound-rtp" || report.kind !== "audio") continue;
      const { jitterBufferDelay: delayS, jitterBufferEmittedCount: count, jitterBufferTargetDelay: targetS } = report;
      const samples = Math.max(1, count - this._emitted.count);
      const bufferedMs = (1000 * (delayS - this._emitted.delayS)) / samples;
      const targetMs = count > 0 ? (1000 * targetS) / count : 0;
      this.playback = { bufferedMs, targetMs, gaps: report.concealmentEvents ?? 0, playing: true };
      this._emitted = { delayS, count };
    }
  }

  /** @param {WireMessage} message */
  _receive(message) {
    if (message.type === "notice" && message.seq === undefined && FAREWELLS.has(message.code)) {
      this._farewell = message.code;
      this._exchange.closed();
      return this._lost(message.message || message.code);
    }
    if (message.type === "session.ended") this._exchange.closed();
    this._handlers.message(message);
  }

  /** @param {RTCPeerConnectionState} state */
  _changed(state) {
    clearTimeout(this._grace);
    if (state === "failed" || state === "closed") this._lost("the network lets no media through");
    if (state === "disconnected") this._grace = setTimeout(() => this._lost("the network went away"), GRACE_MS);
  }

  /** @param {string} reason */
  _lost(reason) {
    this._forget();
    this._exchange.peer.close();
    this._handlers.lost({ final: FAREWELLS.get(this._farewell) ?? false, reason });
  }

  _forget() {
    clearTimeout(this._grace);
    clearInterval(this._measuring);
    this._channel.onclose = this._channel.onmessage = this._exchange.peer.onconnectionstatechange = null;
    this._speaker.srcObject = null;
  }
}

/** @param {string} name @returns {[string, boolean]} */
function ended(name) {
  return [name, true];
}

/** @param {string} name @returns {[string, boolean]} */
function kept(name) {
  return [name, false];
}
