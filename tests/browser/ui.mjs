// Asks for what Opik's web user interface asks for, page by page, from a page of the same origin in a browser. Every
// answer is held against the served document, and against what such an interface relies on.
//
//     spandrel serve --ui-dir tests/browser/ui
//     node tests/browser/ui.mjs http://127.0.0.1:5173 [SPANS OF A LONG TRACE]
//
// Wants a server on which nothing was done before. Needs the npm packages playwright-core, ajv and ajv-formats, and a
// Chromium (CHROMIUM, or /usr/bin/chromium). The last line is 'N passed, N failed'; the exit status is 1 when a check failed.

import { createRequire } from "node:module";

import { served } from "./document.mjs";
import * as shop from "./shop.mjs";

const require = createRequire(`${process.env.NODE_MODULES ?? process.cwd()}/`);
const { chromium } = require("playwright-core");
const base = process.argv[2];
const LONG = Number(process.argv[3] ?? 15_000);
const counts = { passed: 0, failed: 0 };

function check(what, ok, detail = "") {
  counts[ok ? "passed" : "failed"] += 1;
  console.log(`${ok ? "ok  " : "FAIL"}  ${what}${ok ? "" : `: ${detail}`}`);
}

const same = (what, found, wanted) =>
  check(
    what,
    JSON.stringify(found) === JSON.stringify(wanted),
    `${JSON.stringify(found)?.slice(0, 600)}, wanted ${JSON.stringify(wanted)?.slice(0, 600)}`,
  );

const document = await served(base);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
    "--disable-component-update",
  ],
});
const tab = await browser.newPage();
const trouble = [];
tab.on("pageerror", (error) => trouble.push(String(error)));
tab.on("request", (request) => request.url().startsWith(base) || trouble.push(`a request to ${request.url()}`));

const asked = new Set();
let where = "";
// Opens a page of the interface: whatever its address, the server gives it the one page.
async function visit(name, address) {
  where = name;
  const answer = await tab.goto(`${base}${address}`);
  await tab.waitForFunction(() => window.call);
  check(
    `${name}: the page`,
    answer.status() === 200 && /^text\/html/.test(answer.headers()["content-type"]),
    answer.status(),
  );
}

// A list of words.
const words = (text) => text.trim().split(/\s+/);

const private_ = "/v1/private";
const withQuery = (path, query) => {
  const text = (value) => (typeof value === "string" ? value : JSON.stringify(value));
  const given = Object.entries(query ?? {}).filter(([, value]) => value !== undefined);
  return given.length ? `${path}?${new URLSearchParams(given.map(([name, value]) => [name, text(value)]))}` : path;
};

// One call, whose answer must be this status, and what the document says of it. Returns what was answered.
async function call(method, path, { query, body, status = 200 } = {}) {
  const address = path.startsWith("/") ? path : `${private_}/${path}`;
  const answer = await tab.evaluate((asked) => window.call(...asked), [method, withQuery(address, query), body]);
  const operation = document.operationOf(method, address);
  const what = `${where}: ${method} ${address.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, "ID")}`;
  if (answer.status !== status) return (check(what, false, `${answer.status} ${answer.text.slice(0, 300)}`), {});
  if (operation) asked.add(operation.operation.operationId);
  const wrong = operation ? document.mistakes(operation, answer) : "it is in no document";
  check(what, wrong === "", wrong);
  return answer.text === ""
    ? answer
    : { ...JSON.parse(answer.text), ...(answer.location ? { location: answer.location } : {}) };
}
const get = (path, query) => call("GET", path, { query });
const post = (path, body, status = 200) => call("POST", path, { body, status });
const done = (method, path, body) => call(method, path, { body, status: 204 });

// A page of a list: what it says of itself, and that no member of an item is one that nobody knows.
function page(what, answer, { number = 1, total, members, sortable }) {
  const { content = [] } = answer;
  same(`${where}: ${what}: the page`, [answer.page, answer.size, answer.total], [number, content.length, total]);
  if (sortable)
    check(
      `${where}: ${what}: what can be sorted by`,
      sortable.every((one) => answer.sortable_by?.includes(one)),
      answer.sortable_by,
    );
  if (members) {
    const unknown = new Set(content.flatMap((item) => Object.keys(item)).filter((key) => !members.includes(key)));
    const lacking = members.filter((member) => !content.some((item) => member in item));
    same(`${where}: ${what}: members`, [[...unknown], lacking], [[], []]);
  }
  return content;
}

const names = (content) => content.map(({ name }) => name);
const isSorted = (values, descending) =>
  values.every((value, at) => at === 0 || (descending ? values[at - 1] >= value : values[at - 1] <= value));

// What there is to see.
const { TRACES, PROJECT, USAGE, COST, BEGIN, id, time, traces, spans } = shop;
await shop.send(base);
const near = (found, wanted) => Math.abs(found - wanted) < 1e-9;

// The start: whatever page it is, these come first.
await visit("start", "/");
same("start: the version", typeof (await get("/is-alive/ver")).version, "string");
const toggles = await get("toggles/");
check(
  "start: toggles are flags, as the interface spells them, and off for what is not there",
  words(`
    guardrails_enabled dataset_versioning_enabled alerts_enabled welcome_wizard_enabled ollie_enabled
    opik_aienabled project_homepage_enabled agent_insights_enabled`).every((name) => toggles[name] === false),
  JSON.stringify(toggles),
);
same("start: how the workspace is shown", await get("workspaces/versions"), { opik_version: "version_2" });
const { permissions, user_name: user, workspace_name: workspace } = await get("workspace-permissions");
same("start: who asks", [user, workspace, permissions], ["admin", "default", []]);
same("start: the workspace", await get("auth/workspace"), { workspace_name: "default" });
await call("GET", "workspaces/configurations/", { status: 404 });

