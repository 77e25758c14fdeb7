#!/usr/bin/env python3
"""Uses the official Python package `opik` as programs do, with batches and without.

    pip install opik
    python tests/sdk/tracing.py http://127.0.0.1:5173/api

The last line is 'N passed, N failed'; the exit status is 1 when a check failed.
"""

import asyncio
import base64
import datetime as dt
import math
import os
import subprocess
import sys
import threading

from check import check, finish, folder, status_of, unique

# What is not told to it by a program.
os.environ["OPIK_URL_OVERRIDE"] = sys.argv[1]

import opik  # noqa: E402
from opik import opik_context  # noqa: E402
from opik.api_objects.helpers import generate_id  # noqa: E402
from opik.decorator.context_manager.distributed_headers_context_manager import distributed_headers  # noqa: E402

START = dt.datetime(2025, 1, 2, 3, 4, 5, 678901, tzinfo=dt.timezone.utc)
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


def by_name(items: list) -> dict:
    return {item.name: item for item in items}


def scores_of(item) -> dict:
    return {score.name: score.value for score in item.feedback_scores or []}


# What @track makes of functions of every kind.


@opik.track(type="llm")
def model(prompt: str) -> dict:
    opik_context.update_current_span(model="gpt-4o-mini", provider="openai", usage=USAGE)
    return {"text": f"to {prompt}"}


@opik.track(type="tool", ignore_arguments=["secret"])
def tool(query: str, secret: str) -> list:
    return [query]


@opik.track(tags=["tracked"], metadata={"v": 1})
def agent(question: str) -> str:
    opik_context.update_current_trace(thread_id="chat", tags=["more"], feedback_scores=[{"name": "fine", "value": 1.0}])
    opik_context.update_current_span(feedback_scores=[{"name": "good", "value": 0.5, "reason": "why"}])
    tool(question, secret="s")
    return model(question)["text"]


@opik.track
async def a_model(number: int) -> int:
    await asyncio.sleep(0)
    return number


@opik.track
async def a_agent() -> list:
    return await asyncio.gather(*(a_model(number) for number in range(5)))


@opik.track
def words() -> object:
    yield from ["one ", "two ", "three"]


@opik.track
async def a_words() -> object:
    for word in ["four ", "five"]:
        yield word


@opik.track
def inner_failure() -> None:
    raise ValueError("bad")


@opik.track
def failure() -> None:
    inner_failure()


@opik.track
def long_call(client: opik.Opik) -> str:
    # What is known of it by now goes out: the whole comes with the same id.
    client.flush()
    return "done"


@opik.track(name="remote")
def remote(text: str) -> str:
    return text


@opik.track
def caller() -> str:
    headers = opik_context.get_distributed_trace_headers()
    answers = []

    def elsewhere() -> None:
        answers.append(remote("r", opik_distributed_trace_headers=headers))
        with distributed_headers(headers):
            opik.track(name="in context")(lambda: None)()

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    return answers[0]


