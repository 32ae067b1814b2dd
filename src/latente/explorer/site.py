"""Site: a scene as a page that needs no server, one HTML file or a folder of a few.

::

    Scene ──some rows──▶ codes, points, density, samples ─┐
          ──lowering───▶ encoder and decoder as programs ─┴──packed──▶ base64 in a classic script
    static/ ──modules as data: URLs under an import map──▶ index.html

Everything a page needs is in its own scripts, so that it works from any file server, and opened as
a file too, where browsers let a page fetch nothing. It asks nothing of any other address, and says
so to the browser (Content-Security-Policy).
"""

from __future__ import annotations

import base64
import json
import posixpath
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import singledispatch
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FileError
from ..storage.files import StrPath, atomic, is_temporary, staging
from ..version import __version__
from . import packed
from .facts import scene_facts
from .lowering import Unsupported
from .plane import CodePlane, LinePlane, PCAPlane, Plane, UMAPPlane
from .portable import (
    CHECKED,
    Decoding,
    OutputPart,
    Passing,
    Portable,
    numbers_of_shown,
    parts_of,
    portable,
    preparation_facts,
)
from .samples import PictureForm, RowForm, SampleForm
from .scene import Scene
from .view import ModelView
from .weights import Store

STATIC = Path(__file__).parent / "static"
PAGE_ROWS, FOLDER_ROWS = 2_000, 10_000
"""Rows, at most, that one file and a folder hold."""
PAGE_BYTES, FOLDER_BYTES = 16 * 2**20, 128 * 2**20
"""Bytes of samples, at most, before they are made smaller."""
LARGEST_PAGE, LARGEST_PART = 64 * 2**20, 384 * 2**20
"""Bytes of a single file, and of one of a folder, at most; browsers read no text of 2²⁹."""
MARK = "latente-site.json"
"""By this file a folder is known to be such a site."""
GENERATOR = '<meta name="generator" content="latente '
DAMAGES = ("noise", "mask", "salt_and_pepper")
PICTURE_DAMAGES = (*DAMAGES, "blur", "downsample", "erase")
"""What ``static/damages.js`` can do to samples, and to pictures."""
POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline' data: blob:; worker-src blob:; "
    "style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'"
)
LICENSES = "vendor/*LICENSE*"
WORKER = ("packed", "network", "planes", "damages", "engine")
"""The page's scripts that run in its worker, each after those that it imports."""


@dataclass(frozen=True)
class Site:
    """What was written.

    Parameters
    ----------
    path
        The file or folder.
    bytes
        How large it is.
    rows, of
        How many rows it shows, and of how many.
    notes
        What it cannot do, each in a sentence.
    """

    path: Path
    bytes: int
    rows: int
    of: int
    notes: tuple[str, ...] = field(default=())


def write(scene: Scene, path: StrPath) -> Site:
    """Write a scene as a site that works without Python.

    Parameters
    ----------
    scene
        What is shown; of many rows some, spread over the classes.
    path
        A name that ends in ``.html`` for one file, anything else for a folder.

    Returns
    -------
    Site
        Where it is, how large, and what it cannot do.

    Raises
    ------
    FileError
        If something else is at the path, it cannot be written, or one file would be too large.
    """
    target = Path(path)
    single = target.suffix.lower() in (".html", ".htm")
    (check_file if single else check_folder)(target)
    rows, most = (PAGE_ROWS, PAGE_BYTES) if single else (FOLDER_ROWS, FOLDER_BYTES)
    ids = chosen_rows(scene, rows, most)
    content = Content(scene, ids)
    parts = {"site": content.site(), "rows": content.rows()}
    written = write_page if single else write_folder
    size = written(target, scene.title, parts)
    return Site(target, size, len(ids), len(scene), tuple(content.notes))


# ── what is shown ────────────────────────────────────────────────────────────────────────────


