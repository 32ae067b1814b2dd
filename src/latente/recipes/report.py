"""What a recipe is, and the report that it fills while it runs.

::

    Recipe.run(report):  load ──▶ fit ──▶ measure ──▶ claims, figures, tables, pictures
                                                       └──▶ page (HTML) and record (JSON)

A recipe is a function of a report. It loads data and fits models through the report, so that the
report knows what was done and can say how to repeat it, and tells the report what it found.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import joblib
import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from ..data.dataset import Dataset
from ..errors import FileError, ParameterError
from ..estimator import Autoencoder, alike, fit_together
from ..figures import page
from ..parts import listed
from ..storage.files import atomic
from ..training.together import NotStackable
from ..version import __version__
from . import data as sources
from .language import _, mark

VERDICTS = {
    "surpassed": mark("surpassed"),
    "confirmed": mark("confirmed"),
    "not reached": mark("not reached"),
    "refuted": mark("refuted"),
    "measured": mark("measured"),
}
"""What a claim came to, and how it is said.

"surpassed": our figure is better than the document's. "confirmed": what the document says holds
here. "not reached": our figure is worse than the document's, or than what was aimed at. "refuted":
what the document says does not hold here. "measured": the document gives no figure, or the run was
a quick one.
"""
DOCUMENTS = {
    "A": mark("a course assignment (Spanish): a 5×7 font, its denoising, the generation of shapes"),
    "B": mark("course slides on autoencoders and their codes (Spanish)"),
    "C": mark("course slides on autoencoders and what they are used for (Spanish)"),
    "D": mark("course notes on deep learning and autoencoders (Portuguese)"),
    "E": mark("a course report on convolutional and variational autoencoders (Spanish)"),
}
"""The documents that the recipes repeat."""
LARGEST_SVG = 400_000
"""Bytes of a drawing beyond which it is put into the page as PNG."""
Progress = Callable[[str], None]
T = TypeVar("T")


class Runs(Protocol):
    """A function that carries out a recipe."""

    def __call__(self, report: Report) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """An experiment that can be repeated by its name.

    Parameters
    ----------
    name
        On the command line.
    title
        Of its page; marked for translation.
    summary
        What it asks, in a sentence or two; marked for translation.
    rows
        The rows of the courses' table that it covers: "M1".
    minutes
        How long a full run takes on two cores.
    run
        What it does.
    """

    name: str
    title: str
    summary: str
    rows: tuple[str, ...]
    minutes: float
    run: Runs


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a document says, and what came out here.

    Parameters
    ----------
    row
        Of the courses' table: "M1".
    document
        Letter of the document, as in `DOCUMENTS`; several where several say it: "BD".
    says
        What it says, or what we aim at where it says nothing.
    found
        What came out here, with the figure.
    verdict
        One of `VERDICTS`.
    """

    row: str
    document: str
    says: str
    found: str
    verdict: str

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise ParameterError(f"verdict={self.verdict!r}: choose {listed(VERDICTS)}")


@dataclass
class Chapter:
    """A section of the page while it grows."""

    name: str
    title: str
    label: str = ""
    parts: list[Markup] = field(default_factory=list)


