"""``latente detect``: which rows do not belong, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import output as out
from .columns import ordered
from .guard import Refusal, say
from .inputs import (
    READING,
    Data,
    Json,
    Limit,
    MaybeOutput,
    Seed,
    Split,
    open_rows,
    with_options,
)
from .sinks import TABLES, checked, kind, write_grid, write_values

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..anomaly.detector import AnomalyDetector
    from .inputs import Rows

SUFFIX = ".safetensors"
HEATMAPS = ".png"
REASONS = 3
"""Columns named for each row."""
SHOWN = 24
"""Pictures on a sheet of heat maps, where --top does not say."""

MaybeModel = Annotated[
    str | None,
    typer.Option("--model", "-m", metavar="FILE", help="The detector, a .safetensors file."),
]
Fit = Annotated[
    bool, typer.Option("--fit", help="Learn from DATA what is normal, and write it to --output.")
]
Contamination = Annotated[
    float | None,
    typer.Option(metavar="SHARE", help="With --fit: share of DATA that may be anomalies."),
]
Threshold = Annotated[
    str | None,
    typer.Option(
        metavar="RULE",
        help='With --fit: "quantile(rate=0.01)", "alerts(per_day=20, rows_per_day=5000)", f1, '
        '"cost(miss=50)"; the last two need --validation.',
    ),
]
Validation = Annotated[
    str | None,
    typer.Option(
        metavar="DATA", help="With --fit: labelled rows to set the threshold on; see --label."
    ),
]
Explain = Annotated[
    bool, typer.Option("--explain", help="Name the columns that made each row odd.")
]
Top = Annotated[
    int | None,
    typer.Option("--top", metavar="K", min=1, help="Show the K oddest rows, flagged or not."),
]


@with_options(READING)
def detect(
    data: Data,
    model: MaybeModel = None,
    output: MaybeOutput = None,
    fit: Fit = False,
    contamination: Contamination = None,
    threshold: Threshold = None,
    validation: Validation = None,
    explain: Explain = False,
    top: Top = None,
    seed: Seed = 0,
    split: Split = "train",
    limit: Limit = None,
    json: Json = False,
    **reading: Any,
) -> None:
    """Find what does not belong, and say why.

    With --fit, learns what is normal from DATA and writes the detector to --output. Otherwise tells
    which rows of DATA the detector --model flags, the oddest first, and writes score, flag and,
    with --explain, what each column adds, row by row, to --output: .csv, .parquet or .npy; or, of
    pictures, the oddest beside maps of what made them odd, to a .png.
    """
    asked = {"--contamination": contamination, "--threshold": threshold, "--validation": validation}
    if fit:
        if output is None or model is not None:
            raise Refusal("--fit writes a new detector: give --output FILE, and no --model")
        path = checked(output, (SUFFIX,))
        given = {"contamination": contamination, "threshold": threshold}
        keywords = {name: value for name, value in given.items() if value is not None}
        rows = open_normal(data, split, limit, reading, labelled=validation is None)
        learn(rows, path, keywords | {"random_state": seed}, validation, reading, json=json)
        return
    wrong = [name for name, value in asked.items() if value is not None]
    if model is None or wrong:
        raise Refusal(f"{wrong[0]} goes with --fit" if wrong else "give --model FILE, or --fit")
    written = checked(output, (*TABLES, HEATMAPS)) if output else None
    detector = open_detector(model)
    rows = open_rows(data, split, limit, model=detector, **reading)
    find(detector, rows, written, explain=explain, top=top, json=json)


def open_normal(
    data: str, split: str, limit: int | None, reading: dict[str, Any], *, labelled: bool
) -> Rows:
    """Read the rows to learn from; with others that are labelled, they need no labels."""
    if not labelled:
        rows = open_rows(data, split, limit, **reading | {"label": None})
        if rows.data.names is not None and reading["label"] not in rows.data.names:
            return rows
    return open_rows(data, split, limit, **reading)


def learn(
    rows: Rows,
    path: Path,
    keywords: dict[str, Any],
    validation: str | None,
    reading: dict[str, Any],
    *,
    json: bool,
) -> None:
    """Fit a detector, save it, and tell what its threshold is."""
    from ..anomaly.detector import AnomalyDetector

    labelled = None
    if validation is not None:
        held = open_rows(validation, "train", **reading)
        if held.y is None:
            raise Refusal(f"{validation} has no labels; name their column with --label")
        named = held.data.names and rows.data.names
        labelled = (ordered(held.X, held.data, named) if named else held.X, held.y)
    detector = AnomalyDetector(**keywords).fit(rows.X, validation=labelled)
    if rows.data.names and len(rows.data.names) == len(detector.columns_):
        detector.columns_ = list(rows.data.names)
    detector.save(path)
    flagged = int((detector.predict(rows.X) == -1).sum())
    facts = {
        "rows": len(rows),
        "columns": len(detector.columns_),
        "threshold": detector.offset_,
        "flagged among them": flagged,
    }
    result = {"model": path, "data": rows.data.name, **facts, "flagged": flagged}
    out.answer(result, json, lambda: out.facts(f"{rows.data.name} → {path}", facts))


def open_detector(path: str) -> AnomalyDetector:
    """Read the detector in a file, or refuse where there is none."""
    if not Path(path).exists():
        raise Refusal(f"{path}: there is no such detector; `latente detect DATA --fit` makes one")
    from ..anomaly.detector import AnomalyDetector

    return AnomalyDetector.load(path)


def find(
    detector: AnomalyDetector,
    rows: Rows,
    path: Path | None,
    *,
    explain: bool,
    top: int | None,
    json: bool,
) -> None:
    """Score rows, write what was asked for, and tell of the oddest."""
    import numpy as np

    from ..data.dataset import take_rows as taken

    scores = detector.score_samples(rows.X)
    flagged = scores < detector.offset_
    order = np.argsort(scores, kind="stable")[: int(flagged.sum()) if top is None else top]
    pictures = len(detector.ensemble_.preparation.shape) > 1
    if path is not None:
        if kind(str(path)) == HEATMAPS:
            heat_maps(detector, rows, order[: top or SHOWN], path)
        else:
            parts = detector.explain(rows.X) if explain and not pictures else None
            table(scores, flagged, parts, detector.columns_, path)
        say(f"{path}: {len(scores)} rows, {int(flagged.sum())} flagged")
    oddest = [row(rows, int(i), scores, flagged) for i in order]
    if explain and not pictures and len(order):
        for each, parts in zip(oddest, detector.explain(taken(rows.X, order)), strict=True):
            each["because"] = reasons(parts, detector.columns_)
    result = {
        "rows": len(scores),
        "flagged": int(flagged.sum()),
        "threshold": detector.offset_,
        "output": path,
        "top": oddest,
    }
    out.answer(result, json, lambda: tell(result, oddest))


def row(rows: Rows, index: int, scores: NDArray[Any], flagged: NDArray[Any]) -> dict[str, Any]:
    """Return what is told of a row."""
    found: dict[str, Any] = {
        "row": index,
        "score": float(scores[index]),
        "flagged": bool(flagged[index]),
    }
    if rows.paths is not None:
        found["path"] = rows.paths[index]
    if rows.labels is not None:
        found["label"] = rows.labels[index]
    return found


def reasons(parts: NDArray[Any], names: list[str]) -> dict[str, float]:
    """Return the columns that add most to a row's oddness, each with its share of it."""
    import numpy as np

    whole = max(float(parts.sum()), 1e-300)
    return {names[j]: float(parts[j]) / whole for j in np.argsort(-parts)[:REASONS].tolist()}