def chosen_rows(scene: Scene, most: int, most_bytes: int) -> NDArray[np.int64]:
    """Return rows to show, in order: all, or as many of each class as its share of all.

    Parameters
    ----------
    scene
        With its columns.
    most, most_bytes
        How many rows, and how many bytes of samples.
    """
    one = scene.form.shown(scene.rows(np.arange(1))).array
    count = max(1, min(most, most_bytes // max(one.nbytes, 1)))
    if count >= len(scene):
        return np.arange(len(scene))
    classes = next((c.values for c in scene.own_columns if c.classes is not None), None)
    order = np.arange(len(scene))
    if classes is not None:
        order = np.argsort(np.nan_to_num(classes, nan=-1), kind="stable")
    places = np.unique(np.linspace(0, len(order) - 1, count).astype(np.int64))
    return np.sort(order[places])


class Content:
    """What a site holds besides the page.

    Parameters
    ----------
    scene
        What is shown.
    ids
        Which rows of it.

    Attributes
    ----------
    notes : list of str
        What the site cannot do.
    """

    def __init__(self, scene: Scene, ids: NDArray[np.int64]) -> None:
        self.scene, self.ids = scene, ids
        self.store = Store()
        self.notes: list[str] = []

    def rows(self) -> bytes:
        """Return the samples, packed."""
        form = self.scene.form
        step = 1024
        blocks = [
            shown_numbers(form, self.scene.rows(self.ids[start : start + step]))
            for start in range(0, len(self.ids), step)
        ]
        return packed.pack({"originals": np.concatenate(blocks)})

    def site(self) -> bytes:
        """Return models, codes and columns, packed."""
        arrays: dict[str, NDArray[Any]] = {}
        models = []
        for i, view in enumerate(self.scene.views):
            for name, values in (
                ("codes", view.codes), ("points", view.points),
                ("errors", view.rows.errors), ("scores", view.rows.scores),
            ):  # fmt: skip
                arrays[f"{name}{i}"] = values[self.ids]
            arrays[f"density{i}"] = view.grid
            models.append(self.model(view))
        for j, column in enumerate(self.scene.columns):
            arrays[f"column{j}"] = column.values[self.ids]
        first = self.scene.views[0]
        meta = {
            "info": self.info(models),
            "models": models,
            "input": form_facts(self.scene.form, self.scene.rows(self.ids[:1])),
            "target": form_facts(
                self.scene.form_for(first, target=True),
                reconstructed(first, self.scene, self.ids[:1]),
            ),
            "reconstructs": first.coder.target is first.coder.input,
        }
        arrays["weights"] = np.frombuffer(self.store.bytes(), np.uint8)
        return packed.pack(arrays, plain(meta))

    def model(self, view: ModelView) -> dict[str, Any]:
        """Return a model's map and its programs, as plain JSON values."""
        form, target = self.scene.form_for(view), self.scene.form_for(view, target=True)
        some = self.ids[np.unique(np.linspace(0, len(self.ids) - 1, CHECKED).astype(int))]
        rows = shown_numbers(form, self.scene.rows(some)).astype(np.float32)
        back = shown_numbers(target, reconstructed(view, self.scene, some[:1]))[0].size
        parts = parts_of(target, back)

        def passing(scored: bool) -> Portable:
            module = Passing(view.coder, form, target, scored=scored)
            return portable(
                module, rows, [OutputPart(view.coder.latent), *parts, OutputPart(1), OutputPart(1)]
            )

        found: dict[str, Any] = {"plane": plane_facts(view.plane), "decoding": None, "refused": {}}
        found["passing"] = self.program(
            found, "passing", lambda: passing(True),
            f"{view.name}: what is drawn or sent gets no anomaly score in this page",
        ) or self.program(
            found, "passing", lambda: passing(False),
            f"{view.name}: nothing can be encoded in this page",
        )  # fmt: skip
        if view.coder.is_generative():
            found["decoding"] = self.program(
                found, "decoding",
                lambda: portable(Decoding(view.coder, target), view.codes[some], parts),
                f"{view.name}: no place of the map can be decoded in this page",
            )  # fmt: skip
        return found

    def program(
        self, found: dict[str, Any], name: str, make: Callable[[], Portable], otherwise: str
    ) -> dict[str, Any] | None:
        """Return a program as plain JSON values, or note what cannot be done without it."""
        try:
            made = make()
        except Unsupported as error:
            found["refused"][name] = f"{otherwise}, since {error}"
            self.notes.append(found["refused"][name])
            return None
        return self.store.pack(made.program, made.precision)

    def info(self, models: list[dict[str, Any]]) -> dict[str, Any]:
        """Return what the page is told of the scene."""
        info = scene_facts(self.scene)
        known = PICTURE_DAMAGES if self.scene.form.kind == "pictures" else DAMAGES
        preparation = self.scene.views[0].coder.input
        told = any(view.coder.takes_mask() for view in self.scene.views)
        plain_scale = preparation.table is None and preparation.sequences is None
        passing = all(model["passing"] for model in models)
        damages = [
            each for each in info["damages"]
            if each["name"] in known and plain_scale and passing
            and not (told and each["name"] == "erase")
        ]  # fmt: skip
        for facts, model in zip(info["models"], models, strict=True):
            facts["generative"] = model["decoding"] is not None
        if isinstance(self.scene.form, PictureForm):
            info["data"]["ground"] = self.scene.form.ground.tolist()
        export = {"rows": len(self.ids), "of": len(self.scene), "notes": self.notes}
        return {
            **info, "n": len(self.ids), "damages": damages, "learning": None, "export": export,
        }  # fmt: skip


def shown_numbers(form: SampleForm, X: Any) -> NDArray[Any]:
    """Return samples as a page holds them: bytes of pictures, numbers of all others."""
    shown = form.shown(X)
    return shown.array if form.kind == "pictures" else numbers_of_shown(form, shown)


def reconstructed(view: ModelView, scene: Scene, ids: NDArray[np.int64]) -> Any:
    """Return what comes back of some rows, as the model gives it."""
    values = view.passed(scene.rows(ids)).values.numpy()
    return view.coder.target.restore(np.ascontiguousarray(values, np.float32))


def form_facts(form: SampleForm, X: Any) -> dict[str, Any]:
    """Return what a page has to know of samples, as plain JSON values."""
    facts = preparation_facts(form.preparation)
    facts |= {"kind": form.kind, "shape": list(form.shown(X).array.shape[1:])}
    if isinstance(form, RowForm):
        facts["levels"] = [list(levels) or None for levels in form.levels]
    return facts


@singledispatch
def plane_facts(plane: Plane) -> dict[str, Any]:
    """Return a map as plain JSON values: by the rows that it has placed."""
    return {"kind": "placed"}


@plane_facts.register
def _(plane: CodePlane) -> dict[str, Any]:
    return {"kind": "dims", "dims": list(plane.dims), "mean": plane.mean.tolist()}


@plane_facts.register
def _(plane: LinePlane) -> dict[str, Any]:
    return {"kind": "line"}


@plane_facts.register
def _(plane: PCAPlane) -> dict[str, Any]:
    components = plane.components.tolist()
    return {"kind": "pca", "mean": plane.mean.tolist(), "components": components}


plane_facts.register(UMAPPlane, lambda plane: {"kind": "placed"})


def plain(value: Any) -> Any:
    """Return JSON values in which numbers that JSON does not have are null."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


# ── the page ─────────────────────────────────────────────────────────────────────────────────

SPECIFIER = re.compile(r"""(["'])(\.{1,2}/[\w./-]+\.js)\1""")
STYLESHEET = re.compile(
    r"""<link\b[^>]*rel="stylesheet"[^>]*href="(?:\./)?(?:static/)?([^"]+)"[^>]*>\n?"""
)
SCRIPT = re.compile(
    r"""<script\b[^>]*type="module"[^>]*src="(?:\./)?(?:static/)?([^"]+)"[^>]*></script>\n?"""
)
IMPORT_OR_EXPORT = re.compile(r"^(?:import .*?;\n|export (?=\w))", re.MULTILINE | re.DOTALL)


def modules() -> dict[str, str]:
    """Return the page's scripts by their names under ``static/``, imports of one another renamed.

    A page that is opened as a file can import no other file, but whatever its import map names.
    """
    found = {
        file.relative_to(STATIC).as_posix(): file.read_text("utf-8")
        for file in sorted(STATIC.rglob("*.js"))
    }

    def renamed(name: str, source: str) -> str:
        def bare(match: re.Match[str]) -> str:
            place = posixpath.normpath(posixpath.join(posixpath.dirname(name), match[2]))
            return f"{match[1]}latente/{place}{match[1]}" if place in found else match[0]

        return SPECIFIER.sub(bare, source)

    return {name: renamed(name, source) for name, source in found.items()}


def worker_source() -> str:
    """Return the engine as one plain script, which a worker runs."""
    texts = [(STATIC / f"{name}.js").read_text("utf-8") for name in WORKER]
    return "\n".join([*(IMPORT_OR_EXPORT.sub("", each) for each in texts), "serve(self);\n"])


def import_map() -> str:
    """Return the page's scripts as an import map of data: URLs."""
    imports = {
        f"latente/{name}": f"data:text/javascript;base64,{encoded(source.encode())}"
        for name, source in modules().items()
    }
    return json.dumps({"imports": imports})


def encoded(content: bytes) -> str:
    """Return bytes as base64."""
    return base64.b64encode(content).decode()


def part_script(name: str, content: bytes) -> str:
    """Return a script that gives the page one part of its data."""
    text = encoded(zlib.compress(content, 9))
    return f'((window.LATENTE_SITE ??= {{ parts: {{}} }}).parts ??= {{}}).{name} = "{text}";\n'


def page_html(title: str, data: str) -> str:
    """Return the page, with its scripts and styles inside.

    Parameters
    ----------
    title
        Of the page.
    data
        The elements that give it its data.
    """
    source = (STATIC / "index.html").read_text("utf-8")

    def style(match: re.Match[str]) -> str:
        return f"<style>\n{(STATIC / match[1]).read_text('utf-8')}</style>\n"

    entry = SCRIPT.search(source)
    if entry is None:
        raise FileError(f"cannot write a site: {STATIC / 'index.html'} names no script")
    worker = json.dumps(worker_source()).replace("</", "<\\/")
    scripts = (
        f'<script type="importmap">{import_map()}</script>\n{data}'
        f"<script>(window.LATENTE_SITE ??= {{ parts: {{}} }}).worker = {worker};</script>\n"
        f'<script type="module">import "latente/{entry[1]}";</script>\n'
    )
    page = SCRIPT.sub("", source)
    page = STYLESHEET.sub(style, page)
    page = re.sub(r"<title>.*?</title>", lambda _: f"<title>{escape(title)}</title>", page)
    head = (
        f'{GENERATOR}{__version__}">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
    )
    page = re.sub(r"(<meta charset[^>]*>\n?)", lambda match: match[0] + head, page, count=1)
    return page.replace("</head>", scripts + licenses() + "</head>", 1)


def licenses() -> str:
    """Return the licences of what others wrote, as a comment."""
    texts = [f"{file.name}\n\n{file.read_text('utf-8')}" for file in sorted(STATIC.glob(LICENSES))]
    return "".join(f"<!--\n{text.replace('--', '- -')}\n-->\n" for text in texts)


# ── the files ────────────────────────────────────────────────────────────────────────────────


def write_page(target: Path, title: str, parts: dict[str, bytes]) -> int:
    """Write a site as one file and return its bytes."""
    data = "".join(f"<script>{part_script(*part)}</script>\n" for part in parts.items())
    content = page_html(title, data).encode()
    if len(content) > LARGEST_PAGE:
        raise FileError(
            f"{target} would have {len(content) / 1e6:,.0f} MB, more than a page of "
            f"{LARGEST_PAGE / 1e6:,.0f} MB; export to a folder"
        )
    with atomic(target) as temporary:
        temporary.write_bytes(content)
    return len(content)


def write_folder(target: Path, title: str, parts: dict[str, bytes]) -> int:
    """Write a site as a folder and return its bytes."""
    data = "".join(f'<script src="data/{name}.js"></script>\n' for name in parts)
    files = {f"data/{name}.js": part_script(name, content) for name, content in parts.items()}
    for name, text in files.items():
        if len(text) > LARGEST_PART:
            raise FileError(
                f"{target / name} would have {len(text) / 1e6:,.0f} MB, more than a browser reads "
                f"({LARGEST_PART / 1e6:,.0f} MB); give fewer rows or a smaller model"
            )
    files["index.html"] = page_html(title, data)
    files[MARK] = json.dumps({"latente": __version__, "files": sorted(files)}) + "\n"
    with staging(target) as stage:
        for name, text in files.items():
            place = stage / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(text.encode())
    return sum(len(text.encode()) for text in files.values())


def check_folder(target: Path) -> None:
    """Raise `FileError` where something else is at the place of a folder."""
    if target.is_dir() and not (target / MARK).is_file() and not only_temporary(target):
        raise FileError(
            f"cannot write into {target}: it holds other files and is no site written by "
            "latente explore; name a new folder"
        )
    if target.exists() and not target.is_dir():
        raise FileError(f"cannot write into {target}: it is a file; name a folder, or one .html")


def only_temporary(folder: Path) -> bool:
    """Whether nothing is in a folder but what a writer that was killed left there."""
    try:
        return all(is_temporary(each.name) for each in folder.iterdir())
    except OSError as error:
        raise FileError(f"cannot write into {folder}: {error.strerror or error}") from error


def check_file(target: Path) -> None:
    """Raise `FileError` where another page is at the place of a file, or no folder to hold it."""
    if not target.parent.is_dir():
        raise FileError(f"cannot write {target}: there is no folder {target.parent}")
    if not target.is_file():
        return
    try:
        with target.open("rb") as file:
            beginning = file.read(2000).decode("utf-8", "replace")
    except OSError as error:
        raise FileError(f"cannot write {target}: {error.strerror or error}") from error
    if beginning and GENERATOR not in beginning:
        raise FileError(
            f"cannot write {target}: another file is there, which latente explore did not write"
        )
