// @ts-check
/** Level meters: dBFS from -60 to 0, with the highest of the last second held. */

import { byId } from "./dom.js";

/** @typedef {import("../client/types.js").Level} Level */

const FLOOR_DB = -60;
const HOLD_MS = 1000;
const FALL_DB_PER_S = 26;
const TELL_MS = 1000;

export class Meter {
  /** @param {"caller" | "agent"} side */
  constructor(side) {
    this._meter = byId(`${side}-meter`);
    this._bar = /** @type {HTMLElement} */ (this._meter.querySelector("i"));
    this._mark = /** @type {HTMLElement} */ (this._meter.querySelector("b"));
    this._text = byId(`${side}-db`);
    this._shown = FLOOR_DB;
    this._peak = FLOOR_DB;
    this._peakAt = 0;
    this._at = 0;
    this._told = 0;
  }

  /**
   * @param {Level} level
   * @param {number} now
   */
  show(level, now) {
    const fallen = this._shown - (FALL_DB_PER_S * Math.min(200, now - this._at)) / 1000;
    this._shown = Math.max(FLOOR_DB, level.rmsDb, fallen);
    this._at = now;
    if (level.peakDb >= this._peak || now - this._peakAt > HOLD_MS) {
      this._peak = Math.max(FLOOR_DB, level.peakDb);
      this._peakAt = now;
    }
    this._bar.style.transform = `scaleX(${share(this._shown)})`;
    this._mark.style.left = `calc(${100 * share(this._peak)}% - 2px)`;
    this._mark.style.opacity = this._peak > FLOOR_DB ? "0.7" : "0";
    if (now - this._told > TELL_MS) this._tell(now);
  }

  clear() {
    this._shown = this._peak = FLOOR_DB;
    this.show({ rmsDb: FLOOR_DB, peakDb: FLOOR_DB }, performance.now());
    this._text.textContent = "–";
  }

  /** @param {number} now */
  _tell(now) {
    this._told = now;
    this._text.textContent = this._peak > FLOOR_DB ? `${Math.round(this._peak)} dB` : "silent";
    this._meter.setAttribute("aria-valuenow", String(Math.round(this._shown)));
  }
}

/** @param {number} decibels */
function share(decibels) {
  return Math.min(1, Math.max(0, 1 - decibels / FLOOR_DB));
}
