"""A page in one file: text, numbers, tables, code and figures as HTML that loads nothing else.

::

    Page(title, sections) ──page.html.jinja──▶ HTML with its style and figures inside
                 ▲
    Section(name, title, parts) ◀── text, numbers, table, code, code_pair, picture, columns, flow

A part is a function that returns HTML. Text is escaped everywhere; only what a part returns is
taken as HTML.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any
from zlib import crc32

import matplotlib as mpl
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from ..storage.files import atomic
from .mosaic import Rendering
from .style import DARK, LIGHT, signed

COLOURS = {
    LIGHT.ink: "var(--ink)",
    LIGHT.muted: "var(--muted)",
    LIGHT.line: "var(--line)",
    LIGHT.tile: "var(--tile)",
    LIGHT.paper: "var(--paper)",
    **{colour: f"var(--colour-{i})" for i, colour in enumerate(LIGHT.colours)},
}
"""The colours of figures that follow the page's light or dark ones."""
PIXELS_PER_POINT = 96 / 72
TEMPLATES = Environment(
    loader=PackageLoader("latente", "figures"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
"""The templates of this folder; what they can call is added at the end of this module."""
WIDTH = 54
"""Characters in a line of code, so that two blocks fit side by side."""
FLAGS = {"random_state": "--seed"}
"""Options of ``latente fit`` that are not called like the estimator's keyword."""


@dataclass(frozen=True)
class Section:
    """A section of a page.

    Parameters
    ----------
    name
        Its anchor: ``#name`` leads to it.
    title
        Its heading.
    parts
        What it holds, from top to bottom, as the functions of this module return it.
    label
        A short line above the heading.
    link
        What the list of sections at the top of the page calls it; by default its title.
    """

    name: str
    title: str
    parts: Sequence[Markup] = ()
    label: str = ""
    link: str = ""


@dataclass(frozen=True)
class Page:
    """A page: a heading, an introduction, sections, and a foot.

    Parameters
    ----------
    title
        Its heading, and the title of the browser's window.
    sections
        From top to bottom; the introduction ends with a list of links to them.
    description
        One sentence for search engines and previews.
    lead
        The first paragraph, in larger type; marked up as in `text`.
    introduction
        Parts between the first paragraph and the list of sections.
    footer
        Paragraphs at the foot; marked up as in `text`.
    language
        Of its text, as a tag such as "en".
    contents
        What the list of sections is called, for screen readers.
    copy
        What the buttons beside code say, before and after they have copied it.
    """

    title: str
    sections: Sequence[Section] = ()
    description: str = ""
    lead: str = ""
    introduction: Sequence[Markup] = ()
    footer: Sequence[str] = ()
    language: str = "en"
    contents: str = "Sections"
    copy: tuple[str, str] = ("Copy", "Copied")

    def html(self) -> str:
        """Return the page as a whole HTML document."""
        return render("page.html.jinja", page=self)


def render(template: str, **context: Any) -> str:
    """Return the HTML that a template of this package makes of what it is given.

    Parameters
    ----------
    template
        Its file name, such as "page.html.jinja".
    context
        The values of the template's variables, by name.
    """
    return TEMPLATES.get_template(template).render(**context)


def write(path: str | Path, html: str) -> None:
    """Write HTML into a file, whole or not at all; its folder is made if it is not there.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        temporary.write_text(html, encoding="utf-8")


def text(*paragraphs: str) -> Markup:
    """Return paragraphs; words between backticks become code, between asterisks emphasis."""
    return _part("text", paragraphs)


def numbers(values: Mapping[str, str]) -> Markup:
    """Return figures in large type, each over what it is; the first is the most important."""
    return _part("numbers", values)


def table(
    caption: str, head: Sequence[str], rows: Sequence[Sequence[str]], *, words: bool = False
) -> Markup:
    """Return a table; the first cell of each row is its heading.

    Parameters
    ----------
    caption
        What it shows.
    head, rows
        Cells; marked up as in `text`.
    words
        Whether cells hold words that are broken into lines, rather than numbers.
    """
    return _part("table", caption, head, rows, words)


def items(entries: Sequence[Markup]) -> Markup:
    """Return a list of entries, such as links."""
    return _part("items", entries)


def link(address: str, words: str) -> Markup:
    """Return words that lead to an address."""
    return Markup('<a href="{}">{}</a>').format(address, words)


def code(source: str, language: str = "python") -> Markup:
    """Return a block of code with a button that copies it."""
    return _part("code", source.strip(), language)


def code_pair(
    python: str, shell: str, titles: tuple[str, str] = ("In Python", "On the command line")
) -> Markup:
    """Return the same work as Python and as shell commands, side by side.

    Parameters
    ----------
    python, shell
        What to run.
    titles
        What stands above each.
    """
    return _part("code_pair", python.strip(), shell.strip(), titles)


def columns(*parts: Markup) -> Markup:
    """Return parts side by side where there is room, one below the other where there is not."""
    return _part("columns", parts)


def picture(
    figure: Figure, alt: str, caption: str = "", *, wide: bool = True, vector: bool = True
) -> Markup:
    """Return a figure with its description and caption.

    Parameters
    ----------
    figure
        What to show.
    alt
        What it shows, for those who do not see it.
    caption
        What is written beneath; marked up as in `text`.
    wide
        Whether it may be scrolled sideways on a narrow screen, rather than become too small.
    vector
        As SVG, which follows the page's light or dark colours; otherwise as PNG on white, which
        is smaller where a figure holds thousands of points.
    """
    drawing = svg(figure, alt) if vector else png(figure, alt)
    return _part("picture", drawing, caption, wide)


def flow(x: Any, z: Any, restored: Any) -> Markup:
    """Return a drawing of an autoencoder: a picture, encoder, code, decoder, the reconstruction.

    Parameters
    ----------
    x, restored
        Grey pictures, (h, w), in one scale.
    z
        The code between them, (latent,); the first three numbers are written out.
    """
    rendering = Rendering.learn(np.asarray(x)[None])
    before, after = (rendering(np.asarray(each)[None])[0].tolist() for each in (x, restored))
    z = np.asarray(z).ravel()
    shown = [signed(value, 2) for value in z[:3]] + ["…"] * (len(z) > 3)
    return Markup(render("flow.svg.jinja", before=before, after=after, code=shown))


def svg(figure: Figure, alt: str) -> Markup:
    """Return a figure as an inline SVG element in the page's own colours and typeface."""
    stream = StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "latente"}):
        figure.savefig(
            stream, format="svg", facecolor="none", metadata={"Date": None, "Creator": None}
        )
    drawing = stream.getvalue()
    drawing = drawing[drawing.index("</defs>") + len("</defs>") :].strip()
    for colour, variable in COLOURS.items():
        drawing = drawing.replace(colour, variable)
    drawing = re.sub(r"font-family: [^;\"]+", "font-family: inherit", drawing)
    width, height = figure.get_size_inches() * 72
    return Markup(
        f'<svg role="img" aria-label="{escape(alt)}" viewBox="0 0 {width:.6g} {height:.6g}" '
        f'style="max-width:{width * PIXELS_PER_POINT:.0f}px" stroke-linejoin="round">\n'
        f"{_lean(drawing, f'f{crc32(alt.encode()):08x}-')}"
    )


