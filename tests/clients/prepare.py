"""Prints the document in a form that a generator of clients understands.

    python tests/clients/prepare.py openapi.json python|rust
"""

import json
import sys

document = json.load(open(sys.argv[1]))
schemas = document["components"]["schemas"]


def exact(node):
    """Each range of media types as one of them: bytes as such, what has a schema as JSON."""
    if isinstance(node, list):
        return [exact(item) for item in node]
    if not isinstance(node, dict):
        return node
    content = node.get("content")
    if isinstance(content, dict) and "*/*" in content:
        media = content.pop("*/*")
        content["application/json" if "$ref" in media["schema"] else "application/octet-stream"] = media
    return {name: exact(value) for name, value in node.items()}


if sys.argv[2] == "python":
    document = exact(document)
if sys.argv[2] == "rust":
    for name, schema in schemas.items():
        # "An object, a list of objects, or a text" becomes an empty struct; any JSON it understands.
        if name.startswith("JsonListString"):
            del schema["anyOf"]
        # The same member in two spellings becomes two fields of one name.
        properties = schema.get("properties", {})
        for twin in {name.replace("_", "").lower() for name in properties if "_" in name}:
            for name in [name for name in properties if "_" not in name and name.lower() == twin]:
                del properties[name]
json.dump(document, sys.stdout)
