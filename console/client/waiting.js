// @ts-check
/** Waiting for a gateway's welcome: ends with it, with a lost link, with a limit, or because the caller left. */

import { CallError } from "./errors.js";

/** @typedef {import("./types.js").LinkHandlers} LinkHandlers */

export class Waiting {
  /**
   * @param {LinkHandlers} handlers Whom messages are for; they learn of a lost link only after the welcome.
   * @param {AbortSignal} signal The caller's.
   * @param {number} limitMs
   */
  constructor(handlers, signal, limitMs) {
    /** Aborted when there is nothing more to wait for. */
    this.signal = AbortSignal.any([signal, AbortSignal.timeout(limitMs)]);
    this._welcomed = false;
    /** @type {(error: CallError) => void} */
    this._fail = () => {};
    this._failed = new Promise((_, reject) => (this._fail = reject));
    this._failed.catch(() => {});
    /** @type {() => void} */
    this._greet = () => {};
    this.welcome = new Promise((resolve) => (this._greet = () => resolve(undefined)));
    this._gone = () => this._fail(gaveUp(signal));
    this.signal.addEventListener("abort", this._gone);
    if (this.signal.aborted) this._gone();
    /** @type {LinkHandlers} */
    this.handlers = {
      message: (message) => {
        if (message.type === "session.welcome") this._welcome();
        handlers.message(message);
      },
      lost: (end) => {
        if (this._welcomed) return handlers.lost(end);
        const code = end.final ? "refused" : "unreachable";
        this._fail(new CallError(`The call was not taken: ${end.reason}.`, { code }));
      },
    };
  }

  /**
   * @template T
   * @param {Promise<T>} promise
   * @returns {Promise<T>} Its result, unless there is nothing more to wait for.
   */
  orGone(promise) {
    return Promise.race([promise, /** @type {Promise<never>} */ (this._failed)]);
  }

  over() {
    this.signal.removeEventListener("abort", this._gone);
  }

  _welcome() {
    this._welcomed = true;
    this._greet();
  }
}

/** @param {AbortSignal} signal */
function gaveUp(signal) {
  if (signal.aborted) return new CallError("The call was given up.", { code: "aborted", cause: signal.reason });
  return new CallError("No answer came in time.");
}
