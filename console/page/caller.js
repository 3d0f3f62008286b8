// @ts-check
/** The page's call: begins it, falls back to typing where there is no microphone, and ends it. */

import { CallError, connect, MicrophoneError } from "../voicegate.js";

/** @typedef {import("../voicegate.js").Call} Call */
/** @typedef {import("./controls.js").Controls} Controls */

export class Caller {
  /**
   * @param {Controls} controls
   * @param {(call: Call) => void} watch Adds listeners to a new call.
   */
  constructor(controls, watch) {
    this._controls = controls;
    this._watch = watch;
    /** @type {Call | null} The call that is, or is coming up. */
    this.call = null;
    this._asking = false;
  }

  get active() {
    return this._asking || (this.call !== null && this.call.state !== "ended");
  }

  /**
   * Call, by voice if `speak` and a microphone can be had.
   * @param {boolean} speak
   * @param {boolean} [greeting] The agent speaks first.
   * @returns {Promise<boolean>} Whether there is a call now.
   */
  async begin(speak, greeting = true) {
    if (this.active) return this.call?.state === "live";
    this._asking = true;
    this._controls.explain("");
    this._controls.show("connecting");
    try {
      await this._connect(speak ? this._controls.microphone || true : false, greeting);
      return true;
    } catch (error) {
      if (!(error instanceof MicrophoneError)) return this._failed(/** @type {Error} */ (error));
      this._controls.explain(`${error.message} Until then you can type; the agent still speaks.`);
    } finally {
      this._asking = false;
    }
    return this._beginTyping();
  }

  async _beginTyping() {
    this._asking = true;
    try {
      await this._connect(false, true);
      return true;
    } catch (error) {
      return this._failed(/** @type {Error} */ (error));
    } finally {
      this._asking = false;
    }
  }

  /** Mute, speak again, or, in a call by typing, ask for the microphone. @returns {Promise<boolean>} Whether muted. */
  async toggle() {
    const { call } = this;
    if (call === null) return false;
    if (call.microphoneStream !== null) {
      call.mute(!call.muted);
      return call.muted;
    }
    try {
      await call.useMicrophone(this._controls.microphone);
      this._controls.explain("");
      this._controls.show("live", "", true);
    } catch (error) {
      this._controls.explain(/** @type {Error} */ (error).message);
    }
    return false;
  }

  /**
   * @param {boolean | string} microphone
   * @param {boolean} greeting
   */
  async _connect(microphone, greeting) {
    await connect({ ...this._controls.choice, microphone, greeting }, (call) => {
      this.call = call;
      this._watch(call);
    });
  }

  /** @param {Error} error */
  _failed(error) {
    if (error instanceof CallError && error.code === "aborted") return false; // the caller hung up before it began
    this._controls.show("failed");
    this._controls.explain(error.message);
    return false;
  }
}
