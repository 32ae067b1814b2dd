"""The recipes' words in other languages: all are translated, and say what the English says."""

from __future__ import annotations

import importlib.util
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from string import Formatter
from types import ModuleType

import pytest
from babel.messages.catalog import Catalog

from latente import recipes
from latente.recipes.language import LANGUAGES, _, speaking

LANGUAGES_BUT_ENGLISH = [language for language in LANGUAGES if language != "en"]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """The program that collects and compiles words, which is no part of the package."""
    path = Path(__file__).parents[1] / "tools" / "translations.py"
    spec = importlib.util.spec_from_file_location("translations", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def collected(tool: ModuleType) -> Catalog:
    found: Catalog = tool.collected()
    return found


@pytest.fixture(scope="module", params=LANGUAGES_BUT_ENGLISH)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def catalogue(tool: ModuleType, language: str) -> Catalog:
    found: Catalog = tool.read(language)
    return found


def placeholders(message: str) -> Counter[tuple[str | None, str | None, str | None]]:
    """Count what `str.format` fills in, with how it writes it."""
    parsed = Formatter().parse(message)
    return Counter((name, how, turned) for _words, name, how, turned in parsed if name is not None)


def test_every_message_is_translated(collected: Catalog, catalogue: Catalog) -> None:
    asked = {message.id for message in collected if message.id}
    translated = {message.id for message in catalogue if message.string and not message.fuzzy}
    assert asked
    assert sorted(asked - translated) == [], "run tools/translations.py, then translate these"
    known = {message.id for message in catalogue if message.id}
    assert sorted(known - asked) == [], "no recipe says these"
    assert not catalogue.obsolete


def test_translations_fill_in_and_mark_up_the_same(catalogue: Catalog) -> None:
    unlike = [
        message.id
        for message in catalogue
        if message.id
        and (
            placeholders(message.id) != placeholders(message.string)
            or any(message.id.count(mark) != message.string.count(mark) for mark in "`*\n")
            or re.findall(r"`.*?`", message.id) != re.findall(r"`.*?`", message.string)
        )
    ]
    assert unlike == []


def test_sentences_stay_sentences(catalogue: Catalog) -> None:
    unlike = [
        message.id
        for message in catalogue
        if message.id
        and any(message.id.endswith(end) != message.string.endswith(end) for end in (".", "?", ":"))
    ]
    assert unlike == []


def test_the_files_are_what_the_tool_makes(tool: ModuleType, language: str) -> None:
    path = tool.path_of(language)
    made = tool.updated(language)
    assert path.with_suffix(".mo").read_bytes() == tool.compiled(made), "compile: the tool does"
    assert path.read_bytes() == tool.as_text(made)
    assert not re.search(rb"Date|EMAIL|Babel", path.with_suffix(".mo").read_bytes())


def test_the_program_finds_the_translations(catalogue: Catalog, language: str) -> None:
    with speaking(language):
        assert all(_(message.id) == message.string for message in catalogue if message.id)
    assert _("confirmed") == "confirmed"


class Texts(HTMLParser):
    """Collects the texts of elements that hold words of a recipe."""

    HOLD = frozenset(("p", "h1", "h2", "h3", "caption", "figcaption", "dt"))

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.inside = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.HOLD:
            self.inside = True
            self.texts.append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag not in self.HOLD

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.texts[-1] += data


def said(message: str) -> re.Pattern[str]:
    """Return what matches a message, whatever is filled in."""
    parts = Formatter().parse(re.sub("[`*]", "", message))
    words = (re.escape(words) + ("" if name is None else ".+?") for words, name, *_how in parts)
    return re.compile("".join(words), re.DOTALL)


def has_words(message: str) -> bool:
    """Whether a message says anything beside what is filled in."""
    words = "".join(literal for literal, *_field in Formatter().parse(message))
    return bool(re.search(r"[a-z]{3}", words))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where both languages are run, so that the models are fitted once."""
    return tmp_path_factory.mktemp("translated")


def test_a_page_speaks_its_language(catalogue: Catalog, language: str, folder: Path) -> None:
    record = recipes.run("linear", folder, quick=True, language=language)
    html = (folder / "linear.html").read_text("utf-8")
    title = catalogue[recipes.RECIPES["linear"].title].string
    assert record["language"] == language
    assert f'<html lang="{language}">' in html
    assert f"<title>{title}</title>" in html
    assert catalogue["Copy"].string in html
    texts = Texts(html).texts
    assert title in texts
    assert catalogue["On the command line"].string in texts
    english = [
        said(message.id)
        for message in catalogue
        if message.id != message.string and has_words(message.id)
    ]
    assert [text for text in texts if any(each.fullmatch(text) for each in english)] == []
