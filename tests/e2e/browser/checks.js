// Runs modules of the console in a page of another origin and gives back what they did, for module_scenes.py to judge.

const gateway = new URLSearchParams(location.search).get("gateway");
const load = (path) => import(`http://${gateway}/console/${path}`);

const tone = (hz, rate, seconds) =>
  Float32Array.from({ length: Math.round(rate * seconds) }, (_, index) => 0.5 * Math.sin((2 * Math.PI * hz * index) / rate));

const blocks = (samples, size) =>
  Array.from({ length: Math.ceil(samples.length / size) }, (_, index) => samples.subarray(index * size, (index + 1) * size));

/** A tone through the resampler, in blocks: how many samples came, how far they are from the same tone, how loud. */
export async function resampled(fromHz, toHz, hz, block) {
  const { Resampler } = await load("client/resampler.js");
  const resampler = new Resampler(fromHz, toHz);
  const out = blocks(tone(hz, fromHz, 1), block).flatMap((part) => [...resampler.push(part)]);
  const ideal = tone(hz, toHz, 1);
  const middle = { from: Math.round(0.1 * toHz), to: Math.round(0.9 * toHz) };
  let error = 0;
  let energy = 0;
  for (let index = middle.from; index < middle.to; index++) {
    error += (out[index] - ideal[index]) ** 2;
    energy += out[index] ** 2;
  }
  const count = middle.to - middle.from;
  return { samples: out.length, error: Math.sqrt(error / count), level: Math.sqrt(energy / count) };
}

/**
 * A jitter buffer at 16 kHz, asked every 8 ms. `steps`: what happens at each of these times in ms: a number puts so many
 * milliseconds of a loud constant, "flush" flushes, "quiet" puts 20 ms of silence. Gives the loud milliseconds as ranges.
 */
export async function buffered(steps, untilMs) {
  const { JitterBuffer } = await load("client/jitter.js");
  const buffer = new JitterBuffer(16000);
  const output = new Float32Array(128);
  const loud = [];
  let most = 0;
  for (let ms = 0; ms < untilMs; ms += 8) {
    for (const what of steps.filter(([at]) => at >= ms && at < ms + 8).map((step) => step[1])) {
      if (what === "flush") buffer.flush();
      else if (what === "quiet") buffer.put(new Float32Array(320));
      else buffer.put(new Float32Array(16 * what).fill(0.5));
    }
    most = Math.max(most, buffer.bufferedMs);
    buffer.take(output);
    output.forEach((sample, index) => Math.abs(sample) > 0.01 && loud.push(ms + index / 16));
  }
  const ranges = [];
  for (const at of loud) {
    if (ranges.length > 0 && at - ranges.at(-1)[1] < 1) ranges.at(-1)[1] = at;
    else ranges.push([at, at]);
  }
  return { ranges, gaps: buffer.gaps, targetMs: buffer.targetMs, bufferedMs: buffer.bufferedMs, most };
}

export async function servers(header) {
  const { iceServers } = await load("client/whip_words.js");
  return iceServers(header);
}

export async function fragment(local, candidates, last) {
  const { describeCandidates } = await load("client/whip_words.js");
  return describeCandidates(local, candidates.map((candidate) => ({ candidate })), last);
}

/** The page's reading of a list of events: its entries, and who may speak after each event. */
export async function read(events) {
  const { Conversation } = await load("page/conversation.js");
  const { TurnState } = await load("page/turn_state.js");
  const conversation = new Conversation();
  const turn = new TurnState();
  const states = events.map((event, index) => {
    const full = { seq: index + 1, at: "2030-01-01T00:00:00Z", ...event };
    conversation.take(full);
    turn.take(full);
    return turn.now;
  });
  return { entries: [...conversation.entries.values()], states, agent: conversation.agent };
}

export async function addresses(url, sessionId) {
  const { httpAddress, voiceAddress } = await load("client/addresses.js");
  return [voiceAddress(url, sessionId), httpAddress(url, "whip")];
}