def png(figure: Figure, alt: str) -> Markup:
    """Return a figure as an image element that holds its PNG, drawn at two pixels a CSS pixel."""
    stream = BytesIO()
    figure.savefig(stream, format="png", dpi=192)
    width = figure.get_figwidth() * 96
    return Markup(
        f'<img alt="{escape(alt)}" style="max-width:{width:.0f}px" '
        f'src="data:image/png;base64,{b64encode(stream.getvalue()).decode()}">'
    )


def python_fit(keywords: Mapping[str, Any], calls: Sequence[str], data: str) -> str:
    """Return Python that fits a model on a data set, and draws figures of it.

    Parameters
    ----------
    keywords
        Of the estimator.
    calls
        As for `python_figures`.
    data
        Name of the data set.
    """
    arguments = [f"{name}={_literal(value)}," for name, value in keywords.items()]
    lines = [
        "from latente import Autoencoder, datasets, figures",
        "",
        f'{data} = datasets.load("{data}")',
        "model = Autoencoder(",
        *_lines(arguments, "    "),
        f").fit({data}.X)",
        python_figures(calls),
    ]
    return "\n".join(lines)


def python_figures(calls: Sequence[str]) -> str:
    """Return Python that draws figures of ``model``, given as calls of `latente.figures`."""
    lines = []
    for call in calls:
        name, _, arguments = call.removesuffix(")").partition("(")
        short_form = f'figures.{call}.savefig("{name}.png")'
        long_form = f'figures.{name}(\n    {arguments}\n).savefig("{name}.png")'
        lines.append(short_form if len(short_form) <= WIDTH else long_form)
    return "\n".join(lines)


