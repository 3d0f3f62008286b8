// @ts-check
/** What was said, as entries that grow with the events; pure. */

import { words } from "./dom.js";

/** @typedef {import("../client/types.js").WireMessage} WireMessage */

/**
 * @typedef {object} Entry One line of the conversation.
 * @property {string} id
 * @property {"caller" | "agent" | "event"} side
 * @property {string} who
 * @property {string} at
 * @property {string} said Of the caller: the text. Of the agent: what was heard.
 * @property {string} ahead What the agent has not said yet.
 * @property {string} cut What it will never say, because it was interrupted.
 * @property {string} note
 * @property {boolean} settled Nothing will change any more.
 */

const KINDS = /** @type {Record<string, string>} */ ({
  greeting: "greeting",
  idle: "asks whether you are there",
  filler: "fills the wait",
  apology: "apologises",
  say: "",
  answer: "",
});
const REASONS = /** @type {Record<string, string>} */ ({
  barge_in: "you interrupted",
  stopped: "stopped by you",
  replaced: "you went on",
  failed: "it failed",
  hung_up: "the call ended",
});

export class Conversation {
  constructor() {
    /** @type {Map<string, Entry>} */
    this.entries = new Map();
    this.agent = "Agent";
    this._replies = 0;
    /** @type {Map<number, string>} The caller's entry and the newest reply, by turn. */
    this._reply = new Map();
    this._generated = "";
  }

  /**
   * @param {WireMessage} event
   * @returns {Entry | null} The entry that changed.
   */
  take(event) {
    switch (event.type) {
      case "session.started":
        this.agent = event.agent || this.agent;
        return null;
      case "transcript.interim":
      case "transcript.final":
        return this._caller(event, event.text, false);
      case "turn.committed":
        return this._committed(event);
      case "reply.started":
        return this._begin(event);
      case "reply.text":
      case "reply.heard":
      case "reply.interrupted":
      case "reply.finished":
        return this._replied(event);
      case "handoff":
        this.agent = event.toAgent;
        return this._event(event, `${event.fromAgent} hands over to ${event.toAgent}`);
      default:
        return null;
    }
  }

  /**
   * @param {WireMessage} event
   * @param {string} text
   * @param {boolean} settled
   */
  _caller(event, text, settled) {
    const id = `caller-${event.turn}`;
    const entry = this.entries.get(id) ?? this._add(id, "caller", "You", event.at);
    entry.said = text;
    entry.settled = settled;
    return entry;
  }

  /** @param {WireMessage} event */
  _committed(event) {
    const entry = this._caller(event, event.text, true);
    entry.note = { text: "typed", dtmf: "keys" }[/** @type {string} */ (event.source)] ?? "";
    return entry;
  }

  /** @param {WireMessage} event */
  _begin(event) {
    const id = `agent-${event.turn}-${++this._replies}`;
    this._reply.set(event.turn, id);
    const entry = this._add(id, "agent", event.agent || this.agent, event.at);
    entry.note = KINDS[event.kind ?? "answer"] ?? event.kind;
    return entry;
  }

  /** @param {WireMessage} event */
  _replied(event) {
    const entry = this.entries.get(this._reply.get(event.turn) ?? "");
    if (entry === undefined) return null;
    if (event.type === "reply.text") entry.ahead = join(entry.ahead, event.text);
    if (event.type === "reply.heard") hear(entry, event.text);
    if (event.type === "reply.finished") Object.assign(entry, { said: event.text, ahead: "", settled: true });
    if (event.type === "reply.interrupted") {
      Object.assign(entry, { said: event.heard, ahead: "", cut: event.cut, settled: true });
      entry.note = REASONS[event.reason ?? "barge_in"] ?? event.reason.replaceAll("_", " ");
    }
    return entry;
  }

  /**
   * @param {WireMessage} event
   * @param {string} text
   */
  _event(event, text) {
    const entry = this._add(`event-${event.seq}`, "event", "", event.at);
    return Object.assign(entry, { said: text, settled: true });
  }

  /**
   * @param {string} id
   * @param {Entry["side"]} side
   * @param {string} who
   * @param {string} at
   */
  _add(id, side, who, at) {
    const entry = { id, side, who, at, said: "", ahead: "", cut: "", note: "", settled: false };
    this.entries.set(id, entry);
    return entry;
  }
}

/**
 * Move what is heard now from `ahead` to `said`.
 * @param {Entry} entry
 * @param {string} heard
 */
function hear(entry, heard) {
  const all = words(join(entry.said, entry.ahead));
  entry.said = heard;
  entry.ahead = all.slice(words(heard).length).join(" ");
}

/**
 * @param {string} before
 * @param {string} after
 */
function join(before, after) {
  return before && after ? `${before} ${after}` : before + after;
}