def table(
    scores: NDArray[Any],
    flagged: NDArray[Any],
    parts: NDArray[Any] | None,
    names: list[str],
    path: Path,
) -> None:
    """Write score, flag and what each column adds, one line a row."""
    import numpy as np

    columns = [scores[:, None], flagged[:, None]] + ([] if parts is None else [parts])
    titles = ["score", "flagged"] + ([] if parts is None else names)
    write_values(np.concatenate(columns, axis=1).astype(np.float64), path, titles)


def heat_maps(detector: AnomalyDetector, rows: Rows, order: NDArray[Any], path: Path) -> None:
    """Write the oddest pictures and, beside each, where it is odd, as one picture."""
    import numpy as np

    data = detector.ensemble_.preparation
    if len(data.shape) != 3:
        raise Refusal(f"{path}: rows of numbers have no heat maps; write .csv, .parquet or .npy")
    if not len(order):
        raise Refusal(f"{path}: nothing is flagged; give --top K to see the oddest pictures")
    chosen = np.asarray(rows.X)[order]
    values = data.convert(data.store(chosen, "X")).numpy()
    low, high = data.bounds or data.range
    shades = np.clip((values - low) / (high - low), 0, 1)
    colours = np.repeat(shades, 3, axis=1) if shades.shape[1] == 1 else shades[:, :3]
    if colours.shape[1] == 2:
        colours = np.repeat(shades[:, :1], 3, axis=1)
    heat = detector.explain(chosen)
    heat /= np.maximum(heat.max(axis=(1, 2), keepdims=True), 1e-300)
    paper = 0.35 * colours.mean(axis=1)
    warm = np.stack([np.maximum(paper, heat), paper * (1 - heat), paper * (1 - heat)], axis=1)
    pairs = np.stack([colours, warm], axis=1).reshape(-1, *colours.shape[1:])
    across = 2 * int(np.ceil(np.sqrt(len(order) / 2)))
    write_grid(np.rint(np.moveaxis(pairs, 1, -1) * 255).astype(np.uint8), path, across)


def tell(result: dict[str, Any], oddest: list[dict[str, Any]]) -> None:
    """Print the oddest rows as a table."""
    typer.echo(f"{result['flagged']} of {result['rows']} rows are flagged")
    if not oddest:
        return
    lines = []
    for rank, each in enumerate(oddest, 1):
        shown = dict(each)
        if "because" in shown:
            pairs = shown["because"].items()
            shown["because"] = ", ".join(f"{name} {share:.0%}" for name, share in pairs)
        shown["flagged"] = "yes" if shown["flagged"] else "no"
        lines.append((rank, *shown.values()))
    out.table("", ("rank", *(f"{name} " for name in oddest[0])), lines)
