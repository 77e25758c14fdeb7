"""Prints what the binary is made of, as a CycloneDX bill of materials: every crate that is built into it or builds it.

    python scripts/sbom.py x86_64-unknown-linux-gnu > spandrel.cdx.json
"""
import json
import subprocess
import sys
import tomllib
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", sys.argv[1]]
    metadata = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    checksums = {(one["name"], one["version"]): one.get("checksum") for one in lock["package"]}
    packages = {one["id"]: one for one in metadata["packages"]}
    nodes = {one["id"]: one for one in metadata["resolve"]["nodes"]}

    def needs(package: str) -> list[str]:
        """What a crate needs to be built; its tests may need more."""
        return sorted(one["pkg"] for one in nodes[package]["deps"] if any(kind["kind"] != "dev" for kind in one["dep_kinds"]))

    root = metadata["resolve"]["root"]
    waiting, reached = [root], set()
    while waiting:
        package = waiting.pop()
        if package not in reached:
            reached.add(package)
            waiting += needs(package)

    def reference(package: str) -> str:
        return f"pkg:cargo/{packages[package]['name']}@{packages[package]['version']}"

    def component(package: str) -> dict:
        about = packages[package]
        made = {
            "type": "application" if package == root else "library",
            "bom-ref": reference(package),
            "name": about["name"],
            "version": about["version"],
            "purl": reference(package),
        }
        if about.get("license"):
            made["licenses"] = [{"expression": about["license"].replace("/", " OR ")}]
        checksum = checksums.get((about["name"], about["version"]))
        if checksum:
            made["hashes"] = [{"alg": "SHA-256", "content": checksum}]
        return made

    libraries = sorted(reached - {root}, key=reference)
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([sys.argv[1], *map(reference, [root, *libraries])]))
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {"component": component(root)},
        "components": [component(package) for package in libraries],
        "dependencies": [
            {"ref": reference(package), "dependsOn": [reference(one) for one in needs(package)]}
            for package in [root, *libraries]
        ],
    }
    json.dump(document, sys.stdout, indent=1)
    print()


main()