def shell_fit(name: str, keywords: Mapping[str, Any], commands: Sequence[str], data: str) -> str:
    """Return shell commands that fit a model into a file, and use it.

    Parameters
    ----------
    name
        Of the model; its file is called so.
    keywords
        Of the estimator.
    commands
        As for `shell_commands`.
    data
        Name of the data set.
    """
    options = [f"{flag(key)} {_word(value)}" for key, value in keywords.items()]
    fit = _lines([f"latente fit {data}", f"-o {name}.safetensors", *options], "", "    ", " \\")
    return "\n".join(fit) + "\n" + shell_commands(commands)


def shell_commands(commands: Sequence[str]) -> str:
    """Return shell commands, given as what comes after ``latente``, broken at their options."""
    lines: list[str] = []
    for command in commands:
        words = f"latente {command}".replace(" -", "\n-").split("\n")
        lines += _lines(words, "", "    ", " \\")
    return "\n".join(lines)


def flag(keyword: str) -> str:
    """Return the option of ``latente fit`` for a keyword of the estimator."""
    return FLAGS.get(keyword, "--" + keyword.replace("_", "-"))


def _lines(words: Sequence[str], first: str, later: str | None = None, end: str = "") -> list[str]:
    """Fill lines with words that are not broken; ``end`` follows every line but the last."""
    lines = [first + words[0]]
    for word in words[1:]:
        if len(lines[-1]) + 1 + len(word) + len(end) > WIDTH:
            lines[-1] += end
            lines.append((first if later is None else later) + word)
        else:
            lines[-1] += " " + word
    return lines


def _literal(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _word(value: object) -> str:
    text = str(value)
    return f'"{text}"' if "(" in text else text


def _lean(drawing: str, prefix: str) -> str:
    """Drop the identifiers that nothing refers to, and make the others unique in the page."""
    used = set(re.findall(r'(?:url\(|href=")#([^")]+)', drawing))

    def renamed(match: re.Match[str]) -> str:
        name = match[1]
        if name in ("ink", "glyph", "photo"):
            return f' class="{name}"'
        return f' id="{prefix}{name}"' if name in used else ""

    drawing = re.sub(r' id="([^"]+)"', renamed, drawing)
    drawing = re.sub(r'(url\(|href=")#', rf"\g<1>#{prefix}", drawing)
    return drawing.replace("xlink:href", "href")


def _marked(words: str) -> Markup:
    """Return a run of text as HTML, with its code and emphasis."""
    html = re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(words)))
    return Markup(re.sub(r"\*([^*]+)\*", r"<em>\1</em>", html))


def _part(name: str, *values: Any) -> Markup:
    """Return what a macro of ``parts.html.jinja`` makes of the values."""
    return Markup(getattr(TEMPLATES.get_template("parts.html.jinja").module, name)(*values))


TEMPLATES.filters["marked"] = _marked
TEMPLATES.globals["text"] = text
TEMPLATES.globals |= {"LIGHT": LIGHT, "DARK": DARK}
