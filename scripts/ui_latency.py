#!/usr/bin/env python3
"""How long each call takes that Opik's web user interface makes, page by page, on a database of many spans.

    spandrel serve --database sqlite:big.db
    python3 scripts/ui_latency.py http://127.0.0.1:5173 --spans 1000000

A project is filled through the API until it has that many spans, in traces of ten and threads of four traces, of the last
seven days; a second run on the same database fills nothing, and measures again. One trace of it has very many spans
(--long). Prints a table: the median and the slowest of some tries, what came, and how large it was. No packages are needed.
"""

import argparse
import concurrent.futures
import json
import statistics
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

PROJECT = "latency of pages"
BATCH = 1_000
SPANS_IN_TRACE = 10
TRACES_IN_THREAD = 4
DAYS = 7

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("base", help="address of the server")
parser.add_argument("--spans", type=int, default=100_000, help="how many spans the project is to have")
parser.add_argument("--long", type=int, default=15_000, help="how many spans its long trace is to have")
parser.add_argument("--repeat", type=int, default=5, help="how often each call is made")
arguments = parser.parse_args()
api = f"{arguments.base.rstrip('/')}/api/v1/private"


def call(method: str, path: str, query: dict | None = None, body: object = None) -> bytes:
    """What is answered, as the bytes that came."""
    text = {name: value if isinstance(value, str) else json.dumps(value) for name, value in (query or {}).items()}
    address = f"{api}/{path}" + (f"?{urllib.parse.urlencode(text)}" if text else "")
    content = None if body is None else json.dumps(body).encode()
    headers = {"Accept": "application/json, text/plain, */*", "Content-Type": "application/json"}
    request = urllib.request.Request(address, data=content, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=600) as answer:
        return answer.read()


def uuid(millis: int, number: int) -> str:
    digits = f"{millis:012x}"
    return f"{digits[:8]}-{digits[8:]}-7000-8000-{number:012x}"


