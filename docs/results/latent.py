"""Move in the code space of fitted models and measure where one arrives.

    LATENTE_DATA=folder python docs/results/latent.py [letters] [faces] [labels]

Writes latent.md, latent.json and pictures beside them. Nothing is chosen by the held-out people or
the test pictures.
"""

from __future__ import annotations

import csv
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from latente import Autoencoder, Conv, Dense, GaussianNoise, datasets, latent, metrics
from latente.data.images import pictures, read_folder
from latente.datasets.places import folders

HERE = Path(__file__).parent
IMAGES = HERE.parent / "images"
RECORD = HERE / "latent.json"
SIZE = (56, 46)
STRENGTHS = (1.0, 1.5, 2.0)


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
    ae = Autoencoder(
        2,
        network=Dense(hidden=(100, 50), activation="tanh"),
        loss="bernoulli",
        epochs=6000,
        batch_size=96,
        learning_rate=0.003,
        schedule="cosine",
        validation_fraction=0,
        random_state=0,
    ).fit(X)
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


def flat(X: Any) -> Any:
    """Return pictures as rows of numbers from 0 to 1."""
    return X.reshape(len(X), -1) / 255.0


def decibels(X: Any, other: Any) -> float:
    """Return the mean PSNR of the pictures."""
    return float(metrics.psnr(X, np.rint(other).clip(0, 255), span=255).mean())


def judge(X: Any, glasses: Any, who: Any) -> Any:
    """Return a classifier of glasses on pixels, its weight chosen across training people."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=3000))
    grid = {"logisticregression__C": [1e-5, 1e-4, 1e-3, 1e-2]}
    search = GridSearchCV(model, grid, cv=GroupKFold(4)).fit(flat(X), glasses, groups=who)
    return lambda pictures: search.predict(flat(pictures))


def flips(says: Any, before: Any, after: Any, wanted: bool) -> float:
    """Return the share of right answers before that are the opposite after."""
    right = says(before) != wanted
    return float((says(after[right]) == wanted).mean())


def faces() -> dict[str, Any]:
    """Fit a code of 100 numbers on 32 people; put glasses on eight others, and take them off."""
    X, who, glasses = faces_and_glasses()
    people = sorted(set(who), key=lambda name: int(name[1:]))
    held = np.isin(who, people[4::5])
    train = varied(X[~held], 8)
    begun = time.perf_counter()
    ae = Autoencoder(
        100,
        network=Conv(channels=(32, 64, 64), hidden=()),
        loss="squared",
        epochs=60,
        batch_size=64,
        learning_rate=2e-3,
        schedule="one_cycle",
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
    pairs = np.flatnonzero(held)[::8]
    sheet(
        [X[pairs], ae.reconstruct(X[pairs]), np.rint(back[::8]).clip(0, 255)], "latent-faces.png", 2
    )

    says = judge(X[~held], glasses[~held], who[~held])
    record["people"] = int(held.sum()), int((held & glasses).sum())
    record["judge"] = float((says(X[held]) == glasses[held]).mean())
    record["judge after the code"] = float((says(ae.reconstruct(X[held])) == glasses[held]).mean())
    Z = ae.transform(X)
    on, off = ~held & glasses, ~held & ~glasses
    ways = {
        "means": latent.direction(Z[on], Z[off]),
        "within people": latent.direction(Z[on], Z[off], groups=(who[on], who[off])),
    }
    seen, bare = X[held & glasses], X[held & ~glasses]
    record["flips"] = {
        f"{name}, strength {strength:g}{', detail kept' if keep else ''}": (
            flips(says, bare, latent.edit(ae, bare, way, strength, keep_detail=keep), True),
            flips(says, seen, latent.edit(ae, seen, way, -strength, keep_detail=keep), False),
        )
        for name, way in ways.items()
        for strength in STRENGTHS
        for keep in (False, True)
    }
    way = ways["means"]
    record["read"] = float(((way.read(Z[held]) > 0.5) == glasses[held]).mean())
    rows = []
    for some, sign in (
        (bare[:: len(bare) // 9][:9], 1.5),
        (seen[:: max(len(seen) // 9, 1)][:9], -1.5),
    ):
        rows += [
            some,
            latent.edit(ae, some, way, sign),
            latent.edit(ae, some, way, sign, keep_detail=True),
        ]
    sheet(rows, "latent-glasses.png", 2)
    return record


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
        f"others in {r['seconds']:.0f} s, has seen none. ORL faces, AT&T Laboratories Cambridge.",
        "",
        "| code of 100 numbers | PSNR on unseen people, dB |",
        "|---|---|",
        *(f"| {name} | {value:.2f} |" for name, value in r["psnr"].items()),
        "",
        "![Originals, the autoencoder's, PCA's](../images/latent-faces.png)",
        "",
        "Originals, the autoencoder's reconstructions, those of PCA on the same varied pictures.",
        "",
        "## Glasses on, glasses off (U9)",
        "",
        f"A classifier of glasses on pixels, trained on the same 32 people, is right on "
        f"{r['judge']:.0%} of the {n} held-out pictures ({worn} with glasses), and on "
        f"{r['judge after the code']:.0%} of their reconstructions. Its answer, where it was "
        "right, after glasses are put on and taken off along the training people's direction:",
        "",
        "| direction | put on: says glasses | taken off: says none |",
        "|---|---|---|",
        *(f"| {name} | {on:.0%} | {off:.0%} |" for name, (on, off) in r["flips"].items()),
        "",
        f"The direction alone, read at one half, tells glasses of {r['read']:.0%} of the held-out "
        "pictures.",
        "",
        "![Glasses put on and taken off](../images/latent-glasses.png)",
        "",
        "From above: people without glasses, glasses put on (strength 1.5), the same with the "
        "details kept; people with glasses, glasses taken off, the same with the details kept.",
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


SECTIONS = {
    "letters": (letters, letters_page),
    "faces": (faces, faces_page),
    "labels": (labels, labels_page),
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
