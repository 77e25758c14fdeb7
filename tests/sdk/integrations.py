#!/usr/bin/env python3
"""Uses the integrations of the official Python package `opik` as programs do, against a model server of our own: OpenAI's
client and LangChain, whose traces must be stored with what the models were asked, answered and used.

    pip install opik openai langchain-core langchain-openai
    python tests/sdk/integrations.py http://127.0.0.1:5173/api

The last line is 'N passed, N failed'; the exit status is 1 when a check failed.
"""

import asyncio
import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from check import check, finish, unique

PROJECT = unique("integrations")
os.environ.update(OPIK_URL_OVERRIDE=sys.argv[1], OPIK_PROJECT_NAME=PROJECT, LANGSMITH_TRACING="false")

import openai  # noqa: E402
import opik  # noqa: E402
from langchain_core.prompts import ChatPromptTemplate  # noqa: E402
from langchain_core.tools import tool  # noqa: E402
from langchain_openai import ChatOpenAI  # noqa: E402
from opik.integrations.langchain import OpikTracer  # noqa: E402
from opik.integrations.openai import track_openai  # noqa: E402

# What the model server says of every answer, and what that costs at the prices of the model.
MODEL = "gpt-4o-mini-2024-07-18"
PROMPT, CACHED, COMPLETION = 1_000, 200, 100
COST = (PROMPT - CACHED) * 0.15e-6 + CACHED * 0.075e-6 + COMPLETION * 0.6e-6
USAGE = {
    "prompt_tokens": PROMPT,
    "completion_tokens": COMPLETION,
    "total_tokens": PROMPT + COMPLETION,
    "prompt_tokens_details": {"cached_tokens": CACHED, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 10},
}
# As the package flattens it.
STORED = {
    "prompt_tokens": PROMPT,
    "completion_tokens": COMPLETION,
    "total_tokens": PROMPT + COMPLETION,
    "original_usage.prompt_tokens_details.cached_tokens": CACHED,
    "original_usage.completion_tokens_details.reasoning_tokens": 10,
}
COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
RESPONSE_STORED = {
    "prompt_tokens": PROMPT,
    "completion_tokens": COMPLETION,
    "total_tokens": PROMPT + COMPLETION,
    "original_usage.input_tokens_details.cached_tokens": CACHED,
}
IDENTITY = ("type", "model", "provider")
CALLED = {"type": "llm", "model": MODEL, "provider": "openai"}
# Traces that the chains' tracer makes: those within a function of the program are the function's.
CONVERSATION = 5
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Köln"}'}}


