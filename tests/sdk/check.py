"""What the suites on the official Python package `opik` share. To be imported before the package, which reads its
settings when it is imported."""

import math
import os
import sys
import tempfile
import time
import uuid

folder = tempfile.TemporaryDirectory(prefix="spandrel-sdk-")
# The user's own settings are left alone, and nothing is told to anyone.
os.environ.update(
    OPIK_CONFIG_PATH=os.path.join(folder.name, "opik.config"),
    OPIK_SENTRY_ENABLE="false",
    OPIK_ANALYTICS_ENABLE="false",
    OPIK_SUPPRESS_BATCHING_UPDATE_WARNING="true",
)
os.environ.setdefault("OPIK_CONSOLE_LOGGING_LEVEL", "CRITICAL")
open(os.environ["OPIK_CONFIG_PATH"], "w").close()

from opik.rest_api.core.api_error import ApiError  # noqa: E402

counts = {"passed": 0, "failed": 0}


def unique(name: str) -> str:
    return f"{name}-{uuid.uuid4().hex[:8]}"


def check(what: str, got: object, wanted: object) -> None:
    same = math.isclose(got, wanted) if isinstance(got, float) and isinstance(wanted, float) else got == wanted
    counts["passed" if same else "failed"] += 1
    print(f"{'ok  ' if same else 'FAIL'}  {what}" + ("" if same else f": got {got!r}, wanted {wanted!r}"), flush=True)


def status_of(call) -> object:
    try:
        call()
    except ApiError as error:
        return error.status_code
    return "no error"


def until(ask, wanted: object, seconds: float = 60) -> object:
    """Asks again and again until the answer is this one. Returns the last answer."""
    deadline = time.monotonic() + seconds
    while (got := ask()) != wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    return got


def finish() -> None:
    """The last line, and the exit status."""
    print(f"{counts['passed']} passed, {counts['failed']} failed", flush=True)
    sys.exit(1 if counts["failed"] or not counts["passed"] else 0)
