"""``latente recipe``: the courses' experiments, repeated."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import LatenteError
from .console import CallError, answer, print_table, say
from .data import Json, Seed

if TYPE_CHECKING:
    from ..recipes.running import Record

Name = Annotated[
    str | None, typer.Argument(metavar="[NAME]", help="Of the recipe: see `latente recipe list`.")
]
Folder = Annotated[
    str,
    typer.Option("--output", "-o", metavar="FOLDER", help="Where pages, records and models go."),
]
Language = Annotated[
    str, typer.Option("--lang", metavar="en|es|pt", help="The language of the page.")
]
Quick = Annotated[
    bool,
    typer.Option("--quick", help="Only try it: some seconds, on data that come with the package."),
]
All = Annotated[bool, typer.Option("--all", help="Run every recipe, and write an index of them.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Fit models anew that lie in FOLDER.")]


def run(
    name: Name = None,
    output: Folder = "recipes",
    all_: All = False,
    quick: Quick = False,
    lang: Language = "en",
    fresh: Fresh = False,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Repeat an experiment, and write a page about what came out.

    NAME.html is the page, NAME.json the record of its figures; the models lie in models/NAME.
    """
    if all_ == (name is not None):
        raise CallError("give the name of one recipe, or --all; `latente recipe list` lists them")
    from .. import recipes

    names = list(recipes.RECIPES) if name is None else [name]
    options: dict[str, Any] = {
        "quick": quick,
        "language": lang,
        "random_state": seed,
        "fresh": fresh,
    }
    records, failed = [], {}
    for each in names:
        try:
            records.append(
                recipes.run(
                    each, output, verbose=0 if json else 1, progress=said(each, json), **options
                )
            )
        except LatenteError as error:
            if name is not None:
                raise
            failed[each] = str(error)
            say(f"{each}: {error}")
    if name is None and records:
        recipes.write_index(output, lang)
    result = {"output": output, "records": records, "failed": failed}
    answer(result, json, lambda: show(records, Path(output), index=name is None))
    if failed:
        raise typer.Exit(1)


def said(name: str, json: bool) -> Any:
    """Return what is told of the progress of a recipe."""
    return None if json else lambda what: say(f"{name}: {what}")


def show(records: list[Record], folder: Path, *, index: bool) -> None:
    """Print the claims and verdicts of records, and where the pages are."""
    rows = [
        (claim["row"], claim["says"], claim["found"], claim["verdict"])
        for record in records
        for claim in record["claims"]
    ]
    if rows:
        print_table("", ("row", "the document ", "here ", "verdict "), rows)
    pages = [folder / "index.html"] if index else [folder / f"{r['recipe']}.html" for r in records]
    for page in pages:
        typer.echo(f"The page is {page}; open it in a browser.")


def list_(json: Json = False) -> None:
    """List the recipes, with the rows of the courses that each covers."""
    from ..recipes import RECIPES

    shown = [
        {
            "name": recipe.name,
            "title": recipe.title,
            "rows": list(recipe.rows),
            "minutes": recipe.minutes,
        }
        for recipe in RECIPES.values()
    ]

    def table() -> None:
        rows = [(r["name"], r["title"], " ".join(r["rows"]), r["minutes"]) for r in shown]  # type: ignore[arg-type]
        print_table("", ("recipe", "what ", "rows ", "minutes "), rows)

    answer({"recipes": shown}, json, table)


def index(
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="Where recipes were run to.")],
    lang: Language = "en",
    json: Json = False,
) -> None:
    """Write index.html: a page of all recipes whose records lie in a folder, row by row."""
    from ..recipes import write_index

    path = write_index(folder, lang)
    answer({"output": path}, json, lambda: say(f"index → {path}"))


def demo(
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FOLDER", help="Where page and models go.")
    ] = "demo",
    quick: Quick = False,
    lang: Language = "en",
    fresh: Fresh = False,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Train three autoencoders and write a page about them.

    A plain, a denoising and a variational autoencoder learn the digits that come with the package,
    in about a minute. The page is FOLDER/demo.html; the models lie beside it, in models/demo.
    """
    from .. import recipes
    from ..recipes.demo import next_steps

    options: dict[str, Any] = {"quick": quick, "language": lang, "random_state": seed}
    shown = {"verbose": 0 if json else 1, "progress": said("demo", json), "fresh": fresh}
    record = recipes.run("demo", output, **options, **shown)

    def show() -> None:
        page = Path(output) / "demo.html"
        typer.echo(f"The page is {page}; open it in a browser. Then try:")
        for command, what in next_steps(recipes.models_of("demo", output, quick=quick)):
            typer.echo(f"\n  {command}\n      {what}")

    answer({"output": output, **record}, json, show)


recipe = {"list": list_, "run": run, "index": index}
"""The sub-commands."""
