// @ts-check
/** One run of WHIP (RFC 9725): offer, answer, trickled candidates, and the end of its session at the gateway. */

import { CallError } from "./errors.js";
import { describeCandidates, iceServers } from "./whip_words.js";

/** Refusals that another transport would meet too (docs/protocols.md, "Refusals"). */
const FINAL = new Set([
  ...["unauthorized", "token_used", "forbidden", "foreign_origin", "foreign_client", "bad_session_id"],
  ...["in_use", "gone", "too_many_connections", "busy", "draining", "state_unavailable", "not_ready"],
]);
/** The peer connection and its session at the gateway. */
export class Exchange {
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
   * Offer what the peer connection has, and return once audio and events can flow.
   * @param {RTCDataChannel} channel
   */
  async connect(channel) {
    const { peer } = this;
    peer.onicecandidate = ({ candidate }) => this._gather(candidate);
    const offer = await peer.createOffer();
    const answer = await this._post(offer.sdp ?? "");
    await peer.setLocalDescription(offer);
    await peer.setRemoteDescription({ type: "answer", sdp: answer });
    this._trickle();
    await this._connected(channel);
  }

  /** The gateway has closed its side: there is nothing to free. */
  closed() {
    this._resource = "";
  }

  /** Leave the peer connection, and nothing more: the call goes on, by another connection. */
  leave() {
    this._resource = "";
    this.peer.close();
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

/** @param {Response} answer */
async function refusal(answer) {
  const problem = await answer.json().catch(() => ({}));
  const message = problem.detail ?? problem.title ?? `The gateway answered ${answer.status}.`;
  return new CallError(message, { code: FINAL.has(problem.code) ? problem.code : "whip_failed", status: answer.status });
}
