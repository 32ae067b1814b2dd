"""Move in the code space of fitted models and measure where one arrives.

    LATENTE_DATA=folder python docs/results/latent.py [letters] [faces] [labels] [digits] [mnist]

Writes latent.md, latent.json and pictures beside them. Nothing is chosen by the held-out people or
the test pictures. The maps of digits and of MNIST are compared with those of UMAP and openTSNE,
where umap-learn and openTSNE are installed.
"""

from __future__ import annotations

import csv
import json
import sys
import time
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mnist import fit_font
from PIL import Image
from skimage.feature import hog
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import trustworthiness
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch import nn

from latente import Autoencoder, Dense, GaussianNoise, datasets, latent, metrics
from latente.data.pictures import pictures, read_folder
from latente.datasets.download import folders

HERE = Path(__file__).parent
IMAGES = HERE.parent / "images"
RECORD = HERE / "latent.json"
SIZE = (56, 46)
STRENGTHS = (1.0, 2.0, 3.0)
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


def sheet(rows: list[Any], name: str, scale: int) -> None:
    """Write rows of pictures, uint8 with white 255, as one picture."""
    height = max(len(row) for row in rows)
    h, w = rows[0].shape[1:]
    page = np.full((len(rows) * (h + 2), height * (w + 2)), 215, np.uint8)
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            page[i * (h + 2) : i * (h + 2) + h, j * (w + 2) : j * (w + 2) + w] = picture
    IMAGES.mkdir(exist_ok=True)
    big = Image.fromarray(page).resize((page.shape[1] * scale, page.shape[0] * scale), 0)
    big.save(IMAGES / name, optimize=True)


def letters() -> dict[str, Any]:
    """Decode places of the font's code plane where no glyph lies."""
    X = datasets.load("font").X
    ae = fit_font(X)
    decoded = ae.inverse_transform(latent.grid(ae, 60, X=X, span=1.0))
    flat, known = (a.reshape(len(a), -1) for a in (decoded, X))
    away = (flat[:, None] != known[None]).sum(2)
    new = np.unique(flat[away.min(1) > 0], axis=0)
    distance = (new[:, None] != known[None]).sum(2)
    order = np.argsort(-distance.min(1), kind="stable")
    shown = order[np.linspace(0, len(order) - 1, 14).astype(int)]
    nearest = known[distance[shown].argmin(1)]
    paint = [
        255 - 255 * a.reshape(-1, *X.shape[1:]).astype(np.uint8) for a in (new[shown], nearest)
    ]
    sheet(paint, "latent-letters.png", 8)
    return {
        "wrong": int((ae.reconstruct(X) != X).sum()),
        "places": len(flat),
        "glyph": int((away.min(1) == 0).sum()),
        "new": len(new),
        "by distance": {
            int(d): int((distance.min(1) == d).sum()) for d in np.unique(distance.min(1))
        },
        "shown": distance.min(1)[shown].tolist(),
    }


def faces_and_glasses() -> tuple[Any, Any, Any]:
    """Return the faces, who is shown, and who wears glasses in it."""
    folder = next(f for f in folders("faces") if (f / "glasses.csv").is_file() and pictures(f))
    data = read_folder(folder, size=SIZE)
    with (folder / "glasses.csv").open(encoding="utf-8") as file:
        worn = {(r["subject"], r["image"]): r["glasses"] == "1" for r in csv.DictReader(file)}
    parts = [Path(path).parts for path in data.paths or ()]
    glasses = np.array([worn[(part[-2], part[-1])] for part in parts])
    return np.asarray(data.X).reshape(-1, *SIZE), np.array([part[-2] for part in parts]), glasses


def varied(X: Any, times: int) -> Any:
    """Return pictures with mirrored ones, and moved and lit otherwise, so many times as many."""
    generator, out = np.random.default_rng(0), [X, X[:, :, ::-1]]
    padded = np.pad(X, ((0, 0), (3, 3), (3, 3)), mode="edge")
    h, w = X.shape[1:]
    for _ in range(times - 2):
        corners = generator.integers(0, 7, (len(X), 2))
        moved = np.stack(
            [p[a : a + h, b : b + w] for p, (a, b) in zip(padded, corners, strict=True)]
        )
        mirrored = generator.random(len(X)) < 0.5
        moved[mirrored] = moved[mirrored][:, :, ::-1]
        gain = generator.uniform(0.85, 1.15, (len(X), 1, 1))
        light = generator.uniform(-15, 15, (len(X), 1, 1))
        out.append(np.rint(moved * gain + light).clip(0, 255).astype(np.uint8))
    return np.concatenate(out)


