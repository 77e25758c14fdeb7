#!/usr/bin/env python3
"""Stores the same spans in Spandrel, Arize Phoenix and MLflow, each on SQLite, and tells how that went.

    python3 -m venv phoenix && phoenix/bin/pip install arize-phoenix
    python3 -m venv mlflow && mlflow/bin/pip install mlflow
    phoenix/bin/python scripts/compare.py --spandrel target/release/spandrel --phoenix phoenix --mlflow mlflow

Needs `opentelemetry-proto`, which both bring. Each server starts with its own defaults on an empty folder. Batches of 100
spans go to it on eight connections: to Spandrel as JSON, to the others by OTLP over HTTP, which is what their clients
send. Then come a list, its size on disk, and a second run that ends with SIGKILL, after which what was acknowledged is
looked for. A server of several processes is killed with all of them.

A list is of 100 spans with their payloads; of MLflow, which lists no spans, of 100 traces with shortened ones. Spans of
MLflow are counted by their traces.
"""

import argparse
import concurrent.futures
import http.client
import json
import os
import pathlib
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

BATCH = 100
CONNECTIONS = 8
TRACE_SPANS = 10
LIST_SIZE = 100
TRIES = 5
START_SECONDS_MAX = 600
READ_SECONDS_MAX = 600
PROJECT = "compare"

WORDS = (
    "model prompt context retrieval token answer question document customer invoice policy refund shipping account error "
    "timeout latency database schema function argument response vector embedding summary evidence revenue temperature "
    "Berlin Paris größer Straße 今日は 東京 привет the of and to in is that it for was on are as with"
).split()


def text(source: random.Random, size: int) -> str:
    words = []
    while size > 0:
        words.append(source.choice(WORDS))
        size -= len(words[-1].encode()) + 1
    return " ".join(words)


def spans(number: int, seed: int) -> list[dict]:
    """Spans of about 2 KB: a chat, its answer, metadata, token counts; ten to a trace, the first of them the root."""
    source = random.Random(seed)
    began = time.time_ns() - 3_600_000_000_000
    made = []
    for at in range(number):
        place = at % TRACE_SPANS
        made.append(
            {
                "number": at,
                "trace": at // TRACE_SPANS,
                "parent": None if place == 0 else at - place,
                "start": began + at * 1_000_000,
                "end": began + at * 1_000_000 + 250_000_000,
                "input": {"messages": [{"role": "user", "content": text(source, 1_000)}], "model": "gpt-4o"},
                "output": {"choices": [{"index": 0, "message": {"role": "assistant", "content": text(source, 500)}}]},
                "metadata": {"release": "2025.01.3", "region": "eu-central-1", "session": source.randrange(1 << 32)},
                "usage": {"prompt_tokens": source.randrange(4_000), "completion_tokens": source.randrange(800)},
                "seed": seed,
            }
        )
    return made


