#!/usr/bin/env python3
"""Cuts LiteLLM's table of model prices down to what cost estimates use: src/cost/model_prices.json.

    pip download litellm --no-deps && python3 scripts/model_prices.py litellm-*.whl

Takes the wheel, or the JSON file itself (then with --version). The table is part of LiteLLM, which is under the
MIT licence. Numbers are kept digit for digit; rows stay in the table's order, one a line.
"""

import argparse
import datetime
import json
import re
import sys
import zipfile
from decimal import Decimal
from pathlib import Path

PROVIDERS = {
    "openai", "vertex_ai-language-models", "gemini", "anthropic", "vertex_ai-anthropic_models", "bedrock",
    "bedrock_converse", "groq", "jina_ai", "elastic", "mistral", "xai", "microsoft", "azure",
}
PRICES = [
    "input_cost_per_token", "output_cost_per_token", "cache_creation_input_token_cost", "cache_read_input_token_cost",
    "input_cost_per_audio_token", "output_cost_per_audio_token", "input_cost_per_character",
    "output_cost_per_video_per_second",
    *(f"{side}_cost_per_token_above_{tier}_tokens" for side in ("input", "output") for tier in ("128k", "200k", "272k")),
    "cache_creation_input_token_cost_above_200k_tokens", "cache_read_input_token_cost_above_200k_tokens",
]
MODES = {"video_generation", "audio_speech"}


def read(path: Path) -> tuple[str, str]:
    """The table's text and its version."""
    if path.suffix != ".whl":
        return path.read_text(encoding="utf-8"), ""
    with zipfile.ZipFile(path) as wheel:
        name = next(name for name in wheel.namelist() if "model_prices_and_context_window" in name)
        version = re.match(r"litellm-([^-]+)-", path.name)
        return wheel.read(name).decode("utf-8"), version.group(1)


def row(attributes: dict) -> str | None:
    if attributes.get("litellm_provider") not in PROVIDERS:
        return None
    kept = [f'"litellm_provider":{json.dumps(attributes["litellm_provider"])}']
    if attributes.get("mode") in MODES:
        kept.append(f'"mode":{json.dumps(attributes["mode"])}')
    prices = [(name, attributes[name]) for name in PRICES if isinstance(attributes.get(name), (Decimal, int))]
    kept += [f'"{name}":{format(Decimal(value).normalize(), "f")}' for name, value in prices if value]
    return "{" + ",".join(kept) + "}" if any(value for _, value in prices) else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--version", default="unknown")
    parser.add_argument("--date", default=datetime.date.today().isoformat())
    parser.add_argument("--output", type=Path, default=Path(__file__).parent.parent / "src/cost/model_prices.json")
    arguments = parser.parse_args()
    text, version = read(arguments.source)
    table = json.loads(text, parse_float=Decimal)
    rows = [(name, row(attributes)) for name, attributes in table.items()]
    rows = [f"{json.dumps(name)}:{kept}" for name, kept in rows if kept]
    origin = {
        "about": "Cut from LiteLLM's model_prices_and_context_window by scripts/model_prices.py",
        "licence": "MIT, Copyright (c) 2023 Berri AI",
        "version": version or arguments.version,
        "taken": arguments.date,
    }
    body = ",\n".join([f'"#":{json.dumps(origin)}', *rows])
    arguments.output.write_text("{\n" + body + "\n}\n", encoding="utf-8")
    print(f"{len(rows)} models to {arguments.output}", file=sys.stderr)


if __name__ == "__main__":
    main()
