"""``latente study``: a search over parameters, its table, its figures and its best model."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import DataError, ParameterError
from ..families import FAMILIES
from ..parts import listed, tupled
from .console import FAILED, answer, plural, print_facts, print_table, say
from .data import READING, Data, Json, Output, with_options
from .fit import SUFFIX, Limit, Quiet, Target, open_training
from .output import FOLDER, check_output, format_of, save_figure
from .parameters import (
    DEFAULTS,
    estimator_options,
    naming_file,
    optional,
    parameters,
    part,
    read_toml,
    split_config,
    values,
)
from .plot import SUFFIXES

if TYPE_CHECKING:
    from ..data.dataset import Dataset
    from ..study.results import Results
    from ..study.study import Study

SPACE = "space"
RANGE = ("low", "high", "step", "log")
JOURNAL = ".journal"
FIGURES = {
    "iterations": "error against iterations",
    "seconds": "error against seconds",
    "heat-map": "heat map",
    "parallel": "parallel coordinates",
}
"""The figures of a study, by what they are called on the command line."""

StudyFile = Annotated[
    str,
    typer.Argument(
        metavar="STUDY",
        help="The study: a .journal file, or the address of a database.",
        show_default=False,
    ),
]
Name = Annotated[str, typer.Option(metavar="NAME", help="Of the study in its storage.")]
Kept = Annotated[
    str,
    typer.Option(
        "--output", "-o", metavar="PATH",
        help="Where the study is kept: a .journal file, or sqlite:///study.db.",
    ),
]  # fmt: skip
SpaceFile = Annotated[
    str,
    typer.Option(
        "--space", metavar="FILE", show_default=False,
        help="A TOML file with what is searched in [space], and any other parameters.",
    ),
]  # fmt: skip
MetricName = Annotated[
    str, typer.Option("--metric", metavar="NAME", help="As `latente evaluate` calls it, or score.")
]
Seeds = Annotated[int, typer.Option("--seeds", metavar="N", min=1, help="Fits of each setting.")]
Jobs = Annotated[int, typer.Option("--jobs", "-j", metavar="N", min=1, help="Processes.")]
Trials = Annotated[
    int | None, typer.Option("--trials", metavar="N", min=1, help="Settings in all.")
]
Sampler = Annotated[
    str,
    typer.Option("--sampler", metavar="NAME", help="How settings are drawn: grid, random, tpe."),
]
Pruner = Annotated[
    str | None,
    typer.Option(
        "--pruner", metavar="NAME",
        help="What ends settings early that lag behind: median, halving, hyperband.",
    ),
]  # fmt: skip
HeldOut = Annotated[
    str, typer.Option("--validation", metavar="SHARE|DATA", help="What settings are scored on.")
]
Figure = Annotated[
    str, typer.Option("--figure", metavar="NAME", help=f"Which: {', '.join(FIGURES)}.")
]


@with_options(READING, estimator_options())
def run(
    data: Data,
    space: SpaceFile,
    output: Kept = "study.journal",
    metric: MetricName = "mse",
    seeds: Seeds = 3,
    jobs: Jobs = 1,
    trials: Trials = None,
    sampler: Sampler = "auto",
    pruner: Pruner = None,
    validation: HeldOut = "0.2",
    target: Target = None,
    limit: Limit = None,
    name: Name = "study",
    quiet: Quiet = False,
    json: Json = False,
    **options: Any,
) -> None:
    """Train every setting of a space, with several seeds each; the same command goes on.

    The space is a TOML file: lists such as learning_rate = [0.1, 0.01], or ranges such as
    {low = 1e-4, high = 0.1, log = true}, in a table [space], or in several tables [[space]] where
    parameters depend on one another. What else the file holds, and the options below, are the
    parameters that all settings share.
    """
    if "://" not in output:
        check_output(output, (JOURNAL,))
    given: dict[str, Any] = {
        "data": absolute(data), "file": space, "config": read_toml(space),
        "options": {key: text for key, text in options.items() if text is not None},
        "target": absolute(target), "limit": limit, "validation": absolute(validation),
        "metric": metric, "seeds": seeds, "sampler": sampler, "pruner": pruner,
    }  # fmt: skip
    study, arguments, _ = prepare(given, output, name, verbose=0 if quiet else 1)
    try:
        with naming(space, given["config"]):
            study.run(**arguments, trials=trials, jobs=jobs, note=given)
    except KeyboardInterrupt:
        say(f"{output} holds what was done until now; the same command goes on")
        raise
    report(study, output, json)
    if not any(row.state == "complete" for row in study.rows):
        raise typer.Exit(FAILED)


def show(study: StudyFile, name: Name = "study", json: Json = False) -> None:
    """Show the table of a study, the best setting first."""
    from ..study.results import Results

    report(Results(study, name), study, json)


def plot(
    study: StudyFile,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="PATH",
            help="A .png, .svg or .pdf; or a folder, which gets all figures.",
        ),
    ],
    figure: Figure = "iterations",
    name: Name = "study",
    json: Json = False,
) -> None:  # fmt: skip
    """Draw a study: error against iterations or seconds, heat map, parallel coordinates."""
    path = check_output(output, (*SUFFIXES, FOLDER))
    if figure not in FIGURES:
        raise ParameterError(f"--figure {figure}: choose {listed(FIGURES)}")
    from ..study.results import Results

    results = Results(study, name)
    if format_of(output) != FOLDER:
        drawn = {path: results.plot(FIGURES[figure])}
    else:
        short = {title: key for key, title in FIGURES.items()}
        drawn = {path / f"{short[each]}.png": made for each, made in results.figures().items()}
        if not drawn:
            raise DataError(f"{study} has no complete setting to draw yet")
        path.mkdir(exist_ok=True)
    for place, made in drawn.items():
        save_figure(made, place)
    answer({"output": list(drawn)}, json, lambda: say(f"figures → {', '.join(map(str, drawn))}"))


def best(
    study: StudyFile, output: Output, name: Name = "study", quiet: Quiet = False, json: Json = False
) -> None:
    """Train the best setting again, with its best seed, and save the model."""
    path = check_output(output, (SUFFIX,))
    from ..study.results import Results

    given = Results(study, name).note
    if not given:
        raise DataError(f"{study} was not made by `latente study`; use Study.best_model in Python")
    found, arguments, dataset = prepare(given, study, name)
    _ = found.best
    found.estimator.set_params(verbose=0 if quiet else 1)
    model = found.best_model(**arguments)
    if dataset.names is not None:
        model.columns_ = list(dataset.names)
    model.save(path)
    facts = {found.metric: found.best_score, **{k: str(v) for k, v in found.best_params.items()}}
    result = {"model": path, "metric": found.metric, "score": found.best_score}
    result["params"] = dict(found.best.labels)
    answer(result, json, lambda: print_facts(f"{study} → {path}", facts))


study = {"run": run, "show": show, "plot": plot, "best": best}
"""The sub-commands."""


def prepare(
    given: Mapping[str, Any], path: str, name: str, verbose: int = 0
) -> tuple[Study, dict[str, Any], Dataset]:
    """Return a study as it was asked for, what it is run on, and the data that is of."""
    from ..estimator import Autoencoder
    from ..study.study import Study

    file, config = given["file"], given["config"]
    params, others = split_config({k: v for k, v in config.items() if k != SPACE}, file)
    options = dict(given["options"])
    others |= {key: options.pop(key) for key in READING if key in options}
    others |= {key: given[key] for key in ("target", "limit") if given[key] is not None}
    held_out = as_share(given["validation"])
    if held_out is None:
        others["validation"] = given["validation"]
    else:
        others.pop("validation", None)
    dataset, clean, apart = open_training(given["data"], others)
    with naming(file, config):
        study = Study(
            Autoencoder(**{**DEFAULTS, **params, **values(options)}),
            read_space(config, file),
            metric=given["metric"], seeds=given["seeds"], path=path, name=name,
            sampler=given["sampler"], pruner=given["pruner"], verbose=verbose,
        )  # fmt: skip
    arguments = {
        "X": dataset.X,
        "target": None if clean is None else clean.X,
        "validation": held_out if apart is None else apart.X,
    }
    return study, arguments, dataset


@contextmanager
def naming(file: str, config: Mapping[str, Any]) -> Iterator[None]:
    """Put the name of a TOML file before an error about its space, or a parameter it gave."""
    try:
        with naming_file(file, [name for name in config if name != SPACE]):
            yield
    except ParameterError as error:
        if not str(error).startswith(f"{SPACE}: "):
            raise
        raise ParameterError(f"{file}: {error}") from None


def absolute(spec: str | None) -> str | None:
    """Return a path that is there in full, so that it is found from elsewhere; else what it is."""
    path = spec and os.path.expanduser(spec)
    return os.path.abspath(path) if path and os.path.exists(path) else spec


def as_share(text: str) -> float | None:
    """Return a share that is given as text; None where it is data."""
    try:
        return float(text)
    except ValueError:
        return None


# ── the space ────────────────────────────────────────────────────────────────────────────────


def read_space(config: Mapping[str, Any], file: str) -> list[dict[str, Any]]:
    """Return the space in a TOML file, as `Study` takes it.

    Parameters
    ----------
    config
        What the file holds.
    file
        Its name, for errors.
    """
    found = config.get(SPACE)
    tables = [found] if isinstance(found, Mapping) else found
    if not isinstance(tables, list) or not all(isinstance(t, Mapping) and t for t in tables):
        raise ParameterError(
            f"{file} has no space; write what is searched below [space], such as "
            "learning_rate = [0.1, 0.01]"
        )
    return [dict(_domains(table, file)) for table in tables]


def _domains(table: Mapping[str, Any], file: str, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each parameter of a table with its values; ``network.hidden`` is of a nested one."""
    for key, raw in table.items():
        name = prefix + key.replace("-", "_")
        if isinstance(raw, list):
            yield name, [_value(name, item, file) for item in raw]
        elif isinstance(raw, Mapping) and not {"low", "high"} & raw.keys():
            yield from _domains(raw, file, f"{name}__")
        elif isinstance(raw, Mapping):
            yield name, _range(name, raw, file)
        else:
            raise ParameterError(
                f"{file}: space: {name} = {raw!r}: give a list of values, [{raw!r}], or a range, "
                "{low = 1e-4, high = 0.1, log = true}"
            )


