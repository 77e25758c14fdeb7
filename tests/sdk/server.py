"""A server of one's own, for suites that fill, block or kill it."""

import json
import os
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request


class Postgres:
    """A PostgreSQL of one's own; made and removed by the program that the tests in Rust have for it."""

    def __init__(self) -> None:
        command = ["cargo", "test", "--quiet", "--locked", "--test", "postgres", "--", "--cluster"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = self.read()
        self.databases = 0

    def read(self) -> str:
        """The next line that it says."""
        for line in self.process.stdout:
            if line.strip():
                return line.strip()
        raise SystemExit("no PostgreSQL")

    def say(self, what: str) -> None:
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        assert self.read() == what

    def stop(self) -> None:
        self.say("stop")

    def start(self) -> None:
        self.say("start")

    def database(self) -> str:
        """The URL of a new one."""
        self.databases += 1
        subprocess.run(["psql", "-qX", self.url, "-c", f"CREATE DATABASE sdk_{self.databases}"], check=True)
        return f"{self.url.rpartition('/')[0]}/sdk_{self.databases}"


# Where databases are made; without one, they are files. It goes with this process.
POSTGRES = Postgres() if os.environ.get("SPANDREL_TESTS_STORE") == "postgres" else None


class Server:
    """Runs on a database that outlives it; `start` brings it back under the same address."""

    def __init__(self, binary: str, *flags: str):
        self.binary, self.flags = binary, flags
        self.folder = tempfile.TemporaryDirectory(prefix="spandrel-sdk-")
        self.database = os.path.join(self.folder.name, "spandrel.db")
        self.database_url = POSTGRES.database() if POSTGRES else f"sqlite:{self.database}"
        self.address = "127.0.0.1:0"
        self.start()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.folder.cleanup()

    def start(self, *flags: str) -> None:
        ready = os.path.join(self.folder.name, "ready")
        command = [self.binary, "serve", "--listen", self.address, "--database", self.database_url]
        with open(os.path.join(self.folder.name, "log"), "ab") as log:
            command += ["--ready-file", ready, *(flags or self.flags)]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while not (os.path.exists(ready) and os.path.getsize(ready)):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"no server: {self.log()}")
            time.sleep(0.01)
        with open(ready, encoding="utf-8") as file:
            self.base = file.read().strip()
        os.remove(ready)
        self.address = self.base.removeprefix("http://")
        self.url = f"{self.base}/api"

    def kill(self) -> None:
        """As a power cut does: nothing is finished."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def ping(self) -> int:
        """The status of the answer that SDKs go by."""
        return self.get("/is-alive/ping")[0]

    def get(self, path: str) -> tuple[int, dict]:
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def memory(self, which: str) -> float:
        """MB that it holds in memory (`VmRSS`), or held at most (`VmHWM`); 0 where the operating system does not tell."""
        try:
            with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as file:
                return next(int(line.split()[1]) for line in file if line.startswith(which)) / 1024
        except OSError:
            return 0

    def log(self) -> str:
        with open(os.path.join(self.folder.name, "log"), encoding="utf-8") as file:
            return file.read()