def tracked(batching: bool) -> None:
    project, how = unique("tracked"), "batches" if batching else "one by one"
    client = opik.Opik(project_name=project, batching=batching)
    opik.set_global_client(client)
    with opik.project_context(project):
        agent("q")
        asyncio.run(a_agent())
        "".join(words())

        async def read() -> list:
            return [word async for word in a_words()]

        asyncio.run(read())
        try:
            failure()
        except ValueError:
            pass
        long_call(client)
        caller()
        with opik.start_as_current_trace("by hand", input={"a": 1}, thread_id="chat") as trace:
            trace.output = {"b": 2}
            with opik.start_as_current_span("its span", type="tool") as span:
                span.output = {"c": 3}
    check(f"track, {how}: flush", client.flush(), True)

    traces, spans = client.search_traces(project), client.search_spans(project)
    check(f"track, {how}: traces", len(traces), 8)
    check(f"track, {how}: all have ended", {item.end_time is not None for item in traces + spans}, {True})
    trace, span = by_name(traces), by_name(spans)

    check(f"track, {how}: input and output", (trace["agent"].input, trace["agent"].output), ({"question": "q"}, {"output": "to q"}))
    check(f"track, {how}: tags and thread", (sorted(trace["agent"].tags), trace["agent"].thread_id), (["more", "tracked"], "chat"))
    check(f"track, {how}: metadata", trace["agent"].metadata["v"], 1)
    check(f"track, {how}: scores", (scores_of(trace["agent"]), scores_of(span["agent"])), ({"fine": 1.0}, {"good": 0.5}))
    check(f"track, {how}: nesting", {span["model"].parent_span_id, span["tool"].parent_span_id}, {span["agent"].id})
    check(f"track, {how}: the root has no parent", span["agent"].parent_span_id, None)
    check(f"track, {how}: types", [span[name].type for name in ("agent", "model", "tool")], ["general", "llm", "tool"])
    check(f"track, {how}: an ignored argument", span["tool"].input, {"query": "q"})
    check(f"track, {how}: model", (span["model"].model, span["model"].provider), ("gpt-4o-mini", "openai"))
    check(f"track, {how}: usage", {name: span["model"].usage[name] for name in USAGE}, USAGE)
    check(f"track, {how}: usage of the trace", trace["agent"].usage["total_tokens"], 10)
    check(f"track, {how}: an estimated cost", span["model"].total_estimated_cost, 7 * 15e-8 + 3 * 6e-7)
    check(f"track, {how}: counts", (trace["agent"].span_count, trace["agent"].llm_span_count), (3, 1))

    of_async = [one for one in spans if one.trace_id == trace["a_agent"].id and one.name == "a_model"]
    check(f"track, {how}: async", trace["a_agent"].output, {"output": [0, 1, 2, 3, 4]})
    check(f"track, {how}: async nesting", [one.parent_span_id for one in of_async], [span["a_agent"].id] * 5)
    check(f"track, {how}: generator", trace["words"].output, {"output": "one two three"})
    check(f"track, {how}: async generator", trace["a_words"].output, {"output": "four five"})
    error = trace["failure"].error_info
    check(f"track, {how}: failure", (error.exception_type, error.message), ("ValueError", "bad"))
    check(f"track, {how}: where it failed", "inner_failure" in span["inner_failure"].error_info.traceback, True)
    check(f"track, {how}: a long call is there once", sum(one.name == "long_call" for one in traces + spans), 2)
    check(f"track, {how}: a long call is whole", trace["long_call"].output, {"output": "done"})
    for name in ("remote", "in context"):
        where = (span[name].trace_id, span[name].parent_span_id)
        check(f"track, {how}: {name}, by headers", where, (trace["caller"].id, span["caller"].id))
    check(f"track, {how}: by hand", (trace["by hand"].input, trace["by hand"].output), ({"a": 1}, {"b": 2}))
    check(f"track, {how}: by hand, span", (span["its span"].trace_id, span["its span"].output), (trace["by hand"].id, {"c": 3}))


# Traces and spans made by hand.


