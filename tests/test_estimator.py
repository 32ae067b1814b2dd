"""The estimator keeps scikit-learn's manners and learns what it says it learns."""

from __future__ import annotations

import contextlib
import copy
import random
import re
import warnings
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from latente import (
    Autoencoder,
    DataError,
    Dense,
    FileError,
    Gaussian,
    GaussianNoise,
    Mask,
    ParameterError,
    TrainingError,
    TrainingWarning,
    datasets,
)
from latente.families import FAMILIES

DIGITS = datasets.load("digits")
FONT = datasets.load("font")


def small(**keywords: Any) -> Autoencoder:
    given: dict[str, Any] = {
        "latent_dim": 4,
        "network": Dense(hidden=(32,)),
        "epochs": 3,
        "batch_size": 64,
        "learning_rate": 0.005,
        "random_state": 0,
        "device": "cpu",
    }
    return Autoencoder(**(given | keywords))


REPEATED = "steps see the rows in another order; test_a_weight_of_three_is_a_row_three_times"


@parametrize_with_checks(
    [Autoencoder(latent_dim=2, network=Dense(hidden=(8,)), epochs=2)],
    expected_failed_checks=lambda _: {
        f"check_sample_weight_equivalence_on_{kind}_data": REPEATED for kind in ("dense", "sparse")
    },
)
def test_scikit_learns_own_checks(estimator: Autoencoder, check: Any) -> None:
    check(estimator)


def test_a_fit_lowers_every_loss_term_it_reports() -> None:
    ae = small(epochs=10).fit(DIGITS.X)
    first, last = ae.history_[0], ae.history_[-1]
    for name in ("total", "reconstruction", "per_pixel", "validation_total"):
        assert last[name] < 0.8 * first[name]


@pytest.mark.parametrize("name", ["digits", "shapes"])
def test_the_defaults_beat_pca_on_held_out_data(name: str) -> None:
    data = datasets.load(name) if name != "shapes" else datasets.load("shapes", n=600)
    X = data.X
    train, test = (X[:-40], X[-40:]) if data.X_test is None else (X, data.X_test)
    ae = Autoencoder(random_state=0).fit(train)
    rows, held = train.reshape(len(train), -1), test.reshape(len(test), -1).astype(float)
    pca = PCA(ae.latent_dim_).fit(rows.astype(float))
    theirs = np.square(pca.inverse_transform(pca.transform(held)) - held).mean()
    ours = np.square(ae.reconstruct(test).reshape(len(test), -1).astype(float) - held).mean()
    assert ours < theirs


def test_codes_come_back_in_shape_scale_and_type() -> None:
    for X in (
        DIGITS.X,
        DIGITS.X.astype(np.float64),
        DIGITS.X.reshape(len(DIGITS.X), -1),
        DIGITS.X.astype(np.uint8),
        np.repeat(DIGITS.X[..., None], 3, axis=3),
        np.pad(DIGITS.X, ((0, 0), (0, 1), (0, 3))),
    ):
        ae = small(epochs=1).fit(X[:100])
        back = ae.inverse_transform(ae.transform(X[:7]))
        assert back.shape == X[:7].shape
        assert back.dtype == X.dtype
        np.testing.assert_array_equal(back, ae.reconstruct(X[:7]))


def test_tensors_and_memory_maps_are_taken(tmp_path: Any) -> None:
    X = DIGITS.X[:100].astype(np.float32)
    path = tmp_path / "x.npy"
    np.save(path, X)
    expected = small().fit(X).transform(X)
    np.testing.assert_array_equal(small().fit(torch.from_numpy(X)).transform(X), expected)
    np.testing.assert_array_equal(small().fit(np.load(path, mmap_mode="r")).transform(X), expected)


def test_the_same_seed_gives_the_same_weights_and_leaves_the_global_generators_alone() -> None:
    torch.manual_seed(7)
    np.random.seed(7)  # noqa: NPY002
    random.seed(7)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    keywords = {"network": Dense(hidden=(32,), dropout=0.2), "corruption": "mask"}
    one, two, other = (
        small(**keywords, bottleneck="gaussian", random_state=seed).fit(DIGITS.X[:200])
        for seed in (3, 3, 4)
    )
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert random.getstate() == before[2]
    np.testing.assert_array_equal(one.transform(DIGITS.X), two.transform(DIGITS.X))
    assert not np.array_equal(one.transform(DIGITS.X), other.transform(DIGITS.X))
    np.testing.assert_array_equal(one.sample(4, random_state=1), two.sample(4, random_state=1))


def test_a_rows_code_does_not_depend_on_the_rows_beside_it() -> None:
    ae = small().fit(DIGITS.X)
    together = ae.transform(DIGITS.X[:50])
    alone = np.concatenate([ae.transform(DIGITS.X[i : i + 1]) for i in range(50)])
    np.testing.assert_array_equal(together, alone)


def test_the_clean_target_is_what_is_learned() -> None:
    rng = np.random.default_rng(0)
    clean = DIGITS.X.astype(np.float32)
    noisy = clean + rng.normal(0, 6, clean.shape).astype(np.float32)
    ae = small(epochs=15, latent_dim=24, network=Dense(hidden=(128,))).fit(
        noisy[:-200], target=clean[:-200]
    )
    restored = ae.reconstruct(noisy[-200:])
    assert (
        np.square(restored - clean[-200:]).mean()
        < 0.5 * np.square(noisy[-200:] - clean[-200:]).mean()
    )