// The list of projects.
await visit("projects", "/default/projects");
const PROJECT_MEMBERS = words(`
  id name visibility description created_at created_by last_updated_at last_updated_by last_updated_trace_at`);
const lately = [{ field: "last_updated_trace_at", direction: "DESC" }];
const projects = page("list", await get("projects/", { page: 1, size: 100, sorting: lately }), {
  total: 2,
  members: PROJECT_MEMBERS,
  sortable: ["id", "name", "last_updated_at", "created_at", "last_updated_trace_at"],
});
same("projects: the one that was written to last comes first", names(projects), [PROJECT, "Default Project"]);
const { id: project_id } = projects[0];
for (const field of ["id", "name", "last_updated_at", "created_at", "last_updated_trace_at"]) {
  const ask = async (direction) =>
    names((await get("projects/", { page: 1, size: 10, sorting: [{ field, direction }] })).content ?? []);
  same(`projects: sorted by ${field}`, (await ask("ASC")).toReversed(), await ask("DESC"));
}
same(
  "projects: found by a part of the name",
  names(page("found", await get("projects/", { page: 1, size: 10, name: "SHO", sorting: "" }), { total: 1 })),
  [PROJECT],
);
page("a page past the end", await get("projects/", { page: 9, size: 10 }), { number: 9, total: 2 });
const { content: figures = [] } = await get("projects/stats", { page: 1, size: 100, sorting: lately });
same(
  "projects: figures in the order of the list",
  figures.map((one) => one.project_id),
  projects.map((one) => one.id),
);
same(
  "projects: figures",
  [
    figures[0].trace_count,
    figures[0].thread_count,
    figures[0].error_count.count,
    figures[0].usage.total_tokens,
    figures[0].guardrails_failed_count,
  ],
  [TRACES, TRACES / 4, 4, 1_100, 0],
);
check("projects: what it cost", near(figures[0].total_estimated_cost_sum, COST), figures[0].total_estimated_cost_sum);
same(
  "projects: scores and durations",
  [names(figures[0].feedback_scores), Object.keys(figures[0].duration)],
  [["quality"], ["p50", "p90", "p99"]],
);
const made = (await post("projects/", { name: "made in the interface", description: "by hand" }, 201)).location
  ?.split("/")
  .pop();
await post("projects/", { name: "Made in the interface" }, 409);
await done("PATCH", `projects/${made}`, { description: "by hand, again" });
same("projects: changed", (await get(`projects/${made}`)).description, "by hand, again");
await done("POST", "projects/delete", { ids: [made] });
await call("GET", `projects/${made}`, { status: 404 });
same(
  "projects: gone",
  names((await get("projects/", { page: 1, size: 10 })).content ?? []).includes("made in the interface"),
  false,
);

// What a project begins with: what happened, key figures.
await visit("project", `/default/projects/${project_id}/home`);
same("project: its name", (await get(`projects/${project_id}`)).name, PROJECT);
const days = page("activities", await get(`projects/${project_id}/activities`, { page: 1, size: 10 }), {
  total: new Set(traces.map(({ start_time }) => start_time.slice(0, 10))).size,
  members: ["type", "id", "name", "created_at", "created_by"],
});
same("project: the day's newest trace", [days[0]?.type, days[0]?.id], ["trace_daily", traces.at(-1).id]);
const span_of_time = { interval_start: time(BEGIN - 3_600_000), interval_end: time(BEGIN + 3 * 3_600_000) };
for (const [entity_type, kinds, count] of [
  ["traces", ["count", "avg_duration", "total_cost", "errors"], TRACES],
  ["spans", ["count", "avg_duration", "total_cost", "errors"], 3 * TRACES],
  ["threads", ["count", "avg_duration", "total_cost"], TRACES / 4],
]) {
  const { stats = [] } = await post(`projects/${project_id}/kpi-cards`, {
    entity_type,
    filters: "[]",
    ...span_of_time,
  });
  same(
    `project: key figures of ${entity_type}`,
    stats.map(({ type }) => type),
    kinds,
  );
  same(`project: number of ${entity_type}`, [stats[0]?.current_value, stats[0]?.previous_value], [count, 0]);
  check(`project: cost of ${entity_type}`, near(stats[2]?.current_value, COST), stats[2]?.current_value);
}

// The table of traces.
await visit("traces", `/default/projects/${project_id}/traces?tab=logs&logsType=traces`);
const TRACE_MEMBERS = words(`
  id project_id name start_time end_time input output metadata tags error_info usage created_at last_updated_at
  created_by last_updated_by feedback_scores span_feedback_scores total_estimated_cost span_count llm_span_count
  has_tool_spans duration ttft thread_id visibility_mode providers source environment`);
