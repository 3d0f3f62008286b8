// @ts-check
/**
 * A call's connection as WebRTC, set up by WHIP (RFC 9725) with a two-way answer: audio as Opus, and a data channel
 * `events` with the JSON messages of `voice.v1`.
 */

import { httpAddress } from "./addresses.js";
import { CallError } from "./errors.js";
import { describeCandidates, iceServers } from "./whip_words.js";

/** @typedef {import("./types.js").Link} Link */
/** @typedef {import("./types.js").LinkHandlers} LinkHandlers */
/** @typedef {import("./types.js").WireMessage} WireMessage */

const CHANNEL = "events";
/** Refusals that another transport would meet too (docs/protocols.md, "Refusals"). */
const FINAL = new Set([
  ...["unauthorized", "token_used", "forbidden", "foreign_origin", "foreign_client", "bad_session_id"],
  ...["in_use", "gone", "too_many_connections", "busy", "draining", "state_unavailable", "not_ready"],
]);
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
    return await exchange.connect(microphone, handlers);
  } catch (error) {
    await exchange.abandon();
    if (error instanceof CallError) throw error;
    const why = signal.aborted ? "no connection came up in time" : String(/** @type {Error} */ (error).message);
    throw new CallError(`WebRTC failed: ${why}.`, { code: "whip_failed", cause: error });
  }
}

/** One run of WHIP: the peer connection and its resource at the gateway. */
class Exchange {
  /**
   * @param {string} endpoint
   * @param {string | undefined} token
   * @param {import("./types.js").Claim | null} claim
   * @param {AbortSignal} signal
   */
  constructor(endpoint, token, claim, signal) {
    this._endpoint = endpoint;
    this._token = token;
    this._claim = claim;
    this._signal = signal;
    this._resource = "";
    this._etag = "";
    /** @type {RTCIceCandidate[]} */
    this._candidates = [];
    this._gathered = false;
    this._trickling = Promise.resolve();
    this.peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  }

  /**
   * @param {MediaStream | null} microphone
   * @param {LinkHandlers} handlers
   * @returns {Promise<Link>}
   */
  async connect(microphone, handlers) {
    const { peer } = this;
    const channel = peer.createDataChannel(CHANNEL);
    const sender = peer.addTransceiver(microphone?.getAudioTracks()[0] ?? "audio", { direction: "sendrecv" }).sender;
    const link = new WhipLink(this, channel, sender, handlers);
    peer.onicecandidate = ({ candidate }) => this._gather(candidate);
    const offer = await peer.createOffer();
    const answer = await this._post(offer.sdp ?? "");
    await peer.setLocalDescription(offer);
    await peer.setRemoteDescription({ type: "answer", sdp: answer });
    this._trickle();
    await this._connected(channel);
    link.watch();
    return link;
  }

  /** The gateway has closed its side: there is nothing to free. */
  closed() {
    this._resource = "";
  }

  /** Leave the peer connection, and hang up where the gateway has not. Done when the gateway knows. */
  async abandon() {
    const resource = this._resource;
    this._resource = "";
    // First the word that it is meant, then the end. `keepalive`: it is sent even while the page goes away.
    const told = resource && fetch(resource, { method: "DELETE", headers: this._headers(), keepalive: true });
    this.peer.close();
    if (told) await told.catch(() => {});
  }

  /** @param {string} offer */
  async _post(offer) {
    const headers = this._headers({ "Content-Type": "application/sdp" });
    if (this._claim) {
      headers["Voicegate-Resume-Secret"] = this._claim.secret;
      headers["Voicegate-Last-Seq"] = String(this._claim.lastSeq);
    }
    const answer = await fetch(this._endpoint, { method: "POST", body: offer, headers, signal: this._signal });
    if (answer.status !== 201) throw await refusal(answer);
    this._resource = new URL(answer.headers.get("Location") ?? "", this._endpoint).href;
    this._etag = answer.headers.get("ETag") ?? "";
    const servers = iceServers(answer.headers.get("Link") ?? "");
    if (servers.length > 0) this.peer.setConfiguration({ ...this.peer.getConfiguration(), iceServers: servers });
    return answer.text();
  }

  /** @param {RTCIceCandidate | null} candidate */
  _gather(candidate) {
    if (candidate) this._candidates.push(candidate);
    else this._gathered = true;
    this._trickle();
  }

  /** Send the candidates that gathered; one request after the other, so that they arrive in order. */
  _trickle() {
    this._trickling = this._trickling.then(() => this._patch()).catch(() => {});
  }

  async _patch() {
    const candidates = this._candidates.splice(0);
    const local = this.peer.localDescription?.sdp;
    if (!this._resource || !local || (candidates.length === 0 && !this._gathered)) {
      this._candidates.unshift(...candidates);
      return;
    }
    const last = this._gathered;
    this._gathered = false;
    const headers = this._headers({ "Content-Type": "application/trickle-ice-sdpfrag" });
    if (this._etag) headers["If-Match"] = this._etag;
    await fetch(this._resource, { method: "PATCH", body: describeCandidates(local, candidates, last), headers });
  }

  /** @param {RTCDataChannel} channel */
  _connected(channel) {
    const { peer, _signal: signal } = this;
    return new Promise((resolve, reject) => {
      const failed = () => reject(signal.aborted ? signal.reason : new Error("the network lets no media through"));
      signal.addEventListener("abort", failed);
      peer.onconnectionstatechange = () => peer.connectionState === "failed" && failed();
      channel.onerror = failed;
      if (channel.readyState === "open") resolve(undefined);
      channel.onopen = resolve;
    });
  }

  /**
   * @param {Record<string, string>} [more]
   * @returns {Record<string, string>}
   */
  _headers(more = {}) {
    return this._token ? { Authorization: `Bearer ${this._token}`, ...more } : { ...more };
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
    if (this._channel.readyState === "open") this._channel.send(JSON.stringify(message));
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

/** @param {Response} answer */
async function refusal(answer) {
  const problem = await answer.json().catch(() => ({}));
  const message = problem.detail ?? problem.title ?? `The gateway answered ${answer.status}.`;
  return new CallError(message, { code: FINAL.has(problem.code) ? problem.code : "whip_failed", status: answer.status });
}
