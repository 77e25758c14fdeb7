// What there is to see in a user interface, as an application would send it: 40 traces of the last hours, one a minute, in
// threads of four, each of three spans.

export const BEGIN = Date.now() - 3 * 3_600_000;
let drawn = 0;
export const id = (millis) => {
  const hex = Math.floor(millis).toString(16).padStart(12, "0");
  drawn += 1;
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-${drawn.toString(16).padStart(12, "0")}`;
};
export const time = (millis) => new Date(millis).toISOString();
export const TRACES = 40;
export const PROJECT = "shop";
export const USAGE = { prompt_tokens: 1_000, completion_tokens: 100, total_tokens: 1_100 };
export const traces = Array.from({ length: TRACES }, (_, n) => {
  const at = BEGIN + n * 60_000;
  return {
    id: id(at),
    project_name: PROJECT,
    name: `trace ${n}`,
    start_time: time(at),
    end_time: time(at + 1_000 + n),
    input: { question: `question ${n}` },
    output: { answer: n % 2 ? "even so" : "odd" },
    metadata: { customer: n % 3 },
    tags: ["shop", ...(n % 2 ? ["late"] : [])],
    thread_id: `thread ${Math.floor(n / 4)}`,
    source: "sdk",
    environment: "production",
    ttft: 10 + n,
    ...(n % 10 ? {} : { error_info: { exception_type: "ValueError", message: "bad", traceback: "Traceback" } }),
  };
});
export const spans = traces.flatMap((trace, n) => {
  const at = BEGIN + n * 60_000;
  const root = id(at + 1);
  const span = (type, parent, more) => ({
    id: parent ? id(at + 2) : root,
    trace_id: trace.id,
    parent_span_id: parent,
    project_name: PROJECT,
    name: `${type} ${n}`,
    type,
    start_time: time(at + 1),
    end_time: time(at + 501),
    input: trace.input,
    output: trace.output,
    source: "sdk",
    environment: "production",
    ...more,
  });
  return [
    span("general", undefined, { metadata: { step: 1 }, tags: ["root"] }),
    span("llm", root, { usage: USAGE, model: "gpt-4o-mini", provider: "openai", ttft: 5 }),
    span("tool", root, n % 10 ? {} : { error_info: traces[0].error_info }),
  ];
});
export const COST = TRACES * (1_000 * 0.15e-6 + 100 * 0.6e-6);

export const put = async (base, path, body, status = 204) => {
  const answer = await fetch(`${base}/api/v1/private/${path}`, {
    method: path.endsWith("feedback-scores") ? "PUT" : "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  if (answer.status !== status) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
};

const score = (id, n) => ({
  id,
  project_name: PROJECT,
  name: "quality",
  value: n / TRACES,
  source: "sdk",
  reason: "as it is",
});

export async function send(base) {
  await put(base, "traces/batch", { traces });
  await put(base, "spans/batch", { spans });
  await put(base, "traces/feedback-scores", { scores: traces.map((trace, n) => score(trace.id, n)) });
  await put(base, "spans/feedback-scores", {
    scores: spans.filter(({ type }) => type === "llm").map((span, n) => score(span.id, n)),
  });
}
