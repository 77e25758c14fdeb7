#!/usr/bin/env python3
"""Uses the official Python package `opik` with servers that have too much to do, cannot write, or are away.

    pip install opik
    python tests/sdk/pressure.py target/release/spandrel
    SPANDREL_TESTS_STORE=postgres python tests/sdk/pressure.py target/release/spandrel

The last line is 'N passed, N failed'; the exit status is 1 when a check failed.
"""

import contextlib
import datetime as dt
import json
import logging
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator

from check import check, finish, status_of, unique, until
from server import POSTGRES, Server

# How often it is asked for, so that nobody waits 10 s for a change to be seen.
os.environ["OPIK_CONNECTION_MONITOR_PING_INTERVAL"] = "0.2"

import httpx  # noqa: E402
import opik  # noqa: E402
from opik.api_objects.helpers import generate_id  # noqa: E402
from opik.rest_api import OpikApi  # noqa: E402

BINARY = sys.argv[1]
NOW = dt.datetime.now(dt.timezone.utc)


def connected(client: opik.Opik) -> bool:
    """Whether it takes the server for well; otherwise it keeps its data to itself. It has no public name for that."""
    return client._streamer._fallback_replay_manager.has_server_connection


def log(client: opik.Opik) -> dict[str, str]:
    """Writes of every kind. Returns what the ids of traces must lead to."""
    wanted = {}
    for number in range(20):
        trace = client.trace(name="kept", input={"n": number})
        span = trace.span(name="its", type="llm")
        span.end(output={"n": number})
        span.log_feedback_score("s", number)
        trace.log_feedback_score("t", number)
        trace.end(output={"n": number})
        wanted[trace.id] = f"kept {number} {number} {number}, its {number} {number}"
    return wanted


def stored(server: Server, project: str) -> dict[str, str]:
    """The same, of what the server has."""
    api = OpikApi(base_url=server.url)
    if status_of(lambda: api.projects.retrieve_project(name=project)) != "no error":
        return {}
    score = lambda item: next((f"{score.value:.0f}" for score in item.feedback_scores or []), "-")  # noqa: E731
    of = lambda payload: (payload or {}).get("n", "-")  # noqa: E731
    spans = {
        span.trace_id: f"{span.name} {of(span.output)} {score(span)}"
        for span in api.spans.get_spans_by_project(project_name=project, size=1_000).content
    }
    return {
        trace.id: f"{trace.name} {of(trace.input)} {of(trace.output)} {score(trace)}, {spans.get(trace.id)}"
        for trace in api.traces.get_traces_by_project(project_name=project, size=1_000).content
    }


def batch(project: str, count: int, size: int) -> bytes:
    trace, input = generate_id(), {"x": "y" * size}
    span = {"trace_id": trace, "project_name": project, "start_time": NOW.isoformat(), "input": input}
    return json.dumps({"spans": [{"id": generate_id(), **span} for _ in range(count)]}).encode()


def post(server: Server, body: bytes) -> int:
    headers = {"Content-Type": "application/json"}
    return httpx.post(f"{server.url}/v1/private/spans/batch", content=body, headers=headers, timeout=60).status_code


@contextlib.contextmanager
def full_speed(server: Server, threads: int) -> Iterator[None]:
    """So many programs write as fast as they can."""
    stop = threading.Event()

    def work() -> None:
        body = batch("load", 1_000, 2_000)
        while not stop.is_set():
            post(server, body)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        stop.set()
        for worker in workers:
            worker.join()


def parks(what: str, server: Server, begin, end) -> None:
    """What is logged between the two is kept by the package, and sent when the server takes it again."""
    project = unique("parks")
    client = opik.Opik(project_name=project, host=server.url)
    before = log(client)
    check(f"{what}: while all is well", client.flush(), True)
    begin()
    check(f"{what}: the package sees it", until(lambda: connected(client), False), False)
    during = log(client)
    check(f"{what}: nothing is dropped", (client.flush(), client.get_errors_report().total_dropped_messages), (True, 0))
    end()
    check(f"{what}: it is over", until(server.ping, 200), 200)
    check(f"{what}: everything is sent", until(lambda: stored(server, project), before | during), before | during)
    check(f"{what}: nothing was dropped", client.end().success, True)


