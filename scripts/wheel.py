"""Packs a built binary as a Python wheel, so that `pip install` puts `spandrel` on the PATH.

    python scripts/wheel.py target/release/spandrel FOLDER

Prints the wheel's path. Needs nothing but Python. A static binary gets tags for every Linux of its processor; of a dynamic
one, the oldest C library that it runs with is read from the binary itself.
"""
import base64
import hashlib
import re
import struct
import sys
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MACHINES = {62: "x86_64", 183: "aarch64"}
PROGRAM_INTERPRETER = 3


def platforms(binary: bytes) -> list[str]:
    """The platforms on which a binary runs."""
    if binary[:6] != b"\x7fELF\x02\x01":
        raise SystemExit("expected a 64-bit Linux binary")
    machine = MACHINES[struct.unpack_from("<H", binary, 18)[0]]
    (start,) = struct.unpack_from("<Q", binary, 32)
    size, count = struct.unpack_from("<HH", binary, 54)
    kinds = [struct.unpack_from("<I", binary, start + index * size)[0] for index in range(count)]
    if PROGRAM_INTERPRETER not in kinds:
        return [f"manylinux_2_17_{machine}", f"manylinux2014_{machine}", f"musllinux_1_1_{machine}"]
    newest = max(int(minor) for minor in re.findall(rb"GLIBC_2\.(\d+)\b", binary))
    return [f"manylinux_2_{newest}_{machine}"]


def main() -> None:
    binary, folder = Path(sys.argv[1]).read_bytes(), Path(sys.argv[2])
    package = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]
    version = package["version"]
    names = platforms(binary)
    info = f"spandrel-{version}.dist-info"
    metadata = (
        f"Metadata-Version: 2.1\nName: spandrel\nVersion: {version}\nSummary: {package['description']}\n"
        f"License: {package['license']}\nLicense-File: LICENSE\nLicense-File: LICENSE-litellm\n"
        f"Requires-Python: >=3.8\nDescription-Content-Type: text/markdown\n\n{(ROOT / 'README.md').read_text()}"
    )
    tags = "".join(f"Tag: py3-none-{name}\n" for name in names)
    files = [
        (f"spandrel-{version}.data/scripts/spandrel", binary, 0o755),
        (f"{info}/licenses/LICENSE", (ROOT / "LICENSE").read_bytes(), 0o644),
        (f"{info}/licenses/LICENSE-litellm", (ROOT / "src/cost/LICENSE-litellm").read_bytes(), 0o644),
        (f"{info}/METADATA", metadata.encode(), 0o644),
        (f"{info}/WHEEL", f"Wheel-Version: 1.0\nGenerator: spandrel\nRoot-Is-Purelib: false\n{tags}".encode(), 0o644),
    ]
    rows = []
    for name, content, _ in files:
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        rows.append(f"{name},sha256={digest},{len(content)}\n")
    record = f"{info}/RECORD"
    files.append((record, "".join([*rows, f"{record},,\n"]).encode(), 0o644))

    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"spandrel-{version}-py3-none-{'.'.join(names)}.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content, mode in files:
            # The same bytes whenever it is made.
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.external_attr = (0o100000 | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    print(wheel)


main()
