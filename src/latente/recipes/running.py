"""Carrying out recipes: from a recipe to its page and record, and from records to an index.

::

    run("font", "pages") ──▶ pages/font.html, pages/font.json, pages/models/font/*.safetensors
    write_index("pages") ──▶ pages/index.html, from all records in the folder
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import torch

from ..errors import FileError
from ..figures import page
from ..training.hardware import processor
from ..version import __version__
from .catalogue import RECIPES, ROWS
from .language import _, mark, speaking
from .report import DOCUMENTS, VERDICTS, Progress, Report, code_pair, write_json, written

Record = dict[str, Any]

QUICK = mark(
    "This was a quick run: few epochs, on data that come with the package. It shows that the "
    "recipe works; its figures say nothing about the experiment."
)


def run(
    name: str,
    folder: str | Path = "recipes",
    *,
    quick: bool = False,
    language: str = "en",
    random_state: int = 0,
    fresh: bool = False,
    verbose: int = 0,
    progress: Progress | None = None,
) -> Record:
    """Carry out a recipe, and write its page and its record.

    Parameters
    ----------
    name
        Of the recipe: see `RECIPES`.
    folder
        Where ``<name>.html`` and ``<name>.json`` are written, and models, in ``models/<name>``.
        A model that is there, fitted in the same way on the same data, is not fitted again.
    quick
        Only try the recipe, in some seconds and on data that come with the package.
    language
        Of the page: "en", "es" or "pt".
    random_state
        Seed of all fits.
    fresh
        Fit all models anew.
    verbose
        As for `Autoencoder`.
    progress
        Told what is being done.

    Returns
    -------
    dict
        The record: claims with verdicts, figures, tables, fits, hardware, versions, seconds.

    Raises
    ------
    ParameterError
        If there is no such recipe or language.
    FileError
        If the data are not here and cannot be fetched, or something cannot be written.
    """
    recipe, folder = RECIPES[name], Path(folder)
    report = Report(
        recipe,
        models_of(name, folder, quick=quick),
        quick=quick,
        random_state=random_state,
        fresh=fresh,
        verbose=verbose,
        progress=progress,
    )
    with speaking(language):
        begun = time.perf_counter()
        recipe.run(report)
        report.seconds += time.perf_counter() - begun
        record = {"language": language, **report.record(environment())}
        html = document(report, record, language).html()
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / f"{name}.json", record)
    page.write(folder / f"{name}.html", html)
    return record


def models_of(name: str, folder: str | Path, *, quick: bool = False) -> Path:
    """Return where the models of a recipe lie, in the folder that it was run into."""
    return Path(folder) / "models" / (f"{name}-quick" if quick else name)


def environment() -> dict[str, Any]:
    """Return what a run depends on beside the recipe: processor, threads, versions."""
    return {
        "hardware": {"processor": processor(), "threads": torch.get_num_threads()},
        "versions": {
            "latente": __version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "scikit-learn": sklearn.__version__,
            "python": platform.python_version(),
        },
    }


def document(report: Report, record: Record, language: str) -> page.Page:
    """Return the page of a report."""
    recipe = report.recipe
    introduction = [page.text(_(QUICK))] if report.quick else []
    if report.claims:
        introduction.append(claims_table(report))
    sections = [
        page.Section(each.name, each.title, each.parts, each.label) for each in report.sections
    ]
    return page.Page(
        _(recipe.title),
        [*sections, repeating(report)],
        description=_(recipe.summary),
        lead=_(recipe.summary),
        introduction=introduction,
        footer=footer(record),
        language=language,
        **page_words(),
    )


def page_words() -> dict[str, Any]:
    """Return what every page says of itself, in the present language."""
    return {"contents": _("Sections"), "copy": (_("Copy"), _("Copied"))}


def claims_table(report: Report) -> Any:
    """Return the table of what the documents say and what came out."""
    rows = [
        (
            f"{claim.row} {_(ROWS[claim.row])}",
            claim.says,
            claim.found,
            _(VERDICTS[claim.verdict]),
        )
        for claim in report.claims
    ]
    letters = sorted({letter for claim in report.claims for letter in claim.document})
    sources = "; ".join(f"{letter}: {_(DOCUMENTS[letter])}" for letter in letters)
    head = (_("row"), _("the document"), _("here"), _("verdict"))
    return page.table(
        _("What is said, and what came out. {sources}.").format(sources=sources),
        head,
        rows,
        words=True,
    )


def repeating(report: Report) -> page.Section:
    """Return the section that says how to do the same again."""
    name = report.recipe.name
    quick, python = (" --quick", ", quick=True") if report.quick else ("", "")
    parts = [
        code_pair(
            f'from latente import recipes\n\nrecipes.run("{name}", "pages"{python})',
            f"latente recipe run {name}{quick} -o pages",
        )
    ]
    if report.fits:
        parts += models_table(report)
    return page.Section("repeat", _("Repeat it"), parts)


def models_table(report: Report) -> list[Any]:
    """Return the table of a report's models, with what all were given said once."""
    given = [fit["keywords"] for fit in report.fits.values()]
    shared = {
        key: value
        for key, value in given[0].items()
        if len(given) > 1 and all(key in each and each[key] == value for each in given)
    }
    rows = [
        (
            model,
            fit["data"],
            written(fit["parameters"]),
            written(fit["epochs"]),
            written(fit["seconds"]),
            in_words({key: v for key, v in fit["keywords"].items() if key not in shared}),
        )
        for model, fit in report.fits.items()
    ]
    head = (_("model"), _("data"), _("parameters"), _("epochs"), _("seconds"), _("keywords"))
    told = _("All were given {keywords}.").format(keywords=f"`{in_words(shared)}`")
    table = page.table(_("The models of this page"), head, rows, words=True)
    return [table, page.text(told)] if shared else [table]


