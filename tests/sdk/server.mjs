// A server of one's own, for suites that block or kill it.

import { spawn } from "node:child_process";
import { openSync, readFileSync, rmSync } from "node:fs";
import { once } from "node:events";
import { join } from "node:path";

import { folder, unique, until } from "./check.mjs";

// Runs on a file that outlives it; `start` brings it back under the same address.
export class Server {
  constructor(binary, ...flags) {
    Object.assign(this, { binary, flags, address: "127.0.0.1:0", database: join(folder, unique("spandrel.db")) });
    process.on("exit", () => this.process?.kill("SIGKILL"));
  }

  async start() {
    const ready = join(folder, "ready");
    rmSync(ready, { force: true });
    const where = ["--listen", this.address, "--database", `sqlite:${this.database}`, "--ready-file", ready];
    const log = openSync(join(folder, "log"), "a");
    this.process = spawn(this.binary, ["serve", ...where, ...this.flags], { stdio: ["ignore", log, log] });
    const base = () => { try { return readFileSync(ready, "utf8").trim(); } catch { return ""; } };
    if (!(await until(() => base() !== "" || this.process.exitCode !== null, true)) || base() === "") {
      throw new Error(`no server: ${readFileSync(join(folder, "log"), "utf8")}`);
    }
    this.address = base().replace("http://", "");
    this.url = `${base()}/api`;
  }

  // As a power cut does: nothing is finished.
  async kill() {
    this.process.kill("SIGKILL");
    await once(this.process, "exit");
  }
}