def database_held() -> None:
    with Server(BINARY) as server:
        held = sqlite3.connect(server.database, isolation_level=None)

        def begin() -> None:
            held.execute("BEGIN IMMEDIATE")
            check("database held: a write", post(server, batch("held", 1, 1)), 429)
            check("database held: ping", server.ping(), 503)

        parks("database held", server, begin, lambda: held.execute("ROLLBACK"))
        held.close()


def database_full() -> None:
    with Server(BINARY, "--database-bytes-max", "3000000") as server:

        def begin() -> None:
            while (status := post(server, batch("fill", 1, 20_000))) == 204:
                pass
            check("database full: a write", status, 429)
            check("database full: ping", until(server.ping, 503), 503)

        def end() -> None:
            server.kill()
            server.start("--database-bytes-max", "0")

        parks("database full", server, begin, end)


def postgresql_stopped() -> None:
    with Server(BINARY) as server:

        def begin() -> None:
            POSTGRES.stop()
            check("PostgreSQL stopped: a write", post(server, batch("stopped", 1, 1)), 429)
            check("PostgreSQL stopped: ping", until(server.ping, 503), 503)

        parks("PostgreSQL stopped", server, begin, POSTGRES.start)


def postgresql_restarted() -> None:
    """While much is written, and nobody waits until the package has seen it."""
    with Server(BINARY) as server:
        project, wanted = unique("restarted"), {}
        client = opik.Opik(project_name=project, host=server.url)
        for _ in range(3):
            wanted |= log(client)
            POSTGRES.stop()
            wanted |= log(client)
            POSTGRES.start()
            wanted |= log(client)
        check("PostgreSQL restarted: it is over", until(server.ping, 200), 200)
        check("PostgreSQL restarted: flush", client.flush(), True)
        check("PostgreSQL restarted: everything is there", until(lambda: stored(server, project), wanted), wanted)
        check("PostgreSQL restarted: nothing was dropped", client.end().success, True)


def server_away() -> None:
    with Server(BINARY) as server:
        parks("server away", server, server.kill, server.start)
        # A program that begins when the server is back.
        project = unique("begins")
        client = opik.Opik(project_name=project, host=server.url)
        wanted = log(client)
        check("server away: another client", (client.end().success, stored(server, project)), (True, wanted))


class Refusals(logging.Handler):
    """Counts the answers 429, and how often the package put data back into its queue for it."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.refused = self.requeued = 0
        for name in ("httpx", "opik"):
            logging.getLogger(name).addHandler(self)
            logging.getLogger(name).setLevel(logging.INFO)

    def emit(self, record: logging.LogRecord) -> None:
        said = record.getMessage()
        self.refused += "429 Too Many Requests" in said
        self.requeued += "Ingestion rate limited" in said


def queue_full() -> None:
    with Server(BINARY, "--queue-rows-max", "2") as server:
        refusals, project = Refusals(), unique("full")
        client = opik.Opik(project_name=project, host=server.url)
        with full_speed(server, 4):
            wanted = log(client)
            check("queue full: data are put back", until(lambda: refusals.requeued > 0, True), True)
        check("queue full: flush", client.flush(), True)
        check("queue full: everything is there", stored(server, project), wanted)
        check("queue full: nothing was dropped", client.end().success, True)
        print(f"      {refusals.refused} answers 429, put back {refusals.requeued} times")


def full_load() -> None:
    """What the package asks for every 10 s, while all that can be done is done."""
    with Server(BINARY) as server, full_speed(server, 8):
        answers, slowest = set(), 0.0
        for _ in range(200):
            begun = time.monotonic()
            answers.add(server.ping())
            slowest = max(slowest, time.monotonic() - begun)
        check("full load: ping", answers, {200})
        # Later, and the package would take the server for lost.
        check("full load: in time", slowest < 5, True)
        print(f"      the slowest of 200 took {slowest * 1000:.0f} ms")


full_load()
if POSTGRES:
    postgresql_stopped()
    postgresql_restarted()
else:
    database_held()
    database_full()
server_away()
queue_full()
finish()