def in_words(keywords: Mapping[str, Any]) -> str:
    """Return keywords as they are written in a call."""
    return ", ".join(f"{key}={value!r}" for key, value in keywords.items())


def footer(record: Record) -> list[str]:
    """Return what a page says at its foot: data, seed, time, machine, versions."""
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    return [
        *(f"{name}: {what}." for name, what in record["data"].items()),
        _("Seed {seed}; {seconds} seconds; {threads} threads on {processor}; {versions}.").format(
            seed=record["random_state"],
            seconds=written(float(record["seconds"])),
            versions=versions,
            **record["hardware"],
        ),
    ]


def write_index(folder: str | Path, language: str = "en") -> Path:
    """Write a page that lists the recipes whose records lie in a folder, with their claims.

    Parameters
    ----------
    folder
        As given to `run`.
    language
        "en", "es" or "pt".

    Raises
    ------
    FileError
        If there is no record, or the page cannot be written.
    """
    folder = Path(folder)
    records = read_records(folder)
    with speaking(language):
        head = (_("row"), _("recipe"), _("the document"), _("here"), _("verdict"), _("command"))
        rows = [row for record in records for row in index_rows(record)]
        order = list(ROWS)
        rows.sort(key=lambda row: order.index(row[0].split()[0]))
        links = [page.link(f"{record['recipe']}.html", _(record["title"])) for record in records]
        html = page.Page(
            _("The courses' experiments"),
            [
                page.Section("recipes", _("Recipes"), [page.items(links)]),
                page.Section("rows", _("Row by row"), [page.table("", head, rows, words=True)]),
            ],
            lead=_(
                "Five courses describe autoencoders; each of their experiments is repeated here."
            ),
            language=language,
            **page_words(),
        ).html()
    page.write(folder / "index.html", html)
    return folder / "index.html"


def read_records(folder: Path) -> list[Record]:
    """Return the records in a folder, in the order of the table of recipes."""
    records = []
    for name in RECIPES:
        path = folder / f"{name}.json"
        if path.exists():
            try:
                records.append(json.loads(path.read_text(encoding="utf-8")))
            except ValueError:
                raise FileError(f"{path}: this is no record of a recipe; run it again") from None
    if not records:
        raise FileError(f"{folder}: no recipe has been run into this folder")
    return records


def index_rows(record: Record) -> list[tuple[str, ...]]:
    """Return the rows of the index that a record fills, one for each claim."""
    return [
        (
            f"{claim['row']} {_(ROWS[claim['row']])}",
            record["recipe"],
            claim["says"],
            claim["found"],
            _(VERDICTS[claim["verdict"]]),
            f"`latente recipe run {record['recipe']}`",
        )
        for claim in record["claims"]
    ]
