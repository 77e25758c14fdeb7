#!/usr/bin/env python3
"""Drives a running server with the low-level client of the official Python package `opik`.

    pip install opik
    python tests/sdk/spans.py http://127.0.0.1:5173/api

The last line is 'N passed, N failed'; the exit status is 1 when a check failed.
"""

import datetime as dt
import os
import sys
import tempfile

# Before the import: the package reads these when it is imported. The user's own settings are left alone.
os.environ["OPIK_CONFIG_PATH"] = tempfile.NamedTemporaryFile(suffix=".config").name
os.environ["OPIK_SENTRY_ENABLE"] = "false"
os.environ["OPIK_ANALYTICS_ENABLE"] = "false"

from opik.api_objects.helpers import generate_id  # noqa: E402
from opik.rest_api import OpikApi  # noqa: E402
from opik.rest_api.core.api_error import ApiError  # noqa: E402
from opik.rest_api.types.error_info_write import ErrorInfoWrite  # noqa: E402
from opik.rest_api.types.span_write import SpanWrite  # noqa: E402

api = OpikApi(base_url=sys.argv[1])
counts = {"passed": 0, "failed": 0}
START = dt.datetime(2025, 1, 2, 3, 4, 5, 678901, tzinfo=dt.timezone.utc)
END = START + dt.timedelta(milliseconds=250)


def check(what: str, got: object, wanted: object) -> None:
    ok = got == wanted
    counts["passed" if ok else "failed"] += 1
    print(f"{'ok  ' if ok else 'FAIL'}  {what}" + ("" if ok else f": got {got!r}, wanted {wanted!r}"))


def status_of(call) -> object:
    try:
        call()
    except ApiError as error:
        return error.status_code
    return "no error"


def create() -> tuple[str, str]:
    span_id, trace_id = generate_id(), generate_id()
    api.spans.create_span(
        id=span_id,
        trace_id=trace_id,
        project_name="sdk",
        name="chat",
        type="llm",
        start_time=START,
        end_time=END,
        input={"messages": [{"role": "user", "content": "é"}]},
        output={"answer": 42},
        metadata={"k": {"n": 1}},
        model="gpt-4o-mini",
        provider="openai",
        tags=["a", "b"],
        usage={"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
        total_estimated_cost=0.002,
        ttft=12.5,
    )
    span = api.spans.get_span_by_id(id=span_id)
    check("create: id", (span.id, span.trace_id, span.project_name), (span_id, trace_id, "sdk"))
    check("create: times", (span.start_time, span.end_time, span.duration), (START, END, 250.0))
    check("create: input", span.input, {"messages": [{"role": "user", "content": "é"}]})
    check("create: output", span.output, {"answer": 42})
    check("create: metadata", span.metadata, {"provider": "openai", "k": {"n": 1}})
    check("create: usage", span.usage, {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7})
    check("create: tags", span.tags, ["a", "b"])
    check("create: cost", span.total_estimated_cost, 0.002)
    check("create: the rest", (span.name, span.type, span.model, span.ttft), ("chat", "llm", "gpt-4o-mini", 12.5))
    return span_id, trace_id


def batch(parent_span_id: str, trace_id: str) -> None:
    ids = [generate_id() for _ in range(1000)]
    api.spans.create_spans(
        spans=[
            SpanWrite(
                id=span_id,
                trace_id=trace_id,
                parent_span_id=parent_span_id,
                project_name="sdk",
                name=f"child {number}",
                start_time=START,
                error_info=ErrorInfoWrite(exception_type="ValueError", message="m", traceback="t"),
            )
            for number, span_id in enumerate(ids)
        ]
    )
    span = api.spans.get_span_by_id(id=ids[-1])
    check("batch: the last one", (span.name, span.parent_span_id), ("child 999", parent_span_id))
    check("batch: its error", span.error_info.exception_type, "ValueError")


def update(span_id: str, trace_id: str) -> None:
    later = END + dt.timedelta(seconds=1)
    api.spans.update_span(
        id=span_id, trace_id=trace_id, project_name="sdk", end_time=later, output={"z": 1}, tags=["c"]
    )
    span = api.spans.get_span_by_id(id=span_id)
    check("update: what it states", (span.end_time, span.output, span.tags), (later, {"z": 1}, ["c"]))
    check("update: the rest stays", (span.name, span.start_time), ("chat", START))
    check("update: another trace", status_of(lambda: api.spans.update_span(id=span_id, trace_id=generate_id())), 409)

    unknown = generate_id()
    api.spans.update_span(id=unknown, trace_id=trace_id, project_name="sdk", end_time=END)
    api.spans.create_span(id=unknown, trace_id=trace_id, project_name="sdk", name="late", start_time=START)
    span = api.spans.get_span_by_id(id=unknown)
    check("update before create", (span.name, span.start_time, span.end_time), ("late", START, END))


def refused() -> None:
    check("unknown span", status_of(lambda: api.spans.get_span_by_id(id=generate_id())), 404)
    check("blank project", status_of(lambda: api.spans.create_span(start_time=START, project_name=" ")), 422)
    check("empty batch", status_of(lambda: api.spans.create_spans(spans=[])), 422)


batch(*create())
update(*create())
refused()
print(f"{counts['passed']} passed, {counts['failed']} failed")
sys.exit(1 if counts["failed"] else 0)