def test_a_target_may_have_another_shape() -> None:
    X = DIGITS.X[:100].astype(np.float32)
    colour = np.stack([X, 16 - X, X / 2], axis=-1)
    ae = small().fit(X, target=colour)
    assert ae.reconstruct(X).shape == colour.shape
    assert ae.score_samples(X, target=colour).shape == (100,)
    with pytest.raises(DataError, match="rows"):
        small().fit(X, target=colour[:50])


def test_it_denoises_better_than_a_plain_one() -> None:
    clean = DIGITS.X.astype(np.float32) / 16
    noisy = clean[-200:] + np.random.default_rng(0).normal(0, 0.5, clean[-200:].shape)
    noisy = noisy.clip(0, 1).astype(np.float32)
    errors = {
        corruption: np.square(
            small(corruption=corruption, epochs=15, latent_dim=32, network=Dense(hidden=(128,)))
            .fit(clean[:-200])
            .reconstruct(noisy)
            - clean[-200:]
        ).mean()
        for corruption in (None, "gaussian_noise(std=0.5)")
    }
    assert errors["gaussian_noise(std=0.5)"] < 0.9 * errors[None]


def test_a_sparse_code_is_less_active_and_weight_zero_is_plain() -> None:
    X = DIGITS.X
    keywords = {"network": "dense(hidden=[32], code_activation=relu)", "epochs": 15}
    plain = small(**keywords).fit(X)
    zero = small(**keywords, bottleneck="sparse(weight=0)").fit(X)
    sparse = small(**keywords, bottleneck="sparse(weight=0.3)").fit(X)
    np.testing.assert_array_equal(plain.transform(X), zero.transform(X))
    assert np.abs(sparse.transform(X)).mean() < 0.6 * np.abs(plain.transform(X)).mean()


def test_a_contractive_code_moves_less() -> None:
    X = DIGITS.X.astype(np.float32)
    nudged = X + np.random.default_rng(0).normal(0, 1, X.shape).astype(np.float32)
    moves = {}
    for weight in (0, 1.0):
        ae = small(bottleneck=f"contractive(weight={weight})", epochs=10).fit(X)
        moves[weight] = np.square(ae.transform(nudged) - ae.transform(X)).mean()
    assert moves[1.0] < 0.5 * moves[0]


def test_a_variational_code_is_near_the_prior_and_its_use_is_told() -> None:
    X = DIGITS.X
    ae = small(bottleneck="gaussian", epochs=15).fit(X)
    with pytest.warns(TrainingWarning, match="far from the prior"):
        free = small(bottleneck="gaussian(beta=0)", epochs=15).fit(X)
    assert {"kl", "reconstruction", "total", "validation_kl"} <= set(ae.history_[-1])
    assert ae.history_[-1]["kl"] < 0.7 * free.history_[-1]["kl"]
    assert ae.kl_per_dimension_.shape == (4,)
    assert 1 <= ae.active_units_ <= 4
    collapsed = small(bottleneck="gaussian(beta=1000)", epochs=10).fit(X)
    assert collapsed.active_units_ == 0
    assert float(collapsed.kl_per_dimension_.max()) < 0.05


def test_the_log_likelihood_rises_with_samples_and_with_training() -> None:
    X = (DIGITS.X > 8).astype(np.uint8)
    ae = small(bottleneck="gaussian", epochs=20).fit(X[:-200])
    held = X[-200:]
    few, many = (ae.log_likelihood(held, s, random_state=0).mean() for s in (1, 100))
    untrained = small(bottleneck="gaussian", epochs=0).fit(X[:-200])
    assert few < many < 0
    assert untrained.log_likelihood(held, 100, random_state=0).mean() < many - 5
    with pytest.raises(ParameterError, match="gaussian"):
        small().fit(X).log_likelihood(X)


def test_score_samples_tells_noise_from_digits() -> None:
    X = DIGITS.X
    ae = small(epochs=20).fit(X[:-100])
    noise = np.random.default_rng(0).integers(0, 17, X[:100].shape).astype(X.dtype)
    assert ae.score_samples(X[-100:]).min() > np.median(ae.score_samples(noise))


def test_samples_look_like_the_data() -> None:
    for bottleneck in ("plain", "gaussian"):
        ae = small(bottleneck=bottleneck, epochs=20).fit(DIGITS.X)
        drawn = ae.sample(200, random_state=0).astype(float)
        real = DIGITS.X.astype(float)
        assert np.abs(drawn.mean(0) - real.mean(0)).mean() < 1.5
        assert drawn.std(0).mean() > 0.3 * real.std(0).mean()
        np.testing.assert_array_equal(drawn, ae.sample(200, random_state=0).astype(float))


def test_it_works_in_a_pipeline_a_search_and_a_clone() -> None:
    X, y = DIGITS.X.reshape(len(DIGITS.X), -1)[:400].astype(float), DIGITS.y[:400]
    pipe = make_pipeline(small(latent_dim=16, epochs=20), LogisticRegression(max_iter=2000))
    assert pipe.fit(X[:300], y[:300]).score(X[300:], y[300:]) > 0.6
    search = GridSearchCV(
        small(network="dense", epochs=4),
        {"network__hidden": [(8,), (64,)], "latent_dim": [1, 8]},
        cv=2,
    ).fit(X)
    assert search.best_params_ == {"network__hidden": (64,), "latent_dim": 8}
    assert clone(search.best_estimator_).network == Dense(hidden=(64,))


