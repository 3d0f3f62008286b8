// Runs first-round.ts, compiled beside this file: prints the session, waits for a line (the call is over), prints what
// became of it. node run-first-round.mjs API-URL EMAIL, the password in PASSWORD.
import { createInterface } from "node:readline/promises";
import { begin, review } from "./first-round.js";

const [api, email] = process.argv.slice(2);
const lines = createInterface({ input: process.stdin });
const called = new Promise((resolve) => lines.once("line", resolve));
const begun = await begin(api, email, process.env.PASSWORD ?? "");
console.log(JSON.stringify(begun));
await called;
console.log(JSON.stringify(await review(api, begun)));
lines.close();
