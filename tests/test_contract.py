"""What every part of every family must do: learn, and come back from its file as it was.

The cases are derived from `families.FAMILIES`; a new part is tested by its line in a table.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import subprocess
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
from sklearn.base import clone

from latente import Autoencoder, Dense, ParameterError, TrainingWarning, datasets
from latente.families import FAMILIES
from latente.parts import Part, from_json, resolve, to_json

ENTRIES = [(family, name) for family, table in FAMILIES.items() for name in table]
PARAMETERS = [
    (family, name, field)
    for family, name in ENTRIES
    for field in FAMILIES[family][name].parameter_names()
]
SMALL = {
    "latent_dim": 4,
    "network": Dense(hidden=(32,)),
    "batch_size": 64,
    "epochs": 4,
    "random_state": 0,
    "device": "cpu",
}


def series(n: int = 200) -> np.ndarray:
    """Waves of two features, (n, 12, 2)."""
    generator = np.random.default_rng(0)
    phase, pace = generator.uniform(0, 6, (n, 1)), generator.uniform(0.3, 0.9, (n, 1))
    angle = phase + pace * np.arange(12)
    return np.stack([np.sin(angle), np.cos(angle)], 2).astype(np.float32)


def candidates() -> list[Any]:
    """Data of each kind: grey and coloured pictures, sequences, and text."""
    grey = datasets.load("digits").X[:256]
    coloured = (grey[..., None] * np.array([1, 0.5, 0.2])).astype(np.float32)
    words = ["red", "green", "blue", "yellow", "grey"]
    picked = np.random.default_rng(0).integers(0, 5, (256, 2))
    return [grey, coloured, series(), [f"{words[a]} {words[b]}" for a, b in picked]]


def fit(family: str, name: str, epochs: int | None = None, **keywords: Any) -> Autoencoder:
    """Fit the part on the first kind of data that it takes."""
    part: Any = FAMILIES[family][name]()
    problem: Exception | None = None
    for X in candidates():
        given = {**SMALL, family: part, **keywords}
        given |= {"learning_rate": 0.01} if family != "optimizer" else {"epochs": 12}
        if epochs is not None:
            given["epochs"] = epochs
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TrainingWarning)
            try:
                model = Autoencoder(**given).fit(X)
            except ParameterError as error:
                problem = error
                continue
        model.data = X
        return model
    raise AssertionError(f"{family}={name!r} takes none of the data: {problem}")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Autoencoder]:
    return {entry: fit(*entry) for entry in ENTRIES}


OUTPUTS = """
import json, sys, warnings
import numpy as np
from pathlib import Path
from latente import Autoencoder
from tests_candidates import candidates, outputs

X = candidates()
for line in json.loads(sys.argv[1]):
    model = Autoencoder.load(line["path"])
    np.savez(line["path"] + ".npz", **outputs(model, X[line["data"]]))
