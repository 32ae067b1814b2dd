"""The scene: the rows that are shown, what is known of them, and one or two models' views of them.

There is no server in it: it is what the explorer shows, and can be used by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from ..data.arrays import is_frame
from ..data.dataset import take_rows
from ..errors import DataError, ParameterError
from ..estimator import Autoencoder
from ..latent import direction
from . import plane as planes
from .coders import AutoencoderCoder, Coder, PCACoder
from .plane import Floats
from .samples import SampleForm, Shown, count, form_of, is_numeric, spread
from .view import ModelView

MOST_MODELS = 2
FEW = 40
"""Whole numbers of at most so many different values are classes."""
MOST_CLASSES = 1000
"""Text of more different values is no column of classes."""
MOST_COLUMNS = 200
"""Columns of a table that the map can be coloured by."""
ERROR, SCORE = "reconstruction error", "anomaly score"

AnyModel = Autoencoder | Coder | str
"""A fitted autoencoder, "pca", or another model of the kind that `Coder` describes."""
Models = AnyModel | Sequence[AnyModel] | Mapping[str, AnyModel]
"""One of them, two, or names with them."""
Report = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Column:
    """Something known of each row, by which the map can be coloured.

    Parameters
    ----------
    name
        What it is called.
    values
        A number for each row, NaN for none; for classes their places in `classes`, (n,).
    classes
        The names of the classes; None for a column of numbers.
    model
        Which model it comes from; None for the data.
    """

    name: str
    values: Floats
    classes: tuple[str, ...] | None = None
    model: int | None = None

    def is_of_names(self) -> bool:
        """Whether it has so many different texts that they are names, and no classes."""
        return self.classes is not None and len(self.classes) > MOST_CLASSES

    def facts(self) -> dict[str, Any]:
        """Return what the column is, as plain JSON values."""
        if self.classes is not None:
            return {"name": self.name, "kind": "class", "classes": list(self.classes)}
        known = self.values[np.isfinite(self.values)]
        low, high = np.quantile(known, [0.005, 0.995]).tolist() if len(known) else (0.0, 1.0)
        facts = {"name": self.name, "kind": "number", "low": low, "high": high}
        return facts if self.model is None else {**facts, "model": self.model}


class Scene:
    """Rows, what is known of them, and how one or two models see them.

    Parameters
    ----------
    models
        A fitted autoencoder, or two, in a list or by name. "pca" beside an autoencoder stands for
        as many principal components as its code has numbers.
    X
        The rows to show, as the models take them; best such that they were not trained on.
    y
        What is known of each row: classes or numbers, (n,).
    train
        Rows that the models were trained on: they tell where codes are known, and "pca" is learned
        from them. Without them, the shown rows stand for them.
    classes
        The names of the classes, where y holds their places.
    label
        What y is called.
    map
        "code" for two numbers of the code, "pca" for its principal components, "umap" where that
        library is installed; "auto" takes the first for codes of at most two numbers, else the
        second.
    columns
        Names of the columns of an array of rows.
    more
        What else is known of each row, by name: classes or numbers, (n,).
    name, title, split
        What the data, the page and the part of the data are called.
    report
        Told what is done next.

    Attributes
    ----------
    views : list of ModelView
        One for each model.
    columns : list of Column
        What rows can be coloured by.

    Examples
    --------
    >>> from latente import Autoencoder, datasets
    >>> from latente.explorer import Scene
    >>> digits = datasets.load("digits")
    >>> ae = Autoencoder(latent_dim=2, epochs=5, random_state=0).fit(digits.X)
    >>> scene = Scene(ae, digits.X_test, digits.y_test)
    >>> scene.views[0].points.shape == (len(scene), 2)
    True
    """

    def __init__(
        self,
        models: Models,
        X: Any,
        y: Any = None,
        *,
        train: Any = None,
        classes: Sequence[str] | None = None,
        label: str = "class",
        map: str = "auto",  # noqa: A002 - what it is called everywhere
        columns: Sequence[str] | None = None,
        more: Mapping[str, Any] | None = None,
        name: str = "data",
        title: str | None = None,
        split: str = "",
        report: Report | None = None,
    ) -> None:
        planes.check(map)
        named = named_models(models)
        tell = report or (lambda stage: None)
        coders = coders_of(named, X if train is None else train)
        known = {} if y is None else {label: y}
        self._begin(coders[0], X, {**known, **(more or {})}, {label: classes}, columns)
        self.name, self.split, self.map, self.train = encodable(name), split, map, train
        self.title = encodable(title or f"{' and '.join(named)} on {name}")
        self.views: list[ModelView] = []
        for key, coder in zip(named, coders, strict=True):
            laid = ", laid out by UMAP, which takes a while" if map == "umap" else ""
            tell(f"encoding {len(self):,} rows with {key}{laid}")
            view = ModelView(coder, X, name=key, map=map, train=train)
            view.prepare()
            self.views.append(view)

    def _begin(
        self, coder: Coder, X: Any, known: Mapping[str, Any], classes: Any, columns: Any
    ) -> None:
        """Take the rows, and what is known of them."""
        self.X, self.n = X, count(X)
        if not self.n:
            raise DataError("X has no rows to show")
        coder.input.open(self.rows(np.arange(1)), "X")  # of another shape: told before all else
        names = None if columns is None else [str(each) for each in columns]
        self.form: SampleForm = form_of(coder.input, X, names)
        self.forms: dict[int, SampleForm] = {id(coder.input): self.form}
        self.own_columns = [
            column_of(name, values, self.n, classes.get(name)) for name, values in known.items()
        ]
        self.own_columns += [each for each in columns_of(X, names) if each.name not in known]
        self.own_columns = [each for each in self.own_columns if not each.is_of_names()]

    def __len__(self) -> int:
        return self.n

    @property
    def columns(self) -> list[Column]:
        """What rows can be coloured by: what is known of them, then what each model finds."""
        found = list(self.own_columns)
        for i, view in enumerate(self.views):
            for name, values in ((ERROR, view.rows.errors), (SCORE, view.rows.scores)):
                if np.isfinite(values).any():
                    found.append(Column(name, values, model=i))
        return found

    def column(self, name: str, model: int = 0) -> Column:
        """Return the column of that name, of that model where it is one of a model."""
        for each in self.columns:
            if each.name == name and each.model in (None, model):
                return each
        raise ParameterError(f"there is no column {name!r:.80}")

    def view(self, model: int) -> ModelView:
        """Return the view of a model."""
        if not 0 <= model < len(self.views):
            raise ParameterError(
                f"there is no model {model}; there are {len(self.views)}, counted from 0"
            )
        return self.views[model]

    def rows(self, ids: NDArray[np.int64]) -> Any:
        """Return some of the rows, as the models take them."""
        return take_rows(self.X, ids)

    def form_for(self, view: ModelView, *, target: bool = False) -> SampleForm:
        """Return how samples of a model's input, or of its output, are shown."""
        preparation = view.coder.target if target else view.coder.input
        if id(preparation) not in self.forms:
            example = self.X
            if target and view.coder.target is not view.coder.input:
                values = view.passed(spread(self.X, 256)).values
                example = preparation.restore(values.numpy())
            self.forms[id(preparation)] = form_of(preparation, example)
        return self.forms[id(preparation)]

    def shown(self, view: ModelView, values: Any) -> Shown:
        """Return what a model gave, in its scale, as it is shown."""
        restored = view.coder.target.restore(np.ascontiguousarray(values, np.float32))
        return self.form_for(view, target=True).shown(restored)

    def direction(
        self, model: int, present: NDArray[np.int64], absent: NDArray[np.int64]
    ) -> tuple[Floats, float | None]:
        """Return the direction from rows without something to rows with it.

        Parameters
        ----------
        model
            Whose codes.
        present, absent
            The rows with it and without it.

        Returns
        -------
        vector, separation
            The step, (latent,), and the share of rows on the right side of the middle between the
            groups, of those that the step was not learned from; None for groups of fewer than two.
        """
        codes = self.view(model).codes
        groups = codes[present], codes[absent]
        vector = direction(*groups).vector
        if min(map(len, groups)) < 2:
            return vector, None
        right = total = 0
        for fold in (0, 1):
            learned = direction(*(group[np.arange(len(group)) % 2 != fold] for group in groups))
            for group, side in zip(groups, (True, False), strict=True):
                held_out = group[np.arange(len(group)) % 2 == fold]
                right += int(((learned.read(held_out) > 0.5) == side).sum())
                total += len(held_out)
        return vector, right / total


