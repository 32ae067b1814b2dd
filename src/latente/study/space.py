"""Search spaces: which values each parameter may take, listed or drawn.

::

    {"optimizer": ["adam", "sgd"], "learning_rate": Range(1e-4, 1e-1, log=True)}
        ──▶ a list of values: `Choices`      two ends: `Range`

A space may have several parts, each with parameters of its own; a setting is a point of one part.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import ParameterError
from ..parts import Part, is_number, is_whole, tupled

if TYPE_CHECKING:
    from optuna import Trial

Label = None | bool | int | float | str
"""A value as a table and a file hold it."""
WHICH = "space"
"""What a storage calls the number of the part that a setting is of."""
LARGEST = 100_000
"""Settings that a grid may have."""


@dataclass(frozen=True)
class Range:
    """The numbers from one end to the other, from which values are drawn.

    Parameters
    ----------
    low, high
        The ends, both included; whole numbers are drawn where both are whole.
    step
        Distance between two values; None for all there are.
    log
        Whether to draw on a logarithmic scale; `low` must be positive.

    Examples
    --------
    >>> Range(1e-4, 1e-1, log=True)
    Range(low=0.0001, high=0.1, step=None, log=True)
    """

    low: float
    high: float
    step: float | None = None
    log: bool = False

    def __post_init__(self) -> None:
        good = is_number(self.low) and is_number(self.high) and self.low < self.high
        if not good:
            raise ParameterError(f"{self}: low and high must be numbers, low the lower one")
        if self.step is not None and not (is_number(self.step, 0) and self.step > 0):
            raise ParameterError(f"{self}: step must be a positive number")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ParameterError(f"{self}: log=True needs low above 0, and no step")

    @property
    def whole(self) -> bool:
        """Whether whole numbers are drawn."""
        return all(is_whole(each) for each in (self.low, self.high, self.step or 1))

    def suggest(self, trial: Trial, name: str) -> Label:
        """Return the number that Optuna suggests for the parameter of that name."""
        if self.whole:
            step = int(self.step or 1)
            return trial.suggest_int(name, int(self.low), int(self.high), step=step, log=self.log)
        return trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log)

    def value(self, label: Label) -> Any:
        """Return the number itself."""
        return label

    def written(self) -> object:
        """Return it as JSON values."""
        return {key: item for key, item in dataclasses.asdict(self).items() if item}


class Choices:
    """Values one by one.

    Parameters
    ----------
    name
        Of the parameter, for errors.
    values
        Anything that the parameter takes.
    """

    def __init__(self, name: str, values: Sequence[Any]) -> None:
        if not values:
            raise ParameterError(f"space: {name} has no values; list one or more")
        self.values = list(values)
        self.labels = [label(value) for value in values]
        for i, each in enumerate(self.labels):
            if each in self.labels[:i]:
                raise ParameterError(f"space: {name} lists {each!r} twice; list each value once")

    def suggest(self, trial: Trial, name: str) -> Label:
        """Return the label that Optuna suggests for the parameter of that name."""
        found: Label = trial.suggest_categorical(name, self.labels)
        return found

    def value(self, label: Label) -> Any:
        """Return what a label stands for."""
        return self.values[self.labels.index(label)]

    def written(self) -> object:
        """Return it as JSON values."""
        return self.labels


Domain = Range | Choices


@dataclass(frozen=True)
class Setting:
    """A point of a space: the part it is of, and the label of each value by parameter."""

    part: int
    labels: Mapping[str, Label]

    def key(self) -> str:
        """Return what tells it from others."""
        return json.dumps(dict(sorted(self.labels.items())), ensure_ascii=False)


class SearchSpace:
    """All the settings of a study.

    Parameters
    ----------
    spec
        For each parameter a list of values, a `Range`, or a distribution of Optuna's; or a list of
        such mappings, for parameters that depend on one another.

    Raises
    ------
    ParameterError
        If it is none of these; the message names the parameter.
    """

    def __init__(self, spec: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
        several = [spec] if isinstance(spec, Mapping) else list(spec)
        if not several or not all(isinstance(each, Mapping) and each for each in several):
            raise ParameterError(
                "space: give a dictionary with a list or a Range for each parameter, or a list of "
                "such dictionaries"
            )
        self.parts = [
            {str(name): domain(str(name), values) for name, values in each.items()}
            for each in several
        ]
        self.names = list(dict.fromkeys(name for part in self.parts for name in part))

    @property
    def listed(self) -> bool:
        """Whether all values are listed, so that there is a grid."""
        return all(isinstance(each, Choices) for part in self.parts for each in part.values())

    def grid(self) -> list[Setting]:
        """Return all settings of listed values, each once, in the order in which they are listed.

        Raises
        ------
        ParameterError
            If values are drawn from a range, or there are too many settings.
        """
        found: dict[str, Setting] = {}
        for i, part in enumerate(self.parts):
            lists = []
            for name, each in part.items():
                if not isinstance(each, Choices):
                    raise ParameterError(
                        f"space: a grid needs a list of values, but {name} is a range; list its "
                        "values, or use sampler='random' or 'tpe'"
                    )
                lists.append(each.labels)
            count = math.prod(map(len, lists))
            if count > LARGEST:
                raise ParameterError(
                    f"space: the grid has {count:,} settings, at most {LARGEST:,} can be; list "
                    "fewer values, or use sampler='random'"
                )
            for labels in itertools.product(*lists):
                setting = Setting(i, dict(zip(part, labels, strict=True)))
                found.setdefault(setting.key(), setting)
        return list(found.values())

    def examples(self) -> Iterator[Setting]:
        """Yield settings in which each listed value occurs: all of a small grid, else a few."""
        for i, part in enumerate(self.parts):
            first = {name: (_labels(each))[0] for name, each in part.items()}
            yield Setting(i, first)
            for name, each in part.items():
                for other in _labels(each)[1:]:
                    yield Setting(i, {**first, name: other})

    def values(self, setting: Setting) -> dict[str, Any]:
        """Return the parameters of a setting, as an estimator takes them."""
        part = self.parts[setting.part]
        return {name: part[name].value(label) for name, label in setting.labels.items()}

    def suggest(self, trial: Trial) -> Setting:
        """Return the setting that Optuna suggests in a trial."""
        i = 0
        if len(self.parts) > 1:
            i = int(trial.suggest_categorical(WHICH, list(range(len(self.parts)))))
        labels = {
            name: each.suggest(trial, self.alias(i, name)) for name, each in self.parts[i].items()
        }
        return Setting(i, labels)

    def fixed(self, setting: Setting) -> dict[str, Label]:
        """Return a setting as the parameters of a trial of Optuna's."""
        found = {self.alias(setting.part, name): each for name, each in setting.labels.items()}
        return found if len(self.parts) == 1 else {WHICH: setting.part, **found}

    def alias(self, part: int, name: str) -> str:
        """Return what a storage calls a parameter: its name, unless parts differ in its values."""
        own = self.parts[part][name].written()
        same = all(each[name].written() == own for each in self.parts if name in each)
        return name if same else f"{name} {part + 1}"

    def written(self) -> list[dict[str, object]]:
        """Return the space as JSON values."""
        return [{name: each.written() for name, each in part.items()} for part in self.parts]


