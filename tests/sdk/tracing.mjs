// Uses the official npm package `opik` as programs do.
//
//     npm install opik
//     node tests/sdk/tracing.mjs http://127.0.0.1:5173/api
//
// The package is looked for in NODE_MODULES, or where this is run. The last line is 'N passed, N failed'; the exit status
// is 1 when a check failed.

import { check, dropped, finish, opik, statusOf, unique } from "./check.mjs";

const url = process.argv[2];
// What `track` goes by.
Object.assign(process.env, { OPIK_URL_OVERRIDE: url, OPIK_PROJECT_NAME: unique("tracked") });
const { Opik, flushAll, generateId, getDistributedTraceHeaders, getTrackContext, track } = opik;

const START = new Date("2025-01-02T03:04:05.678Z");
const after = (milliseconds) => new Date(START.getTime() + milliseconds);
const USAGE = { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 };
const byName = (items) => Object.fromEntries(items.map((item) => [item.name, item]));
const scoresOf = (item) => Object.fromEntries((item.feedbackScores ?? []).map(({ name, value }) => [name, value]));
const namesOf = (items) => items.map(({ name }) => name).sort();

async function tracked() {
  const model = track({ name: "model", type: "llm", enrichSpan: () => ({ model: "gpt-4o-mini", provider: "openai", usage: USAGE }) },
    async (prompt) => ({ text: `to ${prompt}` }));
  const tool = track({ name: "tool", type: "tool" }, (query) => [{ query }]);
  let headers;
  const agent = track({ name: "agent", type: "general", environment: "staging" }, async (question) => {
    const { trace, span } = getTrackContext();
    trace.update({ threadId: "chat", tags: ["tracked"], metadata: { v: 1 } });
    trace.score({ name: "fine", value: 1 });
    span.score({ name: "good", value: 0.5, reason: "why" });
    headers = getDistributedTraceHeaders();
    tool(question);
    const [{ text }] = await Promise.all([model(question), model("another")]);
    return text;
  });
  const plain = track(function plain(number) { return number; });
  const failing = track({ name: "failing" }, () => { throw new TypeError("bad"); });
  const rejecting = track({ name: "rejecting" }, async () => { throw new RangeError("worse"); });
  // A generator itself is nothing that the package can send.
  const words = track({ name: "words" }, async () => {
    const said = [];
    for await (const word of (async function* () { yield "one "; yield "two"; })()) said.push(word);
    return said.join("");
  });
  // As compilers apply a decorator, by the standard and by what came before it.
  class Program {
    one() { return 1; }
    two() { return 2; }
  }
  Program.prototype.one = track({ name: "decorated" })(Program.prototype.one, { kind: "method", name: "one" });
  const before = Object.getOwnPropertyDescriptor(Program.prototype, "two");
  Object.defineProperty(Program.prototype, "two", track({ name: "decorated before" })(Program.prototype, "two", before));

  check("track: a result", await agent("q"), "to q");
  check("track: plain", plain(3), 3);
  check("track: what a generator says", await words(), "one two");
  check("track: decorated", [new Program().one(), new Program().two()], [1, 2]);
  let thrown = "";
  try { failing(); } catch (error) { thrown = error.message; }
  check("track: an error", thrown, "bad");
  check("track: a rejection", await rejecting().catch((error) => error.message), "worse");
  await flushAll();

  const client = new Opik();
  const [traces, spans] = [await client.searchTraces(), await client.searchSpans()];
  check("track: traces", namesOf(traces), ["agent", "decorated", "decorated before", "failing", "plain", "rejecting", "words"]);
  check("track: all have ended", [...traces, ...spans].every(({ endTime }) => endTime), true);
  const [trace, span] = [byName(traces), byName(spans)];
  check("track: input, output", [trace.agent.input, trace.agent.output], [{ arguments: ["q"] }, { result: "to q" }]);
  check("track: the rest", [trace.agent.threadId, trace.agent.tags, trace.agent.environment, trace.agent.metadata.v], ["chat", ["tracked"], "staging", 1]);
  check("track: scores", [scoresOf(trace.agent), scoresOf(span.agent)], [{ fine: 1 }, { good: 0.5 }]);
  check("track: nesting", [span.agent.parentSpanId, span.model.parentSpanId, span.tool.parentSpanId], [undefined, span.agent.id, span.agent.id]);
  check("track: types", [span.agent.type, span.model.type, span.tool.type, span.plain.type], ["general", "llm", "tool", "llm"]);
  check("track: model", [span.model.model, span.model.provider, span.model.usage], ["gpt-4o-mini", "openai", USAGE]);
  check("track: two at once", spans.filter(({ name }) => name === "model").length, 2);
  check("track: counts", [trace.agent.spanCount, trace.agent.llmSpanCount, trace.agent.usage.total_tokens], [4, 2, 20]);
  check("track: output of a list", span.tool.output, [{ query: "q" }]);
  check("track: failing", [trace.failing.errorInfo.exceptionType, trace.failing.errorInfo.message], ["TypeError", "bad"]);
  check("track: rejecting", [span.rejecting.errorInfo.exceptionType, trace.rejecting.errorInfo.message], ["RangeError", "worse"]);

  // The package has no call to go on from headers; its Python sister has.
  check("headers", headers, { opik_trace_id: trace.agent.id, opik_parent_span_id: span.agent.id });
  const remote = { id: generateId(), traceId: headers.opik_trace_id, parentSpanId: headers.opik_parent_span_id };
  await client.api.spans.createSpan({ ...remote, name: "remote", startTime: START, projectName: process.env.OPIK_PROJECT_NAME });
  check("headers: a span elsewhere", (await client.api.traces.getTraceById(trace.agent.id)).spanCount, 5);
}

