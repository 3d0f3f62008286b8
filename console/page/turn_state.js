// @ts-check
/** Who may speak, as far as the events tell; pure. The gateway's own machine is described in docs/architecture.md. */

/** @typedef {import("../client/types.js").WireMessage} WireMessage */
/** @typedef {"quiet" | "listening" | "deciding" | "answering" | "over"} TurnName */

export class TurnState {
  constructor() {
    this._speaking = false;
    this._undecided = false;
    this._replying = false;
  }

  /** @returns {TurnName} */
  get now() {
    if (this._replying) return this._speaking ? "over" : "answering";
    if (this._speaking) return "listening";
    return this._undecided ? "deciding" : "quiet";
  }

  /** Whether the gateway hears the caller speak. */
  get speaking() {
    return this._speaking;
  }

  /** @param {WireMessage} event */
  take(event) {
    switch (event.type) {
      case "speech.started":
        this._speaking = true;
        break;
      case "speech.stopped":
        this._speaking = false;
        this._undecided = !this._replying;
        break;
      case "turn.committed":
        this._undecided = false;
        break;
      case "reply.started":
        this._replying = true;
        this._undecided = false;
        break;
      case "reply.finished":
        this._replying = false;
        break;
      case "reply.interrupted":
        this._replying = false;
        this._undecided = event.reason === "barge_in" && !this._speaking;
        break;
      case "session.ended":
        this._speaking = this._undecided = this._replying = false;
        break;
      default:
    }
  }
}