def test_features_have_names_and_frames_can_be_asked_for() -> None:
    X = DIGITS.X.reshape(len(DIGITS.X), -1)[:100].astype(float)
    ae = small().fit(X)
    names = ["autoencoder0", "autoencoder1", "autoencoder2", "autoencoder3"]
    assert list(ae.get_feature_names_out()) == names
    assert list(ae.set_output(transform="pandas").transform(X).columns) == names


@pytest.mark.parametrize("columns", [{"a": float}, {"a": float, "b": str}])
def test_rows_of_a_frame_keep_their_index(columns: dict[str, type]) -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({k: [kind(i) for i in range(6)] for k, kind in columns.items()})
    ae = Autoencoder(latent_dim=1, epochs=1, random_state=0).fit(frame)
    some = frame.set_axis(list("uvwxyz")).iloc[[4, 1]]
    assert list(ae.reconstruct(some).index) == ["y", "v"]


def test_partial_fit_and_warm_start_go_on() -> None:
    X = DIGITS.X
    stepwise = small()
    errors = []
    for _ in range(5):
        stepwise.partial_fit(X)
        errors.append(-stepwise.score(X))
    assert errors[-1] < 0.8 * errors[0]
    assert [record["epoch"] for record in stepwise.history_] == [1, 2, 3, 4, 5]
    warm = small(warm_start=True).fit(X)
    before = warm.score(X)
    warm.fit(X)
    assert warm.score(X) > before
    assert warm.epochs_ == 6
    assert small().fit(X).fit(X).epochs_ == 3


@pytest.mark.filterwarnings("ignore:.* units of the layer")
def test_early_stopping_keeps_the_best_weights() -> None:
    X = DIGITS.X[:60].astype(np.float32)
    ae = small(
        network=Dense(hidden=(256,)), epochs=2000, patience=20, learning_rate=0.02,
        validation_fraction=0.5, batch_size=8,
    ).fit(X)  # fmt: skip
    losses = [record["validation_total"] for record in ae.history_]
    assert ae.stopped_ == "patience"
    assert len(losses) == int(np.argmin(losses)) + 1 + 20 < 2000


def test_callbacks_are_told_of_every_epoch_and_can_stop() -> None:
    class Stop:
        def __init__(self) -> None:
            self.seen: list[int] = []

        def on_epoch_end(self, state: Any) -> None:
            self.seen.append(state.epoch)
            state.stop = state.epoch == 2

    stop = Stop()
    ae = small(callbacks=stop, epochs=10).fit(DIGITS.X[:100])
    assert stop.seen == [1, 2]
    assert ae.stopped_ == "callback"
    with pytest.raises(ParameterError, match="on_epoch_end"):
        small(callbacks=[print]).fit(DIGITS.X)


def test_an_interrupt_keeps_what_was_learned_and_says_so() -> None:
    class Interrupt:
        def on_epoch_end(self, state: Any) -> None:
            if state.epoch == 3:
                raise KeyboardInterrupt

    ae = small(callbacks=Interrupt(), epochs=50)
    with pytest.warns(TrainingWarning, match="interrupted after 3 of 50 epochs"):
        ae.fit(DIGITS.X)
    assert ae.stopped_ == "interrupted"
    assert ae.score(DIGITS.X) > small(epochs=0).fit(DIGITS.X).score(DIGITS.X)


def test_a_rate_that_diverges_is_named_with_its_step_and_the_best_weights_are_kept() -> None:
    class Explode:
        def on_epoch_end(self, state: Any) -> None:
            if state.epoch == 2:
                with torch.no_grad():
                    for p in state.model.parameters():
                        p.mul_(1e30)

    ae = small(callbacks=Explode(), epochs=9)
    with pytest.warns(TrainingWarning, match=r"step \d+ \(epoch 3\).*weights of epoch 2 are kept"):
        ae.fit(DIGITS.X)
    assert ae.stopped_ == "diverged"
    assert np.isfinite(ae.transform(DIGITS.X)).all()
    assert ae.score(DIGITS.X) > small(epochs=0).fit(DIGITS.X).score(DIGITS.X)
    with pytest.raises(TrainingError, match=r"step \d+ \(epoch 1\).*try learning_rate="):
        small(optimizer="sgd", learning_rate=1e6).fit(DIGITS.X)


def test_out_of_memory_says_which_batch_size_would_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    from latente.model import Model

    objective, held = Model.objective, []

    def hungry(self: Model, x: torch.Tensor, *rest: Any) -> Any:
        assert not any(each() is not None for each in held), "the step that failed keeps its memory"
        if len(x) > 40:
            held.append(weakref.ref(x))
            raise torch.OutOfMemoryError("CUDA out of memory")
        return objective(self, x, *rest)

    monkeypatch.setattr(Model, "objective", hungry)
    with pytest.raises(TrainingError, match="batch_size=200; batch_size=25 fits"):
        small(batch_size=200).fit(DIGITS.X)


def test_memory_that_is_short_before_the_first_step(monkeypatch: pytest.MonkeyPatch) -> None:
    from latente.training.loop import Trainer

    def hungry(*_: Any) -> bool:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(Trainer, "_begin", hungry)
    with pytest.raises(TrainingError, match="out of memory at batch_size=200; batch_size=100 fits"):
        small(batch_size=200).fit(DIGITS.X)


