// Uses the official npm package `opik` with a server that has too much to do, or cannot write.
//
//     npm install opik
//     node tests/sdk/pressure.mjs target/release/spandrel
//
// Needs `python3` too, as the other program that holds the database. The package is looked for in NODE_MODULES, or where
// this is run. The last line is 'N passed, N failed'; the exit status is 1 when a check failed.

import { spawn } from "node:child_process";
import { once } from "node:events";

import { check, dropped, finish, opik, unique } from "./check.mjs";
import { Server } from "./server.mjs";

const { Opik } = opik;

// Every answer that the package gets. What is told of the second refusal happens before the package knows of it.
const statuses = [];
let atTheSecond;
const { fetch } = globalThis;
globalThis.fetch = async (...request) => {
  const response = await fetch(...request);
  statuses.push(response.status);
  if (response.status === 429 && statuses.filter((status) => status === 429).length === 2) await atTheSecond();
  return response;
};

// Holds the database for writing, until the function that is returned is called.
async function hold(database) {
  const program = "import sqlite3, sys; sqlite3.connect(sys.argv[1], isolation_level=None).execute('BEGIN IMMEDIATE'); " +
    "print('held', flush=True); sys.stdin.read()";
  const holder = spawn("python3", ["-c", program, database], { stdio: ["pipe", "pipe", "inherit"] });
  await once(holder.stdout, "data");
  return async () => {
    holder.stdin.end();
    await once(holder, "exit");
  };
}

// One trace with one span, made and flushed; done when both have been answered.
async function write(client) {
  const trace = client.trace({ name: "kept", input: { a: 1 } });
  trace.span({ name: "its", output: { b: 2 } }).end();
  trace.end();
  await client.flush();
}

async function stored(client) {
  const [traces, spans] = [await client.searchTraces(), await client.searchSpans()];
  return [...traces, ...spans].map(({ name }) => name).sort();
}

// The package tries three times: two waits, as long as it is told.
async function survives(what, flags, writes) {
  const server = new Server(process.argv[2], ...flags);
  await server.start();
  const client = new Opik({ apiUrl: server.url, projectName: unique("survives"), holdUntilFlush: true });
  statuses.length = 0;
  atTheSecond = await hold(server.database);
  await writes(client);
  check(`${what}: refused twice`, statuses.filter((status) => status === 429).length, 2);
  check(`${what}: everything is there`, await stored(client), ["its", "kept"]);
  check(`${what}: nothing was dropped`, dropped, []);
  await server.kill();
}

await survives("database held", [], write);
// A write that waits for the database takes all the room that there is.
await survives("queue full", ["--queue-rows-max", "1"], (client) => {
  const waits = client.api.traces.createTrace({ name: "waits", startTime: new Date(), projectName: "other" });
  return Promise.all([waits, write(client)]);
});
finish();