"""


def outputs(model: Autoencoder, X: Any) -> dict[str, np.ndarray]:
    """Return everything that a fitted model gives for some rows."""
    few = X[:40]
    found = {
        "codes": model.transform(few),
        "scores": model.score_samples(few),
        "errors": model.reconstruction_error(few),
        "reconstructions": flat(model.reconstruct(few)),
    }
    if not model.module_.network.needs_input():
        found["samples"] = flat(model.sample(8, random_state=0))
        found["decoded"] = flat(model.inverse_transform(found["codes"]))
    return found


def flat(values: Any) -> np.ndarray:
    """Return texts, or sequences of several lengths, as one array that can be compared."""
    if isinstance(values, np.ndarray):
        return values
    return np.array([json.dumps(np.asarray(value).tolist()) for value in values])


@pytest.fixture(scope="module")
def reloaded(
    fitted: dict[tuple[str, str], Autoencoder], tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, str], dict[str, np.ndarray]]:
    """Every model saved here, loaded in one fresh process, and what it gives there."""
    folder = tmp_path_factory.mktemp("models")
    lines = []
    kinds = candidates()
    for (family, name), model in fitted.items():
        path = str(folder / f"{family}-{name}.safetensors")
        model.save(path)
        place = next(i for i, X in enumerate(kinds) if flat(X).shape == flat(model.data).shape)
        lines.append({"path": path, "data": place})
    (folder / "tests_candidates.py").write_text(Path(__file__).read_text())
    environment = {"PYTHONPATH": ":".join([str(folder), *sys.path])}
    subprocess.run(
        [sys.executable, "-c", OUTPUTS, json.dumps(lines)], check=True, env=environment, cwd=folder
    )
    return {
        entry: dict(np.load(line["path"] + ".npz"))
        for entry, line in zip(fitted, lines, strict=True)
    }


@pytest.mark.parametrize(("family", "name"), ENTRIES)
def test_it_learns(family: str, name: str, fitted: dict[tuple[str, str], Autoencoder]) -> None:
    trained = fitted[family, name]
    untrained = fit(family, name, epochs=0)
    error, before = (m.reconstruction_error(m.data).mean() for m in (trained, untrained))
    assert error < 0.95 * before
    assert all(np.isfinite(list(record.values())).all() for record in trained.history_)
    codes = trained.transform(trained.data)
    assert codes.shape == (len(trained.data), trained.latent_dim_)
    back = trained.reconstruct(trained.data)
    assert type(back) is type(trained.data)
    assert len(back) == len(trained.data)


@pytest.mark.parametrize(("family", "name"), ENTRIES)
def test_a_fresh_process_gives_the_same_bit_for_bit(
    family: str,
    name: str,
    fitted: dict[tuple[str, str], Autoencoder],
    reloaded: dict[tuple[str, str], dict[str, np.ndarray]],
) -> None:
    model = fitted[family, name]
    there = reloaded[family, name]
    for title, here in outputs(model, model.data).items():
        assert here.dtype == there[title].dtype
        assert here.tobytes() == there[title].tobytes(), title


@pytest.mark.parametrize(("family", "name"), ENTRIES)
def test_it_is_described_by_its_parameters(family: str, name: str) -> None:
    table = FAMILIES[family]
    part = table[name]()
    assert clone(part) == part == part.copy() == resolve(name, table, family)
    assert part.copy() is not part
    assert resolve(f"{name.replace('_', '-')}()", table, family) == part
    assert resolve(part, table, family) is part
    assert part == table[name](**part.get_params())
    text = json.dumps(to_json(part, table), allow_nan=False)
    assert from_json(json.loads(text), table, family) == part
    assert isinstance(part, table.base)
    assert all(field.kw_only for field in dataclasses.fields(part))
    assert table.name_of(part) == name
    assert type(part).__doc__
    for parameter in part.parameter_names():
        documented = any(parameter in (cls.__doc__ or "") for cls in type(part).__mro__)
        assert documented, f"{parameter} is not documented"
    with pytest.raises(ParameterError, match="no parameter 'nonsense'"):
        part.set_params(nonsense=1)


@pytest.mark.parametrize(("family", "name", "parameter"), PARAMETERS)
def test_a_parameter_refuses_what_cannot_be(family: str, name: str, parameter: str) -> None:
    part: Part = FAMILIES[family][name]()
    with pytest.raises(ParameterError, match=parameter):
        part.set_params(**{parameter: object()})
    value = getattr(part, parameter)
    for wrong in (float("nan"), "much") if type(value) in (int, float) else ():
        with pytest.raises(ParameterError, match=parameter):
            part.set_params(**{parameter: wrong})
    assert part == FAMILIES[family][name]()


@pytest.mark.parametrize("family", FAMILIES)
def test_changing_a_part_later_changes_no_fitted_model(family: str) -> None:
    if family == "corruption":
        part = resolve("mask(rate=0.3)", FAMILIES[family], family)
    else:
        default = {"network": "dense", "bottleneck": "rounded", "loss": "huber"}
        part = resolve(default.get(family, next(iter(FAMILIES[family]))), FAMILIES[family], family)
    X = datasets.load("digits").X[:100]
    model = Autoencoder(**{**SMALL, "epochs": 1, family: part}).fit(X)
    before = model.transform(X), model.score_samples(X)
    changes = {"network": {"hidden": (8,)}, "bottleneck": {"step": 5.0}, "loss": {"delta": 9.0}}
    part.set_params(**changes.get(family, {}))
    assert np.array_equal(before[0], model.transform(X))
    assert np.array_equal(before[1], model.score_samples(X))
    assert getattr(model, f"{family}_") is not part


def literal_choices() -> list[tuple[str, str, str, Any]]:
    """Return parameters that take one of some words, with each of them."""
    found = []
    for family, name, parameter in PARAMETERS:
        cls = FAMILIES[family][name]
        hints = get_type_hints(cls)
        choices = get_args(hints[parameter])
        if choices and all(isinstance(choice, str | int) for choice in choices):
            found += [(family, name, parameter, choice) for choice in choices]
    return found


@pytest.mark.parametrize(("family", "name", "parameter", "choice"), literal_choices())
def test_every_word_that_a_parameter_names_is_taken(
    family: str, name: str, parameter: str, choice: Any
) -> None:
    part = FAMILIES[family][name]()
    try:
        assert getattr(part.set_params(**{parameter: choice}), parameter) == choice
    except ParameterError as error:
        assert parameter in str(error)  # noqa: PT017 - it may depend on another parameter


# ── every parameter does something ─────────────────────────

BESIDE: dict[tuple[str, str], dict[str, Any]] = {
    ("conv", "code_channels"): {"code": "spatial"},
    ("gaussian", "components"): {"prior": "mixture"},
    ("gaussian", "couplings"): {"prior": "flow"},
    ("mmd", "kl_weight"): {"stochastic": True},
    ("vector_quantized", "decay"): {"codes": 8},
    ("categorical", "levels"): {"levels": 4},
    ("categorical", "output"): {"levels": 4},
    ("step", "every"): {"every": 1},
    ("step", "gamma"): {"every": 1},
}
"""What a parameter needs beside it to have an effect."""
SPATIAL = {"network": "conv(channels=[4], code=spatial)"}
WITH: dict[tuple[str, str], dict[str, Any]] = {
    ("rounded", "share"): {**SPATIAL, "latent_dim": "auto"},
    **{("radam", parameter): {"epochs": 12} for parameter in ("beta2", "epsilon")},
    **{("step", parameter): {"epochs": 4} for parameter in ("every", "gamma")},
}
"""Keywords of the estimator that it needs."""
ELSEWHERE = {
    ("conv", "trim"): "pictures of 28×28, test_networks",
    ("vector_quantized", "restart"): "a codebook far from the codes, test_quantized",
    ("watermark", "picture"): "a picture in a file, test_restoration",
    ("colours", "temperature"): "what is made of the chances of tints, test_losses",
    ("plateau", "factor"): "a loss that no longer falls, torch's own",
    ("plateau", "patience"): "a loss that no longer falls, torch's own",
    ("bold_driver", "cut"): "a loss that rises, test_schedules",
}
"""Parameters that need more than a short fit to show what they do, and what shows it."""


def others(cls: type[Part], parameter: str, value: Any) -> list[Any]:
    """Return other values that a parameter might take."""
    choices = get_args(get_type_hints(cls)[parameter])
    words = [choice for choice in choices if isinstance(choice, str | int) and choice != value]
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [*words, value + 1, value + 2, 3, value / 2, value * 2, value + 0.5]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [tuple(size + 1 for size in value), (3,), (0.2, 0.3)]
    return [*words, 2, 3, 0.5, "tanh", (5,), True, False]


def scores(family: str, part: Part, X: Any, **keywords: Any) -> np.ndarray:
    given = {**SMALL, "epochs": 2, family: part}
    if family == "network":
        given["latent_dim"] = "auto"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TrainingWarning)
        model = Autoencoder(**{**given, **keywords}).fit(X)
    few = X[:60]
    return np.concatenate([model.score_samples(few), model.reconstruction_error(few)])


@pytest.mark.parametrize(
    ("family", "name", "parameter"), [p for p in PARAMETERS if p[1:] not in ELSEWHERE]
)
def test_parameters_do_something(
    family: str, name: str, parameter: str, fitted: dict[tuple[str, str], Autoencoder]
) -> None:
    """Another value of it gives another fit; one that does nothing would give the same."""
    cls = FAMILIES[family][name]
    beside, keywords = BESIDE.get((name, parameter), {}), WITH.get((name, parameter), {})
    X = candidates()[0] if beside.get("levels") else fitted[family, name].data
    part = cls(**beside)
    first = scores(family, part, X[:128], **keywords)
    for value in others(cls, parameter, getattr(part, parameter)):
        with contextlib.suppress(ParameterError):
            changed = cls(**{**beside, parameter: value})
            second = scores(family, changed, X[:128], **keywords)
            if np.abs(first - second).max() > 1e-6 * np.abs(first).max():
                return
    raise AssertionError(f"no other value of {parameter} changes what {name} gives")
