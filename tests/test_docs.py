"""Every piece of Python in README and docs runs as it stands, with one epoch a fit."""

from __future__ import annotations

import importlib.util
import re
import textwrap
from pathlib import Path

import pytest

from latente import build
from latente.families import FAMILIES

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^( *)```python\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
PAGES = {
    str(path.relative_to(ROOT)): blocks
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if (blocks := [textwrap.dedent(match[2]) for match in BLOCK.finditer(path.read_text("utf-8"))])
}


@pytest.fixture(autouse=True)
def one_epoch_each(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Make every fit short, and keep what a page writes to itself."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(build, "choose_epochs", lambda *_: 1)


def test_there_are_pages() -> None:
    assert {"README.md", "docs/index.md", "docs/guide/fit.md"} <= set(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_a_page_runs(page: str) -> None:
    shared = {"__name__": "__main__"}
    for block in PAGES[page]:
        exec(compile(block, page, "exec"), shared)


def test_a_reference_page_lists_its_family() -> None:
    pytest.importorskip("mkdocs")
    spec = importlib.util.spec_from_file_location("hooks", ROOT / "docs" / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    hooks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hooks)
    listed = {}
    for path in (ROOT / "docs" / "reference").glob("*.md"):
        for kind, family in hooks.PLACE.findall(path.read_text("utf-8")):
            listed[family] = hooks.WRITERS[kind](family)
    assert listed.keys() == FAMILIES.keys()
    for family, page in listed.items():
        *_, last = re.findall(r"^::: \S+\.(\w+)$", page, re.MULTILINE)
        for name, cls in FAMILIES[family].items():
            assert f"| `{name}` | [`{cls.__name__}`][{cls.__module__}.{cls.__qualname__}] |" in page
            assert f"::: {cls.__module__}.{cls.__qualname__}\n" in page
            assert last != cls.__name__