class Report:
    """What a recipe did and found.

    Parameters
    ----------
    recipe
        Whose report it is.
    folder
        Where models are kept; a model that is there and was fitted in the same way is not fitted
        again.
    quick
        Whether only to try the recipe: little data of those that come with the package, few epochs.
    random_state
        Seed of all fits.
    fresh
        Whether to fit all models anew.
    verbose
        As for `Autoencoder`.
    progress
        Told what is being done.

    Attributes
    ----------
    figures
        Named numbers, for the record: ``report.figures["wrong pixels"] = 0``.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        *,
        quick: bool = False,
        random_state: int = 0,
        fresh: bool = False,
        verbose: int = 0,
        progress: Progress | None = None,
    ) -> None:
        self.recipe = recipe
        self.folder = folder
        self.quick = quick
        self.random_state = random_state
        self.fresh = fresh
        self.verbose = verbose
        self.progress = progress or (lambda what: None)
        self.figures: dict[str, Any] = {}
        self.claims: list[Claim] = []
        self.tables: list[dict[str, Any]] = []
        self.sections: list[Chapter] = []
        self.fits: dict[str, dict[str, Any]] = {}
        self.data: dict[str, str] = {}
        self.seconds = 0.0

    def pick(self, full: T, quick: T) -> T:
        """Return the first in a full run, the second in a quick one."""
        return quick if self.quick else full

    def load(self, name: str, n: int | None = None) -> Dataset:
        """Return a data set; in a quick run, one of the bundled sets takes its place.

        Parameters
        ----------
        name
            Of the data set.
        n
            How many samples of one that is generated.
        """
        self.progress(_("reading {name}").format(name=name))
        found = sources.load(name, quick=self.quick, n=n)
        size = " × ".join(f"{length:,}" for length in (len(found), *found.shape))
        self.data[name] = f"{found.name}, {size}; {found.source}"
        return found

    def fit(
        self,
        name: str,
        keywords: Mapping[str, Any],
        X: Any,
        *,
        data: str,
        quick: Mapping[str, Any] | None = None,
        callbacks: Any = None,
        **more: Any,
    ) -> Autoencoder:
        """Return a fitted autoencoder, and note how it was fitted and how long it took.

        Parameters
        ----------
        name
            Of the model in this recipe: letters, digits and hyphens.
        keywords
            Of `Autoencoder`, parts as text, so that they can be shown as code and as a command.
        X
            Training samples.
        data
            Name of the data set, for the code that is shown.
        quick
            Keywords that take the place of others in a quick run; two epochs if not given.
        callbacks
            As for `Autoencoder`; they may only look, and write what they see into the history,
            since a model that is kept is not fitted again because of them.
        more
            As `Autoencoder.fit` takes it: target, validation, sample_weight.
        """
        options = {"data": data, "quick": quick, "callbacks": callbacks, **more}
        return self.fit_all({name: keywords}, X, **options)[name]

    def fit_all(
        self,
        keywords: Mapping[str, Mapping[str, Any]],
        X: Any,
        *,
        data: str,
        quick: Mapping[str, Any] | None = None,
        callbacks: Any = None,
        **more: Any,
    ) -> dict[str, Autoencoder]:
        """Return fitted autoencoders by name, noted as `fit` does; small ones are fitted at once.

        Those that are fitted at once (`latente.estimator.fit_together`) share the seconds they
        took: where times are to be compared, fit one by one.

        Parameters
        ----------
        keywords
            Of `Autoencoder`, for each name.
        X, data, quick, callbacks, more
            As for `fit`, the same for all.
        """
        given = {name: self._given(each, quick) for name, each in keywords.items()}
        keys = {name: _fingerprint(each, X, more) for name, each in given.items()}
        models: dict[str, Autoencoder] = {}
        for name, key in keys.items():
            kept = None if self.fresh else _kept(self._path(name), key)
            if kept is not None:
                self.progress(_("{name} was fitted before").format(name=name))
                models[name] = kept
                self.seconds += self._note(name)["seconds"]
        left = {
            name: Autoencoder(**each, verbose=self.verbose, callbacks=callbacks)
            for name, each in given.items()
            if name not in models
        }
        for name, model, seconds in self._fitted(left, X, more):
            if model.stopped_ == "interrupted":
                raise KeyboardInterrupt  # what is not finished is not kept
            model.set_params(verbose=0, callbacks=None)
            self._path(name).parent.mkdir(parents=True, exist_ok=True)
            model.save(self._path(name))
            write_json(self._path(name, ".json"), {"key": keys[name], "seconds": seconds})
            models[name] = model
        for name in keywords:
            self.fits[name] = {
                "keywords": given[name],
                "data": data,
                "parameters": models[name].n_parameters_,
                "epochs": models[name].epochs_,
                "seconds": round(self._note(name)["seconds"], 1),
            }
        return {name: models[name] for name in keywords}

    def _given(
        self, keywords: Mapping[str, Any], quick: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """Return the keywords that a model is fitted with."""
        given = dict(keywords)
        given.setdefault("random_state", self.random_state)
        if self.quick:
            given |= {"epochs": 2} if quick is None else quick
        return given

    def _path(self, name: str, suffix: str = ".safetensors") -> Path:
        return self.folder / f"{name}{suffix}"

    def _note(self, name: str) -> dict[str, Any]:
        """Return what was written beside a model."""
        note: dict[str, Any] = json.loads(self._path(name, ".json").read_text(encoding="utf-8"))
        return note

    def _fitted(
        self, models: Mapping[str, Autoencoder], X: Any, more: Mapping[str, Any]
    ) -> Iterator[tuple[str, Autoencoder, float]]:
        """Fit models, at once where that works, and yield each with its seconds."""
        names = list(models)
        for places in alike(list(models.values())):
            stack = [names[i] for i in places]
            begun = time.perf_counter()
            done = self._stacked([models[name] for name in stack], stack, X, more)
            seconds = (time.perf_counter() - begun) / len(stack)
            for name, good in zip(stack, done, strict=True):
                if good:
                    yield name, models[name], seconds
                    continue
                self.progress(_("fitting {name}").format(name=name))
                begun = time.perf_counter()
                models[name].fit(X, **more)
                yield name, models[name], time.perf_counter() - begun

    def _stacked(
        self, models: Sequence[Autoencoder], names: Sequence[str], X: Any, more: Mapping[str, Any]
    ) -> list[bool]:
        """Fit models of one shape at once; return which of them are fitted then."""
        done = [False] * len(models)
        if len(models) < 2 or not more.keys() <= {"validation", "target"}:
            return done
        self.progress(_("fitting {name}").format(name=", ".join(names)))
        with suppress(NotStackable):
            for _epochs, i, good in fit_together(models, X, **more):
                done[i] = good
        return done

    def section(self, name: str, title: str, label: str = "") -> None:
        """Begin a section; what follows belongs to it.

        Parameters
        ----------
        name
            Its anchor in the page.
        title
            Its heading.
        label
            A short line above the heading.
        """
        self.sections.append(Chapter(name, title, label))

    def text(self, *paragraphs: str) -> None:
        """Add paragraphs; words between backticks become code, between asterisks emphasis."""
        self.add(page.text(*paragraphs))

    def picture(self, figure: Figure, alt: str, caption: str = "", *, wide: bool = True) -> None:
        """Add a figure; one of thousands of points is put in as PNG.

        Parameters
        ----------
        figure, alt, caption, wide
            As for `latente.figures.page.picture`.
        """
        self.add(drawn(figure, alt, caption, wide=wide))

    def table(self, caption: str, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Add a table, to the page and to the record.

        Parameters
        ----------
        caption
            What it shows.
        head
            Names of the columns.
        rows
            Cells; numbers are written with three digits that matter, integers in full.
        """
        self.tables.append({"caption": caption, "head": list(head), "rows": _plain(rows)})
        self.add(page.table(caption, head, [[written(cell) for cell in row] for row in rows]))

    def numbers(self, values: Mapping[str, Any]) -> None:
        """Add figures in large type, each over what it is, to the page and to the record."""
        self.figures |= _plain(values)
        self.add(page.numbers({what: written(value) for what, value in values.items()}))

    def code(self, model: str, calls: Sequence[str], commands: Sequence[str]) -> None:
        """Add how to fit a model of this recipe and use it, in Python and on the command line.

        Parameters
        ----------
        model
            Its name, as given to `fit`.
        calls
            Calls of `latente.figures` with ``model`` and the data set's name.
        commands
            What comes after ``latente``.
        """
        noted = self.fits[model]
        python = page.python_fit(noted["keywords"], calls, noted["data"])
        shell = page.shell_fit(model, noted["keywords"], commands, noted["data"])
        self.code_pair(python, shell)

    def code_pair(self, python: str, shell: str) -> None:
        """Add the same work as Python and as shell commands, side by side."""
        self.add(code_pair(python, shell))

    def claim(self, row: str, document: str, says: str, found: str, verdict: str) -> None:
        """Set what a document says beside what came out; a quick run says nothing about it.

        Parameters
        ----------
        row, document, says, found, verdict
            As for `Claim`.
        """
        verdict = "measured" if self.quick else verdict
        self.claims.append(
            Claim(row=row, document=document, says=says, found=found, verdict=verdict)
        )

    def add(self, part: Markup) -> None:
        """Add a part made by `latente.figures.page` to the present section."""
        if not self.sections:
            self.section("experiment", _("The experiment"))
        self.sections[-1].parts.append(part)

    def record(self, hardware: Mapping[str, Any]) -> dict[str, Any]:
        """Return all that is known, as plain values for JSON.

        Parameters
        ----------
        hardware
            What it ran on, and in which versions.
        """
        return {
            "recipe": self.recipe.name,
            "title": self.recipe.title,
            "rows": list(self.recipe.rows),
            "quick": self.quick,
            "random_state": self.random_state,
            "claims": [vars(claim) for claim in self.claims],
            "figures": _plain(self.figures),
            "tables": self.tables,
            "data": self.data,
            "fits": _plain(self.fits),
            "seconds": round(self.seconds, 1),
            **hardware,
        }


