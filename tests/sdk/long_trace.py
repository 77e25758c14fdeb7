#!/usr/bin/env python3
"""Writes a trace of many spans with the official Python package `opik`, and reads it as Opik's UI does: two lists at
once, one without payloads for the tree, one with everything.

    pip install opik
    python tests/sdk/long_trace.py target/release/spandrel [SPANS]

Times and memory are told, and not judged. The last line is 'N passed, N failed'; the exit status is 1 when a check failed.
"""

import json
import sys
import threading
import time
import urllib.parse
import urllib.request

from check import check, finish, unique
from server import Server

import opik

SPANS = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
PROJECT = unique("long")


def payload(number: int) -> dict:
    return {"number": number, "text": f"{number:08}" * 120}


def read(server: Server, trace_id: str, into: dict, what: str, **query: str) -> None:
    asked = {"project_name": PROJECT, "trace_id": trace_id, "page": 1, "size": max(15_000, SPANS), **query}
    begun = time.monotonic()
    with urllib.request.urlopen(f"{server.url}/v1/private/spans?{urllib.parse.urlencode(asked)}", timeout=300) as answer:
        body = answer.read()
    into[what] = (time.monotonic() - begun) * 1000, body


with Server(sys.argv[1]) as server:
    client = opik.Opik(project_name=PROJECT, host=server.url)
    begun = time.monotonic()
    trace = client.trace(name="long")
    spans, wanted = [trace], {}
    for number in range(SPANS):
        # A tree in which every span has ten below it.
        parent = spans[number // 10]
        span = parent.span(name=f"span {number}", type="tool", input=payload(number), output=payload(-number))
        spans.append(span)
        wanted[span.id] = number, span.parent_span_id
    check("flush", client.flush(), True)
    wrote = time.monotonic() - begun

    times = {"light": [], "full": []}
    for _ in range(5):
        answers: dict[str, tuple[float, bytes]] = {}
        without = {"truncate": "true", "exclude": '["input","output","metadata","feedback_scores","comments"]'}
        light = threading.Thread(target=read, args=(server, trace.id, answers, "light"), kwargs=without)
        full = threading.Thread(target=read, args=(server, trace.id, answers, "full"))
        for thread in (light, full):
            thread.start()
        for thread in (light, full):
            thread.join()
        for what, (took, _) in answers.items():
            times[what].append(took)
    pages = {what: json.loads(body) for what, (_, body) in answers.items()}

    for what, page in pages.items():
        check(f"{what}: total", (page["total"], len(page["content"])), (SPANS, SPANS))
        ids = [span["id"] for span in page["content"]]
        check(f"{what}: newest first", ids, sorted(wanted, reverse=True))
        tree = {span["id"]: (int(span["name"].removeprefix("span ")), span.get("parent_span_id")) for span in page["content"]}
        check(f"{what}: every span in its place", tree, wanted)
    check("light: no payloads", any("input" in span or "output" in span for span in pages["light"]["content"]), False)
    whole = [(span["input"], span["output"]) for span in pages["full"]["content"]]
    numbers = [wanted[span["id"]][0] for span in pages["full"]["content"]]
    check("full: payloads", whole == [(payload(number), payload(-number)) for number in numbers], True)
    got = client.get_trace_content(trace.id)
    check("the trace knows how many", got.span_count, SPANS)

    megabytes = {what: len(body) / 1e6 for what, (_, body) in answers.items()}
    print(f"      {SPANS} spans written in {wrote:.1f} s")
    for what, took in times.items():
        print(f"      {what} list: {', '.join(f'{one:.0f}' for one in took)} ms for {megabytes[what]:.1f} MB")
    print(f"      memory of the server: {server.memory('VmRSS'):.0f} MB, at most {server.memory('VmHWM'):.0f} MB")
finish()