const visible = { field: "visibility_mode", type: "string", operator: "=", value: "default" };
const by_sdk = { field: "source", type: "string", operator: "=", value: "sdk" };
const shown = { project_id, filters: [visible, by_sdk], truncate: true, sorting: [], search: "" };
same("traces: there are some", await get("traces/exists", { project_id }), { exists: true });
same("traces: there are some by the SDK", await get("traces/exists", { project_id, source: "sdk" }), { exists: true });
same("traces: there are none by the playground", await get("traces/exists", { project_id, source: "playground" }), {
  exists: false,
});
const first = page("list", await get("traces/", { ...shown, page: 1, size: 100 }), {
  total: TRACES,
  members: TRACE_MEMBERS,
  sortable: words(`
    id name input output start_time end_time duration ttft metadata thread_id span_count llm_span_count usage.*
    total_estimated_cost tags error_info created_by feedback_scores.* environment`),
});
same(
  "traces: the newest first",
  first.map((one) => one.id),
  traces.map((one) => one.id).toReversed(),
);
const { id: _, ...newest } = first[0] ?? {};
same(
  "traces: one in full",
  [
    newest.name,
    newest.duration,
    newest.span_count,
    newest.llm_span_count,
    newest.has_tool_spans,
    newest.usage,
    newest.providers,
    newest.metadata,
    newest.visibility_mode,
  ],
  [
    `trace ${TRACES - 1}`,
    1_000 + TRACES - 1,
    3,
    1,
    true,
    { completion_tokens: 100, prompt_tokens: 1_000, total_tokens: 1_100 },
    ["openai"],
    { providers: ["openai"], customer: 0 },
    "default",
  ],
);
const [given] = newest.feedback_scores ?? [{}];
same(
  "traces: a score",
  [given.name, given.value, given.source, given.reason, Object.keys(given.value_by_author)],
  ["quality", 0.975, "sdk", "as it is", ["admin"]],
);
same(
  "traces: scores of its spans",
  newest.span_feedback_scores?.map(({ name, value }) => [name, value]),
  [["quality", 0.975]],
);
const paged = [];
for (const number of [1, 2, 3]) {
  paged.push(
    ...page(`page ${number}`, await get("traces/", { ...shown, page: number, size: 15 }), {
      number,
      total: TRACES,
    }).map((one) => one.id),
  );
}
same(
  "traces: pages follow each other",
  paged,
  first.map((one) => one.id),
);
for (const [field, value] of [
  ["name", (one) => one.name],
  ["start_time", (one) => one.start_time],
  ["duration", (one) => one.duration],
  ["ttft", (one) => one.ttft],
  ["usage.total_tokens", (one) => one.usage.total_tokens],
  ["total_estimated_cost", (one) => one.total_estimated_cost],
  ["feedback_scores.quality", (one) => one.feedback_scores[0].value],
  ["thread_id", (one) => one.thread_id],
  ["span_count", (one) => one.span_count],
]) {
  for (const direction of ["ASC", "DESC"]) {
    const { content = [] } = await get("traces/", { ...shown, page: 1, size: 100, sorting: [{ field, direction }] });
    check(
      `traces: sorted by ${field}, ${direction}`,
      content.length === TRACES && isSorted(content.map(value), direction === "DESC"),
    );
  }
}
const filter = (field, type, operator, value, key = "") => ({ id: "f", field, type, operator, key, value });
for (const [what, one, count] of [
  ["a name", filter("name", "string", "contains", "TRACE 1"), 11],
  ["an error", filter("error_info", "error_container", "is_not_empty", ""), 4],
  ["a tag", filter("tags", "list", "contains", "late"), 20],
  ["metadata", filter("metadata", "dictionary", "=", "1", "$.customer"), 13],
  ["input", filter("input", "string", "contains", "question 39"), 1],
  ["a score", filter("feedback_scores", "numberDictionary", ">=", "0.5", "quality"), 20],
  ["no score", filter("feedback_scores", "numberDictionary", "is_empty", "", "quality"), 0],
  ["tokens", filter("usage.total_tokens", "number", ">", "1099"), 40],
  ["cost", filter("total_estimated_cost", "number", ">", "1"), 0],
  ["duration", filter("duration", "duration", ">=", "1030"), 10],
  ["a thread", filter("thread_id", "string", "=", "thread 3"), 4],
  ["a time", filter("start_time", "time", ">=", traces[30].start_time), 10],
  ["an environment", filter("environment", "string", "=", "production"), 40],
]) {
  const filters = [visible, one];
  const { total } = await get("traces/", { ...shown, filters, page: 1, size: 10 });
  const { stats = [] } = await get("traces/stats", { project_id, filters });
  same(`traces: filtered by ${what}`, [total, stats[0]?.value ?? 0], [count, count]);
}
same("traces: searched for", (await get("traces/", { ...shown, search: "question 7", page: 1, size: 10 })).total, 1);
const between = { from_time: traces[10].start_time, to_time: traces[19].start_time };
same("traces: between two times", (await get("traces/", { ...shown, ...between, page: 1, size: 10 })).total, 10);
const hidden = words(`
  input output metadata tags error_info usage created_at created_by last_updated_by feedback_scores
  span_feedback_scores comments guardrails_validations total_estimated_cost duration ttft thread_id
  visibility_mode providers experiment source`);