def drawn(figure: Figure, alt: str, caption: str = "", *, wide: bool = True) -> Markup:
    """Return a figure as a part of a page, for `page.columns`; a large drawing as PNG.

    Parameters
    ----------
    figure, alt, caption, wide
        As for `latente.figures.page.picture`.
    """
    vector = len(page.svg(figure, alt)) <= LARGEST_SVG
    return page.picture(figure, alt, caption, wide=wide, vector=vector)


def code_pair(python: str, shell: str) -> Markup:
    """Return the same work as Python and as shell commands, for a page in any language."""
    return page.code_pair(python, shell, (_("In Python"), _("On the command line")))


def written(value: Any) -> str:
    """Return a cell of a table: integers in full, other numbers with three digits that matter."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, int | np.integer):
        return f"{value:,}".replace("-", "−")
    size = abs(float(value))
    if size and (size < 1e-3 or size >= 1e6):
        return f"{value:.2e}".replace("-", "−")
    return f"{value:,.{max(0, 2 - int(np.floor(np.log10(size)))) if size else 0}f}".replace(
        "-", "−"
    )


def compare(ours: float, theirs: float, *, lower: bool = True, tolerance: float = 0.0) -> str:
    """Return the verdict on a figure beside a document's.

    Parameters
    ----------
    ours, theirs
        The figures.
    lower
        Whether lower is better.
    tolerance
        By which share ours may be worse and still confirm theirs.
    """
    better, worse = (ours, theirs) if lower else (theirs, ours)
    if better < worse:
        return "surpassed"
    allowed = worse * (1 + tolerance) if lower else worse / (1 - tolerance)
    return "confirmed" if better <= allowed else "not reached"


def _fingerprint(keywords: Mapping[str, Any], X: Any, more: Mapping[str, Any]) -> str:
    """Return what tells one fit from another: version, keywords and data."""
    return str(joblib.hash((__version__, dict(keywords), X, dict(more))))


def _kept(path: Path, key: str) -> Autoencoder | None:
    """Return the model that an earlier run fitted in the same way; None where there is none."""
    try:
        note = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        return Autoencoder.load(path) if note["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError, FileError):
        return None


def write_json(path: Path, value: Any) -> None:
    """Write plain values as JSON, whole or not at all; the folder is made if it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", "utf-8")


def _plain(value: Any) -> Any:
    """Return values as JSON knows them: NumPy's numbers and arrays as numbers and lists."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)
