// What the suites on the official npm package `opik` share. Looks for the package in NODE_MODULES, or where it is run.

import { createRequire } from "node:module";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";

export const folder = mkdtempSync(join(tmpdir(), "spandrel-sdk-"));
// Before the package is loaded: it reads these then. The user's own settings are left alone.
process.env.OPIK_CONFIG_PATH = join(folder, "opik.config");
writeFileSync(process.env.OPIK_CONFIG_PATH, "");
process.env.OPIK_LOG_LEVEL = "ERROR";

export const opik = createRequire(`${process.env.NODE_MODULES ?? process.cwd()}/`)("opik");
const counts = { passed: 0, failed: 0 };

// What the package tells of data that it drops: it tells it nowhere else.
export const dropped = [];
opik.logger.settings.type = "hidden";
opik.logger.attachTransport((entry) => {
  const said = String(entry[0]);
  if (said.startsWith("Failed to flush")) dropped.push(`${said} ${entry[1]?.message ?? ""}`);
});

// Without the line of code that node would print: the package is a few lines of a megabyte.
process.on("uncaughtException", (error) => {
  console.error(error.stack);
  process.exit(1);
});

export const unique = (name) => `${name}-${randomBytes(4).toString("hex")}`;

export function check(what, got, wanted) {
  const ok = isDeepStrictEqual(got, wanted);
  counts[ok ? "passed" : "failed"] += 1;
  console.log(`${ok ? "ok  " : "FAIL"}  ${what}${ok ? "" : `: got ${JSON.stringify(got)}, wanted ${JSON.stringify(wanted)}`}`);
}

export const statusOf = (call) => call.then(() => "no error", (error) => error.statusCode ?? String(error));

// Asks again and again until the answer is this one. Returns the last answer.
export async function until(ask, wanted, seconds = 60) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const got = await ask();
    if (isDeepStrictEqual(got, wanted) || Date.now() > deadline) return got;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

// The last line, and the exit status. Ends the process, which the package's timers would keep for a minute.
export function finish() {
  rmSync(folder, { recursive: true, force: true });
  console.log(`${counts.passed} passed, ${counts.failed} failed`);
  process.exit(counts.failed || !counts.passed ? 1 : 0);
}
