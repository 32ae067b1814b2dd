"""``latente info``: what is in a model, a detector, an index or an archive."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import printable
from ..families import FAMILIES
from .console import CallError, answer, print_facts, print_table
from .data import Json, open_model, preparation_of
from .parameters import write_config, written

if TYPE_CHECKING:
    from ..estimator import Autoencoder

Facts = dict[str, Any]

BESIDE_LOSS = ("epoch", "per_pixel", "learning_rate", "seconds", "samples_per_second")
"""What a record of the history holds beside the terms of the loss."""
VALIDATION = "validation_"
COLUMNS = ("training", "validation", "test")

File = Annotated[
    str,
    typer.Argument(
        metavar="FILE", help="A model, a detector, an index or an archive.", show_default=False
    ),
]
AsConfig = Annotated[
    bool, typer.Option("--config", help="Print the TOML file that gives the same fit again.")
]
Layers = Annotated[
    bool, typer.Option("--layers", help="Show the layers, their sizes and what they cost.")
]
Time = Annotated[
    bool, typer.Option("--time", help="With --layers and --json, measure the layers' time too.")
]


def info(
    file: File,
    config: AsConfig = False,
    layers: Layers = False,
    time: Time = False,
    json: Json = False,
) -> None:
    """Show what is in a model, a detector, an index or an archive.

    Of a model it shows what it is made of and how it was trained; with --config, it prints the
    parameters as a TOML file for `latente fit --config`; with --layers, each layer with its output
    size and the formula behind it, padding, parameters, what it sees of the input, and its share of
    the time.
    """
    found = facts_of_file(file)
    if found is not None:
        if config or layers:
            option = "--config" if config else "--layers"
            raise CallError(f"{file} is an {found['kind']}; {option} is for models")
        answer({"file": file, **found}, json, lambda: print_facts(file, found))
        return
    model = open_model(file)
    if config and not json:
        typer.echo(write_config(model), nl=False)
        return
    if layers and not json:
        typer.echo(f"{file}\n{model.summary()}")
        return
    facts = {"size": Path(file).stat().st_size, **facts_of(model)}

    def show() -> None:
        dead = [f"{n} of {units} in {layer}" for layer, (n, units) in model.dead_units_.items()]
        print_facts(file, {**facts, "dead_units": ", ".join(dead) or None})
        print_terms(model)

    result = {"model": file, **facts, "history": model.history_}
    if config:
        result["config"] = write_config(model)
    if layers:
        result["layers"] = model.summary(time=time).to_dict()
    answer(result, json, show)


def facts_of(model: Autoencoder) -> Facts:
    """Return what a model is made of and how it was trained, as text and plain numbers."""
    parts = {name: written(getattr(model, name + "_"), name) or "none" for name in FAMILIES}
    return {
        **parts,
        "latent_dim": model.latent_dim_,
        "code_shape": model.code_shape_,
        "features": model.n_features_in_,
        "scaling": str(model.scaling_),
        "parameters": model.n_parameters_,
        "learning_rate": model.learning_rate_,
        "batch_size": model.batch_size_,
        "epochs": model.epochs_,
        "best_epoch": model.best_epoch_,
        "stopped": model.stopped_,
        "streamed": model.streamed_,
        "device": str(model.device_),
        "precision": model.precision_,
        **{name: plain(value) for name, value in model.fitted_.summary.items()},
    }


def plain(value: Any) -> Any:
    """Return an array of the summary as a list of short numbers, anything else as it is."""
    return [float(f"{each:.4g}") for each in value.ravel()] if hasattr(value, "ravel") else value


def loss_terms(model: Autoencoder) -> dict[str, dict[str, float]]:
    """Return each term of the loss in the epoch kept, on the training and the validation rows.

    The total is left out where it is the reconstruction alone. There is nothing to tell where the
    start was kept.
    """
    record = {each["epoch"]: each for each in model.history_}.get(model.best_epoch_)
    if record is None:
        return {}
    names = [name for name in record if name not in BESIDE_LOSS and not name.startswith(VALIDATION)]
    if len(names) == 2:
        names.remove("total")
    return {
        name: {
            column: record[prefix + name]
            for column, prefix in (("training", ""), ("validation", VALIDATION))
            if prefix + name in record
        }
        for name in names
    }


def print_terms(model: Autoencoder, more: Mapping[str, Mapping[str, float]] | None = None) -> None:
    """Print the loss in the epoch whose weights were kept, and more rows of the same columns."""
    rows = {**loss_terms(model), **(more or {})}
    columns = [column for column in COLUMNS if any(column in row for row in rows.values())]
    if columns:
        lines = [(name, *map(row.get, columns)) for name, row in rows.items()]
        print_table("", ("", *columns), lines)


def facts_of_file(path: str) -> Facts | None:
    """Return what a file is and holds; None where it is a model, or none of this package."""
    from ..storage.tensors import kind_at

    kind = "archive" if _is_archive(path) else kind_at(path)
    if kind not in FILES:
        return None
    name, facts = FILES[kind]
    return {"kind": name, "size": Path(path).stat().st_size, **facts(path)}


def _is_archive(path: str) -> bool:
    """Whether a file begins as archives do, or has their suffix."""
    if not Path(path).is_file():
        return False
    from ..codec.archive import MAGIC

    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC or path.endswith(".latz")


def _detector_facts(path: str) -> Facts:
    """Return what a detector is made of."""
    from ..anomaly.detector import AnomalyDetector
    from ..anomaly.thresholds import THRESHOLDS
    from ..parts import to_json

    detector = AnomalyDetector.load(path)
    data = preparation_of(detector)
    rows = len(data.shape) == 1
    rule = detector.threshold_
    return {
        "columns": detector.columns_ if rows else None,
        "pictures": None if rows else list(data.layout.shape),
        "contamination": detector.contamination,
        "threshold": detector.offset_,
        "threshold_rule": None if rule is None else to_json(rule, THRESHOLDS),
        "held_out_rows": len(detector.held_out_scores_),
    }


def _index_facts(path: str) -> Facts:
    """Return what an index holds; its model need not be there."""
    from ..search.engines import choose
    from ..search.index import IndexFile

    stored = IndexFile.read(path)
    return {
        "rows": len(stored.codes),
        "latent_dim": stored.codes.width,
        "metric": stored.metric,
        "engine": choose(stored.engine, len(stored.codes)),
        "paths": stored.paths is not None,
        "model": stored.model,
        "fingerprint": stored.fingerprint,
    }


def _archive_facts(path: str) -> Facts:
    """Return what an archive holds, and how much of it is whole."""
    from ..codec.archive import unpack

    header, records = unpack(Path(path).read_bytes(), path)
    noted = {
        key: None if header.get(key) is None else printable(str(header[key]))
        for key in ("model", "fingerprint")
    }
    return {
        "samples": header["count"],
        "whole": sum(1 for _ in records),
        "names": header.get("names") is not None,
        **noted,
    }


FILES: dict[str, tuple[str, Callable[[str], Facts]]] = {
    "latente anomaly detector": ("anomaly detector", _detector_facts),
    "latente index": ("index", _index_facts),
    "archive": ("archive", _archive_facts),
}
"""What files of other kinds than models are called, and what reads them."""
