"""Uses the client that openapi-python-client generated as the package `opik_client`.

The last line is 'N passed, N failed'; the exit status is 1 when a check failed.
"""

import datetime as dt
import json
import sys
import uuid

from opik_client import Client
from opik_client.api.spans import create_span, get_span_by_id, get_spans_by_project, search_spans
from opik_client.models import (
    ErrorMessage,
    JsonListStringWriteType0,
    SpanPagePublic,
    SpanPublic,
    SpanSearchStreamRequestPublic,
    SpanWrite,
    SpanWriteType,
)

counts = {"passed": 0, "failed": 0}
PROJECT = f"python-{uuid.uuid4().hex[:8]}"
START = dt.datetime(2025, 1, 2, 3, 4, 5, 678901, tzinfo=dt.timezone.utc)
INPUT = {"question": "why", "n": [1, 2.5, None]}


def check(what: str, got: object, wanted: object) -> None:
    ok = got == wanted
    counts["passed" if ok else "failed"] += 1
    print(f"{'ok  ' if ok else 'FAIL'}  {what}" + ("" if ok else f": got {got!r}, wanted {wanted!r}"))


client = Client(base_url=sys.argv[1])

span = SpanWrite(
    start_time=START,
    project_name=PROJECT,
    name="chat",
    type_=SpanWriteType.LLM,
    input_=JsonListStringWriteType0.from_dict(INPUT),
    output="because",
    tags=["a", "b"],
)
created = create_span.sync_detailed(client=client, body=span)
check("create answers 201", created.status_code, 201)
span_id = created.headers["Location"].rsplit("/", 1)[1]

read = get_span_by_id.sync(id=uuid.UUID(span_id), client=client)
assert isinstance(read, SpanPublic), read
check("read: name", read.name, "chat")
check("read: start", read.start_time, START)
check("read: input", read.input_.to_dict(), INPUT)
check("read: output", read.output, "because")
check("read: tags", read.tags, ["a", "b"])

page = get_spans_by_project.sync(client=client, project_name=PROJECT)
assert isinstance(page, SpanPagePublic), page
check("list: total", page.total, 1)
check("list: id", [str(item.id) for item in page.content], [span_id])

# The generator knows no streams: a search is sent as it would send it, and its lines are read one by one.
request = search_spans._get_kwargs(body=SpanSearchStreamRequestPublic(project_name=PROJECT))
answer = client.get_httpx_client().request(**request)
found = [SpanPublic.from_dict(json.loads(line)) for line in answer.iter_lines()]
check("search: ids", [str(item.id) for item in found], [span_id])
check("search: input", found[0].input_.to_dict(), INPUT)

refused = create_span.sync_detailed(client=client, body=SpanWrite(start_time=START, project_name=" "))
check("a blank project name answers 422", refused.status_code, 422)
error = refused.parsed
assert isinstance(error, ErrorMessage), error
check("error: code", error.code, 422)
check("error: errors", error.errors, ["projectName must not be blank"])
check("error: place", [violation.pointer for violation in error.violations], ["/project_name"])

missing = get_span_by_id.sync(id=uuid.UUID("01900000-0000-7000-8000-ffffffffffff"), client=client)
check("what is not there is an error too", isinstance(missing, ErrorMessage) and missing.code, 404)

print(f"{counts['passed']} passed, {counts['failed']} failed")
sys.exit(1 if counts["failed"] else 0)