def stamp(millis: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(millis // 1000)) + f".{millis % 1000:03}Z"


def trace(number: int, millis: int) -> dict:
    return {
        "id": uuid(millis, number),
        "project_name": PROJECT,
        "name": f"answer {number % 50}",
        "thread_id": f"talk {number // TRACES_IN_THREAD}",
        "start_time": stamp(millis),
        "end_time": stamp(millis + 500 + number % 3_000),
        "source": "sdk",
        "environment": "production",
        "input": {"question": f"question {number} " * 20},
        "output": {"answer": f"answer {number} " * 20},
        "metadata": {"customer": number % 1_000, "release": f"v{number % 7}"},
        "tags": ["chat", f"team {number % 5}"],
        **(
            {"error_info": {"exception_type": "Timeout", "message": "late", "traceback": "…"}}
            if number % 50 == 0
            else {}
        ),
    }


def span(number: int, millis: int, trace_id: str, root: str | None) -> dict:
    called = {
        "type": "llm",
        "model": "gpt-4o-mini",
        "provider": "openai",
        "usage": {"prompt_tokens": 900, "completion_tokens": number % 300, "total_tokens": 900 + number % 300},
    }
    return {
        "id": uuid(millis, 1 << 40 | number),
        "trace_id": trace_id,
        "parent_span_id": root,
        "project_name": PROJECT,
        "name": f"step {number % SPANS_IN_TRACE}",
        "start_time": stamp(millis),
        "end_time": stamp(millis + 50 + number % 900),
        "input": {"messages": [{"role": "user", "content": f"question {number} " * 60}]},
        "output": {"text": f"answer {number} " * 30},
        "metadata": {"step": number},
        "source": "sdk",
        **(called if number % 3 == 0 else {"type": "tool" if number % 3 == 1 else "general"}),
    }


def fill(project_id: str | None) -> None:
    """Brings the project to as many spans as are asked for."""
    there = json.loads(call("GET", "spans", {"project_id": project_id, "size": 1}))["total"] if project_id else 0
    wanted = max(0, arguments.spans - there)
    if wanted == 0:
        return
    begun, now = time.monotonic(), time.time_ns() // 1_000_000
    long = 0 if there else min(arguments.long, wanted)
    count = (wanted - long) // SPANS_IN_TRACE
    before = there // SPANS_IN_TRACE
    step = DAYS * 86_400_000 / max(count, 1)

    def batch(numbers: range) -> None:
        made = [trace(before + number, now - int((count - number) * step)) for number in numbers]
        spans = []
        for number, of in zip(numbers, made, strict=True):
            root = None
            for place in range(SPANS_IN_TRACE):
                at = int(of["id"][:8] + of["id"][9:13], 16) + place
                one = span((before + number) * SPANS_IN_TRACE + place, at, of["id"], root)
                root = root or one["id"]
                spans.append(one)
        call("POST", "traces/batch", body={"traces": made})
        for at in range(0, len(spans), BATCH):
            call("POST", "spans/batch", body={"spans": spans[at : at + BATCH]})
        scores = [
            {"id": of["id"], "project_name": PROJECT, "name": "quality", "value": number % 11 / 10, "source": "sdk"}
            for number, of in zip(numbers, made, strict=True)
            if number % 5 == 0
        ]
        call("PUT", "traces/feedback-scores", body={"scores": scores})

    # A batch of traces makes ten of spans.
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        size = BATCH
        for _ in pool.map(batch, (range(at, min(at + size, count)) for at in range(0, count, size))):
            pass
    if long:
        of = trace(1 << 30, now - 1_000) | {"name": "long"}
        del of["thread_id"]
        call("POST", "traces/batch", body={"traces": [of]})
        root = span(1 << 30, now - 999, of["id"], None)
        spans = [root] + [
            span((1 << 30) + number, now - 999 + number % 900, of["id"], root["id"]) for number in range(1, long)
        ]
        for at in range(0, long, BATCH):
            call("POST", "spans/batch", body={"spans": spans[at : at + BATCH]})
    took = time.monotonic() - begun
    print(f"{wanted} spans written in {took:.0f} s, {wanted / took:.0f} a second\n", file=sys.stderr)


def retrieve() -> str | None:
    try:
        return json.loads(call("POST", "projects/retrieve", body={"name": PROJECT}))["id"]
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        return None


fill(retrieve())
project_id = retrieve()
of_project = {"project_id": project_id}
VISIBLE = {"field": "visibility_mode", "type": "string", "operator": "=", "value": "default"}
BY_SDK = {"field": "source", "type": "string", "operator": "=", "value": "sdk"}
now = time.time_ns() // 1_000_000
window = {"interval_start": stamp(now - DAYS * 86_400_000), "interval_end": stamp(now)}
lately = [{"field": "last_updated_trace_at", "direction": "DESC"}]
table = of_project | {"page": 1, "size": 100, "truncate": True, "filters": [VISIBLE, BY_SDK]}
of_spans = of_project | {"page": 1, "size": 100, "truncate": True, "filters": [BY_SDK]}
of_threads = of_project | {"page": 1, "size": 100, "truncate": True}


def first(path: str, query: dict) -> dict:
    return next(iter(json.loads(call("GET", path, query))["content"]), {})


newest = first(
    "traces", of_project | {"size": 1, "filters": [{"field": "thread_id", "operator": "contains", "value": "talk"}]}
)
long = first("traces", of_project | {"size": 1, "filters": [{"field": "name", "operator": "=", "value": "long"}]})
tree = {"page": 1, "size": 15_000} | of_project
LIGHT = {"truncate": True, "exclude": ["input", "output", "metadata", "feedback_scores", "comments"]}


def sorted_by(field: str) -> dict:
    return {"sorting": [{"field": field, "direction": "DESC"}]}


def metric(kind: str, interval: str = "DAILY") -> tuple:
    return (
        f"metrics, {kind}",
        "POST",
        f"projects/{project_id}/metrics",
        None,
        {"metric_type": kind, "interval": interval} | window,
    )


def cards(kind: str) -> tuple:
    return (
        f"key figures of {kind}",
        "POST",
        f"projects/{project_id}/kpi-cards",
        None,
        {"entity_type": kind, "filters": "[]"} | window,
    )


def filtered(on: dict, *filters: dict) -> dict:
    return on | {"filters": [*on.get("filters", []), *filters]}


ERROR = {"field": "error_info", "type": "error_container", "operator": "is_not_empty", "value": ""}
CUSTOMER = {"field": "metadata", "type": "dictionary", "operator": "=", "key": "customer", "value": "7"}
# Of each page, the calls that it makes: what, method, path, query, body.
PAGES = {
    "start": [
        ("toggles", "GET", "toggles/"),
        ("version of the workspace", "GET", "workspaces/versions"),
        ("permissions", "GET", "workspace-permissions"),
    ],
    "projects": [
        ("list", "GET", "projects/", {"page": 1, "size": 100, "sorting": lately}),
        ("figures", "GET", "projects/stats", {"page": 1, "size": 100, "sorting": lately}),
    ],
    "project": [
        ("itself", "GET", f"projects/{project_id}"),
        ("activities", "GET", f"projects/{project_id}/activities", {"page": 1, "size": 10}),
        cards("traces"),
        cards("spans"),
        cards("threads"),
    ],
    "traces": [
        ("are there any", "GET", "traces/exists", of_project),
        ("list", "GET", "traces/", table),
        ("page 50", "GET", "traces/", table | {"page": 50}),
        ("sorted by duration", "GET", "traces/", table | sorted_by("duration")),
        ("sorted by cost", "GET", "traces/", table | sorted_by("total_estimated_cost")),
        ("with an error", "GET", "traces/", filtered(table, ERROR)),
        ("by metadata", "GET", "traces/", filtered(table, CUSTOMER)),
        ("searched for", "GET", "traces/", table | {"search": "question 77"}),
        ("of the last day", "GET", "traces/", table | {"from_time": stamp(now - 86_400_000)}),
        ("figures", "GET", "traces/stats", {key: table[key] for key in ("project_id", "filters")}),
        ("names of scores", "GET", "traces/feedback-scores/names", of_project),
        ("names of scores of spans", "GET", "spans/feedback-scores/names", of_project),
    ],
    "spans": [
        ("are there any", "GET", "spans/exists", of_project),
        ("list", "GET", "spans/", of_spans),
        ("of type llm", "GET", "spans/", of_spans | {"type": "llm"}),
        ("sorted by duration", "GET", "spans/", of_spans | sorted_by("duration")),
        ("searched for", "GET", "spans/", of_spans | {"search": "question 77"}),
        ("figures", "GET", "spans/stats", {key: of_spans[key] for key in ("project_id", "filters")}),
    ],
    "threads": [
        ("are there any", "GET", "traces/exists", of_project | {"thread_only": True}),
        ("list", "GET", "traces/threads", of_threads),
        ("sorted by duration", "GET", "traces/threads", of_threads | sorted_by("duration")),
        ("searched for", "GET", "traces/threads", of_threads | {"search": "question 77"}),
        ("figures", "GET", "traces/threads/stats", of_project),
        ("names of scores", "GET", "traces/threads/feedback-scores/names", of_project),
        ("one", "POST", "traces/threads/retrieve", None, of_project | {"thread_id": newest.get("thread_id", "")}),
    ],
    "trace": [
        ("itself", "GET", f"traces/{newest['id']}", {"strip_attachments": True}),
        ("its spans, light", "GET", "spans/", tree | {"trace_id": newest["id"]} | LIGHT),
        ("its spans, full", "GET", "spans/", tree | {"trace_id": newest["id"]}),
    ],
    "metrics": [
        *(
            metric(kind)
            for kind in (
                "TRACE_COUNT",
                "DURATION",
                "COST",
                "TOKEN_USAGE",
                "FEEDBACK_SCORES",
                "SPAN_COUNT",
                "SPAN_DURATION",
                "SPAN_TOKEN_USAGE",
                "THREAD_COUNT",
                "THREAD_DURATION",
            )
        ),
        metric("TRACE_COUNT", "HOURLY"),
        ("names of token counts", "GET", f"projects/{project_id}/token-usage/names"),
    ],
    "configuration": [
        ("feedback definitions", "GET", "feedback-definitions/", {"page": 1, "size": 10}),
        ("environments", "GET", "environments"),
    ],
}
# Both lists of the long trace, asked for at once: they are begun together.
AT_ONCE = (
    [
        ("spans of the long trace, light", "GET", "spans/", tree | {"trace_id": long["id"]} | LIGHT),
        ("spans of the long trace, full", "GET", "spans/", tree | {"trace_id": long["id"]}),
    ]
    if long
    else []
)


def measure(method: str, path: str, query: dict | None = None, body: object = None) -> tuple[float, bytes]:
    begun = time.perf_counter()
    try:
        answer = call(method, path, query, body)
    except urllib.error.HTTPError as error:
        answer = json.dumps({"total": f"status {error.code}"}).encode()
    return (time.perf_counter() - begun) * 1000, answer


def row(page: str, what: str, tries: list[tuple[float, bytes]]) -> None:
    times, (_, answer) = [took for took, _ in tries], tries[-1]
    told = json.loads(answer)
    total = told.get("total", "") if isinstance(told, dict) else ""
    size = f"{len(answer) / 1e6:.1f} MB" if len(answer) > 100_000 else f"{len(answer) / 1e3:.1f} KB"
    print(f"| {page} | {what} | {statistics.median(times):.1f} | {max(times):.1f} | {total} | {size} |", flush=True)


print("| page | call | median, ms | slowest, ms | total | size |\n| --- | --- | --- | --- | --- | --- |")
for page, calls in PAGES.items():
    for what, *request in calls:
        row(page, what, [measure(*request) for _ in range(arguments.repeat)])
with concurrent.futures.ThreadPoolExecutor(2) as pool:
    rounds = [list(pool.map(lambda request: measure(*request[1:]), AT_ONCE)) for _ in range(arguments.repeat)]
for (what, *_), tries in zip(AT_ONCE, zip(*rounds, strict=True), strict=True):
    row("trace", what, list(tries))