def manual(batching: bool) -> None:
    project, how = unique("manual"), "batches" if batching else "one by one"
    client = opik.Opik(project_name=project, batching=batching)
    # Scored before it is there.
    scored_trace, scored_span = generate_id(), generate_id()
    client.log_traces_feedback_scores([{"id": scored_trace, "name": "early", "value": 0.25, "reason": "r"}])
    client.log_spans_feedback_scores([{"id": scored_span, "name": "early", "value": 0.75, "category_name": "c"}])
    check(f"manual, {how}: scores come first", client.flush(), True)

    trace = client.trace(
        id=scored_trace, name="root", start_time=START, input={"q": "é"}, metadata={"m": 1}, tags=["a"],
        thread_id="t", environment="staging", feedback_scores=[{"name": "made", "value": 1.0}],
    )  # fmt: skip
    span = trace.span(id=scored_span, name="child", type="llm", start_time=START, input={"i": 1})
    below = span.span(name="below", type="guardrail", start_time=START, metadata={"n": {"o": [1, None]}})
    below.update(output={"x": 1}, tags=["u"], model="m", provider="p")
    below.log_feedback_score("later", 0.1)
    below.end(end_time=START + dt.timedelta(seconds=1), error_info={"exception_type": "E", "message": "m", "traceback": "t"})
    span.end(end_time=START + dt.timedelta(milliseconds=1500), output={"o": 2}, usage=USAGE, total_cost=0.5)
    trace.log_feedback_score("later", 0.2, category_name="good")
    trace.end(end_time=START + dt.timedelta(seconds=2), output={"a": 1})
    check(f"manual, {how}: flush", client.flush(), True)

    got = client.get_trace_content(trace.id)
    check(f"manual, {how}: trace", (got.name, got.input, got.output), ("root", {"q": "é"}, {"a": 1}))
    check(f"manual, {how}: thread and environment", (got.thread_id, got.environment), ("t", "staging"))
    check(f"manual, {how}: times", (got.start_time, got.duration), (START, 2000.0))
    check(f"manual, {how}: scores of the trace", scores_of(got), {"early": 0.25, "made": 1.0, "later": 0.2})
    check(f"manual, {how}: cost of the trace", got.total_estimated_cost, 0.5)
    got = client.get_span_content(span.id)
    check(f"manual, {how}: span", (got.type, got.output, got.duration), ("llm", {"o": 2}, 1500.0))
    check(f"manual, {how}: its place", (got.trace_id, got.parent_span_id), (trace.id, None))
    check(f"manual, {how}: its scores", scores_of(got), {"early": 0.75})
    got = client.get_span_content(below.id)
    check(f"manual, {how}: a span's span", (got.parent_span_id, got.type), (span.id, "guardrail"))
    check(f"manual, {how}: its update", (got.output, got.tags, got.model, got.provider), ({"x": 1}, ["u"], "m", "p"))
    check(f"manual, {how}: its error", got.error_info.exception_type, "E")
    check(f"manual, {how}: its metadata", got.metadata["n"], {"o": [1, None]})

    client.update_trace(trace.id, project, metadata={"m": 2}, tags=["b"])
    client.update_span(span.id, trace.id, None, project, output={"o": 3}, total_cost=0.25)
    client.log_traces_feedback_scores([{"id": trace.id, "name": "later", "value": 0.9}])
    client.delete_trace_feedback_score(trace.id, "early")
    client.delete_span_feedback_score(span.id, "early")
    check(f"manual, {how}: updates by id", client.flush(), True)
    got = client.get_trace_content(trace.id)
    check(f"manual, {how}: trace updated", (got.metadata["m"], got.tags, got.input), (2, ["b"], {"q": "é"}))
    check(f"manual, {how}: scored again", scores_of(got), {"made": 1.0, "later": 0.9})
    got = client.get_span_content(span.id)
    check(f"manual, {how}: span updated", (got.output, got.total_estimated_cost, got.input), ({"o": 3}, 0.25, {"i": 1}))
    check(f"manual, {how}: score taken back", scores_of(got), {})
    check(f"manual, {how}: end", (client.end(), client.get_errors_report().total_dropped_messages)[0].success, True)


def values() -> None:
    # A file in a payload stays there, if the package is told so.
    os.environ["OPIK_IS_ATTACHMENT_EXTRACTION_ACTIVE"] = "false"
    client = opik.Opik(project_name=unique("values"))
    del os.environ["OPIK_IS_ATTACHMENT_EXTRACTION_ACTIVE"]
    image = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + os.urandom(300_000)).decode()
    odd = {
        "nan": math.nan, "inf": -math.inf, "big": 2**70, "text": "\x00😀", "bytes": b"ab", "set": {1}, "time": START,
    }  # fmt: skip
    trace = client.trace(name="odd", input=odd, output={"deep": [[[[]]]], "": None})
    large = client.trace(name="large", input={"text": "x" * 5_000_000}, output={"rows": list(range(100_000))})
    picture = client.trace(name="picture", input={"image": image}, end_time=START)
    check("values: flush", client.flush(), True)
    check("values: a file in a payload", client.get_trace_content(picture.id).input["image"] == image, True)
    got = client.get_trace_content(trace.id)
    check("values: no numbers", (got.input["nan"], got.input["inf"]), ("NaN", "-Infinity"))
    check("values: large number", got.input["big"], 2**70)
    check("values: text", got.input["text"], "\x00😀")
    check("values: not JSON", (base64.b64decode(got.input["bytes"]), got.input["set"]), (b"ab", [1]))
    check("values: empty", got.output, {"deep": [[[[]]]], "": None})
    got = client.get_trace_content(large.id)
    check("values: large", (len(got.input["text"]), got.output["rows"][-1]), (5_000_000, 99_999))
    client.end()


# Reading.


