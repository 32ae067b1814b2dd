"""Map held-out pictures into codes of two numbers, and measure which neighbours the maps keep.

    LATENTE_DATA=folder python docs/results/latent.py [digits] [mnist]

Writes latent.md and latent.json. Nothing is chosen by the test pictures. The maps are compared with
those of UMAP and openTSNE, where umap-learn and openTSNE are installed.
"""

from __future__ import annotations

import json
import sys
import time
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.manifold import trustworthiness
from sklearn.neighbors import KNeighborsClassifier

from latente import Autoencoder, datasets

HERE = Path(__file__).parent
RECORD = HERE / "latent.json"
MAPS: dict[str, dict[str, Any]] = {
    "Autoencoder(2)": {},
    "Autoencoder(2), mask(rate=0.3)": {"corruption": "mask(rate=0.3)"},
    "Autoencoder(2), neighbours, mask(rate=0.3)": {
        "bottleneck": "neighbours",
        "corruption": "mask(rate=0.3)",
    },
}
LONGER = {"digits": 500, "mnist": 40}
"""Epochs of the last of these, about twice the usual ones."""
PEERS = {"UMAP": "umap", "openTSNE": "openTSNE"}
NEAREST = 5
"""Neighbours by which maps are judged."""


def mapped(name: str, title: str, X: Any, X_test: Any) -> tuple[Any, Any, float | None] | None:
    """Return the maps of training and test rows, and the mean squared error of the test rows.

    There is no error where a place of the map cannot be decoded, and nothing at all where the
    method is not installed.
    """
    if name in MAPS:
        epochs: Any = LONGER[title] if "bottleneck" in MAPS[name] else "auto"
        ae = Autoencoder(2, epochs=epochs, random_state=0, **MAPS[name]).fit(X)
        error = float(ae.reconstruction_error(X_test).mean())
        return ae.transform(X), ae.transform(X_test), error
    if find_spec(PEERS[name]) is None:
        return None
    X, X_test = (a.reshape(len(a), -1).astype(np.float32) for a in (X, X_test))
    if name == "UMAP":
        from umap import UMAP

        model = UMAP(random_state=0, n_jobs=1).fit(X)
        return model.embedding_, model.transform(X_test), None
    from openTSNE import TSNE

    embedding = TSNE(random_state=0, n_jobs=1).fit(X)
    return np.asarray(embedding), np.asarray(embedding.transform(X_test)), None


def maps(title: str) -> dict[str, Any]:
    """Map held-out rows of a data set into the plane, and see which neighbours they keep."""
    data = datasets.load(title)
    rows = data.X_test.reshape(len(data.X_test), -1).astype(np.float32)
    record: dict[str, Any] = {"data": title, "rows": [len(data.X), len(rows)], "methods": {}}
    for name in (*MAPS, *PEERS):
        begun = time.perf_counter()
        both = mapped(name, title, data.X, data.X_test)
        seconds = time.perf_counter() - begun
        record["methods"][name] = None
        if both is not None:
            nearest = KNeighborsClassifier(NEAREST).fit(both[0], data.y)
            trust = float(trustworthiness(rows, both[1], n_neighbors=NEAREST))
            right = float(nearest.score(both[1], data.y_test))
            record["methods"][name] = [trust, right, seconds, both[2]]
            print(title, name, *record["methods"][name], flush=True)
    return record


def page(record: dict[str, Any]) -> str:
    """Return the page."""
    lines = [
        "# Maps, measured",
        "",
        "Made by `docs/results/latent.py`; nothing was chosen by the test pictures. [How to do "
        "it](../guide/map.md).",
    ]
    for name, section in SECTIONS.items():
        if name in record:
            lines += ["", *section[1](record[name])]
    return "\n".join(lines) + "\n"


def maps_page(r: dict[str, Any]) -> list[str]:
    """Return the section on the maps of a data set."""
    missing = sorted(name for name, value in r["methods"].items() if value is None)
    learned, mapped_rows = r["rows"]
    lines = [
        f"## Maps of two numbers: {r['data']}",
        "",
        f"Each method is fitted on the {learned:,} training rows, without labels, and maps the "
        f"{mapped_rows:,} test rows by its own `transform`. Trustworthiness (scikit-learn's, of "
        f"the test rows among themselves, {NEAREST} neighbours; 1 is best) says how many "
        "neighbours on the map are neighbours in the data. Accuracy is that of the "
        f"{NEAREST} nearest training rows on the map, whose labels are used for this only. Ours "
        "decode every place of the map too; the error is the mean squared one of the test rows, in "
        f"the model's scale. The map that keeps neighbours is trained for {LONGER[r['data']]} "
        "epochs, the other two for as many as the default takes. Seconds are wall clock: other "
        "work on the machine, of which there was much here, makes them longer.",
        "",
        "| map | trustworthiness | accuracy | error | seconds |",
        "|---|---|---|---|---|",
        *(
            f"| `{name}` | {v[0]:.3f} | {v[1]:.3f} | "
            f"{'–' if v[3] is None else format(v[3], '.4f')} | {v[2]:.0f} |"
            for name, v in r["methods"].items()
            if v is not None
        ),
    ]
    return [*lines, "", f"Not installed here: {', '.join(missing)}."] if missing else lines


SECTIONS = {
    "digits": (partial(maps, "digits"), maps_page),
    "mnist": (partial(maps, "mnist"), maps_page),
}


def main() -> None:
    """Measure the sections that are asked for, or all, and write the page."""
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    for name in sys.argv[1:] or SECTIONS:
        record[name] = SECTIONS[name][0]()
        print(name, json.dumps(record[name]), flush=True)
        RECORD.write_text(json.dumps(record, indent=1) + "\n")
        (HERE / "latent.md").write_text(page(record))


if __name__ == "__main__":
    main()
