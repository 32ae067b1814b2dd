"""Ensemble: several scores of a row, calibrated on normal rows and joined to one.

::

    X ──preparation──▶ x ──view──▶ rows ──score──▶ distance ──calibrated──▶ z ──┐
                       │   …        …       …        …                      z ──┤ mean ──▶ (n,)

Where not all rows are normal, `core` chooses those it is learned from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from ..corruptions.noise import GaussianNoise
from ..data.arrays import is_frame
from ..data.dataset import take_rows as chosen_rows
from ..data.preparation import Preparation
from ..data.sources import Source
from ..estimator import Autoencoder
from ..networks.dense import Dense
from .scores import (
    AROUND,
    BLOCK,
    REFERENCES,
    SCORES,
    VIEWS,
    NearestRows,
    Reconstruction,
    Score,
    Surface,
    View,
    trained,
)

Floats = NDArray[np.float64]

FLOOR = 0.05
"""Share of the typical distance that is added to all: below it, nearer is not more normal."""
MEASURED = 2_000
"""Normal rows on which distances are calibrated."""
UNITS, NOISE = 256, 0.2
"""Hidden units of the denoising autoencoder, and the noise it removes, in standard deviations."""
STEPS, BATCH, RATE = 150, 256, 8e-3
EPOCH = 10_000
"""Rows that an epoch has at least: fewer are repeated, each time under other noise."""
LIGHT = 0.25
"""Weight of the denoising autoencoder beside the other scores, which have 1."""
CORE = 0.75
"""Share of the rows that counts as certainly normal, where no more are known to be anomalies."""
AT_ONCE = 2**20
"""Values that are scored at a time: what is made of them takes ten times their memory."""
COMPARED = 2_500
"""Rows, at most, with which each is compared to find the core."""
WIDE, LOCAL = 0.1, 0.03
"""Nearest rows looked at, as a share of all: to find the core, and once it is found."""
FEWER = 4_000
"""Rows of the core that are kept to compare with."""

Report = Callable[[str], None]
"""Told what is done next."""


def silent(stage: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What an ensemble is made of.

    Parameters
    ----------
    autoencoder
        To be cloned and fitted on the data as they are; None for a denoising one of rows.
    scores
        Names of `SCORES`.
    neighbors
        Nearest rows looked at.
    seed
        Of everything random.
    unseen
        What becomes of levels that the fit never saw: "ignore" or "error".
    references
        Normal rows that are kept to compare with, at most.
    report
        Told of each stage.
    streamed
        Where the rows are a sample of streamed ones: all of these but the held-out ones, from which
        an autoencoder of the data as they are learns. None for the rows themselves.
    """

    autoencoder: Autoencoder | None
    scores: tuple[str, ...]
    neighbors: int
    seed: int
    unseen: str = "ignore"
    references: int = REFERENCES
    report: Report = silent
    streamed: Source | None = None

    def members(self, *, pictures: bool) -> list[tuple[str, str | None, float]]:
        """Return of each score its name, its view, None for the data themselves, and its weight."""
        own_scale = pictures or self.autoencoder is not None
        view = "unscaled" if pictures else "standard"
        views = {"reconstruction": None if own_scale else view}
        weights = {"reconstruction": 1.0 if own_scale else LIGHT}
        return [(name, views.get(name, view), weights.get(name, 1.0)) for name in self.scores]

    def among(self, core: int) -> Settings:
        """Return the same for so many rows of which some may be anomalies.

        Anomalies that are alike are one another's nearest rows: more of these are looked at.
        """
        kept = min(core, FEWER)
        return replace(self, references=kept, neighbors=max(self.neighbors, round(LOCAL * kept)))


@dataclass(eq=False)
class Rows:
    """Rows to score: the data themselves and, computed when first needed, in each view."""

    X: Any
    x: Floats
    views: dict[str, View]
    _viewed: dict[str, Floats] = field(default_factory=dict)

    def viewed(self, view: str | None) -> Any:
        """Return the rows in a view (n, columns), or the data themselves."""
        if view is None:
            return self.X
        if view not in self._viewed:
            self._viewed[view] = self.views[view].transform(self.x)
        return self._viewed[view]


