"""Hooks of mkdocs: pages list the members of a family, and the results of recipes, by themselves.

::

    <!-- family: loss -->    a table of its members, then one block of reference for each class
    <!-- table: loss -->     the table alone
    <!-- names: loss -->     the names alone, within a line
    <!-- recipes -->         what every recipe found, row by row, from the records in docs/recipes
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError

from latente.families import FAMILIES
from latente.recipes import ROWS

RECORDS = Path(__file__).parent / "recipes"
PLACE = re.compile(r"<!-- (family|table|names): (\w+) -->")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Put the members of families into a page."""

    def members(match: re.Match[str]) -> str:
        if match[2] not in FAMILIES:
            raise PluginError(
                f"{page.file.src_uri}: there is no family {match[2]!r}; "
                f"write one of {', '.join(FAMILIES)}"
            )
        return WRITERS[match[1]](match[2])

    if "<!-- recipes -->" in markdown:
        markdown = markdown.replace("<!-- recipes -->", recipes())
    return PLACE.sub(members, markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Take the marks of diagrams out of a page; the block below one is code by its indent."""
    return html.replace("<p>::</p>\n", "").replace("::</p>", ":</p>")


def recipes() -> str:
    """Return a table of the courses' rows: what is said, what came out, and the command."""
    lines = [
        "| row | | a document says | here | verdict | recipe |",
        "|---|---|---|---|---|---|",
    ]
    claims = [
        (claim, record["recipe"])
        for path in sorted(RECORDS.glob("*.json"))
        for record in [json.loads(path.read_text(encoding="utf-8"))]
        for claim in record["claims"]
    ]
    for row, what in ROWS.items():
        for claim, recipe in claims:
            if claim["row"] == row:
                said, found = (claim[key].replace("|", r"\|") for key in ("says", "found"))
                verdict, page = claim["verdict"], f"[`{recipe}`](../recipes/{recipe}.html)"
                lines.append(f"| {row} | {what} | {said} | {found} | {verdict} | {page} |")
    return "\n".join(lines)


def names(family: str) -> str:
    """Return the names of a family's members in one line."""
    return ", ".join(f"`{name}`" for name in FAMILIES[family])


def table(family: str) -> str:
    """Return a table of names, classes and what each class is for."""
    lines = ["| name | class | |", "|---|---|---|"]
    for name, cls in FAMILIES[family].items():
        summary = " ".join((inspect.getdoc(cls) or "").partition("\n\n")[0].split())
        summary = summary.replace("|", r"\|")
        lines.append(f"| `{name}` | [`{cls.__name__}`][{address(cls)}] | {summary} |")
    return "\n".join(lines)


def reference(family: str) -> str:
    """Return the table, a block for each class, and blocks for what the classes derive from."""
    classes = list(dict.fromkeys(FAMILIES[family].values()))
    blocks = [f"::: {address(cls)}" for cls in [*classes, *interface(classes)]]
    return "\n\n".join([table(family), *blocks])


def interface(classes: list[type]) -> list[type]:
    """Return the nearest class that all members derive from, and what else its module defines.

    Where members stand in the same module, the class alone.
    """
    shared = [
        cls
        for cls in classes[0].__mro__[1:]
        if cls.__module__.startswith("latente.")
        and not cls.__name__.startswith("_")
        and all(issubclass(c, cls) for c in classes)
    ]
    if not shared:
        return []
    base = shared[0]
    if base.__module__ in {cls.__module__ for cls in classes}:
        return [base]
    others = [
        value
        for name, value in vars(sys.modules[base.__module__]).items()
        if inspect.isclass(value)
        and value.__module__ == base.__module__
        and not name.startswith("_")
        and value is not base
    ]
    return [base, *others]


def address(cls: type) -> str:
    """Return where a class is defined, as mkdocstrings asks for it."""
    return f"{cls.__module__}.{cls.__qualname__}"


WRITERS = {"family": reference, "table": table, "names": names}