def named_models(models: Models) -> dict[str, AnyModel]:
    """Return one or two models by name, checked."""
    if isinstance(models, Mapping):
        named = {encodable(str(name)): model for name, model in models.items()}
    else:
        single = isinstance(models, str) or not isinstance(models, Sequence)
        several: list[Any] = [models] if single else list(models)  # type: ignore[arg-type]
        titles = ["PCA" if isinstance(model, str) else f"model {i}"
                  for i, model in enumerate(several)]  # fmt: skip
        named = dict(zip(titles if len(several) > 1 else ["model"], several, strict=True))
    if not 1 <= len(named) <= MOST_MODELS:
        raise ParameterError(f"models: {len(named)} were given; give one, or two to compare")
    for i, (name, model) in enumerate(named.items()):
        if isinstance(model, Autoencoder):
            check_is_fitted(model, "fitted_")
        elif not isinstance(model, Coder) and not (i and model == "pca"):
            raise ParameterError(
                f"models: {name!r} is {model!r:.80}; give a fitted Autoencoder, and beside it "
                'another or "pca"'
            )
    return named


def encodable(name: str) -> str:
    """Return a name whose lone surrogates, as those of a file's name may be, are escaped."""
    return name.encode("utf-8", "backslashreplace").decode()


def coders_of(named: Mapping[str, AnyModel], train: Any) -> list[Coder]:
    """Return the models as the explorer uses them; principal components are learned here."""
    found: list[Coder] = []
    for model in named.values():
        if isinstance(model, Autoencoder):
            found.append(AutoencoderCoder.of(model))
        elif isinstance(model, Coder):
            found.append(model)
        else:
            found.append(PCACoder.learn(found[0].input, train, found[0].latent))
    return found