BAD = {
    "NaN": (np.where(np.eye(8, 3) > 0, np.nan, 1.0), DataError, "NaN at row 0, column 0"),
    "infinity": (np.where(np.eye(8, 3) > 0, np.inf, 1.0), DataError, "infinity at row 0"),
    "text": (np.array([["a", "b"]]), DataError, "text"),
    "five axes": (np.zeros((2, 2, 2, 2, 2)), DataError, "axes"),
    "channels first": (np.zeros((4, 3, 16, 16)), DataError, "channels last"),
}


@pytest.mark.parametrize(("X", "error", "words"), BAD.values(), ids=BAD.keys())
def test_bad_data_get_one_clear_sentence(X: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        small().fit(X)


@pytest.mark.parametrize(
    "X",
    [
        np.ones((20, 4)),
        np.arange(4.0)[None],
        np.arange(30.0)[:, None],
        np.random.default_rng(0).normal(size=(3, 5)),
        np.random.default_rng(0).normal(size=(50, 5)) * 1e12,
    ],
    ids=["constant", "one row", "one column", "fewer rows than a batch", "large"],
)
def test_odd_but_honest_data_are_learned(X: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ae = small().fit(X)
    assert ae.reconstruct(X).shape == X.shape
    assert np.isfinite(ae.reconstruct(X)).all()


def test_other_columns_or_sizes_at_transform_are_named() -> None:
    X = DIGITS.X
    rows = small().fit(X.reshape(len(X), -1))
    with pytest.raises(DataError, match=r"63 features.*64"):
        rows.transform(X.reshape(len(X), -1)[:, 1:])
    pictures = small().fit(X)
    with pytest.raises(DataError, match=r"8 × 7.*8 × 8"):
        pictures.transform(X[:, :, 1:])
    with pytest.raises(DataError, match="4 numbers"):
        pictures.inverse_transform(np.zeros((2, 3)))


PARAMETERS: list[tuple[dict[str, Any], str]] = [
    ({"latent_dim": 0}, "latent_dim=0"),
    ({"epochs": -1}, "epochs=-1"),
    ({"batch_size": 0}, "batch_size=0"),
    ({"learning_rate": 0}, "learning_rate=0"),
    ({"validation_fraction": 1}, "validation_fraction=1"),
    ({"patience": 0}, "patience=0"),
    ({"patience": 3, "validation_fraction": 0}, "patience=3"),
    ({"gradient_clip": 0}, "gradient_clip=0"),
    ({"weight_decay": -1}, "weight_decay=-1"),
    ({"scaling": "log"}, "scaling='log'"),
    ({"device": "abacus"}, "device='abacus'"),
    ({"precision": "float8"}, "precision='float8'"),
    ({"random_state": -1}, "random_state=-1"),
    ({"network": "transformer"}, "'dense'"),
    ({"network": 3}, "'dense'"),
    ({"optimizer": "lbfgs", "weight_decay": 0.1}, "weight_decay"),
    ({"loss": "bernoulli", "scaling": "standard"}, "from 0 to 1"),
    (
        {"loss": "bernoulli", "scaling": "minmax", "network": "dense(output_activation=relu)"},
        "logits",
    ),
    ({"network": "conv"}, "dense"),
]


@pytest.mark.parametrize(("keywords", "words"), PARAMETERS, ids=[str(p[0]) for p in PARAMETERS])
def test_a_bad_parameter_is_named_with_what_would_be_right(
    keywords: dict[str, Any], words: str
) -> None:
    X = np.random.default_rng(0).normal(size=(40, 6))
    with pytest.raises(ParameterError, match=words.replace("(", r"\(")) as caught:
        small(**keywords).fit(X)
    assert "\n" not in str(caught.value)


CHANGES: list[dict[str, Any]] = [
    {"learning_rate": 0.02},
    {"weight_decay": 0.5},
    {"gradient_clip": 1e-3},
    {"batch_size": 32},
    {"epochs": 4},
    {"latent_dim": 3},
    {"random_state": 1},
    {"validation_fraction": 0.3},
    {"scaling": "standard"},
    {"precision": "bf16"},
    {"schedule": "cosine"},
    {"corruption": "mask"},
    {"loss": "absolute"},
    {"bottleneck": "sparse"},
    {"optimizer": "sgd"},
    {"network": "conv"},
]
ELSEWHERE = {
    "patience": "test_early_stopping",
    "layout": "test_sequences",
    "unseen": "test_frames",
    "device": "the same weights on each",
    "warm_start": "test_going_on",
    "callbacks": "test_callbacks",
    "verbose": "test_progress.py",
}


def test_every_keyword_is_tried() -> None:
    named = {name for change in CHANGES for name in change} | set(ELSEWHERE)
    assert named == set(Autoencoder().get_params(deep=False))


@pytest.mark.parametrize("keywords", CHANGES, ids=lambda change: next(iter(change)))
def test_keywords_do_something(keywords: dict[str, Any]) -> None:
    """Each of these changes the weights; one that did nothing would leave them as they were."""
    X = DIGITS.X[:300]
    base, changed = (small(**each).fit(X).score_samples(X) for each in ({}, keywords))
    assert np.abs(changed - base).max() > 1e-4


def test_own_modules_are_trained_as_they_are() -> None:
    torch.manual_seed(0)
    encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3))
    decoder = torch.nn.Sequential(torch.nn.Linear(3, 64), torch.nn.Unflatten(1, (1, 8, 8)))
    ae = small(network=(encoder, decoder), latent_dim="auto", epochs=10).fit(DIGITS.X)
    assert ae.latent_dim_ == 3
    assert ae.score(DIGITS.X) > small(network=(encoder, decoder), latent_dim="auto", epochs=0).fit(
        DIGITS.X
    ).score(DIGITS.X)


