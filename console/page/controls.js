// @ts-check
/** The buttons and fields of the page: what the caller chose, and which of them make sense now. */

import { listMicrophones } from "../voicegate.js";
import { byId, make } from "./dom.js";

/** @typedef {import("../client/types.js").StateDetail} StateDetail */
/** @typedef {"idle" | "failed" | import("../client/types.js").CallState} Shown */

const STATES = /** @type {Record<Shown, string>} */ ({
  idle: "Not in a call",
  connecting: "Calling …",
  live: "In a call",
  reconnecting: "Connection lost, reconnecting …",
  ended: "Call ended",
  failed: "No call",
});
const REASONS = /** @type {Record<string, string>} */ ({
  client: "you hung up",
  agent: "the agent hung up",
  disconnected: "the connection did not come back",
});

export class Controls {
  constructor() {
    this._agent = /** @type {HTMLInputElement} */ (byId("agent"));
    this._token = /** @type {HTMLInputElement} */ (byId("token"));
    this._microphone = /** @type {HTMLSelectElement} */ (byId("microphone"));
    this._transport = /** @type {HTMLSelectElement} */ (byId("transport"));
    this._status = byId("status");
    this._problem = byId("problem");
  }

  /** What the fields say, as options of `connect`. */
  get choice() {
    const transport = /** @type {import("../client/types.js").TransportChoice} */ (this._transport.value);
    return { agent: this._agent.value.trim(), token: this._token.value.trim() || undefined, transport };
  }

  /** Device id; empty: the system's. */
  get microphone() {
    return this._microphone.value;
  }

  /** Ask the gateway whom one can call. */
  async loadAgents() {
    const token = this._token.value.trim();
    const answer = await fetch("agents", token ? { headers: { Authorization: `Bearer ${token}` } } : {});
    if (answer.ok) {
      const { agents } = await answer.json();
      byId("agents").replaceChildren(...agents.map((/** @type {string} */ name) => make("option", { value: name })));
      this._agent.placeholder = agents[0] ?? this._agent.placeholder;
    } else if (answer.status === 401 || answer.status === 403) {
      byId("token-box").setAttribute("open", "");
      const { detail = "a token is needed" } = await answer.json().catch(() => ({}));
      if (!token) this.explain(`This gateway asks who is calling: ${detail}. Enter a token below "Token".`);
    }
  }

  /** The microphones of this machine; their names are known once one was allowed. */
  async loadMicrophones() {
    const chosen = this._microphone.value;
    const devices = (await listMicrophones()).filter(({ deviceId }) => deviceId !== "" && deviceId !== "default");
    const options = devices.map(({ deviceId, label }, index) =>
      make("option", { value: deviceId }, label || `Microphone ${index + 1}`),
    );
    this._microphone.replaceChildren(make("option", { value: "" }, "Default"), ...options);
    this._microphone.value = devices.some(({ deviceId }) => deviceId === chosen) ? chosen : "";
  }

  /** Say what is wrong and what helps; empty: nothing is. @param {string} text */
  explain(text) {
    this._problem.textContent = text;
    this._problem.hidden = text === "";
  }

  /**
   * @param {Shown} state
   * @param {string} [reason]
   * @param {boolean} [speaks] The caller has a microphone in this call.
   */
  show(state, reason = "", speaks = false) {
    const active = state === "connecting" || state === "live" || state === "reconnecting";
    const why = REASONS[reason] ?? reason;
    const shown = state === "live" && !speaks ? "In a call, typing" : STATES[state];
    this._status.dataset.state = state;
    /** @type {HTMLElement} */ (this._status.lastElementChild).textContent = why && !active ? `${shown}: ${why}` : shown;
    document.body.classList.toggle("in-call", active);
    byId("call").hidden = byId("type-only").hidden = active;
    byId("hang-up").hidden = !active;
    byId("stop").hidden = state !== "live";
    const mute = byId("mute");
    mute.hidden = state !== "live";
    mute.textContent = speaks ? "Mute" : "Use the microphone";
    if (!speaks) mute.setAttribute("aria-pressed", "false");
    for (const field of [this._agent, this._transport, this._token]) field.disabled = active;
  }
}