def search() -> None:
    project = unique("search")
    client = opik.Opik(project_name=project)
    for number, environment in enumerate(["prod", "dev", None]):
        trace = client.trace(
            name=f"trace {number}",
            start_time=START + dt.timedelta(days=number),
            end_time=START + dt.timedelta(days=number, seconds=number),
            input={"question": f"q{number}", "deep": {"k": number}},
            output={"answer": "Ü"},
            metadata={"deep": {"k": "x"}, "n": number, "my-key": str(number)},
            tags=["odd"] if number == 1 else [f"t{number}", "even"] if number == 0 else None,
            thread_id=f"thread {number % 2}",
            environment=environment,
            error_info={"exception_type": "E", "message": "m", "traceback": "t"} if number == 2 else None,
        )
        trace.span(
            name=f"span {number}", type=["llm", "tool", "general"][number], model=f"m{number}", start_time=START,
            end_time=START, usage={"prompt_tokens": number, "completion_tokens": 1, "total_tokens": number + 1},
            total_cost=number / 4,
        )  # fmt: skip
        if number:
            trace.log_feedback_score("my score", number / 10)
    check("search: flush", client.flush(), True)

    for text, wanted in {
        'name = "trace 1"': [1],
        'name contains "RACE"': [0, 1, 2],
        'name not_contains "1" AND name starts_with "trace"': [0, 2],
        'name ends_with "2"': [2],
        'input contains "q1"': [1],
        'output contains "Ü"': [0, 1, 2],
        'input_json."deep.k" = "1"': [1],
        'metadata."deep.k" = "x"': [0, 1, 2],
        'metadata.n >= "1"': [1, 2],
        'metadata."my-key" = "2"': [2],
        'environment in ("prod", "dev")': [0, 1],
        'environment not_in ("prod")': [1, 2],
        'environment = "dev"': [1],
        'tags contains "odd"': [1],
        "tags is_empty": [2],
        "tags is_not_empty": [0, 1],
        'feedback_scores."my score" > 0.1': [2],
        'feedback_scores."my score" is_empty': [0],
        'feedback_scores."my score" is_not_empty AND name != "trace 2"': [1],
        'start_time > "2025-01-03T00:00:00Z"': [1, 2],
        'start_time <= "2025-01-03T04:04:05.678901+01:00"': [0, 1],
        'end_time < "2025-01-03T00:00:00Z"': [0],
        'created_at > "2025-01-03T00:00:00Z" AND last_updated_at >= "2025-01-01T00:00:00Z"': [0, 1, 2],
        "duration >= 1000": [1, 2],
        'thread_id = "thread 0"': [0, 2],
        "error_info is_not_empty": [2],
        "error_info is_empty": [0, 1],
        "usage.total_tokens > 1": [1, 2],
        "total_estimated_cost = 0.25": [1],
        "llm_span_count = 1": [0],
    }.items():
        found = sorted(trace.name for trace in client.search_traces(project, filter_string=text))
        check(f"search: traces with {text}", found, [f"trace {number}" for number in wanted])
    for text, wanted in {
        'type in ("llm", "tool")': [0, 1],
        'type not_in ("llm")': [1, 2],
        'model = "m1"': [1],
        "usage.prompt_tokens <= 1 AND usage.completion_tokens = 1": [0, 1],
        'environment = "prod"': [0],
        "error_info is_empty AND feedback_scores.none is_empty": [0, 1, 2],
    }.items():
        found = sorted(span.name for span in client.search_spans(project, filter_string=text))
        check(f"search: spans with {text}", found, [f"span {number}" for number in wanted])

    check("search: newest first", [trace.name for trace in client.search_traces(project)], ["trace 2", "trace 1", "trace 0"])
    check("search: a few", [trace.name for trace in client.search_traces(project, max_results=1)], ["trace 2"])
    bare = client.search_traces(project, exclude=["input", "output", "metadata"], wait_for_at_least=3)[0]
    check("search: left out", (bare.input, bare.output, bare.name), (None, None, "trace 2"))
    of_trace = client.search_spans(project, trace_id=client.search_traces(project)[1].id)
    check("search: spans of a trace", [span.name for span in of_trace], ["span 1"])
    check("search: unknown project", status_of(lambda: client.search_traces("no such project")), 404)
    client.end()


def pages() -> None:
    """More than the 2,000 that the client asks for at once."""
    project = unique("pages")
    client = opik.Opik(project_name=project)
    for number in range(2_100):
        client.trace(name="many", thread_id=f"thread {number}", end_time=dt.datetime.now(dt.timezone.utc))
    check("pages: flush", client.flush(), True)
    check("pages: traces", len({trace.id for trace in client.search_traces(project, max_results=5_000)}), 2_100)
    check("pages: threads", len({thread.id for thread in client.search_threads(project, max_results=5_000)}), 2_100)
    client.end()


