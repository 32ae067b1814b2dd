"""Write requirements.lock: the exact versions that everything here is tested with.

Run by ``make lock``. pip resolves the package with all its extras and the development groups, in an
environment of its own; the answer is written as plain ``name==version`` lines, so that any pip,
index or mirror can install it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"

# The figures in docs/results were measured with this version.
TORCH = "torch==2.13.0"

# What one build of torch brings along for its card; the other builds do without.
OF_ONE_BUILD = re.compile(r"nvidia-|cuda-|triton")

HEADER = """\
# The exact versions that everything here is tested with. Written by `make lock`; do not edit.
"""


def resolve() -> list[dict[str, dict[str, str]]]:
    """Return what pip would install into an empty environment, as its report tells it."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        pip = [str(Path(folder, "bin", "python")), "-m", "pip", "--disable-pip-version-check"]
        # Older ones know no dependency groups.
        subprocess.run([*pip, "install", "--quiet", "--upgrade", "pip>=25.1"], check=True)
        report = Path(folder, "report.json")
        wanted = [TORCH, f"{ROOT}[all]", "--group", f"{ROOT / 'pyproject.toml'}:dev"]
        flags = ["--quiet", "--dry-run", "--ignore-installed", "--report", str(report)]
        subprocess.run([*pip, "install", *flags, *wanted], check=True)
        return json.loads(report.read_text())["install"]


def lines(installed: list[dict[str, dict[str, str]]]) -> list[str]:
    """Return one ``name==version`` a package, sorted, without the package itself."""
    pins = {}
    for item in installed:
        name = re.sub(r"[-_.]+", "-", item["metadata"]["name"]).lower()
        if name != "latente" and not OF_ONE_BUILD.match(name):
            pins[name] = item["metadata"]["version"].partition("+")[0]
    return [f"{name}=={version}" for name, version in sorted(pins.items())]


def main() -> None:
    """Write the lock, whole or not at all."""
    pins = lines(resolve())
    LOCK.write_text(HEADER + "\n".join(pins) + "\n")
    print(f"{LOCK.name}: {len(pins)} packages", file=sys.stderr)


if __name__ == "__main__":
    main()
