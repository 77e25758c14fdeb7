// Uses the types that openapi-typescript generated, with openapi-fetch.
//
// The last line is 'N passed, N failed'; the exit status is 1 when a check failed.

import createClient from "openapi-fetch";
import type { components, paths } from "./opik.js";

type Span = components["schemas"]["Span_Public"];

const counts = { passed: 0, failed: 0 };
const project = `typescript-${Date.now()}`;
const start = "2025-01-02T03:04:05.678901Z";
const input = { question: "why", n: [1, 2.5, null] };

function check(what: string, got: unknown, wanted: unknown): void {
  const ok = JSON.stringify(got) === JSON.stringify(wanted);
  counts[ok ? "passed" : "failed"] += 1;
  const detail = ok ? "" : `: got ${JSON.stringify(got)}, wanted ${JSON.stringify(wanted)}`;
  console.log(`${ok ? "ok  " : "FAIL"}  ${what}${detail}`);
}

const client = createClient<paths>({ baseUrl: process.argv[2]! });

const created = await client.POST("/v1/private/spans", {
  body: {
    start_time: start,
    project_name: project,
    name: "chat",
    type: "llm",
    input,
    output: "because",
    tags: ["a", "b"],
  },
});
check("create answers 201", created.response.status, 201);
const id = created.response.headers.get("location")!.split("/").at(-1)!;

const read = await client.GET("/v1/private/spans/{id}", { params: { path: { id } } });
check("read: name", read.data?.name, "chat");
check("read: start", read.data?.start_time, start);
check("read: input", read.data?.input, input);
check("read: output", read.data?.output, "because");
check("read: tags", read.data?.tags, ["a", "b"]);

const page = await client.GET("/v1/private/spans", { params: { query: { project_name: project } } });
check("list: total", page.data?.total, 1);
check("list: id", page.data?.content?.map((span) => span.id), [id]);

// Typed as a list, but sent as one object a line.
const search = await client.POST("/v1/private/spans/search", { body: { project_name: project }, parseAs: "text" });
const lines: string[] = (search.data ?? "").split("\n").filter((line) => line !== "");
const found: Span[] = lines.map((line) => JSON.parse(line));
check("search: ids", found.map((span) => span.id), [id]);
check("search: input", found[0]?.input, input);

const refused = await client.POST("/v1/private/spans", { body: { start_time: start, project_name: " " } });
check("a blank project name answers 422", refused.response.status, 422);
check("error: code", refused.error?.code, 422);
check("error: errors", refused.error?.errors, ["projectName must not be blank"]);
check("error: place", refused.error?.violations?.map((violation) => violation.pointer), ["/project_name"]);

const missing = await client.GET("/v1/private/spans/{id}", {
  params: { path: { id: "01900000-0000-7000-8000-ffffffffffff" } },
});
check("what is not there is an error too", missing.error?.code, 404);

console.log(`${counts.passed} passed, ${counts.failed} failed`);
process.exitCode = counts.failed > 0 ? 1 : 0;