def threads() -> None:
    project = unique("threads")
    client = opik.Opik(project_name=project)
    api = client.rest_client.traces
    for number, thread in enumerate(["a", "a", "b"]):
        client.trace(
            thread_id=thread, input={"say": f"hello {number}"}, output={"say": f"bye {number}"},
            start_time=START + dt.timedelta(minutes=number), end_time=START + dt.timedelta(minutes=number, seconds=5),
        ).span(name="s", type="llm", usage=USAGE, total_cost=0.5, end_time=START)  # fmt: skip
    client.flush()
    # By the client, and by the one for threads; for a thread that is not there yet too.
    client.log_threads_feedback_scores([{"id": "a", "name": "calm", "value": 0.5, "reason": "r"}], project_name=project)
    threads = client.get_threads_client()
    threads.log_threads_feedback_scores([{"id": "c", "name": "calm", "value": 1.0}], project_name=project)
    client.flush()
    client.trace(thread_id="c", end_time=START)
    check("threads: flush", client.flush(), True)

    found = {thread.id: thread for thread in client.search_threads(project)}
    check("threads: all", sorted(found), ["a", "b", "c"])
    a = found["a"]
    check("threads: messages", (a.number_of_messages, a.first_message, a.last_message), (4, {"say": "hello 0"}, {"say": "bye 1"}))
    check("threads: sums", (a.usage["total_tokens"], a.total_estimated_cost, a.duration), (20, 1.0, 65_000.0))
    check("threads: scores", (scores_of(a), scores_of(found["c"])), ({"calm": 0.5}, {"calm": 1.0}))
    check("threads: status", a.status, "active")
    api.add_thread_comment(a.thread_model_id, text="well")
    api.update_thread(a.thread_model_id, tags=["seen"])
    api.close_trace_thread(project_name=project, thread_ids=["a", "b"])
    for text, wanted in {
        'id = "a"': ["a"],
        'status = "inactive"': ["a", "b"],
        'status = "active"': ["c"],
        "number_of_messages >= 4": ["a"],
        'first_message contains "hello 2"': ["b"],
        "feedback_scores.calm > 0.5": ["c"],
        "feedback_scores.calm is_empty": ["b"],
        'tags contains "seen"': ["a"],
        'start_time > "2025-01-02T03:06:00Z"': ["b", "c"],
        "duration > 60000": ["a"],
    }.items():
        check(f"threads: with {text}", sorted(one.id for one in threads.search_threads(project, text)), wanted)
    api.open_trace_thread(project_name=project, thread_id="a")
    again = api.get_trace_thread(project_name=project, thread_id="a")
    check("threads: opened", (again.status, again.tags, again.comments[0].text), ("active", ["seen"], "well"))
    client.trace(thread_id="b", end_time=START)
    client.flush()
    check("threads: a new trace opens", api.get_trace_thread(project_name=project, thread_id="b").status, "active")
    api.delete_thread_feedback_scores(project_name=project, thread_id="a", names=["calm"])
    api.delete_trace_threads(project_name=project, thread_ids=["b"])
    found = {thread.id: scores_of(thread) for thread in client.search_threads(project)}
    check("threads: deleted", found, {"a": {}, "c": {"calm": 1.0}})
    client.end()


def comments() -> None:
    client = opik.Opik(project_name=unique("comments"))
    trace = client.trace(name="t")
    span = trace.span(name="s")
    client.flush()
    api = client.rest_client
    api.traces.add_trace_comment(trace.id, text="nice")
    api.spans.add_span_comment(span.id, text="good")
    made = client.get_trace_content(trace.id).comments[0]
    api.traces.update_trace_comment(made.id, text="nicer")
    check("comments: trace", [one.text for one in client.get_trace_content(trace.id).comments], ["nicer"])
    check("comments: span", [one.text for one in client.get_span_content(span.id).comments], ["good"])
    api.traces.delete_trace_comments(ids=[made.id])
    check("comments: gone", client.get_trace_content(trace.id).comments, None)
    client.end()


