"""A page in one file: text, numbers and figures as HTML that asks for nothing from outside.

Figures go in as SVG with their text as text and their greys as the page's own, so that they follow
its light and dark colours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

from .style import INK, LINE, MUTED, PAPER, TILE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    LINE: "var(--line)",
    TILE: "var(--tile)",
    PAPER: "var(--paper)",
}
PIXELS_PER_POINT = 96 / 72


def document(title: str, description: str, body: str) -> str:
    """Return a whole HTML document.

    Parameters
    ----------
    title, description
        What it is called and about, as text.
    body
        What it holds, as HTML.
    """
    css = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<meta name="description" content="{escape(description)}">
<link rel="icon" href="data:,">
<style>
{css}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def section(name: str, step: str, title: str, *parts: str) -> str:
    """Return a section with an anchor, a short line above its title, and its parts."""
    inside = "\n".join(parts)
    return (
        f'<section id="{escape(name)}" aria-labelledby="{escape(name)}-title">\n'
        f'<p class="step">{escape(step)}</p>\n'
        f'<h2 id="{escape(name)}-title">{escape(title)}</h2>\n{inside}\n</section>'
    )


def text(*paragraphs: str) -> str:
    """Return paragraphs; words between backticks become code, between asterisks emphasis."""
    return "\n".join(f"<p>{inline(paragraph)}</p>" for paragraph in paragraphs)


def inline(words: str) -> str:
    """Return one run of text as HTML, with its code and emphasis."""
    marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(words, quote=False))
    return re.sub(r"\*([^*]+)\*", r"<em>\1</em>", marked)


def numbers(values: Mapping[str, str]) -> str:
    """Return figures in large type, each over what it is; the first is the most important."""
    items = "".join(
        f"<div><dt>{inline(what)}</dt><dd>{escape(value)}</dd></div>"
        for what, value in values.items()
    )
    return f'<dl class="numbers">{items}</dl>'


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; the first cell of each row is its heading."""
    top = "".join(f'<th scope="col">{inline(cell)}</th>' for cell in head)
    body = "\n".join(
        f'<tr><th scope="row">{inline(first)}</th>'
        + "".join(f"<td>{inline(cell)}</td>" for cell in rest)
        + "</tr>"
        for first, *rest in rows
    )
    return (
        f'<div class="scroll"><table><caption>{inline(caption)}</caption>\n'
        f"<thead><tr>{top}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def code(source: str, language: str) -> str:
    """Return a block of code."""
    return f'<pre><code class="language-{language}">{escape(source.strip())}</code></pre>'


def picture(figure: Figure, alt: str, caption: str = "", *, wide: bool = True) -> str:
    """Return a figure with its description and caption.

    Parameters
    ----------
    figure
        What to show.
    alt
        What it shows, for those who do not see it.
    caption
        What is written beneath.
    wide
        Whether it may be scrolled sideways on a narrow screen, rather than become too small.
    """
    kind = "figure wide" if wide else "figure"
    beneath = f"<figcaption>{inline(caption)}</figcaption>" if caption else ""
    return f'<figure><div class="{kind}">{svg(figure, alt)}</div>{beneath}</figure>'


def pair(*parts: str) -> str:
    """Return parts side by side where there is room, one below the other where there is not."""
    return f'<div class="pair">{"".join(parts)}</div>'


def svg(figure: Figure, alt: str) -> str:
    """Return a figure as an inline SVG element in the page's own colours and typeface."""
    import matplotlib as mpl

    stream = StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "latente"}):
        figure.savefig(
            stream, format="svg", facecolor="none", metadata={"Date": None, "Creator": None}
        )
    drawing = stream.getvalue()
    drawing = drawing[drawing.index("</defs>") + len("</defs>") :].strip()
    width, height = figure.get_size_inches() * 72
    return (
        f'<svg role="img" aria-label="{escape(alt)}" viewBox="0 0 {width:.6g} {height:.6g}" '
        f'style="max-width:{width * PIXELS_PER_POINT:.0f}px" stroke-linejoin="round">\n'
        f"{themed(lean(drawing, f'f{crc32(alt.encode()):08x}-'))}"
    )


def lean(drawing: str, prefix: str) -> str:
    """Drop the identifiers nobody refers to, and make the others the page's only ones."""
    used = set(re.findall(r'(?:url\(|href=")#([^")]+)', drawing))

    def renamed(match: re.Match[str]) -> str:
        name = match[1]
        if name in ("ink", "glyph", "photo"):
            return f' class="{name}"'
        return f' id="{prefix}{name}"' if name in used else ""

    drawing = re.sub(r' id="([^"]+)"', renamed, drawing)
    drawing = re.sub(r'(url\(|href=")#', rf"\g<1>#{prefix}", drawing)
    return drawing.replace("xlink:href", "href")


def themed(drawing: str) -> str:
    """Give a drawing the page's colours and typeface."""
    for colour, variable in COLOURS.items():
        drawing = drawing.replace(colour, variable)
    return re.sub(r"font-family: [^;\"]+", "font-family: inherit", drawing)
