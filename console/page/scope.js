// @ts-check
/** The last seconds as a drawing: the caller above the line, the agent below it, and the time between them. */

import { byId } from "./dom.js";

/** @typedef {{caller: number, agent: number, voiced: boolean, at: number}} Sample Levels in dBFS. */
/** @typedef {{kind: "gap" | "commit" | "cut", at: number, lengthMs: number, label: string}} Mark */

const SPAN_MS = 20000;
const STEP_MS = 50;
const FLOOR_DB = -55;
const LABEL_PX = 11;

export class Scope {
  constructor() {
    this._canvas = /** @type {HTMLCanvasElement} */ (byId("scope"));
    this._pen = /** @type {CanvasRenderingContext2D} */ (this._canvas.getContext("2d"));
    /** @type {Sample[]} */
    this._samples = [];
    /** @type {Mark[]} */
    this._marks = [];
    this._colours = colours();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this._colours = colours();
      this.draw(performance.now());
    });
    new ResizeObserver(() => this._fit()).observe(this._canvas);
    this._fit();
  }

  clear() {
    this._samples = [];
    this._marks = [];
    this.draw(performance.now());
  }

  /**
   * @param {number} caller
   * @param {number} agent
   * @param {boolean} voiced The gateway hears speech.
   * @param {number} now
   */
  sample(caller, agent, voiced, now) {
    const last = this._samples.at(-1);
    if (last && now - last.at < STEP_MS) {
      last.caller = Math.max(last.caller, caller);
      last.agent = Math.max(last.agent, agent);
      last.voiced ||= voiced;
    } else {
      this._samples.push({ caller, agent, voiced, at: now });
    }
    while (this._samples.length > 0 && now - this._samples[0].at > SPAN_MS) this._samples.shift();
    this._marks = this._marks.filter((mark) => now - mark.at < SPAN_MS);
  }

  /**
   * @param {Mark["kind"]} kind
   * @param {string} label
   * @param {number} [lengthMs] The mark began so long ago.
   */
  mark(kind, label, lengthMs = 0) {
    this._marks.push({ kind, at: performance.now(), lengthMs, label });
  }

  /** @param {number} now */
  draw(now) {
    const { _pen: pen, _colours: colour } = this;
    const { width, height } = this._size;
    pen.clearRect(0, 0, width, height);
    const middle = Math.round(height / 2);
    const x = (/** @type {number} */ at) => width - ((now - at) / SPAN_MS) * width;
    this._grid(width, height, middle);
    const bar = Math.max(1.5, (STEP_MS / SPAN_MS) * width - 0.8);
    for (const { caller, agent, voiced, at } of this._samples) {
      pen.fillStyle = voiced ? colour.caller : colour.idle;
      fill(pen, x(at), middle - 1, bar, -share(caller) * (middle - LABEL_PX - 4));
      pen.fillStyle = colour.agent;
      fill(pen, x(at), middle + 1, bar, share(agent) * (middle - LABEL_PX - 4));
    }
    for (const mark of this._marks) this._draw(mark, x, height, middle);
  }

  /**
   * @param {number} width
   * @param {number} height
   * @param {number} middle
   */
  _grid(width, height, middle) {
    const { _pen: pen, _colours: colour } = this;
    pen.fillStyle = colour.line;
    pen.fillRect(0, middle, width, 1);
    pen.font = `${LABEL_PX}px ${colour.mono}`;
    pen.textBaseline = "bottom";
    for (let second = 5; second < SPAN_MS / 1000; second += 5) {
      const at = Math.round(width - (second * 1000 * width) / SPAN_MS);
      pen.fillStyle = colour.line;
      pen.fillRect(at, LABEL_PX, 1, height - 2 * LABEL_PX);
      pen.fillStyle = colour.soft;
      pen.textAlign = "center";
      pen.fillText(`−${second} s`, at, height);
    }
  }

  /**
   * @param {Mark} mark
   * @param {(at: number) => number} x
   * @param {number} height
   * @param {number} middle
   */
  _draw({ kind, at, lengthMs, label }, x, height, middle) {
    const { _pen: pen, _colours: colour } = this;
    const end = x(at);
    const begin = x(at - lengthMs);
    if (kind === "gap") {
      pen.fillStyle = colour.gap;
      pen.fillRect(begin, LABEL_PX + 2, Math.max(2, end - begin), height - 2 * LABEL_PX - 4);
    } else {
      pen.fillStyle = kind === "cut" ? colour.bad : colour.soft;
      pen.fillRect(Math.round(end), middle - 4, 2, kind === "cut" ? middle - LABEL_PX : 8);
    }
    pen.fillStyle = colour.ink;
    pen.textBaseline = "top";
    pen.textAlign = end > this._size.width - 60 ? "right" : "center";
    pen.fillText(label, pen.textAlign === "right" ? this._size.width - 1 : (begin + end) / 2, 0);
  }

  get _size() {
    return { width: this._canvas.clientWidth, height: this._canvas.clientHeight };
  }

  _fit() {
    const sharpness = devicePixelRatio || 1;
    this._canvas.width = Math.round(this._size.width * sharpness);
    this._canvas.height = Math.round(this._size.height * sharpness);
    this._pen.setTransform(sharpness, 0, 0, sharpness, 0, 0);
    this.draw(performance.now());
  }
}

/** @param {number} decibels */
function share(decibels) {
  return Math.min(1, Math.max(0, 1 - decibels / FLOOR_DB));
}

/**
 * @param {CanvasRenderingContext2D} pen
 * @param {number} x
 * @param {number} y
 * @param {number} width
 * @param {number} height
 */
function fill(pen, x, y, width, height) {
  if (Math.abs(height) >= 0.5) pen.fillRect(x, y, width, height);
}

/** Canvas knows no CSS variables. */
function colours() {
  const style = getComputedStyle(document.documentElement);
  const named = (/** @type {string} */ name) => style.getPropertyValue(`--${name}`).trim();
  const [ink, soft, line, caller, agent, bad, mono] = ["ink", "soft", "line", "caller", "agent", "bad", "mono"].map(named);
  return { ink, soft, line, caller, agent, bad, mono, idle: `${soft}66`, gap: `${soft}30` };
}