const without = (await get("traces/", { ...shown, page: 1, size: 1, exclude: hidden })).content ?? [{}];
same(
  "traces: without what is not shown",
  hidden.filter((member) => member in without[0] && member !== "metadata"),
  [],
);
const { stats: sums = [] } = await get("traces/stats", { project_id, filters: [visible, by_sdk], search: "" });
same(
  "traces: figures of the columns",
  sums.map(({ name, type }) => `${name}:${type}`),
  words(`
    trace_count:COUNT duration:PERCENTAGE input:COUNT output:COUNT metadata:COUNT tags:AVG thread_count:COUNT
    llm_span_count:AVG span_count:AVG total_estimated_cost:AVG total_estimated_cost_sum:AVG
    usage.completion_tokens:AVG usage.prompt_tokens:AVG usage.total_tokens:AVG usage_sum.completion_tokens:AVG
    usage_sum.prompt_tokens:AVG usage_sum.total_tokens:AVG feedback_scores.quality:AVG
    span_feedback_scores.quality:AVG guardrails_failed_count:COUNT error_count:COUNT`),
);
same("traces: columns of scores", names((await get("traces/feedback-scores/names", { project_id })).scores), [
  "quality",
]);
same(
  "traces: columns of scores of spans",
  names((await get("spans/feedback-scores/names", { project_id, type: "llm" })).scores),
  ["quality"],
);
same(
  "traces: columns of scores of several projects",
  names((await get("projects/feedback-scores/names", { project_ids: [project_id] })).scores),
  ["quality"],
);
const some = traces.slice(0, 2).map((one) => one.id);
await done("PATCH", "traces/batch", { ids: some, update: { project_id, tags_to_add: ["picked"] }, merge_tags: true });
same(
  "traces: tags of many",
  (await get("traces/", { ...shown, filters: [filter("tags", "list", "contains", "picked")], page: 1, size: 10 }))
    .total,
  2,
);

// The table of spans.
await visit("spans", `/default/projects/${project_id}/traces?tab=logs&logsType=spans`);
const SPAN_MEMBERS = words(`
  id project_id trace_id parent_span_id name type start_time end_time input output metadata model provider tags
  usage error_info created_at last_updated_at created_by last_updated_by feedback_scores total_estimated_cost
  total_estimated_cost_version duration ttft source environment`);
same("spans: there are some", await get("spans/exists", { project_id }), { exists: true });
const listed = { project_id, truncate: true, sorting: [], filters: [by_sdk], search: "" };
page("list", await get("spans/", { ...listed, page: 1, size: 100 }), {
  total: 3 * TRACES,
  members: SPAN_MEMBERS,
  sortable: words(`
    id name type trace_id start_time duration ttft usage.* tags model provider total_estimated_cost error_info
    feedback_scores.* environment`),
});
const llms = page("of one type", await get("spans/", { ...listed, type: "llm", page: 1, size: 100 }), {
  total: TRACES,
});
same(
  "spans: a call of a model",
  [llms[0]?.type, llms[0]?.model, llms[0]?.provider, llms[0]?.metadata, llms[0]?.total_estimated_cost_version],
  ["llm", "gpt-4o-mini", "openai", { provider: "openai" }, "1.1"],
);
for (const [field, value] of [
  ["name", (one) => one.name],
  ["duration", (one) => one.duration],
  ["start_time", (one) => one.start_time],
]) {
  for (const direction of ["ASC", "DESC"]) {
    const { content = [] } = await get("spans/", { ...listed, page: 1, size: 200, sorting: [{ field, direction }] });
    check(
      `spans: sorted by ${field}, ${direction}`,
      content.length === 3 * TRACES && isSorted(content.map(value), direction === "DESC"),
    );
  }
}
for (const [what, one, count] of [
  ["a type", filter("type", "string", "=", "tool"), TRACES],
  ["a model", filter("model", "string", "=", "gpt-4o-mini"), TRACES],
  ["an error", filter("error_info", "error_container", "is_not_empty", ""), 4],
  ["a trace", filter("trace_id", "string", "=", traces[5].id), 3],
]) {
  const { total } = await get("spans/", { ...listed, filters: [one], page: 1, size: 10 });
  const { stats = [] } = await get("spans/stats", { project_id, filters: [one] });
  same(`spans: filtered by ${what}`, [total, stats[0]?.value], [count, count]);
}
await done("PATCH", "spans/batch", {
  ids: llms.slice(0, 3).map((one) => one.id),
  update: { trace_id: llms[0].trace_id, tags_to_add: ["picked"] },
  merge_tags: true,
});
const picked = [filter("tags", "list", "contains", "picked")];
same("spans: tags of many", (await get("spans/", { ...listed, filters: picked, page: 1, size: 10 })).total, 3);
const { stats: span_sums = [] } = await get("spans/stats", { project_id, filters: [by_sdk] });
same(
  "spans: figures of the columns",
  span_sums.map(({ name }) => name),
  words(`
    span_count duration input output metadata tags total_estimated_cost total_estimated_cost_sum
    usage.completion_tokens usage.prompt_tokens usage.total_tokens usage_sum.completion_tokens
    usage_sum.prompt_tokens usage_sum.total_tokens feedback_scores.quality error_count`),
);
const unseen = words(`
  input output metadata model tags usage error_info feedback_scores comments total_estimated_cost duration ttft`);
const bare = (await get("spans/", { ...listed, page: 1, size: 1, exclude: [...unseen, "provider"] })).content ?? [{}];
same(
  "spans: without what is not shown",
  unseen.filter((member) => member in bare[0]),
  [],
);
same("spans: columns of scores", names((await get("spans/feedback-scores/names", { project_id })).scores), ["quality"]);

// The table of threads, and one of them.
await visit("threads", `/default/projects/${project_id}/traces?tab=logs&logsType=threads`);
const THREAD_MEMBERS = words(`
  id project_id thread_model_id start_time end_time duration first_message last_message number_of_messages
  total_estimated_cost usage status created_at last_updated_at created_by last_updated_by environment`);