def domain(name: str, values: Any) -> Domain:
    """Return the values of a parameter, however they are given."""
    if isinstance(values, Range):
        return values
    if isinstance(values, list | tuple) or hasattr(values, "tolist"):
        return Choices(name, list(values))
    if all(hasattr(values, key) for key in ("low", "high", "step", "log")):  # Optuna's
        step = None if values.step == 1 and is_whole(values.low) else values.step
        return Range(values.low, values.high, step, values.log)
    if hasattr(values, "choices"):
        return Choices(name, values.choices)
    raise ParameterError(
        f"space: {name}={values!r}: give a list of values, or a Range such as "
        "Range(1e-4, 1e-1, log=True)"
    )


def label(value: Any) -> Label:
    """Return a value as a table holds it: numbers and text as they are, anything else as text.

    >>> label((128, 64)), label("adam"), label([])
    ('(128, 64)', 'adam', '()')
    """
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Part):
        return _call(value)
    return repr(tupled(value))


def _call(part: Part) -> str:
    """Return a part as a call, without what is at its default."""
    changed = [
        f"{field.name}={getattr(part, field.name)!r}"
        for field in dataclasses.fields(part)
        if getattr(part, field.name) != field.default
    ]
    return f"{type(part).__name__}({', '.join(changed)})"


def _labels(each: Domain) -> list[Label]:
    return each.labels if isinstance(each, Choices) else [each.low, each.high]