def test_a_fitted_one_can_be_copied_and_the_parts_keep_their_kind() -> None:
    ae = small(bottleneck=Gaussian(beta=2), corruption=[GaussianNoise(), "mask"]).fit(DIGITS.X)
    again = copy.deepcopy(ae)
    np.testing.assert_array_equal(again.transform(DIGITS.X), ae.transform(DIGITS.X))
    assert ae.bottleneck_ == Gaussian(beta=2)
    assert len(ae.corruption_) == 2
    again.partial_fit(DIGITS.X)


# ── random numbers ─────────────────────────────────────────


CHANCY = {
    "network": Dense(hidden=(32,), dropout=0.2),
    "bottleneck": "gaussian",
    "corruption": ["mask", "gaussian_noise"],
}


def test_eight_fits_in_four_threads_equal_a_fit_alone() -> None:
    X = DIGITS.X[:256]

    def weights(_: int = 0) -> list[torch.Tensor]:
        return list(small(**CHANCY).fit(X).module_.state_dict().values())

    alone = weights()
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(weights, range(8)))
    for fit in together:
        assert all(torch.equal(a, b) for a, b in zip(alone, fit, strict=True))


class Threads:
    """Notes in how many threads torch computes, and ends the fit by an error where asked."""

    def __init__(self, error: type[Exception] | None = None) -> None:
        self.counts: set[int] = set()
        self.error = error

    def on_epoch_end(self, state: Any) -> None:
        self.counts.add(torch.get_num_threads())
        if self.error is not None:
            raise self.error


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(
    ("keywords", "count"),
    [
        ({}, 1),
        ({"network": Dense(hidden=(2048,)), "batch_size": 512}, 2),
        ({"network": "conv(channels=[2])"}, 2),
        ({"network": "recurrent", "layout": "sequences"}, 2),
    ],
)
def test_a_small_fit_computes_in_one_thread(keywords: dict[str, Any], count: int) -> None:
    seen = Threads()
    small(**{"epochs": 1, "callbacks": seen, **keywords}).fit(DIGITS.X)
    assert seen.counts == {count}
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_threads_are_as_before_after_small_fits_at_once_and_after_one_that_failed() -> None:
    def fit(error: type[Exception] | None) -> int:
        with contextlib.suppress(KeyError):
            small(callbacks=Threads(error)).fit(DIGITS.X[:200])
        return torch.get_num_threads()

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(fit, [None, KeyError] * 6)) == {2}
    assert fit(KeyError) == 2


def test_a_fit_leaves_the_global_generators_alone() -> None:
    torch.manual_seed(7)
    np.random.seed(7)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    for network in (CHANCY["network"], "conv(channels=[4])"):
        ae = small(**{**CHANCY, "network": network}).fit(DIGITS.X[:100])
        ae.sample(3, random_state=0)
        ae.log_likelihood((DIGITS.X[:5]), samples=3, random_state=0)
    small().fit(DIGITS.X[:100]).sample(3, random_state=0)
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


def test_dropout_of_ones_own_modules_draws_from_the_fit() -> None:
    pair = (
        nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Dropout(0.5), nn.Linear(16, 4)),
        nn.Sequential(nn.Linear(4, 64), nn.Unflatten(1, (1, 8, 8))),
    )
    torch.manual_seed(1)
    one = small(network=pair).fit(DIGITS.X[:100])
    torch.manual_seed(2)
    two = small(network=pair).fit(DIGITS.X[:100])
    assert [r["total"] for r in one.history_] == [r["total"] for r in two.history_]


# ── parts by name and as objects ───────────────────────────


def test_parameters_of_parts_are_set_by_their_names() -> None:
    ae = small(corruption="mask", network="dense")
    ae.set_params(corruption__rate=0.5, network__hidden=(8,))
    assert ae.corruption == Mask(rate=0.5)
    assert ae.network == Dense(hidden=(8,))