same("threads: there are some", await get("traces/exists", { project_id, thread_only: true }), { exists: true });
const talks = { project_id, truncate: true, sorting: [], filters: [], search: "" };
const threads = page("list", await get("traces/threads", { ...talks, page: 1, size: 100 }), {
  total: TRACES / 4,
  members: THREAD_MEMBERS,
  sortable: words(`
    id start_time end_time duration number_of_messages last_updated_at created_by created_at total_estimated_cost
    status tags`),
});
const talk = threads.find((one) => one.id === "thread 2") ?? {};
same(
  "threads: one in full",
  [
    talk.first_message,
    talk.last_message,
    talk.number_of_messages,
    talk.status,
    Date.parse(talk.start_time),
    talk.usage?.total_tokens,
  ],
  [traces[8].input, traces[11].output, 8, "active", Date.parse(traces[8].start_time), 4_400],
);
for (const direction of ["ASC", "DESC"]) {
  const { content = [] } = await get("traces/threads", {
    ...talks,
    page: 1,
    size: 100,
    sorting: [{ field: "start_time", direction }],
  });
  check(
    `threads: sorted, ${direction}`,
    content.length === TRACES / 4 &&
      isSorted(
        content.map((one) => one.start_time),
        direction === "DESC",
      ),
  );
}
same(
  "threads: filtered",
  (
    await get("traces/threads", {
      ...talks,
      filters: [filter("id", "string", "contains", "thread 2")],
      page: 1,
      size: 10,
    })
  ).total,
  1,
);
same(
  "threads: searched for",
  (await get("traces/threads", { ...talks, search: "question 8", page: 1, size: 10 })).content?.map((one) => one.id),
  ["thread 2"],
);
const { stats: talk_sums = [] } = await get("traces/threads/stats", { project_id, filters: [] });
same(
  "threads: figures of the columns",
  [talk_sums[0]?.name, talk_sums[0]?.value, talk_sums[1]?.name],
  ["thread_count", TRACES / 4, "duration"],
);
const thread = { project_id, thread_id: "thread 2" };
same(
  "threads: opened",
  (await post("traces/threads/retrieve", { ...thread, truncate: false })).thread_model_id,
  talk.thread_model_id,
);
same(
  "threads: its messages",
  page(
    "its traces",
    await get("traces/", {
      ...shown,
      filters: [filter("thread_id", "string", "=", "thread 2")],
      page: 1,
      size: 1_000,
      sorting: [{ field: "start_time", direction: "ASC" }],
    }),
    { total: 4 },
  ).map((one) => one.input),
  traces.slice(8, 12).map((one) => one.input),
);
await done("PUT", "traces/threads/close", thread);
same("threads: closed", (await post("traces/threads/retrieve", thread)).status, "inactive");
await done("PUT", "traces/threads/open", thread);
same("threads: opened again", (await post("traces/threads/retrieve", thread)).status, "active");
await done("PUT", "traces/threads/feedback-scores", {
  scores: [{ thread_id: "thread 2", project_name: PROJECT, name: "helpful", value: 1, source: "ui" }],
});
same("threads: columns of scores", names((await get("traces/threads/feedback-scores/names", { project_id })).scores), [
  "helpful",
]);
await done("PATCH", `traces/threads/${talk.thread_model_id}`, { tags: ["seen"] });
await done("PATCH", "traces/threads/batch", {
  ids: [talk.thread_model_id],
  update: { tags_to_add: ["twice"] },
  merge_tags: true,
});
const { id: remark } = await post(`traces/threads/${talk.thread_model_id}/comments/`, { text: "well said" }, 201);
await done("PATCH", `traces/threads/comments/${remark}`, { text: "well said, again" });
const whole_talk = await post("traces/threads/retrieve", thread);
same(
  "threads: what was said of it",
  [whole_talk.feedback_scores?.[0].value, whole_talk.tags, whole_talk.comments?.[0].text],
  [1, ["seen", "twice"], "well said, again"],
);
await done("POST", "traces/threads/feedback-scores/delete", {
  project_name: PROJECT,
  thread_id: "thread 2",
  names: ["helpful"],
});
await done("POST", "traces/threads/comments/delete", { ids: [remark] });
await done("POST", "traces/threads/delete", { project_id, thread_ids: ["thread 9"] });
same(
  "threads: one is gone",
  [
    (await get("traces/threads", { ...talks, page: 1, size: 100 })).total,
    (await get("traces/", { ...shown, page: 1, size: 1 })).total,
  ],
  [TRACES / 4 - 1, TRACES - 4],
);

