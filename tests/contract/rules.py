"""What schemathesis has to know beyond the document.

Two lists, and nothing else, stand between its checks and the server:

* RULES that no schema can say. A request that fits its schema may be refused only if every error in the answer is one
  of these.
* TOLERANCES of the default mode, as docs/compatibility.md names them. A request that breaks its schema may be accepted
  only if each thing that is wrong with it is one of these. With --strict there are none.

What was let through is counted, and told at the end.
"""

import atexit
import collections
import datetime as dt
import functools
import json
import os
import re
import urllib.parse
import urllib.request

import jsonschema
import schemathesis
from hypothesis import strategies as st

STRICT = os.environ["SPANDREL_MODE"] == "strict"
with urllib.request.urlopen(os.environ["SPANDREL_BASE"] + "/openapi.json") as answer:
    DOCUMENT = json.load(answer)

# Each rule: its name, the statuses it is answered with, and what the errors in the answer say.
RULES = [
    ("an id of a span is a version 7 UUID", 400, r"Invalid UUID for id"),
    ("times are in a range", 422, r".*[tT]ime must be after or equal 1970-01-01T00:00:00\.000000Z and before .*"),
    ("times are in a range", 422, r".*lastUpdatedAt must be after or equal 1970-01-01T00:00:00\.000000Z and before .*"),
    ("from_time is before to_time", 400, r"Parameter 'from_time' must be before 'to_time'"),
    ("a choice is between two at least", 422, r"details\.categories size must be between 2 and .*"),
    ("the least is less than the greatest", 422, r"details\.min has to be smaller than details\.max"),
    ("a metric says what it measures", 400, r"(metricType|interval|intervalStart) is marked non-null but is null"),
    ("a time begins before it ends", 400, r"'start_time' must be before 'end_time'"),
    ("a time begins before it ends", 422, r"intervalStart must be before intervalEnd or current time"),
    ("a metric has not too many intervals", 422, r"interval must be longer: .*"),
    ("a metric can be taken apart so", 400, r"Breakdown is not supported for metric type .*"),
    ("a metric can be taken apart so", 422, r"breakdown\b.* must .*"),
    ("ids of projects are a list", 400, r"Invalid query param ids .*"),
    ("a link leads to a server", 400, r"Invalid base URL format"),
    ("a file has a name", 400, r"query param file_name must not be null"),
    ("a file that is read is there", 404, r"File not found: .*"),
    ("a duration is one", 400, r"Unable to process JSON\. .*: expected an ISO 8601 duration such as PT30M, found .*"),
    ("a colour is one", 422, r"colorMap\[.*\] Color must be a valid hex color.*"),
    ("a project is named", 400, r"Either 'project_name' or 'project_id' (query params )?must be provided"),
    ("a project is named", 400, r"project_id must be provided"),
    ("a project is named", 422, r"The request body must provide either a project_name or a project_id"),
    ("a project is named", 422, r"The request body Either 'projectName' or 'projectId' must be provided\."),
    ("a thread is named, or several", 422, r"The request body Either 'threadId' or 'threadIds' must be provided\."),
    ("a thread is named, or several", 422, r"The request body Cannot provide both 'threadId' and 'threadIds'\..*"),
    ("a project named by its id is there", 404, r"Project not found"),
    ("an update leaves at most 50 tags", 422, r"Tag limit exceeded: maximum 50 tags per item"),
    ("source means something", 400, r"Invalid source .*"),
    ("filters mean something", 400, r"Invalid filter.*"),
    ("filters mean something", 400, r"Invalid (operator|value|key) '.*"),
    ("sorting means something", 400, r"Invalid sorting query parameter .*"),
    ("a fault is for an operation that there is", 422, r"operationId must be the id of an operation of the document"),
    ("a fault has headers that HTTP allows", 422, r"headers\[.*\] must be a header that HTTP allows"),
    ("exclude means something", 400, r"Invalid query param exclude .*"),
]


def rule(status, error):
    """The rule that an error in an answer tells of; None if there is none."""
    return next((name for name, code, said in RULES if code == status and re.fullmatch(said, error, re.DOTALL)), None)


STREAM = "application/octet-stream"
PAYLOADS = ("input", "output", "metadata")


def few(ids):
    """Whether there are not too many once repetitions are dropped."""
    return len({json.dumps(id) for id in ids}) <= 1_000