@dataclass(eq=False, kw_only=True)
class Member:
    """A score in a view, and how the logarithm of normal rows' distances is spread."""

    score: Score
    view: str | None
    floor: float
    location: float
    spread: float
    weight: float

    @classmethod
    def calibrated(cls, score: Score, view: str | None, weight: float, distances: Floats) -> Self:
        """Take the normal rows' distances (n,) as the measure."""
        floor = max(FLOOR * float(distances.mean()), 1e-12)
        logarithms = np.log(distances + floor)
        spread = max(float(logarithms.std()), 1e-3)
        location = float(np.median(logarithms))
        measures = {"floor": floor, "location": location, "spread": spread, "weight": weight}
        return cls(score=score, view=view, **measures)

    def standardised(self, rows: Rows) -> Floats:
        """Return how far beyond normal rows each row lies, in spreads of theirs, (n,)."""
        distances = self.score.distances(rows.viewed(self.view))
        return (np.log(distances + self.floor) - self.location) / self.spread


@dataclass(eq=False, kw_only=True)
class Ensemble:
    """What is learned of normal rows.

    Parameters
    ----------
    preparation
        How data become a matrix.
    views
        The scales in which rows are compared.
    members
        The scores.
    """

    preparation: Preparation
    views: dict[str, View]
    members: list[Member]

    @classmethod
    def learn(
        cls,
        X: Any,
        preparation: Preparation,
        settings: Settings,
        held_out: NDArray[np.int64] | None = None,
    ) -> Self:
        """Learn what is normal from normal rows.

        Parameters
        ----------
        X
            Normal rows.
        preparation
            How they become a matrix.
        settings
            What to make.
        held_out
            Rows that no autoencoder learns from. (From the nearest rows a row's own self is left
            out, so that these need not be held out.)
        """
        x = matrix(X, preparation)
        members = settings.members(pictures=len(preparation.shape) > 1)
        names = sorted({view for _, view, _ in members if view is not None})
        views = {name: VIEWS[name].learn(x) for name in names}
        rows = Rows(X, x, views)
        some = np.random.default_rng(settings.seed).permutation(len(x))[:MEASURED]
        made = []
        for title, view, weight in members:
            settings.report(f"learning from {len(x):,} rows: {title}")
            score = fitted_score(title, view, rows, settings, held_out)
            distances = score.distances(chosen_rows(rows.viewed(view), np.sort(some)))
            made.append(Member.calibrated(score, view, weight, distances))
        return cls(preparation=preparation, views=views, members=made)

    @property
    def autoencoder(self) -> Autoencoder | None:
        """The fitted autoencoder, where there is one."""
        scores = (member.score for member in self.members)
        return next((each.autoencoder for each in scores if isinstance(each, Reconstruction)), None)

    def scores(self, X: Any) -> Floats:
        """Return the score of each row, at least 0, (n,): the weighted mean of its members' scores.

        A member's is √softplus(z) of the calibrated distance z: a member that finds a row very
        normal does not outweigh another that finds it anomalous, and neither does one with a
        distance out of all bounds.
        """
        return np.concatenate([self._scores(rows).sum(axis=1) for rows in self._rows(X)])

    def _rows(self, X: Any) -> Iterator[Rows]:
        """Yield rows, some at a time where they can be cut: what is made of them is much larger."""
        x = matrix(X, self.preparation)
        size = BLOCK * max(1, AT_ONCE // (BLOCK * x.shape[1]))
        needs_data = any(member.view is None for member in self.members)
        if len(x) <= size or (needs_data and not isinstance(X, np.ndarray)):
            yield Rows(X, x, self.views)
            return
        for start in range(0, len(x), size):
            some = slice(start, start + size)
            yield Rows(X[some] if needs_data else None, x[some], self.views)

    def _scores(self, rows: Rows) -> Floats:
        """Return what each member adds to the score of each row, (n, members)."""
        z = np.stack([member.standardised(rows) for member in self.members], axis=1)
        weights = np.array([member.weight for member in self.members])
        scores: Floats = np.sqrt(np.logaddexp(0.0, z)) * (weights / weights.sum())
        return scores

    def contributions(self, X: Any) -> Floats:
        """Return what each value of a prepared row adds to its score, (n, columns)."""
        return np.concatenate([self._contributions(rows) for rows in self._rows(X)])

    def _contributions(self, rows: Rows) -> Floats:
        shares = np.zeros_like(rows.x)
        for member, score in zip(self.members, self._scores(rows).T, strict=True):
            parts = member.score.differences(rows.viewed(member.view))
            total = parts.sum(axis=1, keepdims=True)
            even = 1 / parts.shape[1]
            parts = np.divide(parts, total, where=total > 0, out=np.full_like(parts, even))
            shares += parts * score[:, None]
        return shares

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what a file keeps: nested values with tensors inside, and tensors by name."""
        titles = {cls: title for title, cls in SCORES.items()}
        plain, arrays = self.preparation.state()
        members = [
            {
                "score": titles[type(member.score)],
                "state": member.score.state(),
                **{name: getattr(member, name) for name in ("view", *MEASURES)},
            }
            for member in self.members
        ]
        views = {name: view.state() for name, view in self.views.items()}
        return {"preparation": plain, "views": views, "members": members}, arrays

    @classmethod
    def from_state(
        cls, meta: dict[str, Any], arrays: dict[str, NDArray[Any]], network: Any
    ) -> Self:
        """Return the ensemble of what `state` returned, or raise an error of some kind."""
        preparation = Preparation.from_state(meta["preparation"], arrays)
        width = int(np.prod(preparation.shape))
        views = {
            name: VIEWS[name].from_state(state, width) for name, state in meta["views"].items()
        }
        members = [member_from_state(each, views, width, network) for each in meta["members"]]
        if not members:
            raise ValueError("there are no scores")
        return cls(preparation=preparation, views=views, members=members)


MEASURES = ("floor", "location", "spread", "weight")


def member_from_state(
    state: dict[str, Any], views: dict[str, View], width: int, network: Any
) -> Member:
    """Return a member of what `Ensemble.state` keeps of it."""
    measures = {name: float(state[name]) for name in MEASURES}
    sound = np.isfinite(list(measures.values())).all() and all(
        measures[name] > 0 for name in ("floor", "spread", "weight")
    )
    if not sound or state["view"] not in (None, *views):
        raise ValueError("a score's measures are wrong")
    score = SCORES[state["score"]].from_state(state["state"], width, network)
    return Member(score=score, view=state["view"], **measures)


def fitted_score(
    title: str,
    view: str | None,
    rows: Rows,
    settings: Settings,
    held_out: NDArray[np.int64] | None,
) -> Score:
    """Return a score fitted on normal rows, an autoencoder on those that are not held out."""
    viewed = rows.viewed(view)
    generator = np.random.default_rng(settings.seed)
    kind = SCORES[title]
    if issubclass(kind, NearestRows):
        around = AROUND if kind is Surface else settings.neighbors
        if len(viewed) > settings.references:
            chosen = generator.choice(len(viewed), settings.references, replace=False)
            viewed = viewed[np.sort(chosen)]
        return kind.learn(viewed, around)
    if held_out is not None:
        viewed = chosen_rows(viewed, np.setdiff1d(np.arange(len(rows.x)), held_out))
    if view is None:
        autoencoder = settings.autoencoder or Autoencoder(random_state=settings.seed)
        own: Autoencoder = clone(autoencoder).set_params(unseen=settings.unseen)
        every = viewed if settings.streamed is None else settings.streamed
        return Reconstruction(autoencoder=trained(own, every))
    some = generator.permutation(len(viewed))[: STEPS * BATCH]
    few = viewed[np.sort(some)].astype(np.float32)
    repeated = np.tile(few, (max(1, EPOCH // len(few)), 1))
    return Reconstruction(autoencoder=trained(denoiser(len(repeated), settings.seed), repeated))


def denoiser(rows: int, seed: int) -> Autoencoder:
    """Return the autoencoder that takes noise off rows, to be fitted on so many of them.

    Its code is larger than a row: not a bottleneck but the noise keeps it from copying (Vincent
    et al., 2010), so that nothing depends on the right size of the code.
    """
    return Autoencoder(
        UNITS,
        network=Dense(hidden=(), code_activation="relu"),
        corruption=GaussianNoise(std=NOISE),
        loss="squared",
        schedule="one_cycle",
        learning_rate=RATE,
        batch_size=BATCH,
        epochs=max(1, -(-STEPS * BATCH // rows)),
        validation_fraction=0.0,
        patience=None,
        scaling="none",
        device="cpu",
        precision="float32",
        random_state=seed,
    )


def core(
    X: Any, preparation: Preparation, contamination: float | None, settings: Settings
) -> NDArray[np.int64]:
    """Return which rows are certainly normal, in rising order.

    Each row is compared with the nearest tenth of all, up to a fifth where more are known to be
    anomalies, in scales that these cannot move: a clump of anomalies that are alike is too small to
    make itself normal. A quarter of all rows is left out, more where more are anomalies.
    """
    x = matrix(X, preparation)
    view = VIEWS["unscaled" if len(preparation.shape) > 1 else "robust"].learn(x)
    share = contamination or 0.0
    kept = max(2, round(min(CORE, 1 - share) * len(x)))
    wide = min(max(WIDE, 2 * share), 2 * WIDE)
    distances = wide_distances(view.transform(x).astype(np.float32), wide, settings)
    return np.sort(np.argsort(distances, kind="stable")[:kept])


def wide_distances(x: NDArray[np.float32], share: float, settings: Settings) -> Floats:
    """Return the mean distance of rows to the nearest of them, so large a share, (n,)."""
    generator = np.random.default_rng(settings.seed)
    chosen = np.sort(generator.permutation(len(x))[:COMPARED])
    references = x[chosen]
    squares = (references**2).sum(axis=1)
    count = min(max(5, round(share * len(chosen))), len(chosen) - 1)
    place = np.full(len(x), -1)
    place[chosen] = np.arange(len(chosen))
    distances = np.empty(len(x))
    for start in range(0, len(x), BLOCK):
        settings.report(f"looking for normal rows among {len(x):,}: {start / len(x):.0%}")
        rows = x[start : start + BLOCK]
        apart = squares - 2 * rows @ references.T + (rows**2).sum(axis=1)[:, None]
        own = place[start : start + BLOCK]
        apart[own >= 0, own[own >= 0]] = np.inf
        nearest = np.partition(apart, count - 1, axis=1)[:, :count]
        distances[start : start + BLOCK] = np.sqrt(np.maximum(nearest, 0)).mean(axis=1)
    return distances


def prepare(X: Any, unseen: str = "ignore") -> Preparation:
    """Learn how data become numbers, also of those that are streamed."""
    if isinstance(X, Source):
        scaling = "auto" if is_picture(X.head()) else "standard"
        return Preparation.learn_streamed(X, scaling=scaling, name="X", unseen=unseen)
    scaling = "auto" if is_picture(X) else "standard"
    return Preparation.learn(X, scaling=scaling, name="X", unseen=unseen)[0]


def is_picture(X: Any) -> bool:
    """Whether X holds pictures, not rows."""
    return not is_frame(X) and X.ndim > 2


def matrix(X: Any, preparation: Preparation) -> Floats:
    """Return data as rows of numbers, (n, columns); pictures flattened, channel by channel."""
    prepared = preparation.convert(preparation.store(X, "X"))
    return prepared.flatten(1).cpu().numpy().astype(np.float64)


def columns(preparation: Preparation) -> tuple[list[str], Sequence[int]]:
    """Return the names of the data's columns, and to which of them each number of a row belongs."""
    if preparation.table is not None:
        encoders = preparation.table.encoders
        names = [str(name) for name in preparation.table.schema.names]
        numbers = [i for i, each in enumerate(encoders) for _ in range(each.numbers)]
        flags = [i for i, each in enumerate(encoders) for _ in range(each.flags)]
        return names, numbers + flags
    count = preparation.n_features
    if preparation.schema is not None:
        return [str(name) for name in preparation.schema.names], range(count)
    return [f"x{i}" for i in range(count)], range(count)
