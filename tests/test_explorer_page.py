"""The explorer's page: its files fit together, speak three languages, and can be read by all."""

import json
import re
from pathlib import Path

import pytest

from latente.figures import style

ROOT = Path(__file__).parent.parent
STATIC = ROOT / "src" / "latente" / "explorer" / "static"
TOOLS = ROOT / "tools" / "explorer"
LANGUAGES = ("en", "es", "pt")
MODULES = sorted(STATIC.glob("*.js"))
WORDS = sorted(STATIC.glob("words-*.js"))
IMPORTED = re.compile(
    r"""^(?:(?:import|export|\}).* from|import) ["']([^"'\n]+)["'];$|\bimport\(["'](.+)["']\)""",
    re.M,
)
AA = 4.5


def text(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")


def catalogue(path: Path) -> dict[str, set[str]]:
    """The keys of a file of words, by language."""
    source = path.read_text(encoding="utf-8")
    starts = [re.search(rf"^\s*{name}: \{{", source, re.MULTILINE) for name in LANGUAGES]
    assert all(starts), f"{path.name} lacks a language"
    edges = [start.start() for start in starts if start] + [len(source)]
    return {
        name: set(re.findall(r'^\s*"([a-z][^"\n]*)":', source[first:last], re.MULTILINE))
        for name, first, last in zip(LANGUAGES, edges, edges[1:], strict=False)
    }


def luminance(color: str) -> float:
    channels = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def variables(theme: str) -> dict[str, str]:
    """The colours that the style sheet gives to a theme."""
    sheet = text("app.css")
    light = sheet.split(":root {", 1)[1].split("}", 1)[0]
    dark = sheet.split(':root[data-theme="dark"] {', 1)[1].split("}", 1)[0]
    found = re.compile(r"--([a-z-]+): (#[0-9a-f]{6});")
    colors = dict(found.findall(light))
    return colors if theme == "light" else {**colors, **dict(found.findall(dark))}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_modules_import_only_modules_that_there_are(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    for name in ("".join(pair) for pair in IMPORTED.findall(source)):
        assert name.startswith("./"), f"{path.name} imports {name} from elsewhere"
        assert (STATIC / name).is_file(), f"{path.name} imports {name}, which there is not"


def test_the_page_runs_no_code_and_takes_no_style_but_from_its_files() -> None:
    page = text("index.html")
    assert not re.findall(r"<script(?![^>]*\bsrc=)", page)
    assert not re.findall(r"\son[a-z]+=", page)
    for sheet in ("app.css", "panels.css"):
        assert not re.findall(r"@import|url\(", text(sheet)), sheet


@pytest.mark.parametrize(
    "path", [*MODULES, STATIC / "index.html", STATIC / "app.css"], ids=lambda path: path.name
)
def test_no_file_names_another_server(path: Path) -> None:
    source = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.findall(r"https?://", source)


@pytest.mark.parametrize("path", WORDS, ids=lambda path: path.name)
def test_words_are_there_in_every_language(path: Path) -> None:
    keys = catalogue(path)
    assert keys["en"]
    for name in LANGUAGES[1:]:
        assert keys[name] == keys["en"], f"{path.name}: {name} differs"


def test_every_word_that_is_asked_for_is_there() -> None:
    known = set().union(*(catalogue(path)["en"] for path in WORDS))
    known |= {key.rsplit(".", 1)[0] for key in known if key.endswith((".one", ".other"))}
    page = re.findall(r'data-t(?:-label|-title)?="([^"]+)"', text("index.html"))
    asked = dict.fromkeys(page, "index.html")
    for path in MODULES:
        for key in re.findall(r"""\bt\(["']([a-z][\w. ]+)["']""", path.read_text(encoding="utf-8")):
            asked[key] = path.name
    assert len(asked) > 50
    assert {key: where for key, where in asked.items() if key not in known} == {}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_stands_out_from_what_is_beneath_it(theme: str) -> None:
    colors = variables(theme)
    for ink in ("ink", "muted", "accent", "warn", "good"):
        for ground in ("paper", "ground", "raised", "tile"):
            assert contrast(colors[ink], colors[ground]) >= AA, f"{ink} on {ground}"
    assert contrast(colors["on-accent"], colors["accent"]) >= AA
    assert contrast(colors["accent"], colors["accent-soft"]) >= AA
    assert contrast(colors["ink"], colors["warn-soft"]) >= AA


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_classes_have_the_colours_of_the_figures(theme: str) -> None:
    source = text("theme.js").split(f"const {theme.upper()} = {{", 1)[1].split("};", 1)[0]
    classes = source.split("classes: [", 1)[1].split("]", 1)[0]
    assert tuple(re.findall(r"#[0-9a-f]{6}", classes)) == style.THEMES[theme].colours
    low, high = re.search(r"scale: \[([\d.]+), ([\d.]+)\]", source).groups()  # type: ignore[union-attr]
    assert (float(low), float(high)) == style.THEMES[theme].scale


def test_canvases_have_the_colours_of_the_style_sheet() -> None:
    for theme in ("light", "dark"):
        source = text("theme.js").split(f"const {theme.upper()} = {{", 1)[1].split("};", 1)[0]
        colors = dict(re.findall(r'(\w+): "(#[0-9a-f]{6})"', source))
        sheet = variables(theme)
        for name in ("ink", "muted", "tile", "paper", "accent"):
            assert colors[name] == sheet[name], f"{theme} {name}"


def test_libraries_have_licences_and_the_versions_they_are_built_from() -> None:
    wanted = json.loads((TOOLS / "package.json").read_text())["devDependencies"]
    lock = (TOOLS / "package-lock.json").read_text()
    assert '"resolved"' not in lock
    libraries = sorted((STATIC / "vendor").glob("*.js"))
    assert libraries
    for path in libraries:
        assert path.with_name(f"{path.stem}.LICENSE.txt").stat().st_size > 500
        first = path.read_text(encoding="utf-8").split("\n", 1)[0]
        named = re.fullmatch(r"/\* (\S+) (\S+), licence \S+: see \S+ \*/", first)
        assert named, f"{path.name} does not say what it is"
        assert wanted[named[1]] == named[2]
        source = path.read_text(encoding="utf-8")
        assert not re.findall(r"\beval\(|\bFunction\(", source), f"{path.name} makes code"