// Traces and spans made by hand: sent by themselves, and only when they are flushed.
async function manual(how, settings) {
  const projectName = unique("manual");
  const client = new Opik({ apiUrl: url, projectName, ...settings });
  // Scored before it is there.
  const id = generateId();
  client.logTracesFeedbackScores([{ id, name: "early", value: 0.25, reason: "r", projectName }]);
  await client.flush();
  const trace = client.trace({ id, name: "root", startTime: START, input: { q: "é" }, metadata: { m: 1 }, tags: ["a"], threadId: "t" });
  const span = trace.span({ name: "child", type: "llm", startTime: START, input: { i: 1 } });
  const below = span.span({ name: "below", type: "guardrail", startTime: START, metadata: { n: { o: [1, null] }, camelCase: 1, snake_case: 2 } });
  below.update({ output: { x: 1 }, tags: ["u"], model: "m", provider: "p", errorInfo: { exceptionType: "E", traceback: "t" } });
  below.end();
  span.update({ output: { o: 2 }, usage: USAGE, totalEstimatedCost: 0.5, endTime: after(1500) });
  span.score({ name: "later", value: 0.1 });
  trace.score({ name: "later", value: 0.2, categoryName: "good" });
  trace.update({ output: { a: 1 }, endTime: after(2000) });
  await client.flush();

  let got = await client.api.traces.getTraceById(trace.data.id);
  check(`${how}: trace`, [got.name, got.input, got.output, got.tags, got.threadId], ["root", { q: "é" }, { a: 1 }, ["a"], "t"]);
  check(`${how}: times`, [got.startTime, got.endTime, got.duration], [START, after(2000), 2000]);
  check(`${how}: scores of the trace`, scoresOf(got), { early: 0.25, later: 0.2 });
  got = await client.api.spans.getSpanById(span.data.id);
  check(`${how}: span`, [got.type, got.output, got.usage, got.totalEstimatedCost], ["llm", { o: 2 }, USAGE, 0.5]);
  check(`${how}: its place and score`, [got.traceId, got.parentSpanId, scoresOf(got)], [trace.data.id, undefined, { later: 0.1 }]);
  got = await client.api.spans.getSpanById(below.data.id);
  check(`${how}: a span's span`, [got.parentSpanId, got.model, got.provider, got.tags], [span.data.id, "m", "p", ["u"]]);
  check(`${how}: names in payloads`, [got.metadata.n, got.metadata.camelCase, got.metadata.snake_case], [{ o: [1, null] }, 1, 2]);
  check(`${how}: its error`, [got.errorInfo.exceptionType, got.endTime instanceof Date], ["E", true]);

  // After the create has gone.
  trace.update({ metadata: { n: 2 }, tags: ["b"] });
  span.update({ output: { o: 3 } });
  client.logSpansFeedbackScores([{ id: span.data.id, name: "later", value: 0.9, projectName }]);
  client.traceFeedbackScoresBatchQueue.delete({ id: trace.data.id, name: "early" });
  client.spanBatchQueue.delete(below.data.id);
  await client.flush();
  got = await client.api.traces.getTraceById(trace.data.id);
  check(`${how}: trace updated`, [got.metadata.m, got.metadata.n, got.tags, got.input], [1, 2, ["b"], { q: "é" }]);
  check(`${how}: score taken back`, scoresOf(got), { later: 0.2 });
  got = await client.api.spans.getSpanById(span.data.id);
  check(`${how}: span updated`, [got.output, got.input, scoresOf(got)], [{ o: 3 }, { i: 1 }, { later: 0.9 }]);
  check(`${how}: span deleted`, await statusOf(client.api.spans.getSpanById(below.data.id)), 404);
  client.traceBatchQueue.delete(trace.data.id);
  await client.flush();
  check(`${how}: trace deleted`, await statusOf(client.api.traces.getTraceById(trace.data.id)), 404);
}

