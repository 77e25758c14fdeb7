"""Installs a wheel into a new environment and uses what it brings, as a Python program that was written for Opik would.

    python tests/release/wheel.py WHEEL
"""
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv
from pathlib import Path

PATIENCE_SECONDS = 30


def main() -> None:
    wheel = Path(sys.argv[1]).resolve()
    version = wheel.name.split("-")[1]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        venv.create(folder / "venv", with_pip=True)
        python, program = folder / "venv/bin/python", folder / "venv/bin/spandrel"
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", wheel]
        subprocess.run(pip, check=True)
        told = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
        assert told == f"spandrel {version}\n", told

        ready = folder / "ready"
        # A name is looked up, which static binaries do by themselves.
        serve = [program, "serve", "--ephemeral", "--listen", "localhost:0", "--ready-file", ready]
        server = subprocess.Popen(serve, stdout=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while not ready.exists():
                assert server.poll() is None and time.monotonic() < deadline, "the server did not start"
                time.sleep(0.01)
            base = ready.read_text()
            body = json.dumps({"name": "answer", "start_time": "2024-01-15T09:30:00Z"}).encode()
            headers = {"Content-Type": "application/json"}
            request = urllib.request.Request(f"{base}/api/v1/private/spans", body, headers)
            with urllib.request.urlopen(request) as answer:
                assert answer.status == 201, answer.status
                location = answer.headers["Location"]
            with urllib.request.urlopen(f"{base}{location}") as answer:
                span = json.load(answer)
            assert span["name"] == "answer", span
        finally:
            server.terminate()
            assert server.wait(PATIENCE_SECONDS) == 0, server.returncode

        subprocess.run([python, "-m", "pip", "uninstall", "--quiet", "--yes", "spandrel"], check=True)
        assert not program.exists(), "left behind"
    print(f"{wheel.name}: installed, served, removed; {wheel.stat().st_size / 1e6:.1f} MB")


main()
