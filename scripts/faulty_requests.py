#!/usr/bin/env python3
"""Sends 20 faulty requests to servers, and tells which of them each server refuses.

    scripts/faulty_requests.py NAME=http://127.0.0.1:4010 NAME=http://127.0.0.1:5173 ...
"""

import json
import pathlib
import sys
import urllib.error
import urllib.request

ROWS = json.loads(pathlib.Path(__file__).with_suffix(".json").read_text())
# A span that every server takes; each row but those with a body of their own changes one thing about it.
SOUND = {"start_time": "2024-01-15T09:30:00Z", "project_name": "p", "name": "chat", "type": "llm", "input": {"a": 1}}


def body_of(row):
    if "body" in row:
        return row["body"].encode()
    span = {**SOUND, **row.get("with", {})}
    span.pop(row.get("without"), None)
    return json.dumps(span).encode()


def status(base, row):
    method = row.get("method", "POST")
    request = urllib.request.Request(base + row.get("path", "/v1/private/spans"), method=method)
    if method == "POST":
        request.data = body_of(row)
        request.add_header("Content-Type", row.get("media_type", "application/json"))
    try:
        return urllib.request.urlopen(request, timeout=10).status
    except urllib.error.HTTPError as error:
        return error.code


servers = [argument.rsplit("=", 1) for argument in sys.argv[1:]]
for name, base in servers:
    assert status(base, {}) == 201, f"{name} does not take a sound span"
caught = dict.fromkeys((name for name, _ in servers), 0)
print("| request |", " | ".join(caught), "|")
print("| --- |", " | ".join("---" for _ in caught), "|")
for row in ROWS:
    answers = []
    for name, base in servers:
        code = status(base, row)
        caught[name] += 400 <= code < 500
        answers.append(str(code) if code >= 400 else f"taken ({code})")
    print(f"| {row['what']} |", " | ".join(answers), "|")
print("| refused, of 20 |", " | ".join(map(str, caught.values())), "|")
