"""What the files are that are no models, detectors, indexes and archives: for ``latente info``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..storage.tensors import kind_at

Facts = dict[str, Any]


def detector_facts(path: str) -> Facts:
    """Return what a detector is made of."""
    from ..anomaly.detector import AnomalyDetector
    from ..anomaly.thresholds import THRESHOLDS
    from ..parts import to_json

    detector = AnomalyDetector.load(path)
    data = detector.ensemble_.preparation
    rows = len(data.shape) == 1
    rule = None if detector.threshold_ is None else to_json(detector.threshold_, THRESHOLDS)
    return {
        "columns": detector.columns_ if rows else None,
        "pictures": None if rows else list(data.layout.shape),
        "contamination": detector.contamination,
        "threshold": detector.offset_,
        "threshold_rule": rule,
        "held_out_rows": len(detector.held_out_scores_),
    }


def index_facts(path: str) -> Facts:
    """Return what an index holds; its model need not be there."""
    from ..search.engines import choose
    from ..search.index import IndexFile

    stored = IndexFile.read(path)
    return {
        "rows": len(stored.codes),
        "latent_dim": stored.codes.shape[1],
        "metric": stored.metric,
        "engine": choose(stored.engine, len(stored.codes)),
        "paths": stored.paths is not None,
        "model": stored.model,
        "fingerprint": stored.fingerprint,
    }


def archive_facts(path: str) -> Facts:
    """Return what an archive holds, and how much of it is whole."""
    from ..codec.archive import unpack

    header, records = unpack(Path(path).read_bytes(), path)
    return {
        "samples": header["count"],
        "whole": sum(1 for _ in records),
        "names": header.get("names") is not None,
        "model": header.get("model"),
        "fingerprint": header.get("fingerprint"),
    }


KINDS: dict[str, tuple[str, Callable[[str], Facts]]] = {
    "latente anomaly detector": ("anomaly detector", detector_facts),
    "latente index": ("index", index_facts),
    "archive": ("archive", archive_facts),
}


def facts_of_file(path: str) -> Facts | None:
    """Return what a file is and holds; None where it is a model, or nothing of ours."""
    kind = "archive" if is_archive(path) else kind_at(path)
    if kind not in KINDS:
        return None
    name, told = KINDS[kind]
    return {"kind": name, "size": Path(path).stat().st_size, **told(path)}


def is_archive(path: str) -> bool:
    """Whether a file begins as archives do, or is called as they are."""
    if not Path(path).is_file():
        return False
    from ..codec.archive import MAGIC

    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC or path.endswith(".latz")