// One trace beside the table: its tree, its scores, comments and files.
const at = traces[12];
await visit("trace", `/default/projects/${project_id}/traces?tab=logs&logsType=traces&trace=${at.id}`);
const whole = await get(`traces/${at.id}`, { strip_attachments: true });
same(
  "trace: what it is",
  [whole.input, whole.output, whole.span_count, whole.thread_id, whole.ttft],
  [at.input, at.output, 3, at.thread_id, at.ttft],
);
const tree = { project_id, trace_id: at.id, page: 1, size: LONG };
const LIGHT = { truncate: true, exclude: ["input", "output", "metadata", "feedback_scores", "comments"] };
const light = page("the light list", await get("spans/", { ...tree, ...LIGHT }), { total: 3 });
const full = page("the full list", await get("spans/", tree), { total: 3 });
same(
  "trace: the tree",
  light.map((one) => [one.name, one.parent_span_id ?? ""]).sort(),
  full.map((one) => [one.name, one.parent_span_id ?? ""]).sort(),
);
same(
  "trace: the light list is light",
  light.filter((one) => "input" in one || "output" in one || "feedback_scores" in one || "comments" in one),
  [],
);
same(
  "trace: the full list is full",
  full.map((one) => [one.input, one.output]),
  full.map(() => [at.input, at.output]),
);
const span = full.find((one) => one.type === "llm") ?? {};
same(
  "trace: one span",
  (await get(`spans/${span.id}`)).usage,
  USAGE && { completion_tokens: 100, prompt_tokens: 1_000, total_tokens: 1_100 },
);
for (const [kind, about] of [
  ["traces", at.id],
  ["spans", span.id],
]) {
  const read = async () => get(`${kind}/${about}`);
  const judged = async () =>
    Object.fromEntries(
      ((await read()).feedback_scores ?? []).map((one) => [one.name, [one.value, one.category_name, one.source]]),
    );
  await done("PUT", `${kind}/${about}/feedback-scores`, {
    name: "User feedback",
    category_name: "👍",
    value: 1,
    source: "ui",
    reason: "why",
  });
  same(`trace: ${kind} have the score`, (await judged())["User feedback"], [1, "👍", "ui"]);
  await done("PUT", `${kind}/${about}/feedback-scores`, {
    name: "User feedback",
    category_name: "👎",
    value: 0,
    source: "ui",
  });
  same(`trace: ${kind} have the other score`, (await judged())["User feedback"], [0, "👎", "ui"]);
  await done("POST", `${kind}/${about}/feedback-scores/delete`, { name: "User feedback" });
  same(`trace: ${kind} have the score no more`, Object.keys(await judged()), ["quality"]);
  const { id: comment } = await post(`${kind}/${about}/comments/`, { text: "look" }, 201);
  same(`trace: ${kind}: the comment`, (await get(`${kind}/${about}/comments/${comment}`)).text, "look");
  await done("PATCH", `${kind}/comments/${comment}`, { text: "look here" });
  same(
    `trace: ${kind} have the comment`,
    (await read()).comments?.map((one) => [one.id, one.text, one.created_by]),
    [[comment, "look here", "admin"]],
  );
  await done("POST", `${kind}/comments/delete`, { ids: [comment] });
  same(`trace: ${kind} have the comment no more`, (await read()).comments, undefined);
  await done("PATCH", `${kind}/${about}`, {
    project_id,
    trace_id: at.id,
    parent_span_id: kind === "spans" ? span.parent_span_id : undefined,
    tags: ["by hand"],
  });
  same(`trace: ${kind} have the tags`, (await read()).tags, ["by hand"]);
}

// Files: taken up, listed, shown, removed.
where = "attachments";
const file = {
  file_name: "shot.png",
  mime_type: "image/png",
  entity_type: "trace",
  entity_id: at.id,
  project_name: PROJECT,
};
const path = Buffer.from(`${base}/api`).toString("base64");
const { upload_id, pre_sign_urls = [] } = await post("attachment/upload-start", {
  ...file,
  num_of_file_parts: 1,
  path,
});
same("attachments: where to", [upload_id, pre_sign_urls.length], ["BEMinIO", 1]);
const put = await tab.evaluate(
  async (url) => (await fetch(url, { method: "PUT", body: new Uint8Array([1, 2, 3, 4]) })).status,
  pre_sign_urls[0],
);
same("attachments: taken", put, 204);
const files = page(
  "list",
  await get("attachment/list", { project_id, entity_type: "trace", entity_id: at.id, path, page: 1, size: 100 }),
  { total: 1, members: ["link", "file_name", "file_size", "mime_type"] },
);
same(
  "attachments: what it is",
  [files[0]?.file_name, files[0]?.file_size, files[0]?.mime_type],
  ["shot.png", 4, "image/png"],
);
const got = await tab.evaluate(async (link) => {
  const answer = await fetch(link);
  return [answer.status, answer.headers.get("content-type"), [...new Uint8Array(await answer.arrayBuffer())]];
}, files[0]?.link);
same("attachments: shown by its link", got, [200, "image/png", [1, 2, 3, 4]]);
await done("POST", "attachment/delete", {
  file_names: ["shot.png"],
  entity_type: "trace",
  entity_id: at.id,
  container_id: project_id,
});
page(
  "removed",
  await get("attachment/list", { project_id, entity_type: "trace", entity_id: at.id, path, page: 1, size: 100 }),
  { total: 0 },
);