def copies() -> None:
    source, target = unique("source"), unique("target")
    client = opik.Opik(project_name=source)
    for number in range(3):
        trace = client.trace(name=f"trace {number}", input={"n": number}, tags=["t"], end_time=dt.datetime.now(dt.timezone.utc))
        outer = trace.span(name="outer", end_time=START)
        outer.span(name="inner", type="llm", usage=USAGE, model="m", end_time=START)
        trace.log_feedback_score("kept", number)
    client.flush()
    client.copy_traces(source, target)
    check("copy: flush", client.flush(), True)
    copied, spans = by_name(client.search_traces(target)), client.search_spans(target)
    check("copy: traces", sorted(copied), ["trace 0", "trace 1", "trace 2"])
    check("copy: their data", (copied["trace 1"].input, copied["trace 1"].tags), ({"n": 1}, ["t"]))
    check("copy: their scores", scores_of(copied["trace 2"]), {"kept": 2.0})
    outer = {span.id: span.trace_id for span in spans if span.name == "outer"}
    inner = {span.parent_span_id: span.trace_id for span in spans if span.name == "inner"}
    check("copy: spans keep their places", (inner, set(outer.values())), (outer, {trace.id for trace in copied.values()}))
    check("copy: the originals stay", (len(client.search_traces(source)), len(client.search_spans(source))), (3, 6))
    client.end()


# Around traces.


def around() -> None:
    project = unique("around")
    client = opik.Opik(project_name=project)
    client.auth_check()
    client.rest_client.projects.create_project(name=project, description="d")
    made = client.rest_client.projects.retrieve_project(name=project.upper())
    check("projects: by id", client.get_project(made.id).name, project)
    check("projects: its address", project in client.get_project_url(), True)
    other = unique("context")
    with opik.project_context(other):
        inside = client.trace(name="inside")
    client.flush()
    check("projects: by context", client.get_project(client.get_trace_content(inside.id).project_id).name, other)

    environment = client.create_environment(project, description="e", color="#123456")
    check("environments: made", (environment.name, environment.color), (project, "#123456"))
    check("environments: changed", client.update_environment(project, color="#654321").color, "#654321")
    check("environments: found", project in [one.name for one in client.get_environments()], True)
    client.delete_environment(project)
    check("environments: gone", project in [one.name for one in client.get_environments()], False)
    team = opik.Opik(project_name=project, workspace=unique("team"))
    team.trace(name="theirs")
    team.flush()
    check("workspaces: another", ([one.name for one in team.search_traces()], client.search_traces()), (["theirs"], []))
    team.end()

    # What is not there says so, and harms nothing.
    check("datasets are not there", status_of(lambda: client.get_or_create_dataset("d")), 404)
    client.end()


def under_load() -> None:
    """Many threads that trace, while others flush."""
    project = unique("load")
    client = opik.Opik(project_name=project)
    opik.set_global_client(client)
    flushes = []

    def work() -> None:
        with opik.project_context(project):
            for number in range(60):
                agent(str(number))
                if number % 30 == 29:
                    flushes.append(client.flush())

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check("load: flush", (set(flushes), client.flush()), ({True}, True))
    check("load: traces", len(client.search_traces(project, max_results=5_000)), 360)
    spans = client.search_spans(project, max_results=5_000)
    check("load: spans", (len(spans), all(span.end_time for span in spans)), (1_080, True))


def commands() -> None:
    """In processes of their own, that know the server by what `configure` wrote."""
    environment = {name: value for name, value in os.environ.items() if name != "OPIK_URL_OVERRIDE"}
    environment["OPIK_CONFIG_PATH"] = os.path.join(folder.name, "configured")

    def run(*command: str) -> tuple[int, str]:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
        return done.returncode, done.stdout + done.stderr

    base = sys.argv[1].removesuffix("/api")
    configure = f"import opik; opik.configure(use_local=True, url={base!r}, force=True, automatic_approvals=True)"
    check("opik.configure", run(sys.executable, "-c", configure)[0], 0)
    healthcheck = os.path.join(os.path.dirname(sys.executable), "opik"), "--api-key", "any", "healthcheck"
    status, said = run(*healthcheck, "--check-permissions", "default")
    check("opik healthcheck", (status, "Backend workspace available: yes" in said), (0, True))
    check("opik healthcheck: whose", "User: admin" in said, True)


for batching in (True, False):
    tracked(batching)
    manual(batching)
values()
search()
pages()
threads()
comments()
copies()
around()
under_load()
commands()
finish()
