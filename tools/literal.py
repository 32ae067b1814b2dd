"""A hook of mkdocs: docstrings mark a diagram with ``::``, which Markdown would show."""

from __future__ import annotations

from typing import Any


def on_page_content(html: str, **_: Any) -> str:
    """Take the marks out of a page; the block below one is code by its indent."""
    return html.replace("<p>::</p>\n", "").replace("::</p>", ":</p>")