// Charts.
await visit("metrics", `/default/projects/${project_id}/metrics`);
same("metrics: what tokens there are", await get(`projects/${project_id}/token-usage/names`), {
  names: Object.keys(USAGE).sort(),
});
const PERCENTILES = (name) => ["p50", "p90", "p99"].map((one) => `${name}.${one}`);
for (const [metric_type, results, whole] of [
  ["TRACE_COUNT", ["traces"], TRACES - 4],
  ["SPAN_COUNT", ["spans"], 3 * (TRACES - 4)],
  ["THREAD_COUNT", ["threads"], TRACES / 4 - 1],
  ["COST", ["cost"], COST * 0.9],
  ["SPAN_COST", ["span_cost"], COST * 0.9],
  ["THREAD_COST", ["thread_cost"], COST * 0.9],
  ["TOKEN_USAGE", Object.keys(USAGE).sort()],
  ["SPAN_TOKEN_USAGE", Object.keys(USAGE).sort()],
  ["GUARDRAILS_FAILED_COUNT", ["failed"], 0],
  ["DURATION", PERCENTILES("duration")],
  ["SPAN_DURATION", PERCENTILES("span_duration")],
  ["THREAD_DURATION", PERCENTILES("thread_duration")],
  ["FEEDBACK_SCORES", ["quality"]],
  ["SPAN_FEEDBACK_SCORES", ["quality"]],
  ["THREAD_FEEDBACK_SCORES", [""]],
  ["TRACE_AVERAGE_DURATION", ["trace_average_duration"]],
  ["SPAN_AVERAGE_DURATION", ["span_average_duration"]],
  ["THREAD_AVERAGE_DURATION", ["thread_average_duration"]],
  ["TRACE_ERROR_RATE", ["trace_error_rate"]],
  ["SPAN_ERROR_RATE", ["span_error_rate"]],
]) {
  for (const interval of ["HOURLY", "DAILY", "WEEKLY", "TOTAL"]) {
    const answer = await post(`projects/${project_id}/metrics`, {
      metric_type,
      interval,
      ...span_of_time,
      trace_filters: [],
      span_filters: [],
      thread_filters: [],
    });
    const lines = answer.results ?? [];
    same(
      `metrics: lines of ${metric_type}, ${interval}`,
      [answer.project_id, answer.metric_type, answer.interval, lines.map(({ name }) => name).sort()],
      [project_id, metric_type, interval, results.toSorted()],
    );
    check(
      `metrics: points of ${metric_type}, ${interval}, in order`,
      lines.every(({ data }) => data.length > 0 && isSorted(data.map((one) => one.time))),
    );
    if (whole !== undefined) {
      const sum = lines[0]?.data.reduce((sum, { value }) => sum + (value ?? 0), 0);
      check(`metrics: all of ${metric_type}, ${interval}`, near(sum, whole), `${sum}, wanted ${whole}`);
    }
  }
}
for (const field of ["model", "provider", "type", "name", "tags", "error_info"]) {
  const { results = [] } = await post(`projects/${project_id}/metrics`, {
    metric_type: "SPAN_COUNT",
    interval: "DAILY",
    ...span_of_time,
    breakdown: { field },
  });
  check(`metrics: taken apart by ${field}`, results.length > 1, JSON.stringify(results));
}