async function search() {
  const client = new Opik({ apiUrl: url, projectName: unique("search") });
  ["prod", "dev", undefined].forEach((environment, number) => {
    const trace = client.trace({
      name: `trace ${number}`, startTime: after(number * 86_400_000), endTime: after(number * 86_401_000), environment,
      input: { question: `q${number}`, deep: { k: number } }, metadata: { n: number, "my-key": String(number) },
      tags: [["t", "even"], ["odd"], undefined][number], threadId: `thread ${number % 2}`,
      errorInfo: number === 2 ? { exceptionType: "E", message: "m", traceback: "t" } : undefined,
    });
    trace.span({
      name: `span ${number}`, type: ["llm", "tool", "general"][number], model: `m${number}`, startTime: START, endTime: START,
      usage: { prompt_tokens: number, completion_tokens: 1, total_tokens: number + 1 }, totalEstimatedCost: number / 4,
    });
    if (number) trace.score({ name: "my score", value: number / 10 });
  });
  await client.flush();

  for (const [filterString, wanted] of [
    ['name = "trace 1"', [1]],
    ['name contains "RACE" AND name not_contains "1"', [0, 2]],
    ['input contains "q1"', [1]],
    ['metadata.n > "0"', [1, 2]],
    ['metadata."my-key" = "2"', [2]],
    ['environment in ("prod", "dev")', [0, 1]],
    ['environment not_in ("prod")', [1, 2]],
    ['tags contains "odd"', [1]],
    ["tags is_empty", [2]],
    ['feedback_scores."my score" > 0.1', [2]],
    ['feedback_scores."my score" is_empty', [0]],
    ['feedback_scores."my score" is_not_empty', [1, 2]],
    ['start_time > "2025-01-03T00:00:00Z"', [1, 2]],
    ['start_time <= "2025-01-03T04:04:05.678+01:00"', [0, 1]],
    ["duration >= 1000", [1, 2]],
    ['thread_id = "thread 0"', [0, 2]],
    ["error_info is_not_empty", [2]],
    ["usage.total_tokens > 1", [1, 2]],
  ]) {
    check(`traces with ${filterString}`, namesOf(await client.searchTraces({ filterString })), wanted.map((number) => `trace ${number}`));
  }
  for (const [filterString, wanted] of [
    ['type in ("llm", "tool")', [0, 1]],
    ['model = "m1"', [1]],
    ["usage.prompt_tokens <= 1 AND total_estimated_cost < 0.5", [0, 1]],
    ["feedback_scores.none is_empty AND error_info is_empty", [0, 1, 2]],
  ]) {
    check(`spans with ${filterString}`, namesOf(await client.searchSpans({ filterString })), wanted.map((number) => `span ${number}`));
  }
  check("a few", (await client.searchTraces({ maxResults: 1 })).map(({ name }) => name), ["trace 2"]);
  const [bare] = await client.searchTraces({ exclude: ["input", "metadata"] });
  check("left out", [bare.name, bare.input, bare.metadata], ["trace 2", undefined, undefined]);
  check("unknown project", await statusOf(client.searchTraces({ projectName: "no such project" })), 404);
}