class Bent(nn.Module):
    """A linear layer, and what bends it: ``W x + b + f(x)``, f nothing to begin with."""

    def __init__(self, weight: Any, bias: Any, shape: tuple[int, ...], hidden: int = 64) -> None:
        super().__init__()
        outputs, inputs = weight.shape
        self.linear = nn.Linear(inputs, outputs)
        last = nn.Linear(hidden, outputs)
        self.bend = nn.Sequential(nn.Linear(inputs, hidden), nn.GELU(), last)
        self.shape = shape
        with torch.no_grad():
            for parameter, value in zip(self.linear.parameters(), (weight, bias), strict=True):
                parameter.copy_(torch.tensor(value))
            for parameter in last.parameters():
                parameter.zero_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return outputs of the shape."""
        x = x.flatten(1)
        return (self.linear(x) + self.bend(x)).unflatten(1, self.shape)


def bent(X: Any) -> tuple[nn.Module, nn.Module]:
    """Return encoder and decoder that begin as PCA with 100 components of the pictures."""
    pca = PCA(100, svd_solver="covariance_eigh").fit(flat(X))
    spread = np.sqrt(pca.explained_variance_)[:, None]
    weight = pca.components_ / spread
    torch.manual_seed(0)
    return (
        Bent(weight, -weight @ pca.mean_, (100,)),
        Bent((pca.components_ * spread).T, pca.mean_, (1, *SIZE)),
    )


def flat(X: Any) -> Any:
    """Return pictures as rows of numbers from 0 to 1."""
    return X.reshape(len(X), -1) / 255.0


def decibels(X: Any, other: Any) -> float:
    """Return the mean PSNR of the pictures."""
    return float(metrics.psnr(X, np.rint(other).clip(0, 255), span=255).mean())


def edges(X: Any) -> Any:
    """Return histograms of the gradients around the eyes (Dalal and Triggs, 2005)."""
    cells = {"pixels_per_cell": (4, 4), "cells_per_block": (2, 2)}
    return np.stack([hog(picture[10:34], **cells) for picture in X])


def judge(X: Any, glasses: Any) -> Any:
    """Return a classifier of glasses on pixels that has no part in the edits."""
    model = make_pipeline(StandardScaler(), SVC(C=3, class_weight="balanced"))
    model.fit(edges(X), glasses)
    return lambda pictures: model.predict(edges(pictures))


def flips(says: Any, before: Any, after: Any, wanted: bool) -> float:
    """Return the share of right answers before that are the opposite after."""
    right = says(before) != wanted
    return float((says(after[right]) == wanted).mean())


def faces() -> dict[str, Any]:
    """Fit a code of 100 numbers on 32 people; put glasses on eight others, and take them off."""
    X, who, glasses = faces_and_glasses()
    people = sorted(set(who), key=lambda name: (glasses[who == name].sum(), int(name[1:])))
    held = np.isin(who, people[4::5])
    train = varied(X[~held], 24)
    begun = time.perf_counter()
    ae = Autoencoder(
        100,
        network=bent(train),
        corruption=GaussianNoise(std=0.03),
        loss="squared",
        optimizer="adamw",
        weight_decay=0.01,
        epochs=20,
        batch_size=64,
        learning_rate=1e-4,
        schedule="cosine",
        scaling="unit",
        validation_fraction=0,
        random_state=0,
    ).fit(train)
    seconds = time.perf_counter() - begun
    record: dict[str, Any] = {"seconds": seconds, "parameters": ae.n_parameters_}
    record["psnr"] = {"autoencoder": decibels(X[held], ae.reconstruct(X[held]))}
    for name, rows in (("PCA", X[~held]), ("PCA, the same varied pictures", train)):
        pca = PCA(100, svd_solver="covariance_eigh").fit(flat(rows))
        back = pca.inverse_transform(pca.transform(flat(X[held]))).reshape(-1, *SIZE) * 255
        record["psnr"][name] = decibels(X[held], back)
    some = np.arange(held.sum())[::8]
    shown = X[held][some]
    sheet([shown, ae.reconstruct(shown), np.rint(back[some]).clip(0, 255)], "latent-faces.png", 2)
    return record | glasses_on_and_off(ae, X, who, glasses, held)


def glasses_on_and_off(
    ae: Autoencoder, X: Any, who: Any, glasses: Any, held: Any
) -> dict[str, Any]:
    """Move held-out faces along the direction of glasses, and ask the judges."""
    often, worn = varied(X[~held], 8), np.tile(glasses[~held], 8)
    judges = judge(often, worn), judge(ae.reconstruct(often), worn)
    looks = X[held], ae.reconstruct(X[held])
    Z = ae.transform(X)
    on, off = ~held & glasses, ~held & ~glasses
    ways = {
        "means": latent.direction(Z[on], Z[off]),
        "within people": latent.direction(Z[on], Z[off], groups=(who[on], who[off])),
    }
    sides = (X[held & ~glasses], 1), (X[held & glasses], -1)
    found: dict[str, Any] = {
        "people": [int(held.sum()), int((held & glasses).sum())],
        "judges": [
            float((says(pictures) == glasses[held]).mean())
            for says, pictures in zip(judges, looks, strict=True)
        ],
        "read": {
            name: float(((way.read(Z[held]) > 0.5) == glasses[held]).mean())
            for name, way in ways.items()
        },
        "flips": {
            f"{name}, strength {strength:g}{', detail kept' if keep else ''}": [
                flips(
                    judges[0 if keep else 1],
                    before if keep else ae.reconstruct(before),
                    latent.edit(ae, before, way, sign * strength, keep_detail=keep),
                    sign > 0,
                )
                for before, sign in sides
            ]
            for name, way in ways.items()
            for strength in STRENGTHS
            for keep in (False, True)
        },
    }
    rows = []
    for before, sign in sides:
        some = before[:: len(before) // 9][:9]
        rows += [some, ae.reconstruct(some)]
        rows += [
            latent.edit(ae, some, ways["means"], sign * 2, keep_detail=keep)
            for keep in (False, True)
        ]
    sheet(rows, "latent-glasses.png", 2)
    return found


def labels() -> dict[str, Any]:
    """Classify MNIST with 1,000 labels, on codes learned from all pictures without labels."""
    data = datasets.load("mnist")
    X, X_test = (a.reshape(len(a), -1) / np.float32(255) for a in (data.X, data.X_test))
    chosen = np.random.default_rng(0).choice(len(X), 1000, replace=False)
    y = data.y[chosen]
    ae = Autoencoder(
        64,
        network=Dense(hidden=(512, 256)),
        corruption=GaussianNoise(std=0.5),
        loss="bernoulli",
        epochs=15,
        batch_size=256,
        schedule="one_cycle",
        learning_rate=2e-3,
        random_state=0,
    )
    begun = time.perf_counter()
    ae.fit(X)
    seconds = time.perf_counter() - begun
    pca = PCA(64, svd_solver="covariance_eigh").fit(X)
    views: dict[str, Any] = {
        "pixels": lambda rows: rows,
        "PCA, 64 components": pca.transform,
        "autoencoder, code of 64": ae.transform,
    }
    found: dict[str, Any] = {"seconds": seconds, "accuracy": {}}
    for name, view in views.items():
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=3000))
        grid = {"logisticregression__C": [1e-3, 1e-2, 1e-1, 1.0]}
        search = GridSearchCV(model, grid, cv=5).fit(view(X[chosen]), y)
        found["accuracy"][name] = float(search.score(view(X_test), data.y_test))
    return found


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
        "# The code space, measured",
        "",
        "Made by `docs/results/latent.py`; nothing was chosen by the held-out people or the test "
        "pictures. [How to do it](../guide/generate.md).",
    ]
    for name, section in SECTIONS.items():
        if name in record:
            lines += ["", *section[1](record[name])]
    return "\n".join(lines) + "\n"


def letters_page(r: dict[str, Any]) -> list[str]:
    """Return the section on letters."""
    counts = ", ".join(f"{n} at {d}" for d, n in r["by distance"].items())
    return [
        "## A letter that the font does not contain (U2)",
        "",
        f"All 96 glyphs of a 5×7 font in a code of two numbers ({r['wrong']} wrong pixels). Of "
        f"{r['places']:,} places of the plane, a grid over the range of the codes, {r['glyph']:,} "
        f"decode to a glyph of the font. The others give {r['new']:,} different pictures that are "
        f"in no font. Pixels in which they differ from the nearest glyph: {counts}.",
        "",
        "![New letters above, the nearest glyph of the font below](../images/latent-letters.png)",
        "",
        "Above new letters, below each the nearest glyph; they differ in "
        + ", ".join(map(str, r["shown"])) + " pixels.",
    ]  # fmt: skip


def faces_page(r: dict[str, Any]) -> list[str]:
    """Return the sections on faces."""
    n, worn = r["people"]
    return [
        "## Faces in a hundred numbers (M13)",
        "",
        f"{n} pictures of eight people ({SIZE[0]}×{SIZE[1]}), of whom the model, trained on 32 "
        f"others in {r['seconds']:.0f} s, has seen none. It begins as PCA and is bent from there; "
        "it learns from mirrored, moved and relit copies too. So few pictures bend it little: PCA "
        "of the same copies is as good. ORL faces, AT&T Laboratories Cambridge.",
        "",
        "| code of 100 numbers | PSNR on unseen people, dB |",
        "|---|---|",
        *(f"| {name} | {value:.2f} |" for name, value in r["psnr"].items()),
        "",
        "![Originals, the autoencoder's, PCA's](../images/latent-faces.png)",
        "",
        "Originals, the autoencoder's reconstructions, those of PCA on the same copies.",
        "",
        "## Glasses on, glasses off (U9)",
        "",
        "A classifier of glasses on pixels (gradients around the eyes, a support-vector machine), "
        f"trained on the same 32 people, is right on {r['judges'][0]:.0%} of the {n} held-out "
        f"pictures ({worn} with glasses); a second one, trained on reconstructions, is right on "
        f"{r['judges'][1]:.0%} of the held-out reconstructions. How often the answer flips, where "
        "it was right, when glasses are put on and taken off along the training people's "
        "direction; the first judges pictures with their details kept, the second the others:",
        "",
        "| direction | put on: says glasses | taken off: says none |",
        "|---|---|---|",
        *(f"| {name} | {on:.0%} | {off:.0%} |" for name, (on, off) in r["flips"].items()),
        "",
        "Read at one half, the direction alone tells glasses of "
        + " and of ".join(f"{value:.0%} ({name})" for name, value in r["read"].items())
        + " of the held-out pictures.",
        "",
        "This falls short: 320 pictures of faces that are not aligned give a code in which glasses "
        "are a shadow about the eyes, not a frame. A data scientist with thousands of aligned "
        "faces, or an attribute that fills the picture, gets more from the same two lines.",
        "",
        "![Glasses put on and taken off](../images/latent-glasses.png)",
        "",
        "From above: people without glasses, their reconstructions, glasses put on (strength 2), "
        "the same with the details kept; people with glasses, their reconstructions, glasses "
        "taken off, the same with the details kept.",
    ]


def labels_page(r: dict[str, Any]) -> list[str]:
    """Return the section on few labels."""
    return [
        "## In front of another model (U10)",
        "",
        "MNIST with 1,000 labels: logistic regression on standardised features, its weight chosen "
        "by cross-validation on the 1,000. The codes are learned from all 60,000 training pictures "
        f"without labels, in {r['seconds']:.0f} s.",
        "",
        "| features | accuracy on the 10,000 test pictures |",
        "|---|---|",
        *(f"| {name} | {value:.1%} |" for name, value in r["accuracy"].items()),
    ]


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
    "letters": (letters, letters_page),
    "faces": (faces, faces_page),
    "labels": (labels, labels_page),
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