class Model(BaseHTTPRequestHandler):
    """Answers as OpenAI's API does: what was asked last, in other words; a call of a tool if there is one to call."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("/responses"):
            return self.send(200, "application/json", json.dumps(self.response(body)))
        asked = body["messages"][-1]
        if asked["content"] == "fail":
            return self.send(
                400, "application/json", json.dumps({"error": {"message": "no such thing", "code": "bad"}})
            )
        if body.get("stream"):
            chunks = self.chunks(body, asked["content"])
            return self.send(200, "text/event-stream", "".join(f"data: {chunk}\n\n" for chunk in chunks))
        if body.get("tools") and asked["role"] == "user":
            choice = {
                "finish_reason": "tool_calls",
                "message": {"role": "assistant", "content": None, "tool_calls": [CALL]},
            }
        else:
            choice = {"finish_reason": "stop", "message": {"role": "assistant", "content": f"to {asked['content']}"}}
        answer = self.head("chat.completion") | {"choices": [{"index": 0, **choice}], "usage": USAGE}
        return self.send(200, "application/json", json.dumps(answer))

    def head(self, what: str) -> dict:
        return {
            "id": "chatcmpl-1",
            "object": what,
            "created": 1_700_000_000,
            "model": MODEL,
            "system_fingerprint": "fp",
        }

    def chunks(self, body: dict, asked: str):
        head = self.head("chat.completion.chunk")
        for delta in [{"role": "assistant", "content": ""}, {"content": "to "}, {"content": asked}]:
            yield json.dumps(head | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        yield json.dumps(head | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        if (body.get("stream_options") or {}).get("include_usage"):
            yield json.dumps(head | {"choices": [], "usage": USAGE})
        yield "[DONE]"

    def response(self, body: dict) -> dict:
        text = {"type": "output_text", "text": f"to {body['input']}", "annotations": []}
        message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [text]}
        return {
            "id": "resp_1",
            "object": "response",
            "created_at": 1_700_000_000,
            "model": MODEL,
            "status": "completed",
            "output": [message],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": {
                "input_tokens": PROMPT,
                "output_tokens": COMPLETION,
                "total_tokens": PROMPT + COMPLETION,
                "input_tokens_details": {"cached_tokens": CACHED},
                "output_tokens_details": {"reasoning_tokens": 10},
            },
        }

    def send(self, status: int, media_type: str, text: str) -> None:
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
threading.Thread(target=server.serve_forever, daemon=True).start()
MODELS = f"http://127.0.0.1:{server.server_port}/v1"


def client(kind=openai.OpenAI):
    return kind(base_url=MODELS, api_key="none", max_retries=0)


def stored(name: str, whole: bool = False):
    """The one trace of that name, and its spans: by name, or all of them."""
    opik.flush_tracker()
    reader = opik.Opik(project_name=PROJECT)
    traces = reader.search_traces(project_name=PROJECT, filter_string=f'name = "{name}"', truncate=False)
    check(f"{name}: there is one trace", len(traces), 1)
    spans = reader.search_spans(project_name=PROJECT, trace_id=traces[0].id, truncate=False)
    return traces[0], spans if whole else {span.name: span for span in spans}


def of(span, *members: str) -> dict:
    return {member: getattr(span, member) for member in members}


def used(what) -> dict:
    return {key: (what.usage or {}).get(key) for key in STORED}


def message(content: str) -> list:
    return [{"role": "user", "content": content}]


def by_hand() -> None:
    """A client that is traced, alone and within a function."""
    openai_client = track_openai(client(), provider=opik.LLMProvider.OPENAI)

    openai_client.chat.completions.create(model="gpt-4o-mini", messages=message("hi"), temperature=0.5)
    trace, spans = stored("chat_completion_create")
    span = spans["chat_completion_create"]
    check("a call: its span", of(span, *IDENTITY), CALLED)
    check("a call: what was asked", span.input, {"messages": message("hi")})
    check("a call: what was answered", span.output["choices"][0]["message"]["content"], "to hi")
    check(
        "a call: its metadata",
        {key: span.metadata[key] for key in ("temperature", "created_from", "id", "provider")},
        {"temperature": 0.5, "created_from": "openai", "id": "chatcmpl-1", "provider": "openai"},
    )
    check("a call: its usage", used(span), STORED)
    check("a call: its cost", span.total_estimated_cost, COST)
    check("a call: its tags", span.tags, ["openai"])
    check(
        "a call: its trace",
        (trace.input, trace.output, trace.providers, trace.llm_span_count),
        (span.input, span.output, ["openai"], 1),
    )
    check("a call: usage of its trace", used(trace), STORED)
    check("a call: cost of its trace", trace.total_estimated_cost, COST)

    @opik.track
    def told(question: str) -> str:
        stream = openai_client.chat.completions.create(
            model="gpt-4o-mini", messages=message(question), stream=True, stream_options={"include_usage": True}
        )
        return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)

    told("Grüße")
    trace, spans = stored("told")
    span = spans["chat_completion_stream"]
    check("a stream: the function", (trace.input, trace.output), ({"question": "Grüße"}, {"output": "to Grüße"}))
    check("a stream: it is within the function", span.parent_span_id, spans["told"].id)
    check("a stream: its span", of(span, *IDENTITY), CALLED)
    check("a stream: what was answered", span.output["choices"][0]["message"]["content"], "to Grüße")
    check("a stream: its usage", used(span), STORED)
    check("a stream: its cost", span.total_estimated_cost, COST)
    check(
        "a stream: the sums of its trace",
        (used(trace), trace.total_estimated_cost),
        (STORED, span.total_estimated_cost),
    )

    @opik.track
    def unused() -> None:
        for _ in openai_client.chat.completions.create(model="gpt-4o-mini", messages=message("hi"), stream=True):
            pass

    unused()
    span = stored("unused")[1]["chat_completion_stream"]
    check("a stream without usage: usage and cost", (span.usage, span.total_estimated_cost), (None, None))

    @opik.track
    def calling() -> None:
        tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
        openai_client.chat.completions.create(model="gpt-4o-mini", messages=message("weather?"), tools=tools)

    calling()
    span = stored("calling")[1]["chat_completion_create"]
    check("a call of a tool", span.output["choices"][0]["message"]["tool_calls"], [CALL])
    check("a call of a tool: the tools", span.metadata["tools"][0]["function"]["name"], "weather")

    @opik.track
    def failing() -> None:
        openai_client.chat.completions.create(model="gpt-4o-mini", messages=message("fail"))

    try:
        failing()
    except openai.BadRequestError:
        pass
    trace, spans = stored("failing")
    span = spans["chat_completion_create"]
    check(
        "a failure: its kind",
        (span.error_info.exception_type, trace.error_info.exception_type),
        ("BadRequestError",) * 2,
    )
    check("a failure: what it says", "no such thing" in span.error_info.traceback, True)
    check(
        "a failure: no output, usage and cost", (span.output, span.usage, span.total_estimated_cost), (None, None, None)
    )

    openai_client.responses.create(model="gpt-4o-mini", input="hi")
    span = stored("responses_create")[1]["responses_create"]
    check("a response: its span", of(span, *IDENTITY), CALLED)
    check("a response: what was asked", span.input, {"input": "hi"})
    check("a response: what was answered", span.output["output"][0]["content"][0]["text"], "to hi")
    check("a response: its usage", {key: span.usage.get(key) for key in RESPONSE_STORED}, RESPONSE_STORED)
    check("a response: its cost", span.total_estimated_cost, COST)

    @opik.track
    async def together() -> None:
        async_client = track_openai(client(openai.AsyncOpenAI))
        await asyncio.gather(
            *(
                async_client.chat.completions.create(model="gpt-4o-mini", messages=message(text))
                for text in ("one", "two", "three")
            )
        )

    asyncio.run(together())
    trace, spans = stored("together", whole=True)
    calls = [span for span in spans if span.name == "chat_completion_create"]
    check(
        "calls side by side",
        sorted(span.output["choices"][0]["message"]["content"] for span in calls),
        ["to one", "to three", "to two"],
    )
    check("calls side by side: the provider is the host", {span.provider for span in calls}, {"127.0.0.1"})
    check("calls side by side: the usage of all", trace.usage["total_tokens"], 3 * (PROMPT + COMPLETION))
    check("calls side by side: nobody knows what the host asks for", trace.total_estimated_cost, None)


@tool
def weather(city: str) -> str:
    """How the weather is."""
    return f"sunny in {city}"


def by_chain() -> None:
    """A chain that is traced: the prompt, the model, the tools."""
    prompt = ChatPromptTemplate.from_messages([("system", "be kind"), ("user", "{question}")])
    model = ChatOpenAI(model="gpt-4o-mini", base_url=MODELS, api_key="none", max_retries=0, stream_usage=True)
    tracer = OpikTracer(tags=["chain"], metadata={"v": 1}, thread_id=PROJECT)

    def config(name: str) -> dict:
        return {"callbacks": [tracer], "run_name": name}

    (prompt | model).invoke({"question": "hi"}, config=config("asked"))
    trace, spans = stored("asked")
    span = spans["ChatOpenAI"]
    check(
        "a chain: its trace",
        of(trace, "thread_id", "tags", "input", "providers", "span_count"),
        {
            "thread_id": PROJECT,
            "tags": ["chain"],
            "input": {"question": "hi"},
            "providers": ["openai"],
            "span_count": 2,
        },
    )
    check("a chain: its metadata", (trace.metadata["v"], trace.metadata["created_from"]), (1, "langchain"))
    check("a chain: what was answered", trace.output["output"]["content"], "to hi")
    check("a chain: the prompt's span", spans["ChatPromptTemplate"].type, "tool")
    check("a chain: the model's span", of(span, *IDENTITY), CALLED)
    check("a chain: what was asked", [said["content"] for said in span.input["messages"][0]], ["be kind", "hi"])
    check("a chain: what the model answered", span.output["generations"][0][0]["text"], "to hi")
    check("a chain: its usage", used(span), STORED)
    check("a chain: its cost", span.total_estimated_cost, COST)
    check("a chain: cost of its trace", trace.total_estimated_cost, span.total_estimated_cost)

    for _ in (prompt | model).stream({"question": "Grüße"}, config=config("streamed")):
        pass
    trace, spans = stored("streamed")
    span = spans["ChatOpenAI"]
    check("a streamed chain: the model's span", of(span, *IDENTITY), CALLED)
    check("a streamed chain: what the model answered", span.output["generations"][0][0]["text"], "to Grüße")
    check("a streamed chain: its usage", {key: used(span)[key] for key in COUNTS}, {key: STORED[key] for key in COUNTS})

    async def ask() -> None:
        await (prompt | model).abatch([{"question": "one"}, {"question": "two"}], config=config("batched"))

    asyncio.run(ask())
    opik.flush_tracker()
    traces = opik.Opik().search_traces(project_name=PROJECT, filter_string='name = "batched"')
    check(
        "a batch: a trace for each", sorted(trace.output["output"]["content"] for trace in traces), ["to one", "to two"]
    )

    @opik.track
    def agent(question: str) -> str:
        asked = model.bind_tools([weather]).invoke(question, config={"callbacks": [tracer]})
        return weather.invoke(asked.tool_calls[0], config={"callbacks": [tracer]}).content

    check("an agent: what it found", agent("weather?"), "sunny in Köln")
    trace, spans = stored("agent")
    check(
        "an agent: its spans",
        {name: span.type for name, span in spans.items()},
        {"agent": "general", "ChatOpenAI": "llm", "weather": "tool"},
    )
    check(
        "an agent: all is within the function",
        {span.parent_span_id for name, span in spans.items() if name != "agent"},
        {spans["agent"].id},
    )
    check("an agent: what the tool was asked", "Köln" in str(spans["weather"].input), True)
    check("an agent: its trace knows of the tool", trace.has_tool_spans, True)

    try:
        (prompt | model).invoke({"question": "fail"}, config=config("failed"))
    except openai.BadRequestError:
        pass
    trace, spans = stored("failed")
    for what, failed in [("the model's span", spans["ChatOpenAI"]), ("its trace", trace)]:
        check(f"a chain that failed: {what} says why", "no such thing" in failed.error_info.traceback, True)

    thread = opik.Opik().search_threads(project_name=PROJECT, filter_string=f'id = "{PROJECT}"')[0]
    check("the conversation: it has what was asked of the tracer", thread.number_of_messages, 2 * CONVERSATION)


def recorded() -> None:
    """What is recorded in the program is what is stored."""
    with opik.record_traces_locally() as recording:

        @opik.track(type="llm", name="recorded")
        def model(question: str) -> str:
            opik.opik_context.update_current_span(usage=USAGE, model="gpt-4o-mini", provider="openai")
            return f"to {question}"

        model("hi")
        trees = recording.trace_trees
        check("recorded: one trace", [tree.name for tree in trees], ["recorded"])
        trace, spans = stored("recorded")
        check(
            "recorded: the trace is the stored one",
            (trees[0].id, trees[0].input, trees[0].output),
            (trace.id, trace.input, trace.output),
        )
        check(
            "recorded: so is its span",
            [(span.id, span.type, span.model) for span in trees[0].spans],
            [(span.id, span.type, span.model) for span in spans.values()],
        )


by_hand()
by_chain()
recorded()
server.shutdown()
finish()
