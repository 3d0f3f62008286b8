// @ts-check
/** Pings over a link: the round-trip time while it lives, and the news when it went silent without a word. */

/** @typedef {import("./types.js").WireMessage} WireMessage */

const EVERY_MS = 2000;
/** TCP says nothing for minutes when a phone changes its network; people notice after seconds. */
const SILENT_MS = 6000;

export class Pulse {
  /**
   * @param {(message: WireMessage) => void} send
   * @param {() => void} silent Called once.
   */
  constructor(send, silent) {
    this._silent = silent;
    this._id = 0;
    this._sentAt = performance.now();
    this._heardAt = performance.now();
    /** Round trip in ms; null before the first answer. @type {number | null} */
    this.roundTripMs = null;
    this._timer = setInterval(() => this._beat(send), EVERY_MS);
    this._ping(send);
  }

  /** Anything that came from the gateway. @param {WireMessage} message */
  heard(message) {
    this._heardAt = performance.now();
    if (message.type === "pong" && message.id === this._id) this.roundTripMs = this._heardAt - this._sentAt;
  }

  stop() {
    clearInterval(this._timer);
  }

  /** @param {(message: WireMessage) => void} send */
  _beat(send) {
    const now = performance.now();
    // A page in the background may have slept: it must hear one more pong before it judges.
    const slept = now - this._sentAt > 2 * EVERY_MS;
    if (now - this._heardAt > SILENT_MS && !slept) {
      this.stop();
      this._silent();
    } else {
      this._ping(send);
    }
  }

  /** @param {(message: WireMessage) => void} send */
  _ping(send) {
    this._id += 1;
    this._sentAt = performance.now();
    send({ type: "ping", id: this._id });
  }
}
