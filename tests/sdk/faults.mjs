// What the official npm package `opik` does about each fault of a server: a server is told to misbehave, and what it then
// received is looked at.
//
//     npm install opik
//     node tests/sdk/faults.mjs target/release/spandrel docs/testing-with-spandrel.md
//
// Prints the table that stands in the page, each row as it was observed just now; the page must have the same. The package
// is looked for in NODE_MODULES, or where this is run. The last line is 'N passed, N failed'; the exit status is 1 when a
// check failed.

import { readFileSync } from "node:fs";

import { check, dropped, finish, opik } from "./check.mjs";
import { Server } from "./server.mjs";

const { Opik } = opik;
const [binary, page] = process.argv.slice(2);
const WRITE = "createTraces";
const AGAIN = { times: 1_000 };

// A server that can be told to misbehave, and tells what it received.
class Faulty extends Server {
  constructor() {
    super(binary, "--test-api");
  }

  async call(method, path, body) {
    const headers = { "Content-Type": "application/json" };
    const answer = await fetch(this.url + path, { method, headers, body: body && JSON.stringify(body) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text && JSON.parse(text);
  }

  fault(fault) {
    return this.call("POST", "/v1/test/faults", fault);
  }

  // When each request for an operation came, in seconds.
  async tries(operation = WRITE) {
    const { requests } = await this.call("GET", `/v1/test/requests?operation_id=${operation}`);
    return requests.map((request) => Date.parse(request.received_at) / 1000);
  }

  async stored() {
    const answer = await fetch(`${this.url}/v1/private/traces?project_name=faults`);
    return answer.ok ? (await answer.json()).total : 0;
  }
}

function pauses(times) {
  const gaps = times.slice(1).map((later, index) => Math.floor(later - times[index] + 0.3));
  return gaps.length === 0 ? "1 try" : `${times.length} tries, after ${gaps.join(", ")} s`;
}

// What is done with a server and a client of it.
async function observing(work) {
  const server = new Faulty();
  await server.start();
  const client = new Opik({ apiUrl: server.url, projectName: "faults", holdUntilFlush: true });
  try {
    return await work(server, client);
  } finally {
    await server.kill();
  }
}

// A trace is written, and flushed.
const write = (stated) => observing(async (server, client) => {
  const before = dropped.length;
  const fault = typeof stated === "function" ? await stated() : stated;
  await server.fault({ operation_id: WRITE, ...JSON.parse(JSON.stringify(fault).replaceAll("BASE", server.url)) });
  client.trace({ name: "a", input: { a: 1 } }).end();
  const flushed = await client.flush().then(() => "`flush()` returns", (error) => `\`flush()\` throws ${error.name}`);
  const stored = await server.stored();
  const lost = dropped.length > before ? "lost, and logged" : "lost silently";
  return `${pauses(await server.tries())}; ${stored ? "stored" : lost}; ${flushed}`;
});

// What a search returns, or throws.
const search = (fault) => observing(async (server, client) => {
  for (const name of ["1", "2", "3"]) client.trace({ name, input: { a: "x".repeat(100) } }).end();
  await client.flush();
  await server.fault({ operation_id: "searchTraces", ...fault });
  const found = await client.searchTraces().then(
    (traces) => `${traces.length} of 3 found`,
    (error) => `throws${error.statusCode ? ` with status ${error.statusCode}` : ""}`,
  );
  return `${pauses(await server.tries("searchTraces"))}; ${found}`;
});

// What a read of one trace returns, or throws.
const get = (fault) => observing(async (server, client) => {
  const trace = client.trace({ name: "a" });
  trace.end();
  await client.flush();
  await server.fault({ operation_id: "getTraceById", ...fault });
  const got = await client.api.traces.getTraceById(trace.data.id).then(
    (read) => (read.name ? `the trace ${read.name}` : `returns \`${JSON.stringify(read).slice(0, 60)}\``),
    (error) => `throws${error.statusCode ? ` with status ${error.statusCode}` : ""}`,
  );
  return `${pauses(await server.tries("getTraceById"))}; ${got}`;
});

const html = { status: 200, body: "<html></html>", headers: { "Content-Type": "text/html" } };
const elsewhere = { headers: { Location: "BASE/is-alive/ping" } };
const there = { headers: { Location: "BASE/v1/private/traces/batch" } };
const limited = (headers) => ({ status: 429, headers });

// The time in so many seconds, as a whole second: this one begins just now.
async function inSeconds(seconds) {
  await new Promise((resolve) => setTimeout(resolve, 1_000 - (Date.now() % 1_000)));
  return Math.floor(Date.now() / 1_000) + seconds;
}

const rows = [
  ...[400, 401, 403, 404, 408, 409, 413, 422, 500, 501, 502, 503, 504].map((status) => [
    `write: ${status}`, () => write({ status, ...AGAIN }),
  ]),
  ["write: 500, once", () => write({ status: 500 })],
  ["write: 500, once, although it was stored", () => write({ status: 500, handled: true })],
  ["write: 200 with a page", () => write(html)],
  ["write: 303 to elsewhere", () => write({ status: 303, ...elsewhere })],
  ["write: 307 to the same", () => write({ status: 307, ...there })],
  ["write: 429, once, `Retry-After: 2`", () => write(limited({ "Retry-After": "2" }))],
  ["write: 429, once, `Retry-After` as a date in 4 s", () => write(async () => {
    return limited({ "Retry-After": new Date((await inSeconds(4)) * 1_000).toUTCString() });
  })],
  ["write: 429, once, `X-RateLimit-Reset` in 2 s", () => write(async () => {
    return limited({ "X-RateLimit-Reset": String(await inSeconds(2)) });
  })],
  ["write: 429, for ever, `Retry-After: 1`, `RateLimit-Reset: 1`", () => write({ ...limited({ "Retry-After": "1", "RateLimit-Reset": "1" }), ...AGAIN })],
  ["write: 429, for ever, without headers", () => write({ status: 429, ...AGAIN })],
  ["write: connection closed, once", () => write({ connection: "closed" })],
  ["write: connection reset, once", () => write({ connection: "reset" })],
  ["write: connection closed, once, although it was stored", () => write({ connection: "closed", handled: true })],
  ["write: answer cut short, once", () => write({ status: 200, body: "{\"a\": 1}", cut_after_bytes: 2 })],
  ["write: answer 2 s late", () => write({ delay_ms: 2_000 })],
  ["read: 404", () => get({ status: 404, ...AGAIN })],
  ["read: 503, once", () => get({ status: 503 })],
  ["read: 200 with a page", () => get(html)],
  ["read: 200 without a required member", () => get({ status: 200, body: "{}" })],
  ["search: 429, once, `Retry-After: 1`", () => search(limited({ "Retry-After": "1" }))],
  ["search: 503, for ever", () => search({ status: 503, ...AGAIN })],
  ["search: cut short, once", () => search({ cut_after_bytes: 300 })],
];

// Each row has a server, which is looked after until the process ends.
process.setMaxListeners(rows.length + 10);
// One after the other: what is dropped is told for the whole process.
const lines = readFileSync(page, "utf8").split("\n");
console.log("| SDK | fault | what was observed |\n| --- | --- | --- |");
const observed = [];
for (const [what, observe] of rows) {
  const row = `| TypeScript | ${what} | ${await observe()} |`;
  console.log(row);
  observed.push([what, row]);
}
for (const [what, row] of observed) {
  const begin = `| TypeScript | ${what} | `;
  check(what, row, lines.find((line) => line.startsWith(begin)) ?? "not in the page");
}
finish();
