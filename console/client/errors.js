// @ts-check
/**
 * What `connect` and the call's methods throw.
 *
 *     Error
 *      +-- CallError         the gateway refused, or cannot be reached; `code` and `status` say why
 *      +-- MicrophoneError   the microphone cannot be had; `reason` says why
 */

/** The call cannot be had. */
export class CallError extends Error {
  /**
   * @param {string} message A sentence for people.
   * @param {object} [facts]
   * @param {string} [facts.code] The gateway's code (docs/protocols.md, "Refusals"), or `unreachable`,
   *   `whip_failed`, `aborted`.
   * @param {number} [facts.status] HTTP status, or WebSocket close code.
   * @param {unknown} [facts.cause]
   */
  constructor(message, { code = "unreachable", status = 0, cause } = {}) {
    super(message, { cause });
    this.name = "CallError";
    this.code = code;
    this.status = status;
  }

  /** Whether another transport would meet the same refusal: a wrong token, no free line. */
  get final() {
    return this.code !== "unreachable" && this.code !== "whip_failed";
  }

  /** Whether later, or another gateway, may take the call: too many at once, full, shutting down, not ready. */
  get passing() {
    return this.status === 429 || this.status === 503;
  }
}

/** The microphone cannot be had. */
export class MicrophoneError extends Error {
  /**
   * @param {"refused" | "absent" | "busy" | "insecure" | "unsupported"} reason
   * @param {string} message A sentence for people, with what helps.
   * @param {unknown} [cause]
   */
  constructor(reason, message, cause) {
    super(message, { cause });
    this.name = "MicrophoneError";
    this.reason = reason;
  }
}