def port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """A server of some kind in a folder of its own."""

    def __init__(self, program: str):
        self.program = program
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="compare-"))
        self.port = port()
        self.most = 0
        self.process = None

    def start(self) -> float:
        """Starts it; the seconds until it answers."""
        began = time.monotonic()
        log = open(self.folder / "log", "ab")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
        self.process = subprocess.Popen(
            self.command(),
            cwd=self.folder,
            env=environment | self.environment(),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        while True:
            if self.process.poll() is not None or time.monotonic() - began > START_SECONDS_MAX:
                sys.exit(f"{self.name} did not start: {(self.folder / 'log').read_text()[-2_000:]}")
            try:
                if self.ask("GET", self.ping)[0] == 200:
                    break
            except OSError:
                time.sleep(0.02)
        threading.Thread(target=self.watch, args=[self.process], daemon=True).start()
        return time.monotonic() - began

    def watch(self, process: subprocess.Popen) -> None:
        while process.poll() is None:
            self.most = max(self.most, self.memory())
            time.sleep(0.1)

    def memory(self) -> float:
        """Memory of its processes in MiB, shared pages counted once."""
        total = 0
        for entry in pathlib.Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and os.getsid(int(entry.name)) == self.process.pid:
                    rollup = (entry / "smaps_rollup").read_text()
                    total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
            except OSError:
                continue
        return total / 1024

    def end(self, how: int) -> None:
        os.killpg(self.process.pid, how)
        self.process.wait()

    def ask(self, method: str, path: str, body: bytes | None = None, headers: dict | None = None, wire=None):
        wire = wire or http.client.HTTPConnection("127.0.0.1", self.port, timeout=READ_SECONDS_MAX)
        wire.request(method, path, body, headers or {})
        answer = wire.getresponse()
        return answer.status, answer.read()

    def json(self, method: str, path: str, body: object = None) -> dict:
        content = None if body is None else json.dumps(body).encode()
        for again in reversed(range(TRIES)):
            try:
                status, answer = self.ask(method, path, content, {"Content-Type": "application/json"})
                break
            except OSError:
                # A server may end one of its processes that is busy for too long.
                if not again:
                    raise
        if status != 200:
            sys.exit(f"{self.name}: {method} {path} was answered {status}: {answer[:500]}")
        return json.loads(answer)

    def bytes(self) -> int:
        return sum(file.stat().st_size for file in self.folder.rglob("*") if file.is_file() and file.name != "log")

    def send(self, batches: list[bytes], stop: threading.Event | None = None) -> list[int]:
        """Sends batches; which of them were acknowledged."""
        left = iter(enumerate(batches))
        lock = threading.Lock()
        acknowledged = []

        def work() -> None:
            wire = http.client.HTTPConnection("127.0.0.1", self.port, timeout=READ_SECONDS_MAX)
            while True:
                with lock:
                    at, batch = next(left, (None, None))
                if batch is None:
                    return
                for again in reversed(range(TRIES)):
                    try:
                        status, answer = self.ask("POST", self.ingest, batch, self.headers(), wire)
                        break
                    except (OSError, http.client.HTTPException):
                        # Killed, or one of its processes ended.
                        if stop or not again:
                            return
                        wire = http.client.HTTPConnection("127.0.0.1", self.port, timeout=READ_SECONDS_MAX)
                if status not in (200, 204):
                    sys.exit(f"{self.name} answered {status}: {answer[:500]}")
                with lock:
                    acknowledged.append(at)
                    if stop and len(acknowledged) * 2 > len(batches):
                        stop.set()

        with concurrent.futures.ThreadPoolExecutor(CONNECTIONS) as pool:
            for done in [pool.submit(work) for _ in range(CONNECTIONS)]:
                done.result()
        return acknowledged

    def wait_for(self, number: int) -> None:
        """Until so many spans are found, or no more of them come for a while."""
        before, changed = -1, time.monotonic()
        while (found := self.count()) < number:
            if found != before:
                before, changed = found, time.monotonic()
            elif time.monotonic() - changed > 30:
                return
            time.sleep(0.05)


def otlp(made: list[dict]) -> bytes:
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.append(KeyValue(key="openinference.project.name", value=AnyValue(string_value=PROJECT)))
    scope = resource.scope_spans.add()
    for one in made:
        span = scope.spans.add()
        seed = one["seed"]
        span.trace_id = (seed << 64 | one["trace"] + 1).to_bytes(16, "big")
        span.span_id = (seed << 32 | one["number"] + 1).to_bytes(8, "big")
        if one["parent"] is not None:
            span.parent_span_id = (seed << 32 | one["parent"] + 1).to_bytes(8, "big")
        span.name = "chat.completions.create"
        span.kind = 1
        span.start_time_unix_nano, span.end_time_unix_nano = one["start"], one["end"]
        usage = one["usage"]
        for key, value in {
            "openinference.span.kind": "LLM",
            "input.value": json.dumps(one["input"], ensure_ascii=False),
            "input.mime_type": "application/json",
            "output.value": json.dumps(one["output"], ensure_ascii=False),
            "output.mime_type": "application/json",
            "metadata": json.dumps(one["metadata"]),
            "llm.model_name": "gpt-4o",
            "llm.token_count.prompt": usage["prompt_tokens"],
            "llm.token_count.completion": usage["completion_tokens"],
        }.items():
            named = AnyValue(int_value=value) if isinstance(value, int) else AnyValue(string_value=value)
            span.attributes.append(KeyValue(key=key, value=named))
    return request.SerializeToString()


class Spandrel(Server):
    name = "Spandrel"
    ping = "/is-alive/ping"
    ingest = "/v1/private/spans/batch"

    def command(self) -> list[str]:
        return [self.program, "serve", "--listen", f"127.0.0.1:{self.port}", "--database", "sqlite:data.db"]

    def environment(self) -> dict:
        return {}

    def headers(self) -> dict:
        return {"Content-Type": "application/json"}

    def batch(self, made: list[dict]) -> bytes:
        def uuid(one: dict, of: str) -> str:
            digits = f"{one['start'] // 1_000_000:012x}7{0:03x}8{one['seed'] << 40 | one[of]:015x}"
            return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

        def stamp(nanos: int) -> str:
            seconds, nanos = divmod(nanos, 1_000_000_000)
            return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{nanos // 1_000:06}Z"

        first = {at: one for one in made for at in [one["trace"]] if one["parent"] is None}
        sent = []
        for one in made:
            root = first[one["trace"]]
            span = {
                "id": uuid(one, "number"),
                "trace_id": uuid(root, "trace"),
                "project_name": PROJECT,
                "name": "chat.completions.create",
                "type": "llm",
                "start_time": stamp(one["start"]),
                "end_time": stamp(one["end"]),
                "model": "gpt-4o",
                "provider": "openai",
            }
            span |= {name: one[name] for name in ("input", "output", "metadata", "usage")}
            if one["parent"] is not None:
                span["parent_span_id"] = uuid(root, "number")
            sent.append(span)
        return json.dumps({"spans": sent}, ensure_ascii=False).encode()

    def count(self) -> int:
        status, answer = self.ask("GET", f"/v1/private/spans?project_name={PROJECT}&size=1")
        return 0 if status == 404 else json.loads(answer)["total"]

    def list(self) -> None:
        found = self.json("GET", f"/v1/private/spans?project_name={PROJECT}&size={LIST_SIZE}")
        assert len(found["content"]) == LIST_SIZE and "input" in found["content"][0]


class Phoenix(Server):
    name = "Arize Phoenix"
    ping = "/healthz"
    ingest = "/v1/traces"

    def command(self) -> list[str]:
        return [f"{self.program}/bin/phoenix", "serve"]

    def environment(self) -> dict:
        return {
            "PHOENIX_PORT": str(self.port),
            "PHOENIX_GRPC_PORT": str(port()),
            "PHOENIX_WORKING_DIR": str(self.folder),
            "PHOENIX_TELEMETRY_ENABLED": "false",
        }

    def headers(self) -> dict:
        return {"Content-Type": "application/x-protobuf"}

    def batch(self, made: list[dict]) -> bytes:
        return otlp(made)

    def count(self) -> int:
        query = "{ projects { edges { node { name recordCount } } } }"
        found = self.json("POST", "/graphql", {"query": query})["data"]["projects"]["edges"]
        return sum(edge["node"]["recordCount"] for edge in found if edge["node"]["name"] == PROJECT)

    def list(self) -> None:
        found = self.json("GET", f"/v1/projects/{PROJECT}/spans?limit={LIST_SIZE}")["data"]
        assert len(found) == LIST_SIZE and found[0]["attributes"]["input.value"]


class Mlflow(Server):
    name = "MLflow"
    ping = "/health"
    ingest = "/v1/traces"

    def command(self) -> list[str]:
        home = ["--backend-store-uri", "sqlite:///mlflow.db", "--artifacts-destination", "./files"]
        return [f"{self.program}/bin/mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port), *home]

    def environment(self) -> dict:
        # Its programs start others by name.
        return {"PATH": f"{self.program}/bin:{os.environ['PATH']}", "MLFLOW_DISABLE_TELEMETRY": "true"}

    def headers(self) -> dict:
        return {"Content-Type": "application/x-protobuf", "x-mlflow-experiment-id": "0"}

    def batch(self, made: list[dict]) -> bytes:
        return otlp(made)

    def search(self, size: int, token: str | None = None) -> dict:
        where = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}
        body = {"locations": [where], "max_results": size} | ({"page_token": token} if token else {})
        return self.json("POST", "/api/3.0/mlflow/traces/search", body)

    def count(self) -> int:
        traces, token = 0, None
        while True:
            page = self.search(500, token)
            traces += len(page.get("traces", []))
            token = page.get("next_page_token")
            if not token:
                return traces * TRACE_SPANS

    def list(self) -> None:
        assert len(self.search(LIST_SIZE)["traces"]) == LIST_SIZE


def measure(kind: type[Server], program: str, number: int) -> dict:
    server = kind(program)
    made = spans(number, 1)
    batches = [server.batch(made[at : at + BATCH]) for at in range(0, number, BATCH)]
    told = {"server": server.name, "seconds to start, empty": server.start()}
    told["memory idle, MiB"] = server.memory()
    began = time.monotonic()
    acknowledged = len(server.send(batches))
    told["acknowledged spans/s"] = acknowledged * BATCH / (time.monotonic() - began)
    server.wait_for(number)
    told["queryable spans/s"] = server.count() / (time.monotonic() - began)
    told["spans found"] = server.count()
    took = []
    for _ in range(20):
        began = time.monotonic()
        server.list()
        took.append((time.monotonic() - began) * 1_000)
    told["list of 100, median ms"] = statistics.median(took)
    told["list of 100, slowest ms"] = max(took)
    told["memory at most, MiB"] = server.most
    server.end(signal.SIGTERM)
    told["bytes on disk of a span"] = server.bytes() / number

    server = kind(program)
    server.start()
    stop = threading.Event()
    made = spans(number, 2)
    batches = [server.batch(made[at : at + BATCH]) for at in range(0, number, BATCH)]
    killer = threading.Thread(target=lambda: (stop.wait(), server.end(signal.SIGKILL)))
    killer.start()
    acknowledged = len(server.send(batches, stop))
    killer.join()
    server.start()
    server.wait_for(acknowledged * BATCH)
    told["acknowledged before SIGKILL"] = acknowledged * BATCH
    told["of them lost"] = max(0, acknowledged * BATCH - server.count())
    server.end(signal.SIGTERM)
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spandrel", help="the program")
    parser.add_argument("--phoenix", help="a virtual environment with arize-phoenix")
    parser.add_argument("--mlflow", help="a virtual environment with mlflow")
    parser.add_argument("--spans", type=int, default=20_000, help="how many spans are stored")
    arguments = parser.parse_args()
    table = []
    for kind, program in [(Spandrel, arguments.spandrel), (Phoenix, arguments.phoenix), (Mlflow, arguments.mlflow)]:
        if program:
            table.append(measure(kind, str(pathlib.Path(program).resolve()), arguments.spans))
            print(json.dumps(table[-1]), file=sys.stderr)
    for name in table[0]:
        cells = [one[name] if isinstance(one[name], str) else f"{one[name]:,.1f}".removesuffix(".0") for one in table]
        print(" | ".join(["", name, *cells, ""]).strip())


main()
