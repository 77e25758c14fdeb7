#!/usr/bin/env python3
"""A program that calls models and tools as fast as it can, while its server is killed and comes back.

    pip install opik
    python tests/sdk/program.py target/release/spandrel [SECONDS]

What the package reports as flushed is what was logged before a `flush()` that returned True, unless its error report
grew meanwhile: what was under way when the server was killed, and then refused to be sent again, is only told there.
While the server is away `flush()` returns True as well: the data are kept, and sent when the server is back.

The last line is 'N passed, N failed'; the exit status is 1 when a check failed.
"""

import asyncio
import os
import random
import sys
import threading
import time

from check import check, finish, unique, until
from server import Server

# How often the package looks whether the server is there; a shorter time than its 10 s, for runs of seconds.
os.environ["OPIK_CONNECTION_MONITOR_PING_INTERVAL"] = "1"

import opik  # noqa: E402
from opik import opik_context  # noqa: E402

SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 60.0
PROJECT = unique("program")
# Traces that one round makes, and spans of one trace.
ROUND, SPANS = 50, 5


@opik.track(type="llm")
def plan(question: str) -> list[str]:
    opik_context.update_current_span(
        model="gpt-4o-mini", provider="openai", usage={"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
    )
    return [f"{question} {step}" for step in range(2)]


@opik.track(type="tool")
async def look_up(what: str) -> dict:
    await asyncio.sleep(0)
    if random.random() < 0.1:
        raise LookupError(what)
    return {"found": what * 50}


@opik.track(type="llm")
def answer(question: str):
    for word in question.split():
        yield f"{word} "


@opik.track
async def agent(number: int) -> str:
    opik_context.update_current_trace(
        thread_id=f"chat {number % 7}", metadata={"number": number}, feedback_scores=[{"name": "good", "value": number % 2}]
    )
    steps = plan(f"question {number}")
    await asyncio.gather(*(look_up(step) for step in steps), return_exceptions=True)
    return "".join(answer(f"answer {number}"))


def run(client: opik.Opik, until_when: float) -> tuple[set[int], int]:
    """Returns the numbers of what is reported as flushed, and how many there were in all."""
    flushed, number = set(), 0
    while time.monotonic() < until_when:
        before = client.get_errors_report().total_dropped_messages
        numbers = range(number, number + ROUND)
        for one in numbers:
            asyncio.run(agent(one))
        number = numbers.stop
        if client.flush() and client.get_errors_report().total_dropped_messages == before:
            flushed.update(numbers)
    return flushed, number


def stored(client: opik.Opik) -> dict[int, tuple]:
    """What is there of each number: the trace's end, its spans, and its score."""
    spans: dict[str, int] = {}
    for span in client.search_spans(PROJECT, max_results=1_000_000):
        spans[span.trace_id] = spans.get(span.trace_id, 0) + (span.end_time is not None)
    traces = client.search_traces(PROJECT, max_results=1_000_000)
    check("every trace is there once", len({trace.id for trace in traces}), len(traces))
    return {
        trace.metadata["number"]: (
            trace.output["output"],
            spans.get(trace.id),
            [score.value for score in trace.feedback_scores or []],
        )
        for trace in traces
        if trace.output
    }


with Server(sys.argv[1]) as server:
    os.environ["OPIK_URL_OVERRIDE"] = server.url
    client = opik.Opik(project_name=PROJECT)
    opik.set_global_client(client)
    begun = time.monotonic()

    def kill() -> None:
        """In the middle of writes; it stays away for a while."""
        server.kill()
        time.sleep(SECONDS / 8)
        server.start()

    killer = threading.Timer(SECONDS / 2, kill)
    killer.start()
    with opik.project_context(PROJECT):
        flushed, number = run(client, begun + SECONDS)
    killer.join()
    took = time.monotonic() - begun

    # What is kept while the server is away goes out some time after it is back.
    wanted = {one: (f"answer {one} ", SPANS, [float(one % 2)]) for one in flushed}
    kept = client._streamer._fallback_replay_manager
    check("the server is seen again", until(lambda: kept.has_server_connection, True), True)
    check("nothing is kept back", until(lambda: kept.database_manager.failed_messages_count(), 0), 0)
    check("the last flush", client.flush(), True)
    found = stored(client)
    check("something was flushed", len(flushed) > 0, True)
    check("all that was reported as flushed is there", {one: found.get(one) for one in flushed}, wanted)
    print(f"      {number} traces, {number * SPANS} spans in {took:.0f} s; {len(flushed)} traces reported as flushed,")
    print(f"      {len(found)} there; dropped by the package: {client.get_errors_report().total_dropped_items} records")
    for failure in client.get_errors_report().failures:
        print(f"      {failure.message_type}: {failure.reason.value}, {failure.detail}")
finish()
