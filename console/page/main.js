// @ts-check
/** The console: puts the call's events where they are shown, and the caller's wishes into the call. */

import { Caller } from "./caller.js";
import { Controls } from "./controls.js";
import { Conversation } from "./conversation.js";
import { byId } from "./dom.js";
import { Instruments } from "./instruments.js";
import { Latency } from "./latency.js";
import { Meter } from "./meters.js";
import { Scope } from "./scope.js";
import { Transcript } from "./transcript.js";
import { TurnState } from "./turn_state.js";

/** @typedef {import("../voicegate.js").Call} Call */
/** @typedef {import("../client/types.js").WireMessage} WireMessage */

const FRAME_MS = matchMedia("(prefers-reduced-motion: reduce)").matches ? 500 : 50;
const FACTS_MS = 500;

const controls = new Controls();
const transcript = new Transcript();
const latency = new Latency();
const instruments = new Instruments();
const scope = new Scope();
const meters = { caller: new Meter("caller"), agent: new Meter("agent") };
const caller = new Caller(controls, watch);
let conversation = new Conversation();
let turn = new TurnState();
let began = 0;

/** A new call: nothing of the one before stays. @param {Call} call */
function watch(call) {
  conversation = new Conversation();
  turn = new TurnState();
  for (const part of [transcript, latency, instruments, scope]) part.clear();
  began = performance.now();
  byId("session").hidden = false;
  byId("session-id").textContent = call.sessionId;
  call.addEventListener("event", (event) => take(detail(event)));
  call.addEventListener("notice", (event) => detail(event).seq === undefined && notice(detail(event)));
  call.addEventListener("error", (event) => detail(event).seq === undefined && notice(detail(event)));
  call.addEventListener("state", (event) => changed(call, detail(event)));
  // For whoever looks at the page with the browser's tools: the call itself.
  Object.assign(globalThis, { voicegateCall: call });
}

/** @param {WireMessage} event An event of the gateway. */
function take(event) {
  const entry = conversation.take(event);
  if (entry) transcript.show(entry);
  turn.take(event);
  showTurn();
  instruments.take(event);
  switch (event.type) {
    case "latency":
      latency.take(event);
      scope.mark("gap", `${Math.round(event.voiceToVoiceMs)} ms`, event.voiceToVoiceMs);
      break;
    case "turn.committed":
      scope.mark("commit", "");
      break;
    case "reply.interrupted":
      scope.mark("cut", "");
      break;
    case "session.started":
    case "handoff":
      byId("agent-name").textContent = conversation.agent;
      break;
    default:
  }
}

/** @param {WireMessage} message Of the connection, or of the client itself. */
function notice(message) {
  instruments.take({ ...message, at: new Date().toISOString() });
  if (message.code === "fell_back") controls.explain(message.message);
}

/**
 * @param {Call} call
 * @param {import("../client/types.js").StateDetail} detail
 */
function changed(call, { state, reason }) {
  controls.show(state, reason, call.microphoneStream !== null);
  keepFocus(state === "ended" ? "call" : "hang-up");
  if (state === "live") {
    controls.loadMicrophones();
    requestAnimationFrame(animate);
  }
  if (state === "ended") {
    turn.take({ type: "session.ended" });
    showTurn();
    for (const meter of Object.values(meters)) meter.clear();
    showMuted(false);
  }
}

/** Whoever pressed a button that is gone now stands on the one in its place. @param {string} id */
function keepFocus(id) {
  const focused = document.activeElement;
  if (focused === null || focused === document.body || (focused instanceof HTMLButtonElement && focused.hidden)) byId(id).focus();
}

function showTurn() {
  for (const item of byId("turn-state").children) {
    if (item instanceof HTMLElement && item.dataset.state === turn.now) item.setAttribute("aria-current", "true");
    else item.removeAttribute("aria-current");
  }
}

let drawn = 0;
let told = 0;

/** @param {number} now */
function animate(now) {
  const { call } = caller;
  if (call === null || call.state === "ended") return;
  requestAnimationFrame(animate);
  if (now - drawn < FRAME_MS - 4) return;
  drawn = now;
  const levels = call.levels();
  meters.caller.show(levels.caller, now);
  meters.agent.show(levels.agent, now);
  scope.sample(levels.caller.peakDb, levels.agent.peakDb, turn.speaking, now);
  scope.draw(now);
  if (now - told > FACTS_MS) showFacts(call, now);
}

/**
 * @param {Call} call
 * @param {number} now
 */
function showFacts(call, now) {
  told = now;
  const seconds = Math.max(0, Math.floor((now - began) / 1000));
  const { playback } = call;
  byId("fact-time").textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  byId("fact-transport").textContent = { webrtc: "WebRTC", websocket: "WebSocket", "": "–" }[call.transport];
  byId("fact-round-trip").textContent = call.roundTripMs === null ? "–" : `${Math.round(call.roundTripMs)} ms`;
  byId("fact-buffer").textContent = playback ? `${Math.round(playback.bufferedMs)}/${Math.round(playback.targetMs)} ms` : "–";
  byId("fact-gaps").textContent = playback ? String(playback.gaps) : "–";
  byId("fact-seq").textContent = String(call.lastSeq);
}

/** @param {boolean} muted */
function showMuted(muted) {
  const button = byId("mute");
  button.setAttribute("aria-pressed", String(muted));
  if (caller.call?.microphoneStream) button.textContent = muted ? "Muted" : "Mute";
}

/** @param {Event} event @returns {any} */
function detail(event) {
  return /** @type {CustomEvent} */ (event).detail;
}

byId("call-form").addEventListener("submit", (event) => {
  event.preventDefault();
  caller.begin(true);
});
byId("type-only").addEventListener("click", () => {
  caller.begin(false);
  byId("text").focus();
});
byId("hang-up").addEventListener("click", () => caller.call?.hangUp());
byId("mute").addEventListener("click", async () => showMuted(await caller.toggle()));
byId("stop").addEventListener("click", () => caller.call?.interrupt());
byId("token").addEventListener("change", () => controls.loadAgents());
byId("microphone").addEventListener("change", () => {
  if (caller.call?.microphoneStream) caller.call.useMicrophone(controls.microphone).catch((error) => controls.explain(error.message));
});
byId("text-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const field = /** @type {HTMLInputElement} */ (byId("text"));
  const text = field.value.trim();
  if (text === "" || (!caller.active && !(await caller.begin(false, false)))) return;
  if (caller.call?.state !== "live") return;
  caller.call.text(text);
  field.value = "";
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") caller.call?.interrupt();
});
addEventListener("pagehide", () => caller.call?.leave());
navigator.mediaDevices?.addEventListener?.("devicechange", () => controls.loadMicrophones());
controls.loadMicrophones();
controls.loadAgents().catch(() => {});
document.documentElement.dataset.ready = "true";
