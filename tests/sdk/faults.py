#!/usr/bin/env python3
"""What the official Python package `opik` does about each fault of a server: a server is told to misbehave, and what it
then received is looked at.

    pip install opik
    python tests/sdk/faults.py target/release/spandrel docs/testing-with-spandrel.md

Prints the table that stands in the page, each row as it was observed just now; the page must have the same. The last line
is 'N passed, N failed'; the exit status is 1 when a check failed. Faults are tried side by side, each with a server of its
own: it takes as long as the longest of the package's pauses.
"""

import concurrent.futures
import datetime as dt
import json
import os
import sys
import time
import urllib.request

from check import check, finish, until
from server import Server

# How often it asks whether the server is there, so that nobody waits 10 s for a change to be seen.
os.environ["OPIK_CONNECTION_MONITOR_PING_INTERVAL"] = "0.2"

import opik  # noqa: E402

BINARY, PAGE = sys.argv[1:3]
WRITE = "createTraces"
AGAIN = {"times": 1_000}
LATER = {"status": 429, "headers": {"Retry-After": "1", "RateLimit-Reset": "1"}}


class Faulty(Server):
    """A server that can be told to misbehave, and tells what it received."""

    def __init__(self) -> None:
        super().__init__(BINARY, "--test-api")

    def call(self, method: str, path: str, body: dict | None = None) -> dict | None:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=70) as answer:
            text = answer.read()
            return json.loads(text) if text else None

    def fault(self, **fault) -> None:
        self.call("POST", "/v1/test/faults", fault)

    def tries(self, operation: str = WRITE) -> list[float]:
        """When each request for it came, in seconds."""
        told = self.call("GET", f"/v1/test/requests?operation_id={operation}")["requests"]
        times = [request["received_at"].replace("Z", "+00:00") for request in told]
        # Python 3.10 reads no more than six digits of a fraction.
        return [dt.datetime.fromisoformat(t[:19]).timestamp() + float("0" + t[19:-6]) for t in times]

    def stored(self) -> int:
        status, page = self.get("/v1/private/traces?project_name=faults")
        return page["total"] if status == 200 else 0


def pauses(times: list[float]) -> str:
    gaps = [int(later - earlier + 0.02) for earlier, later in zip(times, times[1:])]
    if not gaps:
        return "1 try"
    return f"{len(times)} tries, after {', '.join(str(gap) for gap in gaps)} s"


def fate(stored: int, client: opik.Opik) -> str:
    dropped = client.get_errors_report().total_dropped_messages
    if stored:
        return "stored" if stored == 1 else f"stored {stored} times"
    return "lost, and reported" if dropped else "lost silently"


def write(*faults: dict) -> str:
    """A trace is written, and flushed."""
    with Faulty() as server:
        for fault in faults:
            server.fault(operation_id=WRITE, **at(server, fault))
        client = opik.Opik(project_name="faults", host=server.url)
        # Not ended: that would be a second write, which stores it as well.
        client.trace(name="a", input={"a": 1})
        flushed = client.flush(timeout=60)
        told = f"{pauses(server.tries())}; {fate(server.stored(), client)}; `flush()` is {flushed}"
        client.end(timeout=1)
        return told


def at(server: Server, fault: dict) -> dict:
    """With the server's address in the place of `BASE`."""
    return json.loads(json.dumps(fault).replace("BASE", server.base))


def after_401() -> str:
    """The next write, and one after the time in which the package sends nothing."""
    with Faulty() as server:
        server.fault(operation_id=WRITE, status=401)
        client = opik.Opik(project_name="faults", host=server.url)
        for pause in (0, 0, 11):
            time.sleep(pause)
            client.trace(name="a")
            client.flush()
        told = f"the next write at once is {'sent' if len(server.tries()) > 2 else 'dropped unsent'}; "
        told += f"one 11 s later is {'stored' if server.stored() == 1 else 'lost'}"
        client.end(timeout=1)
        return told


def away(**fault) -> str:
    """The server says that it is not well, and then that it is."""
    with Faulty() as server:
        client = opik.Opik(project_name="faults", host=server.url)
        server.fault(operation_id="isAlive", **fault, **AGAIN)
        until(lambda: client._streamer._fallback_replay_manager.has_server_connection, False)
        client.trace(name="a").end()
        flushed, sent = client.flush(), len(server.tries())
        server.call("DELETE", "/v1/test/faults")
        server.call("POST", "/v1/test/wait", {"kind": "traces", "project_name": "faults", "timeout_ms": 60_000})
        told = f"{'kept on disk' if not sent else 'sent'}, `flush()` is {flushed}; sent when all is well: "
        told += "stored" if server.stored() == 1 else "lost"
        client.end(timeout=1)
        return told


def refused() -> str:
    """Nobody listens, and then somebody does."""
    with Faulty() as server:
        client = opik.Opik(project_name="faults", host=server.url)
        client.trace(name="before").end()
        client.flush()
        server.kill()
        client.trace(name="a").end()
        flushed = client.flush(timeout=60)
        server.start()
        until(server.stored, 2)
        told = f"kept on disk, `flush()` is {flushed}; sent when it is back: {'stored' if server.stored() == 2 else 'lost'}"
        client.end(timeout=1)
        return told


