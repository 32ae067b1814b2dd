"""``latente detect``: find anomalies, and say why."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import CallError, answer, print_facts, print_table, say
from .data import (
    READING,
    Data,
    Json,
    Limit,
    MaybeOutput,
    Seed,
    Split,
    by_position,
    is_frame,
    open_rows,
    preparation_of,
    select,
    take,
    with_options,
)
from .output import (
    TABLES,
    Escape,
    Lowest,
    check_output,
    format_of,
    passing,
    write_grid,
    write_parts,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..anomaly.detector import AnomalyDetector
    from .data import Selection

SUFFIX = ".safetensors"
HEATMAPS = ".png"
REASONS = 3
"""Columns named for each row."""
MOST = 1000
"""Flagged rows shown, where --top does not say."""
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
    str | None,
    typer.Option(
        metavar="SHARE",
        help='With --fit: share of DATA that may be anomalies, or "auto" where it is not known.',
    ),
]
Threshold = Annotated[
    str | None,
    typer.Option(
        metavar="RULE",
        help='With --fit: "quantile(rate=0.01)", "alerts(per_day=20, rows_per_day=5000)", fence, '
        'f1, "cost(miss=50)"; the last two need --validation.',
    ),
]
Unseen = Annotated[
    str | None,
    typer.Option(
        metavar="ignore|error",
        help="With --fit: what becomes of a category that DATA do not have: ignored, which makes "
        "a row anomalous, or an error.",
    ),
]
Validation = Annotated[
    str | None,
    typer.Option(
        metavar="DATA", help="With --fit: labelled rows to set the threshold on; see --label."
    ),
]
Explain = Annotated[
    bool, typer.Option("--explain", help="Name the columns that made each row anomalous.")
]
Top = Annotated[
    int | None,
    typer.Option(
        "--top",
        metavar="K",
        min=1,
        help="Show the K most anomalous rows, flagged or not; by default those that are flagged, "
        "1,000 at most.",
    ),
]


@with_options(READING)
def detect(
    data: Data,
    model: MaybeModel = None,
    output: MaybeOutput = None,
    fit: Fit = False,
    contamination: Contamination = None,
    threshold: Threshold = None,
    unseen: Unseen = None,
    validation: Validation = None,
    explain: Explain = False,
    top: Top = None,
    escape_formulas: Escape = True,
    seed: Seed = 0,
    split: Split = "train",
    limit: Limit = None,
    json: Json = False,
    **reading: Any,
) -> None:
    """Find anomalies, and say why.

    With --fit, learns what is normal from DATA and writes the detector to --output. Otherwise shows
    which rows of DATA the detector --model flags, the most anomalous first, and writes score, flag
    and, with --explain, what each column adds, row by row, to --output: .csv, .parquet or .npy; or,
    of pictures, the most anomalous beside maps of where they are so, to a .png.
    """
    learning = {
        "contamination": as_share(contamination), "threshold": threshold, "unseen": unseen,
        "validation": validation,
    }  # fmt: skip
    given = {name: value for name, value in learning.items() if value is not None}
    if fit:
        if output is None or model is not None:
            raise CallError("--fit writes a new detector: give --output FILE, and no --model")
        path = check_output(output, (SUFFIX,))
        given.pop("validation", None)
        rows = open_normal(data, split, limit, reading, labelled=validation is None)
        learn(rows, path, given | {"random_state": seed}, validation, reading, json=json)
        return
    if given:
        raise CallError(f"--{next(iter(given))} goes with --fit")
    if model is None:
        raise CallError("give --model FILE, or --fit")
    target = check_output(output, (*TABLES, HEATMAPS))
    detector = open_detector(model)
    rows = open_rows(data, split, limit, model=detector, **reading)
    find(detector, rows, target, explain=explain, top=top, escape=escape_formulas, json=json)


def as_share(text: str | None) -> float | str | None:
    """Return the share of anomalies, "auto" or None, or refuse what is neither."""
    if text is None or text == "auto":
        return text
    try:
        return float(text)
    except ValueError:
        raise CallError(f'--contamination {text}: use a number from 0 to 0.5, or "auto"') from None


def open_normal(
    data: str, split: str, limit: int | None, reading: dict[str, Any], *, labelled: bool
) -> Selection:
    """Read the rows to learn from; where others are labelled, these need no labels."""
    if not labelled:
        rows = open_rows(data, split, limit, **reading | {"label": None})
        if rows.data.names is not None and reading["label"] not in rows.data.names:
            return rows
    return open_rows(data, split, limit, **reading)


def learn(
    rows: Selection,
    path: Path,
    keywords: dict[str, Any],
    validation: str | None,
    reading: dict[str, Any],
    *,
    json: bool,
) -> None:
    """Fit a detector, save it, and show what its threshold is."""
    from ..anomaly.detector import AnomalyDetector

    labelled = None
    if validation is not None:
        others = open_rows(validation, "train", **reading)
        if others.y is None:
            raise CallError(f"{validation} has no labels; name their column with --label")
        named = others.data.names and rows.data.names
        X = select(others.X, others.data, named) if named else others.X
        if is_frame(rows.X) and not is_frame(X):
            X = by_position(X, rows.data.names or ())
        labelled = (X, others.y)
    detector = AnomalyDetector(**keywords, verbose=1).fit(rows.X, validation=labelled)
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
    answer(result, json, lambda: print_facts(f"{rows.data.name} → {path}", facts))


def open_detector(path: str) -> AnomalyDetector:
    """Read the detector in a file, or refuse where there is none."""
    if not os.path.exists(path):
        raise CallError(f"{path}: there is no such detector; `latente detect DATA --fit` makes one")
    from ..anomaly.detector import AnomalyDetector

    return AnomalyDetector.load(path)


def find(
    detector: AnomalyDetector,
    rows: Selection,
    path: Path | None,
    *,
    explain: bool,
    top: int | None,
    escape: bool,
    json: bool,
) -> None:
    """Score rows, write what was asked for, and show the most anomalous."""
    import numpy as np

    streamed = passing(rows.X)
    by_column = explain and len(preparation_of(detector).shape) == 1
    maps = path is not None and format_of(path) == HEATMAPS
    most = MOST if top is None else top
    lowest = Lowest(most, detector.offset_ if top is None else np.inf)
    flagged_rows = 0

    def scored() -> Iterator[NDArray[Any]]:
        nonlocal flagged_rows
        for part in streamed or [rows.X]:
            scores = lowest.add(detector.score_samples(part))
            flagged = scores < detector.offset_
            flagged_rows += int(flagged.sum())
            columns = [scores[:, None], flagged[:, None]]
            if by_column and path is not None and not maps:
                columns.append(np.asarray(detector.explain(part)))
            yield np.concatenate(columns, axis=1).astype(np.float64)

    if path is None or maps:
        for _ in scored():
            pass
    else:
        titles = ["score", "flagged", *(detector.columns_ if by_column else ())]
        write_parts(scored(), len(rows), path, titles, escape=escape)
    order = lowest.rows
    if maps:
        assert path is not None
        write_heat_maps(detector, rows.X, order[: top or SHOWN], path)
    if path is not None:
        say(f"{path}: {len(rows)} rows, {flagged_rows} flagged")
    worst = [
        rows.record(row, score, flagged=score < detector.offset_)
        for row, score in zip(order.tolist(), lowest.scores.tolist(), strict=True)
    ]
    if by_column and len(order):
        for each, parts in zip(
            worst, np.asarray(detector.explain(take(rows.X, order))), strict=True
        ):
            each["because"] = reasons(parts, detector.columns_)
    result = {
        "rows": len(rows),
        "flagged": flagged_rows,
        "threshold": detector.offset_,
        "output": path,
        "top": worst,
    }
    answer(result, json, lambda: print_worst(result, worst))


def reasons(parts: NDArray[Any], names: list[str]) -> dict[str, float]:
    """Return the columns that add most to a row's anomaly, each with its share of it."""
    import numpy as np

    whole = max(float(parts.sum()), 1e-300)
    return {names[j]: float(parts[j]) / whole for j in np.argsort(-parts)[:REASONS].tolist()}


