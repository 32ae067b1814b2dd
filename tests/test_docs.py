"""Every piece of Python in README and docs runs as it stands, with one epoch a fit."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from latente import choices
from latente.bottlenecks.table import BOTTLENECKS
from latente.corruptions import CORRUPTIONS
from latente.losses import LOSSES

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^( *)```python\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
PAGES = {
    str(path.relative_to(ROOT)): blocks
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if (blocks := [textwrap.dedent(match[2]) for match in BLOCK.finditer(path.read_text("utf-8"))])
}


@pytest.fixture(autouse=True)
def one_epoch_each(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Make every fit short, and keep what a page writes or registers to itself."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(choices, "choose_epochs", lambda *_: 1)
    for table in (CORRUPTIONS, BOTTLENECKS, LOSSES):
        for name, part in table.items():
            monkeypatch.setitem(table, name, part)


def test_there_are_pages() -> None:
    assert {"README.md", "docs/index.md", "docs/guide/fit.md"} <= set(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_a_page_runs(page: str) -> None:
    shared = {"__name__": "__main__"}
    for block in PAGES[page]:
        exec(compile(block, page, "exec"), shared)