// What is set up: scores that people give, environments, the workspace itself.
await visit("configuration", "/default/configuration?tab=feedback-definitions");
const seeded = page("definitions", await get("feedback-definitions/", { page: 1, size: 10, name: "" }), { total: 1 });
same(
  "configuration: the one that everybody has",
  [seeded[0]?.name, seeded[0]?.type, seeded[0]?.details],
  ["User feedback", "categorical", { categories: { "👍": 1, "👎": 0 } }],
);
for (const [type, details, changed] of [
  ["numerical", { min: 0, max: 10 }, { min: 1, max: 5 }],
  ["categorical", { categories: { good: 1, bad: 0 } }, { categories: { good: 1, fair: 0.5, bad: 0 } }],
  ["boolean", { true_label: "yes", false_label: "no" }, { true_label: "right", false_label: "wrong" }],
]) {
  const { location } = await post("feedback-definitions/", { name: `a ${type}`, type, details }, 201);
  const definition = location?.split("/").pop();
  await post("feedback-definitions/", { name: `A ${type}`, type, details }, 409);
  await done("PUT", `feedback-definitions/${definition}`, { name: `a ${type}`, type, details: changed });
  const read = await get(`feedback-definitions/${definition}`);
  same(
    `configuration: a ${type} definition`,
    [read.name, read.type, Object.entries(changed).map(([name]) => read.details?.[name])],
    [`a ${type}`, type, Object.values(changed)],
  );
  same(
    `configuration: ${type} definitions`,
    (await get("feedback-definitions/", { page: 1, size: 10, name: `A ${type}`, type })).total,
    1,
  );
  await done("DELETE", `feedback-definitions/${definition}`);
}
await done("POST", "feedback-definitions/delete", { ids: [id(BEGIN)] });
const environments = page("environments", await get("environments"), { total: 3 });
same("configuration: environments", names(environments), ["development", "staging", "production"]);
check(
  "configuration: their colours and places",
  environments.every((one) => /^#[0-9A-F]{6}$/i.test(one.color) && Number.isInteger(one.position)),
  JSON.stringify(environments),
);
const environment = (await post("environments", { name: "test_1", color: "#123456", position: 3 }, 201)).location
  ?.split("/")
  .pop();
await done("PATCH", `environments/${environment}`, { description: "for trying" });
same("configuration: an environment", (await get(`environments/${environment}`)).description, "for trying");
await done("POST", "environments/delete", { ids: [environment] });
await call("PUT", "workspaces/configurations/", {
  body: { timeout_to_mark_thread_as_inactive: "PT30M", truncation_on_tables: false, color_map: { quality: "#FF0000" } },
});
same("configuration: the workspace", await get("workspaces/configurations/"), {
  timeout_to_mark_thread_as_inactive: "PT30M",
  truncation_on_tables: false,
  color_map: { quality: "#FF0000" },
});
await done("DELETE", "workspaces/configurations/");

// Deleting from the tables.
await visit("deleting", `/default/projects/${project_id}/traces`);
await done("POST", "traces/delete", { ids: some, project_id });
await done("DELETE", `traces/${traces[2].id}`);
await done("DELETE", `spans/${spans.at(-13).id}`);
same(
  "deleting: the rest",
  [
    (await get("traces/", { ...shown, page: 1, size: 1 })).total,
    (await get("spans/", { ...listed, page: 1, size: 1 })).total,
  ],
  [TRACES - 7, 3 * (TRACES - 7) - 1],
);

// What an SDK prints as a link leads to the page of the trace.
where = "link";
await tab.goto(
  `${base}${withQuery("/api/v1/session/redirect/projects/", { trace_id: at.id, workspace_name: "default", path: Buffer.from(`${base}/`).toString("base64") })}`,
);
const led = new URL(tab.url());
same(
  "link: to the page of the trace",
  [led.pathname, led.searchParams.get("trace"), await tab.title()],
  [`/default/projects/${project_id}/traces`, at.id, "A user interface"],
);

// A trace of many spans: the tree is drawn from the light list while the full one still comes.
const long = { ...traces[0], id: id(BEGIN), name: "long", thread_id: undefined };
await shop.put(base, "traces/batch", { traces: [long] });
const many = Array.from({ length: LONG }, (_, n) => ({
  ...spans[0],
  id: id(BEGIN + n),
  trace_id: long.id,
  parent_span_id: undefined,
  name: `span ${n}`,
  input: { text: "question ".repeat(50) },
}));
for (let from = 0; from < LONG; from += 1_000)
  await shop.put(base, "spans/batch", { spans: many.slice(from, from + 1_000) });
await visit("long trace", `/default/projects/${project_id}/traces?trace=${long.id}`);
const lists = await tab.evaluate(
  (paths) => Promise.all(paths.map((path) => window.read(path))),
  [LIGHT, {}].map((how) =>
    withQuery(`${private_}/spans/`, { project_id, trace_id: long.id, page: 1, size: LONG, ...how }),
  ),
);
for (const [
  what,
  {
    status,
    length,
    pieces,
    page: { content, ...said },
  },
] of [
  ["light", lists[0]],
  ["full", lists[1]],
]) {
  same(`long trace: the ${what} list`, [status, said.page, said.size, said.total], [200, 1, LONG, LONG]);
  same(
    `long trace: the ${what} list has every span`,
    content.map((one) => one.id),
    many.map((one) => one.id).toReversed(),
  );
  check(
    `long trace: the ${what} list comes piece by piece`,
    length === null && pieces > 1,
    `${length} bytes, ${pieces} pieces`,
  );
  same(
    `long trace: the ${what} list and payloads`,
    content.every((one) => "input" in one === (what === "full")),
    true,
  );
  const operation = document.operationOf("GET", `${private_}/spans`);
  const wrong = document.mistakes(operation, {
    status,
    type: "application/json",
    text: JSON.stringify({ ...said, content: content.slice(0, 100) }),
  });
  check(`long trace: the ${what} list is as documented`, wrong === "", wrong);
}

// What is not there is said so in JSON, whatever the browser asks for; a page would look to the interface like data.
await visit("what is not there", "/default/datasets");
for (const path of [
  "datasets/",
  "datasets/items",
  "experiments/",
  "experiments/groups",
  "prompts/",
  "dashboards/",
  "alerts/",
  "automations/evaluators/",
  "annotation-queues/",
  "optimizations/",
  "llm-provider-key/",
  "guardrails",
  "welcome-wizard",
  "insights-views",
  "retention/rules",
  "workspaces/costs",
  "workspaces/metrics",
  "workspaces/metrics/summaries",
  "agent-configs/blueprints",
  "agent-insights/issues",
  "local-runners",
  "ollie/state",
  `projects/${project_id}/datasets`,
  `projects/${project_id}/experiments`,
  `projects/${project_id}/dashboards`,
  `projects/${project_id}/alerts`,
  `projects/${project_id}/prompts`,
  `projects/${project_id}/reports`,
  "report-failures",
  "otel/v1/traces",
  "nothing/at/all",
]) {
  for (const accept of ["application/json, text/plain, */*", "text/html,*/*;q=0.8"]) {
    for (const method of ["GET", "POST"]) {
      const [status, type, text] = await tab.evaluate(
        async ([method, path, accept]) => {
          const answer = await fetch(path, {
            method,
            headers: { Accept: accept, "Content-Type": "application/json" },
            body: method === "POST" ? "{}" : undefined,
          });
          return [answer.status, answer.headers.get("content-type"), await answer.text()];
        },
        [method, `/api${private_}/${path}`, accept],
      );
      const told = type === "application/json" && JSON.parse(text);
      check(
        `what is not there: ${method} ${path.replace(project_id, "ID")} for ${accept.slice(0, 16)}`,
        status === 404 && told.code === 404 && told.errors.length > 0,
        `${status} ${type} ${text.slice(0, 100)}`,
      );
    }
  }
}

same("no error in the pages, no request to another host", trouble, []);
console.log(
  `      ${asked.size} of ${document.operations.length} operations: not asked for ${document.operations
    .map((one) => one.operation.operationId)
    .filter((one) => !asked.has(one))
    .join(", ")}`,
);
await browser.close();
console.log(`${counts.passed} passed, ${counts.failed} failed`);
process.exit(counts.failed ? 1 : 0);
