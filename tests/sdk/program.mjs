// A program that calls models and tools as fast as it can, while its server is killed and comes back.
//
//     npm install opik
//     node tests/sdk/program.mjs target/release/spandrel [SECONDS]
//
// The package never says that data were dropped, except in its log: `flush()` resolves all the same. So what it reports as
// flushed is what was logged before a `flush()` that resolved while its log told of no failed flush. What it does not get
// rid of in three tries, or at once when the connection is refused, it drops.
//
// The package is looked for in NODE_MODULES, or where this is run. The last line is 'N passed, N failed'; the exit status
// is 1 when a check failed.

import { check, dropped, finish, opik, unique } from "./check.mjs";
import { Server } from "./server.mjs";

const seconds = Number(process.argv[3] ?? 60);
// Traces that one round makes, and spans of one trace.
const [ROUND, SPANS] = [100, 4];

const server = new Server(process.argv[2]);
await server.start();
Object.assign(process.env, { OPIK_URL_OVERRIDE: server.url, OPIK_PROJECT_NAME: unique("program") });
const { Opik, flushAll, getTrackContext, track } = opik;

const usage = { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 };
const model = track({ name: "model", type: "llm", enrichSpan: () => ({ model: "gpt-4o-mini", provider: "openai", usage }) },
  async (question) => `${question}!`);
const tool = track({ name: "tool", type: "tool" }, async (what) => {
  if (Math.random() < 0.1) throw new Error(what);
  return { found: what.repeat(50) };
});
const agent = track({ name: "agent", type: "general" }, async (number) => {
  const { trace } = getTrackContext();
  trace.update({ threadId: `chat ${number % 7}`, metadata: { number } });
  trace.score({ name: "good", value: number % 2 });
  await Promise.allSettled([tool(`${number} a`), tool(`${number} b`)]);
  return model(`answer ${number}`);
});

const flushed = [];
let number = 0;
// Whether all of it is reported as flushed.
async function round() {
  const before = dropped.length;
  const numbers = Array.from({ length: ROUND }, (_, one) => number + one);
  number += ROUND;
  for (const one of numbers) await agent(one);
  await flushAll();
  if (dropped.length > before) return false;
  flushed.push(...numbers);
  return true;
}

const begun = Date.now();
const after = (share) => new Promise((resolve) => setTimeout(resolve, seconds * 1000 * share));
let back = false;
const killing = after(1 / 2).then(() => server.kill()).then(() => after(1 / 8)).then(() => server.start()).then(() => { back = true; });
while (!back || Date.now() < begun + seconds * 1000) await round();
await killing;
check("the last round is flushed", await round(), true);
const took = (Date.now() - begun) / 1000;

// The package reads one page of 2,000 at most; this reads all of them.
async function all(client, path) {
  const items = [];
  for (let page = 1; ; page += 1) {
    const query = { projectName: client.config.projectName, page, size: 10_000 };
    const { content } = path === "spans" ? await client.api.spans.getSpansByProject(query) : await client.api.traces.getTracesByProject(query);
    items.push(...content);
    if (content.length < query.size) return items;
  }
}

const client = new Opik();
const spans = {};
for (const { traceId, endTime } of await all(client, "spans")) spans[traceId] = (spans[traceId] ?? 0) + (endTime ? 1 : 0);
const traces = await all(client, "traces");
const found = Object.fromEntries(traces.map((trace) =>
  [trace.metadata?.number, [trace.output?.result, spans[trace.id], trace.feedbackScores?.map(({ value }) => value)]]));
const wanted = Object.fromEntries(flushed.map((one) => [one, [`answer ${one}!`, SPANS, [one % 2]]]));
check("every trace is there once", new Set(traces.map(({ id }) => id)).size, traces.length);
check("all that was reported as flushed is there", Object.fromEntries(flushed.map((one) => [one, found[one]])), wanted);
console.log(`      ${number} traces, ${number * SPANS} spans in ${took.toFixed(0)} s; ${flushed.length} traces reported as flushed,`);
console.log(`      ${traces.length} there; failures that the package told: ${dropped.length}`);
await server.kill();
finish();