async function threads() {
  const projectName = unique("threads");
  const client = new Opik({ apiUrl: url, projectName });
  const { traces } = client.api;
  ["a", "a", "b"].forEach((threadId, number) => {
    const times = { startTime: after(number * 60_000), endTime: after(number * 60_000 + 5_000) };
    client.trace({ threadId, input: { say: `hello ${number}` }, output: { say: `bye ${number}` }, ...times })
      .span({ name: "s", type: "llm", usage: USAGE, totalEstimatedCost: 0.5, endTime: START });
  });
  await client.flush();
  await traces.scoreBatchOfThreads({ scores: [{ threadId: "a", name: "calm", value: 0.5, source: "sdk", projectName }] });
  const found = Object.fromEntries((await client.searchThreads()).map((thread) => [thread.id, thread]));
  check("threads", Object.keys(found).sort(), ["a", "b"]);
  check("threads: messages", [found.a.numberOfMessages, found.a.firstMessage, found.a.lastMessage], [4, { say: "hello 0" }, { say: "bye 1" }]);
  check("threads: sums", [found.a.usage.total_tokens, found.a.totalEstimatedCost, found.a.duration], [20, 1, 65_000]);
  check("threads: score", [scoresOf(found.a), found.a.status], [{ calm: 0.5 }, "active"]);
  await traces.addThreadComment(found.a.threadModelId, { body: { text: "well" } });
  await traces.closeTraceThread({ projectName, threadIds: ["a"] });
  for (const [filterString, wanted] of [
    ['status = "inactive"', ["a"]],
    ["feedback_scores.calm is_empty", ["b"]],
    ["feedback_scores.calm >= 0.5", ["a"]],
    ["number_of_messages < 4", ["b"]],
    ['last_message contains "bye 2"', ["b"]],
    ['start_time > "2025-01-02T03:06:00Z"', ["b"]],
  ]) {
    check(`threads with ${filterString}`, (await client.searchThreads({ filterString })).map(({ id }) => id), wanted);
  }
  await traces.openTraceThread({ projectName, threadId: "a" });
  const again = await traces.getTraceThread({ projectName, threadId: "a" });
  check("threads: opened", [again.status, again.comments[0].text], ["active", "well"]);
  await traces.deleteTraceThreads({ projectName, threadIds: ["a"] });
  check("threads: deleted", (await client.searchThreads()).map(({ id }) => id), ["b"]);
}

async function around() {
  const name = unique("around");
  const client = new Opik({ apiUrl: url, projectName: name });
  check("ping", (await client.api.isAlive()).healthy, true);
  await client.api.projects.createProject({ name, description: "d" });
  const project = await client.api.projects.retrieveProject({ name: name.toUpperCase() });
  check("projects", [project.name, project.description], [name, "d"]);
  check("projects: found", (await client.api.projects.findProjects({ name })).content.map(({ id }) => id), [project.id]);
  check("projects: taken", await statusOf(client.api.projects.createProject({ name })), 409);

  check("environments", (await client.createEnvironment(name, { color: "#123456" })).color, "#123456");
  check("environments: taken", String(await statusOf(client.createEnvironment(name))).includes("already exists"), true);
  check("environments: changed", (await client.updateEnvironment(name, { color: "#654321" })).color, "#654321");
  await client.deleteEnvironment(name);
  check("environments: gone", (await client.getEnvironments()).some((one) => one.name === name), false);

  const trace = client.trace({ name: "t" });
  await client.flush();
  await client.api.traces.addTraceComment(trace.data.id, { body: { text: "nice" } });
  check("comments", (await client.api.traces.getTraceById(trace.data.id)).comments.map(({ text }) => text), ["nice"]);
  // What is not there says so, and harms nothing.
  check("datasets are not there", await statusOf(client.api.datasets.findDatasets()), 404);
}

// More than one batch holds, from many tasks that flush in between.
async function underLoad() {
  const client = new Opik({ apiUrl: url, projectName: unique("load") });
  await Promise.all(Array.from({ length: 8 }, async (_, task) => {
    for (let number = 0; number < 60; number += 1) {
      const trace = client.trace({ name: `${task}.${number}`, input: { text: "x".repeat(2_000) } });
      trace.span({ name: "one" }).end();
      trace.span({ name: "two" }).end();
      trace.end();
      if (number % 20 === 19) await client.flush();
    }
  }));
  await client.flush();
  const [traces, spans] = [await client.searchTraces({ maxResults: 2_000 }), await client.searchSpans({ maxResults: 2_000 })];
  check("load", [traces.length, spans.length, [...traces, ...spans].every(({ endTime }) => endTime)], [480, 960, true]);
}

await tracked();
await manual("by itself", {});
await manual("when flushed", { holdUntilFlush: true });
await search();
await threads();
await around();
await underLoad();
check("nothing was dropped", dropped, []);
finish();