def write_heat_maps(detector: AnomalyDetector, X: Any, order: NDArray[Any], path: Path) -> None:
    """Write the most anomalous pictures and, beside each, where it is so, as one picture."""
    import numpy as np

    data = preparation_of(detector)
    if len(data.shape) != 3:
        raise CallError(f"{path}: rows of numbers have no heat maps; write .csv, .parquet or .npy")
    if not len(order):
        raise CallError(f"{path}: nothing is flagged; give --top K for the most anomalous pictures")
    chosen = np.asarray(take(X, order))
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


def print_worst(result: dict[str, Any], worst: list[dict[str, Any]]) -> None:
    """Print the most anomalous rows as a table."""
    typer.echo(f"{result['flagged']} of {result['rows']} rows are flagged")
    if len(worst) == MOST < result["flagged"]:
        typer.echo(f"shown are the {MOST:,} most anomalous; --output FILE takes all, --top K more")
    if not worst:
        return
    lines = []
    for rank, each in enumerate(worst, 1):
        shown = dict(each)
        if "because" in shown:
            pairs = shown["because"].items()
            shown["because"] = ", ".join(f"{name} {share:.0%}" for name, share in pairs)
        shown["flagged"] = "yes" if shown["flagged"] else "no"
        lines.append((rank, *shown.values()))
    print_table("", ("rank", *(f"{name} " for name in worst[0])), lines)