def search(*faults: dict, traces: int = 3) -> str:
    """What a search returns, or raises."""
    with Faulty() as server:
        client = opik.Opik(project_name="faults", host=server.url)
        for number in range(traces):
            client.trace(name=str(number), input={"a": "x" * 100}).end()
        client.flush()
        for fault in faults:
            server.fault(operation_id="searchTraces", **fault)
        try:
            told = f"{len(client.search_traces(project_name='faults'))} of {traces} found"
        except Exception as error:  # noqa: BLE001 - whatever it raises is what is told
            status = getattr(error, "status_code", None)
            told = f"raises `{type(error).__name__}`" + (f" with status {status}" if status else "")
        told = f"{pauses(server.tries('searchTraces'))}; {told}"
        client.end(timeout=1)
        return told


def get(*faults: dict) -> str:
    """What a read of one trace returns, or raises."""
    with Faulty() as server:
        client = opik.Opik(project_name="faults", host=server.url)
        trace = client.trace(name="a")
        trace.end()
        client.flush()
        for fault in faults:
            server.fault(operation_id="getTraceById", **fault)
        try:
            told = f"the trace {client.get_trace_content(trace.id).name}"
        except Exception as error:  # noqa: BLE001 - whatever it raises is what is told
            status = getattr(error, "status_code", None)
            told = f"raises `{type(error).__name__}`" + (f" with status {status}" if status else "")
        told = f"{pauses(server.tries('getTraceById'))}; {told}"
        client.end(timeout=1)
        return told


HTML = {"status": 200, "body": "<html></html>", "headers": {"Content-Type": "text/html"}}
ELSEWHERE = {"headers": {"Location": "BASE/is-alive/ping"}}
THERE = {"headers": {"Location": "BASE/v1/private/traces/batch"}}

ROWS = [
    *((f"write: {status}", lambda status=status: write({"status": status, **AGAIN})) for status in (400, 401, 403, 404)),
    ("write: 401, and what follows", after_401),
    *((f"write: {status}", lambda status=status: write({"status": status, **AGAIN})) for status in (408, 409, 413, 422)),
    *((f"write: {s}", lambda s=s: write({"status": s, **AGAIN})) for s in (500, 501, 502, 503, 504)),
    ("write: 500, once", lambda: write({"status": 500})),
    ("write: 500, once, although it was stored", lambda: write({"status": 500, "handled": True})),
    ("write: 200 with a page", lambda: write(HTML)),
    ("write: 303 to elsewhere", lambda: write({"status": 303, **ELSEWHERE})),
    ("write: 307 to the same", lambda: write({"status": 307, **THERE})),
    ("write: 429, once, `Retry-After: 1`", lambda: write({"status": 429, "headers": {"Retry-After": "1"}})),
    ("write: 429, four times, `Retry-After: 1`, `RateLimit-Reset: 1`", lambda: write({**LATER, "times": 4})),
    ("write: 429, for ever, `Retry-After: 1`", lambda: write({"status": 429, "headers": {"Retry-After": "1"}, **AGAIN})),
    ("write: 429, for ever, without headers", lambda: write({"status": 429, **AGAIN})),
    (
        "write: 429, for ever, `RateLimit-Reset: 1.5`",
        lambda: write({"status": 429, "headers": {"Retry-After": "1", "RateLimit-Reset": "1.5"}, **AGAIN}),
    ),
    ("write: connection closed, once", lambda: write({"connection": "closed"})),
    ("write: connection reset, once", lambda: write({"connection": "reset"})),
    ("write: connection closed, once, although it was stored", lambda: write({"connection": "closed", "handled": True})),
    ("write: answer cut short, once", lambda: write({"status": 200, "body": "{\"a\": 1}", "cut_after_bytes": 2})),
    ("write: answer 2 s late", lambda: write({"delay_ms": 2_000})),
    ("write: connection refused", refused),
    ("ping: 503", lambda: away(status=503)),
    ("ping: connection closed", lambda: away(connection="closed")),
    ("read: 404", lambda: get({"status": 404, **AGAIN})),
    ("read: 503, once", lambda: get({"status": 503})),
    ("read: 200 with a page", lambda: get(HTML)),
    ("read: 200 without a required member", lambda: get({"status": 200, "body": "{}"})),
    ("search: 429, once, `RateLimit-Reset: 1`", lambda: search(LATER)),
    ("search: 429, once, without headers", lambda: search({"status": 429})),
    ("search: 503, for ever", lambda: search({"status": 503, **AGAIN})),
    ("search: cut short, once", lambda: search({"cut_after_bytes": 300})),
    ("search: cut short, for ever", lambda: search({"cut_after_bytes": 300, **AGAIN})),
]


def main() -> None:
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        running = [(what, pool.submit(observe)) for what, observe in ROWS]
        rows = [f"| Python | {what} | {observed.result()} |" for what, observed in running]
    print("\n".join(["| SDK | fault | what was observed |", "| --- | --- | --- |", *rows]), flush=True)
    with open(PAGE, encoding="utf-8") as file:
        page = file.read().splitlines()
    for row in rows:
        # The row of the page about the same fault.
        begin = row[: row.index(" | ", len("| Python | ")) + 3]
        check(begin.strip("| "), row, next((line for line in page if line.startswith(begin)), "not in the page"))
    finish()


main()