def tolerance(error):
    """The tolerance that allows one violation of a body's schema; None if there is none."""
    path, found = list(error.absolute_path), error.instance
    name = path[-1] if path else None
    inside = path[-2] if len(path) > 1 else None
    if inside == "usage" and (found is None or isinstance(found, float)):
        return "usage: fractions are cut, nulls dropped"
    if found is None and isinstance(name, str) and error.validator in ("type", "anyOf", "enum"):
        return "null for an optional member is as if it were left out"
    if name in PAYLOADS and error.validator == "anyOf":
        return "input, output, metadata: any JSON"
    if name in ("tags", "tags_to_add", "tags_to_remove") and error.validator == "uniqueItems":
        return "repeated tags are dropped"
    if name == "ids" and (error.validator == "uniqueItems" or error.validator == "maxItems" and few(found)):
        return "repeated ids are dropped"
    missing = error.validator == "required" and {"file_size", "upload_id", "uploaded_file_parts"}.issuperset(
        member for member in error.validator_value if member not in found)
    if missing and {"entity_type", "entity_id", "file_name"}.issubset(found):
        return "deleteAttachments: only what names the files is needed"
    if name in ("names", "thread_ids") and error.validator == "uniqueItems":
        return "repeated names are dropped"
    if name == "error_info" and error.validator == "required":
        return "error_info is filled where it lacks something"
    if inside == "error_info" and error.validator == "minLength":
        return "error_info is filled where it lacks something"
    return None


def allowed(error):
    """The same, looking into alternatives: it is enough that one of them fits but for tolerances."""
    name = tolerance(error)
    if name or error.validator != "anyOf":
        return name
    branches = collections.defaultdict(list)
    for inner in error.context:
        branches[inner.schema_path[0]].append(allowed(inner))
    return next((names[0] for names in branches.values() if None not in names), None)


def violations(body, *steps):
    """What is wrong with a body, by the schema at a place in the served document."""
    pointer = "/".join(str(step).replace("~", "~0").replace("/", "~1") for step in steps)
    return jsonschema.Draft202012Validator({**DOCUMENT, "$ref": f"#/{pointer}"}).iter_errors(body)


def parameters(url, *place):
    """What allows each violation in the query of a request: a tolerance, or None."""
    operation = functools.reduce(lambda node, step: node[step], place, DOCUMENT)
    sent = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query, keep_blank_values=True)
    for parameter in operation.get("parameters", []):
        schema = parameter["schema"]
        for text in sent.get(parameter["name"], []) if parameter["in"] == "query" else []:
            value = text
            if schema.get("type") in ("boolean", "integer"):
                try:
                    value = json.loads(text)
                except ValueError:
                    pass
            checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
            if not jsonschema.Draft202012Validator(schema, format_checker=checker).is_valid(value):
                yield "an empty parameter is as if it were left out" if text == "" else None


let_through = collections.Counter()


def let(names):
    """Lets a failure through, if each of its causes has a name."""
    if not names or None in names:
        return False
    let_through.update(set(names))
    return True


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Whether a failure stands."""
    place = ("paths", case.operation.path, case.operation.method)
    # The document has `*/*`, and an object for what is sent: a file is any bytes, of any type.
    if case.operation.path == "/v1/private/attachment/download" and failure.code in ("ST106", "ST108", "ST110"):
        return not let(["a file is any bytes"])
    if case.operation.path == "/v1/private/attachment/upload":
        wrong = list(parameters(response.request.url, *place)) if failure.code == "ST201" else []
        if failure.code == "ST106" or failure.code == "ST201" and not (STRICT and wrong):
            return not let(["a file is any bytes", *wrong])
    if failure.code in ("ST202", "ST302"):
        told = json.loads(response.content)["errors"]
        return not let([rule(response.status_code, error) for error in told])
    if STRICT:
        return True
    if failure.code == "ST201":
        names = list(parameters(response.request.url, *place))
        if response.request.body:
            place += ("requestBody", "content", "application/json", "schema")
            names += [allowed(error) for error in violations(json.loads(response.request.body), *place)]
        return not let(names)
    if failure.code == "ST108" and response.status_code == 200:
        media_type = response.headers["content-type"][0]
        body = lines(None, response) if media_type == STREAM else json.loads(response.content)
        place += ("responses", "200", "content", media_type, "schema")
        return not let([allowed(error) for error in violations(body, *place)])
    return True


@schemathesis.deserializer(STREAM)
def lines(context, response):
    """A search answers one JSON object a line; the document describes them as a list."""
    return [json.loads(line) for line in response.content.splitlines()]


@atexit.register
def tell():
    for name, times in sorted(let_through.items()):
        print(f"let through {times:6} x  {name}")


# Made to be taken, most of the time: a request that is refused for its ids or times alone says little. A few ids come
# again and again, so that spans are found, changed and deleted.
def mostly(usual, other):
    return st.one_of(*[usual] * 9, other)


def date_time(time):
    return time.isoformat(timespec="microseconds") + "Z"


ids = st.sampled_from([f"01900000-0000-7000-8000-00000000000{number}" for number in range(4)])
times = st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2262, 1, 1)).map(date_time)
schemathesis.openapi.format("uuid", mostly(ids, st.uuids().map(str)))
schemathesis.openapi.format("date-time", mostly(times, st.datetimes().map(date_time)))