@pytest.mark.parametrize(
    ("keywords", "change", "message"),
    [
        ({"corruption": ["mask", "blur"]}, {"corruption__rate": 0.1}, "corruption__rate cannot"),
        ({"corruption": None}, {"corruption__rate": 0.1}, "set corruption first"),
        ({"network": "auto"}, {"network__hidden": (8,)}, "network='auto'; set network first"),
        ({"loss": "auto"}, {"loss__delta": 1.0}, "loss='auto'; set loss first"),
    ],
)
def test_what_has_no_parameters_of_its_own_is_said(
    keywords: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    ae = small(**keywords)
    with pytest.raises(ParameterError, match=message):
        ae.set_params(**change)


@pytest.mark.parametrize("spec", ["mask", ["mask"], Mask(rate=0.1), None, ["mask", Mask()]])
def test_a_corruption_comes_back_as_it_was_passed(spec: Any, tmp_path: Path) -> None:
    small(corruption=spec, epochs=1).fit(DIGITS.X[:50]).save(tmp_path / "m.safetensors")
    assert Autoencoder.load(tmp_path / "m.safetensors").corruption == spec


# ── training that goes wrong, and is told ──────────────────


def test_a_loss_that_explodes_without_overflow_is_divergence() -> None:
    ae = small(optimizer="sgd(momentum=0)", learning_rate=1e3, gradient_clip=1.0, epochs=5)
    with pytest.raises(TrainingError, match=r"the loss became \d.*one epoch.*learning_rate=1e\+02"):
        ae.fit(DIGITS.X[:300])


def test_units_that_are_dead_for_all_data_are_told() -> None:
    network = Dense(hidden=(16,))
    ae = small(network=network, learning_rate=0.1, epochs=20)
    with pytest.warns(TrainingWarning, match=r"of 16 units of the layer .* give the same value"):
        ae.fit(DIGITS.X[:200])
    assert max(dead / units for dead, units in ae.dead_units_.values()) > 0.75
    well = small(network=network, epochs=3).fit(DIGITS.X[:200])
    assert max(dead / units for dead, units in well.dead_units_.values()) < 0.75


def test_the_mean_of_a_loss_trains_as_the_sum_at_a_rate_so_many_times_smaller() -> None:
    X = DIGITS.X[:200]
    fits = [
        small(optimizer="sgd", loss=f"squared(reduction={name})", learning_rate=rate).fit(X)
        for name, rate in (("sum", 1e-4), ("mean", 64e-4))
    ]
    a, b = (ae.transform(X) for ae in fits)
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
    total, mean = (ae.history_[-1]["total"] for ae in fits)
    assert total == pytest.approx(64 * mean, rel=1e-3)
    assert fits[0].history_[-1]["per_pixel"] == pytest.approx(mean, rel=1e-3)


def test_a_long_history_does_not_make_a_small_model_large(tmp_path: Path) -> None:
    X = datasets.load("font").X[:32]
    ae = small(network=Dense(hidden=(5,)), latent_dim=2, epochs=3000, batch_size=32).fit(X)
    ae.save(tmp_path / "m.safetensors")
    assert (tmp_path / "m.safetensors").stat().st_size < 100_000
    kept = Autoencoder.load(tmp_path / "m.safetensors").history_
    best = min(ae.history_, key=lambda record: record["validation_total"])
    assert kept[0] == ae.history_[0]
    assert kept[-1] == ae.history_[-1]
    assert best in kept


# ── weights of rows, and validation data ───────────────────


def full_batch(**keywords: Any) -> Autoencoder:
    """Return one whose steps see all rows, so that their order hardly matters."""
    given = {"batch_size": 4096, "validation_fraction": 0, "scaling": "unit", "epochs": 30}
    return small(**(given | keywords))


def weights_of(ae: Autoencoder) -> bytes:
    return b"".join(value.numpy().tobytes() for value in ae.module_.state_dict().values())


@pytest.mark.parametrize("keywords", [{}, {"bottleneck": "gaussian", "corruption": "mask"}])
def test_equal_sample_weights_change_nothing(keywords: dict[str, Any]) -> None:
    X = DIGITS.X[:150]
    without = small(**keywords).fit(X)
    for value in (1, 0.3, 7e5):
        alike = small(**keywords).fit(X, sample_weight=np.full(150, value))
        assert weights_of(alike) == weights_of(without)
        for one, other in zip(alike.history_, without.history_, strict=True):
            assert {**one, "seconds": 0, "samples_per_second": 0} == {
                **other, "seconds": 0, "samples_per_second": 0,
            }  # fmt: skip


def test_a_row_of_weight_zero_is_as_if_it_were_not_there() -> None:
    X = DIGITS.X[:100].copy()
    weight = np.ones(100)
    weight[::3] = 0
    without = small().fit(X[weight > 0])
    X[::3] = 200
    assert weights_of(small().fit(X, sample_weight=weight)) == weights_of(without)
    target = 16 - X
    once = small().fit(X, target=target, sample_weight=weight)
    again = small().fit(X[weight > 0], target=target[weight > 0])
    assert weights_of(once) == weights_of(again)


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_weight_of_three_is_a_row_three_times(optimizer: str) -> None:
    X, rng = DIGITS.X[:60], np.random.default_rng(0)
    times = rng.integers(1, 4, 60)
    epochs = 30 if optimizer == "adam" else 2
    given: dict[str, Any] = {"optimizer": optimizer, "epochs": epochs, "learning_rate": "auto"}
    weighted = full_batch(**given).fit(X, sample_weight=times)
    repeated = full_batch(**given).fit(np.repeat(X, times, axis=0))
    plain = full_batch(**given).fit(X)
    total = weighted.history_[-1]["total"]
    assert total == pytest.approx(repeated.history_[-1]["total"], rel=1e-3)
    assert abs(plain.history_[-1]["total"] - total) > 3e-3 * total


def test_what_weighs_more_is_learned_better() -> None:
    X, y = DIGITS.X[:600], DIGITS.y[:600]
    weight = np.where(y == 8, 50.0, 1.0)
    errors = [
        small(latent_dim=2, epochs=15, validation_fraction=0)
        .fit(X, sample_weight=each)
        .reconstruction_error(X)[y == 8]
        .mean()
        for each in (None, weight)
    ]
    assert errors[1] < 0.8 * errors[0]


def test_the_history_holds_weighted_means() -> None:
    X = DIGITS.X[:100]
    weight = np.random.default_rng(0).uniform(0.1, 5, 100)
    ae = full_batch(epochs=1, learning_rate=1e-9).fit(X, sample_weight=weight)
    expected = np.average(-ae.score_samples(X), weights=weight)
    assert ae.history_[0]["total"] == pytest.approx(expected, rel=1e-4)
    assert ae.history_[0]["total"] != pytest.approx(-ae.score(X), rel=1e-4)


def test_sample_weights_count_in_partial_fit_too() -> None:
    X = DIGITS.X[:100]
    weight = np.linspace(0.1, 3, 100)
    one, two = small().partial_fit(X), small().partial_fit(X, sample_weight=weight)
    assert weights_of(one) != weights_of(two)
    two = small().partial_fit(X, sample_weight=np.ones(100))
    assert weights_of(one) == weights_of(two)


@pytest.mark.parametrize(
    ("weight", "words"),
    [
        (np.ones(9), r"sample_weight has shape \(9,\), but X has 10 rows"),
        (np.ones((10, 1)), r"sample_weight has shape \(10, 1\)"),
        (1.0, r"sample_weight has shape \(\)"),
        ([1.0] * 9 + [-1.0], "sample_weight is -1 at row 9"),
        ([1.0, np.nan] + [1.0] * 8, "sample_weight is nan at row 1"),
        ([1.0, np.inf] + [1.0] * 8, "sample_weight is inf at row 1"),
        (np.zeros(10), "sample_weight is zero for every row"),
        (["a"] * 10, "sample_weight holds text"),
    ],
)
def test_weights_that_cannot_be_are_named(weight: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        small().fit(DIGITS.X[:10], sample_weight=weight)


@pytest.mark.parametrize("bottleneck", FAMILIES["bottleneck"])
def test_weights_reach_every_bottleneck(bottleneck: str) -> None:
    X = DIGITS.X[:64]
    given: dict[str, Any] = {"bottleneck": bottleneck, "epochs": 2, "batch_size": 24}
    fits = [
        small(**given).fit(X, sample_weight=weight).history_[-1]["total"]
        for weight in (None, np.ones(64), np.linspace(0.1, 2, 64))
    ]
    assert fits[0] == fits[1] != fits[2]
    assert np.isfinite(fits).all()


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow", "texts", "tensor", "list"])
def test_weights_go_with_every_kind_of_data(kind: str) -> None:
    columns = {"a": [float(i) for i in range(30)], "b": ["x", "y", "z"] * 10}
    rows = [[float(i), float(i % 7)] for i in range(30)]
    plain = {"texts": ["abc", "de", "f"] * 10, "list": rows, "tensor": torch.tensor(rows)}
    X: Any = plain.get(kind)
    if X is None:
        library = pytest.importorskip(kind)
        X = library.table(columns) if kind == "pyarrow" else library.DataFrame(columns)
    weight = np.arange(30.0) % 5
    network = "recurrent(hidden=4)" if kind == "texts" else Dense(hidden=(8,))
    ae = small(network=network, epochs=1).fit(X, sample_weight=weight)
    assert len(ae.transform(X)) == 30


def test_validation_data_choose_the_weights_and_are_never_trained_on() -> None:
    X, held = DIGITS.X[:200], DIGITS.X[-100:]
    given: dict[str, Any] = {"epochs": 6, "validation_fraction": 0}
    plain = small(**given).fit(X)
    fits = [small(**given).fit(X, validation=each) for each in (held, held[:, ::-1].copy())]
    for ae in fits:
        assert [r["total"] for r in ae.history_] == [r["total"] for r in plain.history_]
    assert fits[0].history_[0]["validation_total"] != fits[1].history_[0]["validation_total"]
    # All rows are trained on, whatever the fraction.
    again = small(epochs=6, validation_fraction=0.5).fit(X, validation=held)
    assert weights_of(again) == weights_of(fits[0])
    best = min(record["validation_total"] for record in fits[0].history_)
    assert -fits[0].score(held) == pytest.approx(best, rel=1e-3)


def test_validation_data_are_scaled_as_the_rows_trained_on() -> None:
    X = DIGITS.X[:200].reshape(200, -1).astype(float)
    ae = small(scaling="standard").fit(X, validation=100 + X)
    assert ae.history_[-1]["validation_total"] > 50 * ae.history_[-1]["total"]


def test_patience_watches_validation_data() -> None:
    X = DIGITS.X[:60].astype(np.float32)
    wrong = np.random.default_rng(0).permutation(X.ravel()).reshape(X.shape)
    ae = small(epochs=400, patience=3, validation_fraction=0).fit(X, validation=wrong)
    assert ae.stopped_ == "patience"


def test_validation_data_may_have_a_target() -> None:
    X, clean = DIGITS.X[:100], 16 - DIGITS.X[:100]
    ae = small(epochs=8).fit(X, target=clean, validation=(X[:50], clean[:50]))
    other = small(epochs=8).fit(X, target=clean, validation=(X[:50], X[:50]))
    assert ae.history_[-1]["validation_total"] < other.history_[-1]["validation_total"]


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"validation": DIGITS.X[:5, :4]}, DataError, "validation has pictures of 4 × 8"),
        ({"validation": np.full((5, 8, 8), np.nan)}, DataError, "validation has NaN at picture 0"),
        ({"validation": (DIGITS.X, DIGITS.X, 1)}, ParameterError, "a tuple of 3; give X, or"),
        ({"validation": (DIGITS.X, DIGITS.X)}, ParameterError, "X has none; give target= too"),
        (
            {"validation": DIGITS.X, "target": DIGITS.X[:20]},
            ParameterError,
            r"validation has no target, but X has; give \(X, target\)",
        ),
    ],
)
def test_validation_data_that_cannot_be_are_named(
    given: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        small().fit(DIGITS.X[:20], **given)


def test_validation_columns_are_those_of_the_fit() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(DIGITS.X.reshape(len(DIGITS.X), -1)[:50, :6].astype(float))
    frame.columns = list("abcdef")
    with pytest.raises(DataError, match="feature names"):
        small().fit(frame, validation=frame[list("abcfed")])


def test_a_checkpoint_knows_weights_and_validation_data(tmp_path: Path) -> None:
    X, weight = DIGITS.X[:60], np.linspace(1, 2, 60)
    given: dict[str, Any] = {"sample_weight": weight, "validation": DIGITS.X[-20:]}
    small().fit(X, checkpoint=tmp_path, **given)
    small().fit(X, checkpoint=tmp_path, **given)
    for name, value in (("sample_weight", weight[::-1].copy()), ("validation", DIGITS.X[-30:])):
        with pytest.raises(FileError, match=name):
            small().fit(X, checkpoint=tmp_path, **{**given, name: value})


# ── models too large for the machine ───────────────────────


HUGE: list[tuple[dict[str, Any], str]] = [
    ({"network": "dense(hidden=[1000000000])"}, r"hidden=\[1000000000\]"),
    ({"network": Dense(hidden=(64, 10**30))}, r"hidden=\(64, 1000000000000000000000000000000\)"),
    ({"network": "conv(channels=[8, 2000000000])"}, r"channels=\[8, 2000000000\]"),
    ({"network": "conv(channels=[8], hidden=[3000000000])"}, r"hidden=\[3000000000\]"),
    ({"network": "recurrent(hidden=10000000)", "layout": "sequences"}, "hidden=10000000 makes"),
    ({"network": "dense(hidden=[8])", "latent_dim": 10**11}, "latent_dim=100000000000 makes"),
]


@pytest.mark.parametrize(("keywords", "words"), HUGE)
def test_a_model_larger_than_the_memory_is_refused_before_it_is_built(
    keywords: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("latente.estimator.build_model", lambda *_: pytest.fail("it is built"))
    with pytest.raises(ParameterError, match=words) as caught:
        small(**keywords).fit(DIGITS.X[:20])
    assert re.search(r"[GT]B of memory hold at most [\d,]+ in training; make", str(caught.value))


def test_what_fits_the_memory_is_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    ae = small(network=Dense(hidden=(100,))).fit(DIGITS.X[:20])
    need = 12 * ae.n_parameters_
    for memory, fits in ((need, True), (need - 1, False)):
        monkeypatch.setattr("latente.training.hardware.physical_memory", lambda m=memory: m)
        with contextlib.nullcontext() if fits else pytest.raises(ParameterError, match="hidden="):
            ae.fit(DIGITS.X[:20])


# ── parameters of parts by name ────────────────────────────


def test_parameters_of_parts_are_listed_however_the_part_is_given() -> None:
    for given in ("dense(hidden=[8])", Dense(hidden=[8])):
        params = small(network=given, bottleneck="gaussian", corruption="mask").get_params()
        assert params["network__hidden"] == [8]
        assert params["bottleneck__beta"] == Gaussian().beta
        assert params["corruption__rate"] == Mask().rate
        assert params["optimizer__beta1"] == 0.9
        assert params["network"] == given
    assert not [name for name in Autoencoder().get_params() if name.startswith("network__")]
    assert not [name for name in small(loss="nonsense").get_params() if name.startswith("loss__")]
    assert "network__hidden" not in small(network="dense").get_params(deep=False)


def test_every_listed_parameter_can_be_set_and_comes_back() -> None:
    ae = small(network="conv", bottleneck="gaussian", loss="huber", corruption="mask")
    again = small().set_params(**clone(ae).get_params())
    assert again.get_params() == {
        **ae.get_params(),
        **{name: getattr(again, name) for name in ("network", "bottleneck", "loss", "corruption")},
        **{name: getattr(again, name) for name in ("optimizer", "schedule")},
    }


def test_a_search_moves_the_parameters_of_a_part_given_by_name() -> None:
    grid = {"bottleneck__beta": [0.1, 4.0], "network__hidden": [(8,)]}
    search = GridSearchCV(small(network="dense", bottleneck="gaussian", epochs=1), grid, cv=2)
    found = search.fit(DIGITS.X.reshape(len(DIGITS.X), -1)[:60]).best_estimator_
    assert found.bottleneck == Gaussian(beta=search.best_params_["bottleneck__beta"])
    assert found.network == Dense(hidden=(8,))


def test_a_start_that_stands_is_not_fitted_again_on_given_validation_data() -> None:
    X = np.random.default_rng(0).normal(size=(80, 6))
    network = Dense(hidden=(16,), shortcut="pca")
    given: dict[str, Any] = {"network": network, "epochs": 2, "learning_rate": 1e-9}
    codes = [
        small(**given).fit(X[:60], validation=held).transform(X)
        for held in (X[60:], 3 * X[60:, ::-1])
    ]
    np.testing.assert_array_equal(*codes)
