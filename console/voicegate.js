// @ts-check
/**
 * voicegate in a web page: call an agent, hear it, see every event. Plain ES modules, no dependency, no build step.
 *
 *     import { connect } from "https://voice.example.com/console/voicegate.js";
 *
 *     const call = await connect({ agent: "Amelia" });
 *     call.addEventListener("transcript.final", ({ detail }) => console.log("caller:", detail.text));
 *     call.addEventListener("reply.text", ({ detail }) => console.log("agent:", detail.text));
 *     call.hangUp();
 *
 * docs/client-javascript.md has more; the types are in `client/types.js`.
 */

import { Call } from "./client/call.js";
import { CallError, MicrophoneError } from "./client/errors.js";
import { listMicrophones, openMicrophone } from "./client/microphone.js";

export { Call, CallError, MicrophoneError, listMicrophones };

/** @typedef {import("./client/types.js").ConnectOptions} ConnectOptions */

/**
 * Call an agent. Call it from a click: browsers play no sound before one.
 *
 * @param {ConnectOptions} [options]
 * @param {(call: Call) => void} [prepare] Adds listeners before the first event can come.
 * @returns {Promise<Call>} A call that is live.
 * @throws {MicrophoneError} No microphone; `connect` again with `microphone: false` to type instead.
 * @throws {CallError} The gateway refused, or cannot be reached.
 */
export async function connect(options = {}, prepare = () => {}) {
  options.signal?.throwIfAborted();
  const microphone = await chosen(options.microphone ?? true);
  const call = new Call(options);
  prepare(call);
  options.signal?.addEventListener("abort", () => call.hangUp(), { once: true });
  await call.begin(microphone);
  return call;
}

/** @param {boolean | string | MediaStream} microphone */
async function chosen(microphone) {
  if (microphone === false) return null;
  return microphone instanceof MediaStream ? microphone : openMicrophone(microphone === true ? "" : microphone);
}