def _range(name: str, raw: Mapping[str, Any], file: str) -> Any:
    """Return the range that a table stands for."""
    from ..study.space import Range

    wrong = [key for key in raw if key not in RANGE] or [
        key for key in ("low", "high") if key not in raw
    ]
    if wrong:
        raise ParameterError(
            f"{file}: space: {name}: a range has low and high, and may have step and log; "
            f"{wrong[0]} is {'unknown' if wrong[0] in raw else 'missing'}"
        )
    try:
        return Range(**raw)
    except ParameterError as error:
        raise ParameterError(f"{file}: space: {name}: {error}") from None


def _value(name: str, raw: Any, file: str) -> Any:
    """Return one value of a parameter: "none" as None where it can be, a part checked."""
    known = parameters().get(name)
    if known is None:
        return tupled(raw)
    item = optional(raw, known.annotation)
    if name not in FAMILIES or item is None:
        return tupled(item)
    try:
        made = part(item, name)
    except ParameterError as error:
        raise ParameterError(f"{file}: space: {error}") from None
    return item if isinstance(item, str) else made


# ── the table ────────────────────────────────────────────────────────────────────────────────


def report(results: Results, path: str, json: bool) -> None:
    """Report the table of a study."""
    records = results.records()
    states = [record["state"] for record in records]
    counts = {state: states.count(state) for state in dict.fromkeys(states)}
    result = {
        "study": path, "metric": results.metric, "higher": results.higher, "settings": counts,
        "table": records,
    }  # fmt: skip

    def shown() -> None:
        told = ", ".join(f"{count} {state}" for state, count in counts.items())
        title = f"{path}: {plural('setting', len(records), count=True)} ({told or 'none yet'})"
        names = dict.fromkeys(name for record in records for name in record)
        apart = ("seeds", "trial", *(n for n in names if n.endswith(HIDDEN)))
        columns = [name for name in names if name not in apart and _used(name, records)]
        rows = [[_cell(record.get(name)) for name in columns] for record in records]
        print_table(title, columns, rows)

    answer(result, json, shown)


HIDDEN = ("_per_value", "_per_sample")
"""How metrics end that repeat others in another unit: the JSON has them."""


def _used(name: str, records: list[dict[str, Any]]) -> bool:
    """Whether a column has anything in it."""
    return any(_cell(record.get(name)) is not None for record in records)


def _cell(value: Any) -> Any:
    """Return a value of the table, None for NaN."""
    return None if isinstance(value, float) and value != value else value
