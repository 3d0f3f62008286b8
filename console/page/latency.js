// @ts-check
/** The waterfall: for each turn, from the caller's last voiced sample to the agent's first, and its parts. */

import { byId, make } from "./dom.js";

/** @typedef {import("../client/types.js").WireMessage} WireMessage */

const PARTS = [
  { name: "endpointing", field: "endpointingMs", shown: "endpointing" },
  { name: "stt", field: "sttMs", shown: "speech to text" },
  { name: "agent", field: "agentMs", shown: "agent" },
  { name: "tts", field: "ttsMs", shown: "voice" },
  { name: "playout", field: "playoutMs", shown: "playout" },
];
const LEAST_SCALE_MS = 500;
const ROWS = 12;

export class Latency {
  constructor() {
    this._body = /** @type {HTMLElement} */ (byId("latency").querySelector("tbody"));
    this._sum = byId("latency-sum");
    /** @type {WireMessage[]} */
    this._turns = [];
    byId("latency-key").replaceChildren(...PARTS.map(({ name, shown }) => make("li", { "data-part": name }, shown)));
  }

  clear() {
    this._turns = [];
    this._show();
  }

  /** @param {WireMessage} event A `latency` event. */
  take(event) {
    this._turns.push(event);
    this._show();
  }

  _show() {
    const all = this._turns.map((turn) => turn.voiceToVoiceMs).sort((one, other) => one - other);
    const shown = this._turns.slice(-ROWS);
    const scale = Math.max(LEAST_SCALE_MS, ...shown.map((turn) => turn.voiceToVoiceMs));
    this._body.replaceChildren(...shown.map((turn) => row(turn, scale)));
    const median = all[Math.floor((all.length - 1) / 2)];
    this._sum.textContent = all.length > 0 ? `median ${ms(median)} of ${all.length}` : "";
  }
}

/**
 * @param {WireMessage} turn
 * @param {number} scale Milliseconds of the whole width.
 */
function row(turn, scale) {
  const bar = make("div", { class: "parts", "aria-hidden": "true" });
  const said = [];
  for (const { name, field, shown } of PARTS) {
    if (!(turn[field] > 0)) continue;
    const part = make("i", { "data-part": name, title: `${shown} ${ms(turn[field])}` });
    part.style.width = `${(100 * turn[field]) / scale}%`;
    bar.append(part);
    said.push(`${shown} ${ms(turn[field])}`);
  }
  const cell = make("td", {}, bar, make("span", { class: "visually-hidden" }, said.join(", ")));
  return make("tr", {}, make("th", { scope: "row" }, String(turn.turn)), cell, make("td", {}, ms(turn.voiceToVoiceMs)));
}

/** @param {number} value */
function ms(value) {
  return `${Math.round(value)} ms`;
}
