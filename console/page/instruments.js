// @ts-check
/** Tools, notices and usage: lists that grow. */

import { byId, clock, make } from "./dom.js";

/** @typedef {import("../client/types.js").WireMessage} WireMessage */

const MOST = 100;

export class Instruments {
  constructor() {
    this._tools = byId("tools");
    this._notices = byId("notices");
    this._usage = byId("usage");
    /** @type {Map<string, HTMLElement>} */
    this._running = new Map();
    /** @type {Map<string, number>} */
    this._used = new Map();
    this._called = 0;
    this._noticed = 0;
  }

  clear() {
    for (const list of [this._tools, this._notices, this._usage]) list.replaceChildren();
    this._running.clear();
    this._used.clear();
    this._called = this._noticed = 0;
    byId("tools-count").textContent = byId("notices-count").textContent = "";
  }

  /** @param {WireMessage} event */
  take(event) {
    if (event.type === "tool.started") this._call(event);
    if (event.type === "tool.finished") this._return(event);
    if (event.type === "notice" || event.type === "error") this._notice(event);
    if (event.type === "usage") this._use(event);
  }

  /** @param {WireMessage} event */
  _call(event) {
    const summary = make("summary", {}, make("time", {}, clock(event.at)), event.name, " ");
    const outcome = make("span", {}, "…");
    summary.append(outcome);
    const details = make("details", {}, summary, make("pre", {}, pretty(event.arguments)));
    this._running.set(event.callId, details);
    put(this._tools, make("li", {}, details));
    byId("tools-count").textContent = String(++this._called);
  }

  /** @param {WireMessage} event */
  _return(event) {
    const details = this._running.get(event.callId);
    const outcome = details?.querySelector("summary > span");
    if (!details || !outcome) return;
    outcome.className = event.ok ? "good" : "bad";
    outcome.textContent = `${event.ok ? "✓" : "failed"} ${Math.round(event.durationMs)} ms`;
    details.append(make("pre", {}, pretty(event.result)));
    this._running.delete(event.callId);
  }

  /** @param {WireMessage} event */
  _notice(event) {
    const code = make("span", event.type === "error" ? { class: "bad" } : {}, event.code);
    put(this._notices, make("li", {}, make("time", {}, clock(event.at)), code, ` ${event.message}`));
    byId("notices-count").textContent = String(++this._noticed);
  }

  /** @param {WireMessage} event */
  _use(event) {
    const name = `${event.stage}, ${event.provider}`;
    const key = `${name} ${event.unit}`;
    this._used.set(key, (this._used.get(key) ?? 0) + event.quantity);
    const value = `${Math.round(10 * (this._used.get(key) ?? 0)) / 10} ${event.unit.replace("_", " ")}`;
    const known = [...this._usage.children].find((row) => row instanceof HTMLElement && row.dataset.key === key);
    const row = make("div", { "data-key": key }, make("dt", {}, name), make("dd", {}, value));
    if (known) known.replaceWith(row);
    else this._usage.append(row);
  }
}

/**
 * @param {HTMLElement} list
 * @param {HTMLElement} item
 */
function put(list, item) {
  list.append(item);
  while (list.children.length > MOST) list.firstElementChild?.remove();
  list.scrollTop = list.scrollHeight;
}

/** @param {string} text JSON, or any text. */
function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 1);
  } catch {
    return text;
  }
}
