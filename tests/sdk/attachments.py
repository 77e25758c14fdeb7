#!/usr/bin/env python3
"""Sends and reads files with the official Python package `opik`, as applications do and with its low-level client.

    pip install opik
    python tests/sdk/attachments.py http://127.0.0.1:5173/api

The last line is 'N passed, N failed'; the exit status is 1 when a check failed.
"""

import base64
import datetime as dt
import hashlib
import os
import pathlib
import random
import subprocess
import sys

from check import check, finish, folder as home, status_of, unique

# The package reads it when it is imported.
os.environ["OPIK_URL_OVERRIDE"] = sys.argv[1]

import opik  # noqa: E402
from opik import Attachment  # noqa: E402
from opik.rest_api import OpikApi  # noqa: E402

PROJECT = unique("sdk")
api = OpikApi(base_url=sys.argv[1])
client = opik.Opik(project_name=PROJECT)
folder = pathlib.Path(home.name)


def image(size: int) -> bytes:
    """What begins as a PNG."""
    return b"\x89PNG\r\n\x1a\n" + random.Random(size).randbytes(size)


def listed(entity: str, id: str) -> list:
    found = client.get_attachment_client().get_attachment_list(PROJECT, id, entity)
    return sorted((file.file_name, file.file_size, file.mime_type) for file in found)


def content(entity: str, id: str, name: str, mime_type: str) -> bytes:
    pieces = client.get_attachment_client().download_attachment(PROJECT, entity, id, name, mime_type)
    return b"".join(pieces)


def explicit() -> tuple[str, str]:
    file = folder / "résumé & plan.pdf"
    file.write_bytes(b"%PDF-1.7 a plan")
    large = folder / "large.bin"
    large.write_bytes(random.Random(1).randbytes(30_000_000))
    trace = client.trace(name="with files", attachments=[Attachment(data=str(file), create_temp_copy=False)])
    span = trace.span(
        name="step",
        attachments=[
            Attachment(data=str(large), content_type="application/x-large"),
            Attachment(data=b"raw", file_name="raw.txt", content_type="text/plain"),
        ],
    )
    span.end()
    trace.end()
    client.flush()
    check("explicit: of the trace", listed("trace", trace.id), [(file.name, 15, "application/pdf")])
    wanted = [("large.bin", 30_000_000, "application/x-large"), ("raw.txt", 3, "text/plain")]
    check("explicit: of the span", listed("span", span.id), wanted)
    check("explicit: content", content("trace", trace.id, file.name, "application/pdf"), b"%PDF-1.7 a plan")
    got = content("span", span.id, "large.bin", "application/x-large")
    check("explicit: large", hashlib.sha256(got).digest(), hashlib.sha256(large.read_bytes()).digest())
    return trace.id, span.id


def extracted() -> None:
    first, second = image(300_000), image(400_000)
    encoded = [base64.b64encode(one).decode() for one in (first, second)]
    trace = client.trace(
        name="with images",
        input={"messages": [{"image": f"data:image/png;base64,{encoded[0]}"}], "text": "what is this?"},
        output={"image": encoded[1]},
        # The package looks into what is finished alone.
        end_time=dt.datetime.now(dt.timezone.utc),
    )
    client.flush()
    files = listed("trace", trace.id)
    check("extracted: files", [(size, kind) for _, size, kind in files], [(300_008, "image/png"), (400_008, "image/png")])
    stripped = api.traces.get_trace_by_id(id=trace.id, strip_attachments=True)
    references = sorted([stripped.input["messages"][0]["image"], stripped.output["image"]])
    check("extracted: references", references, sorted(f"[{name}]" for name, *_ in files))
    whole = api.traces.get_trace_by_id(id=trace.id)
    check("extracted: input", whole.input["messages"][0]["image"].removeprefix("data:image/png;base64,"), encoded[0])
    check("extracted: text", whole.input["text"], "what is this?")
    check("extracted: output", whole.output["image"], encoded[1])
    found = client.search_traces(project_name=PROJECT, filter_string=f'id = "{trace.id}"', truncate=False)
    check("extracted: search", [one.output["image"] == encoded[1] for one in found], [True])
    name, _, kind = next(file for file in files if file[0].startswith("output"))
    check("extracted: content", content("trace", trace.id, name, kind), second)


def uploaded(trace: str) -> None:
    file = folder / "later.json"
    file.write_text('{"a": 1}')
    attachments = client.get_attachment_client()
    attachments.upload_attachment(PROJECT, "trace", trace, str(file))
    check("uploaded", ("later.json", 8, "application/json") in listed("trace", trace), True)
    file.write_text('{"a": 2.0}')
    attachments.upload_attachment(PROJECT, "trace", trace, str(file))
    check("uploaded again", content("trace", trace, "later.json", "application/json"), b'{"a": 2.0}')


def low_level(trace: str, span: str) -> None:
    project = api.projects.retrieve_project(name=PROJECT).id
    path = base64.b64encode(sys.argv[1].encode()).decode()
    page = api.attachments.attachment_list(
        project_id=project, entity_type="trace", entity_id=trace, path=path, size=1, page=2
    )
    check("low level: page", (page.page, page.size, page.total, len(page.content)), (2, 1, 2, 1))
    pieces = api.attachments.download_attachment(
        container_id=project, entity_type="span", entity_id=span, file_name="raw.txt", mime_type="text/plain"
    )
    check("low level: content", b"".join(pieces), b"raw")
    api.attachments.complete_multi_part_upload(
        file_name="raw.txt", entity_type="span", entity_id=span, file_size=3, upload_id="BEMinIO", uploaded_file_parts=[]
    )
    api.attachments.delete_attachments(
        file_name="raw.txt", entity_type="span", entity_id=span, file_size=3, upload_id="BEMinIO",
        uploaded_file_parts=[], project_name=PROJECT,
    )
    check("low level: deleted", [name for name, *_ in listed("span", span)], ["large.bin"])
    gone = lambda: list(api.attachments.download_attachment(
        container_id=project, entity_type="span", entity_id=span, file_name="raw.txt", mime_type="text/plain"))
    check("low level: gone", status_of(gone), 404)
    api.traces.delete_trace_by_id(id=trace)
    check("with the trace", (listed("trace", trace), listed("span", span)), ([], []))


def exported() -> None:
    """A project goes into a folder, is deleted, and comes back from there."""
    project = unique("exported")
    other = opik.Opik(project_name=project)
    trace = other.trace(name="kept", input={"q": "é"}, attachments=[Attachment(data=b"raw", file_name="raw.txt")])
    trace.span(name="step", output={"o": 1}).end()
    trace.end()
    other.end()
    program = os.path.join(os.path.dirname(sys.executable), "opik")
    for direction in ("export", "import"):
        done = subprocess.run(
            [program, direction, "default", project, "traces", "--path", home.name], capture_output=True, text=True
        )
        check(f"opik {direction}: status", (done.returncode, done.stdout if done.returncode else ""), (0, ""))
        if direction == "export":
            api.projects.delete_project_by_id(id=api.projects.retrieve_project(name=project).id)
    found = client.search_traces(project_name=project)
    check("opik import: traces", [(one.name, one.input) for one in found], [("kept", {"q": "é"})])
    steps = client.search_spans(project_name=project)
    check("opik import: spans", [(one.name, one.output) for one in steps], [("step", {"o": 1})])


trace, span = explicit()
extracted()
uploaded(trace)
low_level(trace, span)
exported()
client.end()
finish()
