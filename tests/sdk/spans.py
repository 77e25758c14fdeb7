#!/usr/bin/env python3
"""Drives every operation on spans with the low-level client of the official Python package `opik`.

    pip install opik
    python tests/sdk/spans.py http://127.0.0.1:5173/api

The last line is 'N passed, N failed'; the exit status is 1 when a check failed.
"""

import datetime as dt
import json
import sys

from check import check, finish, status_of, unique
from opik.api_objects.helpers import generate_id
from opik.rest_api import OpikApi
from opik.rest_api.types.error_info_write import ErrorInfoWrite
from opik.rest_api.types.feedback_score_batch_item import FeedbackScoreBatchItem
from opik.rest_api.types.span_filter_public import SpanFilterPublic
from opik.rest_api.types.span_update import SpanUpdate
from opik.rest_api.types.span_write import SpanWrite

api = OpikApi(base_url=sys.argv[1])
PROJECT = unique("sdk")
START = dt.datetime(2025, 1, 2, 3, 4, 5, 678901, tzinfo=dt.timezone.utc)
END = START + dt.timedelta(milliseconds=250)


def create() -> tuple[str, str]:
    span_id, trace_id = generate_id(), generate_id()
    api.spans.create_span(
        id=span_id,
        trace_id=trace_id,
        project_name=PROJECT,
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
    check("create: id", (span.id, span.trace_id, span.project_name), (span_id, trace_id, PROJECT))
    check("create: times", (span.start_time, span.end_time, span.duration), (START, END, 250.0))
    check("create: input", span.input, {"messages": [{"role": "user", "content": "é"}]})
    check("create: output", span.output, {"answer": 42})
    check("create: metadata", span.metadata, {"provider": "openai", "k": {"n": 1}})
    check("create: usage", span.usage, {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7})
    check("create: tags", span.tags, ["a", "b"])
    check("create: cost", span.total_estimated_cost, 0.002)
    check("create: the rest", (span.name, span.type, span.model, span.ttft), ("chat", "llm", "gpt-4o-mini", 12.5))
    return span_id, trace_id


def batch(parent_span_id: str, trace_id: str) -> list[str]:
    ids = [generate_id() for _ in range(1000)]
    api.spans.create_spans(
        spans=[
            SpanWrite(
                id=span_id,
                trace_id=trace_id,
                parent_span_id=parent_span_id,
                project_name=PROJECT,
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
    return ids


def update(span_id: str, trace_id: str) -> None:
    later = END + dt.timedelta(seconds=1)
    api.spans.update_span(
        id=span_id, trace_id=trace_id, project_name=PROJECT, end_time=later, output={"z": 1}, tags=["c"]
    )
    span = api.spans.get_span_by_id(id=span_id)
    check("update: what it states", (span.end_time, span.output, span.tags), (later, {"z": 1}, ["c"]))
    check("update: the rest stays", (span.name, span.start_time), ("chat", START))
    check("update: another trace", status_of(lambda: api.spans.update_span(id=span_id, trace_id=generate_id())), 409)

    unknown = generate_id()
    api.spans.update_span(id=unknown, trace_id=trace_id, project_name=PROJECT, end_time=END)
    api.spans.create_span(id=unknown, trace_id=trace_id, project_name=PROJECT, name="late", start_time=START)
    span = api.spans.get_span_by_id(id=unknown)
    check("update before create", (span.name, span.start_time, span.end_time), ("late", START, END))


def update_many(ids: list[str], trace_id: str) -> None:
    api.spans.batch_update_spans(ids=ids[:2], update=SpanUpdate(trace_id=trace_id, tags=["x"]))
    api.spans.batch_update_spans(ids=ids[:2], update=SpanUpdate(trace_id=trace_id, tags=["y"]), merge_tags=True)
    tags = [api.spans.get_span_by_id(id=span_id).tags for span_id in ids[:3]]
    check("batch update", tags, [["x", "y"], ["x", "y"], None])


def search(ids: list[str], trace_id: str) -> None:
    def lines(**asked) -> list[dict]:
        stream = b"".join(api.spans.search_spans(project_name=PROJECT, truncate=False, **asked))
        return [json.loads(line) for line in stream.split(b"\n") if line.strip()]

    check("search: all but the first", len(lines(limit=2000)), 1002)
    first = lines(limit=400)
    rest = lines(limit=2000, last_retrieved_id=first[-1]["id"])
    check("search: resumed", (len(first), len(rest)), (400, 602))
    check("search: newest id first", [span["id"] for span in first], sorted((s["id"] for s in first), reverse=True))
    named = lines(filters=[SpanFilterPublic(field="name", operator="=", value="child 7", key="")])
    check("search: by name", [span["id"] for span in named], [ids[7]])
    check("search: bad filter", status_of(lambda: lines(filters=[SpanFilterPublic(field="x", operator="=")])), 400)

    page = api.spans.get_spans_by_project(
        page=1,
        size=5,
        project_name=PROJECT,
        trace_id=trace_id,
        filters='[{"field":"name","operator":"contains","value":"CHILD 99"}]',
        sorting='[{"field":"name","direction":"ASC"}]',
        exclude='["input"]',
        truncate=True,
    )
    check("list: total", (page.page, page.size, page.total), (1, 5, 11))
    check("list: sorted", [span.name for span in page.content][:3], ["child 99", "child 990", "child 991"])
    check("list: sortable", "usage.*" in (page.sortable_by or []), True)
    stats = {item.name: item.value for item in api.spans.get_span_stats(project_name=PROJECT).stats}
    check("stats", (stats["span_count"], stats["error_count"]), (1002, 1000))
    check("exists", api.spans.exist(project_name=PROJECT).exists, True)
    check("unknown project", status_of(lambda: api.spans.get_spans_by_project(project_name="no such")), 404)


def score(span_id: str, other: str) -> None:
    api.spans.add_span_feedback_score(id=span_id, name="quality", value=0.9, source="sdk", reason="good")
    api.spans.score_batch_of_spans(
        scores=[FeedbackScoreBatchItem(id=other, project_name=PROJECT, name="speed", value=1.0, source="ui")]
    )
    span = api.spans.get_span_by_id(id=span_id)
    scores = [(score.name, score.value, score.reason, score.source) for score in span.feedback_scores]
    check("score", scores, [("quality", 0.9, "good", "sdk")])
    names = api.spans.find_feedback_score_names1(project_id=span.project_id).scores
    check("score names", [name.name for name in names], ["quality", "speed"])
    api.spans.delete_span_feedback_score(id=span_id, name="quality")
    check("score taken back", api.spans.get_span_by_id(id=span_id).feedback_scores, None)
    unknown = generate_id()
    call = lambda: api.spans.add_span_feedback_score(id=unknown, name="q", value=1, source="sdk")  # noqa: E731
    check("score: unknown span", status_of(call), 404)


def comment(span_id: str) -> None:
    api.spans.add_span_comment(id_=span_id, text="nice")
    made = api.spans.get_span_by_id(id=span_id).comments[0]
    check("comment", made.text, "nice")
    api.spans.update_span_comment(comment_id=made.id, text="nicer")
    check("comment changed", api.spans.get_span_comment(span_id=span_id, comment_id=made.id).text, "nicer")
    api.spans.delete_span_comments(ids=[made.id])
    gone = status_of(lambda: api.spans.get_span_comment(span_id=span_id, comment_id=made.id))
    check("comment gone", gone, 404)


def delete(span_id: str) -> None:
    api.spans.delete_span_by_id(id=span_id)
    check("deleted", status_of(lambda: api.spans.get_span_by_id(id=span_id)), 404)


def refused() -> None:
    check("unknown span", status_of(lambda: api.spans.get_span_by_id(id=generate_id())), 404)
    check("blank project", status_of(lambda: api.spans.create_span(start_time=START, project_name=" ")), 422)
    check("empty batch", status_of(lambda: api.spans.create_spans(spans=[])), 422)


span_id, trace_id = create()
ids = batch(span_id, trace_id)
update(span_id, trace_id)
search(ids, trace_id)
update_many(ids, trace_id)
score(span_id, ids[0])
comment(span_id)
delete(ids[5])
refused()
finish()