def column_of(name: str, y: Any, n: int, classes: Sequence[str] | None = None) -> Column:
    """Return labels as a column: of classes, or of numbers.

    Parameters
    ----------
    name
        What they are called.
    y
        One for each row.
    n
        How many rows there are.
    classes
        The names of the classes, where y holds their places.
    """
    values = np.asarray(y)
    if values.shape != (n,):
        raise DataError(f"y has shape {values.shape}, but there are {n:,} rows: give one for each")
    if classes is not None:
        return Column(name, values.astype(np.float32), tuple(map(str, classes)))
    if values.dtype.kind in "fiu":
        numbers = values.astype(np.float64)
        known = np.unique(numbers[np.isfinite(numbers)])
        if values.dtype.kind == "f" or len(known) > FEW:
            return Column(name, numbers.astype(np.float32))
        places = np.searchsorted(known, numbers).astype(np.float32)
        return Column(name, places, tuple(str(int(each)) for each in known))
    texts = np.array([missing_or_text(value) for value in values], dtype=object)
    ranks = {text: float(i) for i, text in enumerate(sorted({*texts} - {None}))}
    ranked = np.array([ranks.get(text, np.nan) for text in texts], np.float32)
    return Column(name, ranked, tuple(ranks))


def missing_or_text(value: Any) -> str | None:
    """Return a label as text; None where it is missing."""
    missing = value is None or (isinstance(value, float) and np.isnan(value))
    return None if missing else str(value)


def columns_of(X: Any, names: Sequence[str] | None) -> list[Column]:
    """Return the named columns of a table, of the first so many."""
    found: list[Column] = []
    if is_frame(X):
        frame = nw.from_native(X, eager_only=True)
        for name in frame.columns[:MOST_COLUMNS]:
            series = frame[name]
            values: Any = series.to_list()
            if is_numeric(series):
                if series.dtype.is_temporal() or series.dtype == nw.Boolean:
                    continue
                values = np.array([np.nan if v is None else v for v in values], np.float64)
            found.append(column_of(name, values, len(frame)))
    elif names is not None and getattr(X, "ndim", 0) == 2 and isinstance(X, np.ndarray):
        for i, name in enumerate(names[:MOST_COLUMNS]):
            found.append(column_of(name, X[:, i].astype(np.float64), len(X)))
    return found
