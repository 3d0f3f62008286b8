// @ts-check
/** The conversation on the page, and for those who listen to the page. */

import { byId, clock, make } from "./dom.js";

/** @typedef {import("./conversation.js").Entry} Entry */

const NEAR_END_PX = 60;

export class Transcript {
  constructor() {
    this._list = byId("transcript");
    this._box = byId("transcript-box");
    this._spoken = byId("spoken");
    /** @type {Map<string, HTMLElement>} */
    this._lines = new Map();
    /** @type {Set<string>} */
    this._told = new Set();
  }

  clear() {
    this._lines.clear();
    this._told.clear();
    this._list.replaceChildren();
    this._spoken.replaceChildren();
    byId("empty").hidden = false;
  }

  /** @param {Entry} entry */
  show(entry) {
    const follows = this._box.scrollHeight - this._box.scrollTop - this._box.clientHeight < NEAR_END_PX;
    byId("empty").hidden = true;
    let line = this._lines.get(entry.id);
    if (line === undefined) {
      line = make("li", { class: entry.side });
      this._lines.set(entry.id, line);
      this._list.append(line);
    }
    line.classList.toggle("interim", entry.side === "caller" && !entry.settled);
    line.replaceChildren(...content(entry));
    if (follows) this._box.scrollTop = this._box.scrollHeight;
    if (entry.settled) this._tell(entry);
  }

  /** A screen reader hears each line once, when it is settled. @param {Entry} entry */
  _tell(entry) {
    if (this._told.has(entry.id)) return;
    this._told.add(entry.id);
    const cut = entry.cut ? ` (${entry.note}; not said: ${entry.cut})` : "";
    this._spoken.append(make("p", {}, `${entry.who ? `${entry.who}: ` : ""}${entry.said}${cut}`));
  }
}

/** @param {Entry} entry */
function content(entry) {
  const who = make("span", { class: "who" }, entry.who, make("time", { datetime: entry.at }, clock(entry.at)));
  const text = make("p", {}, make("span", { class: "said" }, entry.said));
  if (entry.ahead) text.append(" ", make("span", { class: "ahead" }, entry.ahead));
  if (entry.cut) text.append(" ", make("s", { "aria-label": `not said: ${entry.cut}` }, entry.cut));
  return entry.note ? [who, text, make("span", { class: "note" }, entry.note)] : [who, text];
}
