"""Autoencoders as estimators: fit a network that gives each sample a short code, and use the code.

>>> from latente import Autoencoder
>>> model = Autoencoder(latent_dim=2).fit(X)  # doctest: +SKIP
>>> Z = model.transform(X)  # doctest: +SKIP

Each public name is loaded, and torch with it, when it is first asked for. The parts of every family
are public by the names of their classes.
"""

from __future__ import annotations

from importlib import import_module

from .families import FAMILIES
from .version import __version__

TYPE_CHECKING = False  # as type checkers understand it, without the cost of importing typing

if TYPE_CHECKING:
    from typing import Any

    from . import datasets as datasets
    from . import figures as figures
    from . import latent as latent
    from . import recipes as recipes
    from .anomaly.detector import AnomalyDetector as AnomalyDetector
    from .anomaly.pyod import PyODAdapter as PyODAdapter
    from .arrow import ArrowEncoder as ArrowEncoder
    from .arrow import ArrowScorer as ArrowScorer
    from .codec.codec import Codec as Codec
    from .errors import DataError as DataError
    from .errors import DataWarning as DataWarning
    from .errors import FileError as FileError
    from .errors import LatenteError as LatenteError
    from .errors import MissingExtra as MissingExtra
    from .errors import ParameterError as ParameterError
    from .errors import TrainingError as TrainingError
    from .errors import TrainingWarning as TrainingWarning
    from .estimator import Autoencoder as Autoencoder
    from .imputation import Imputer as Imputer
    from .latent.dimension import intrinsic_dimension as intrinsic_dimension
    from .restoration import restore as restore
    from .search.duplicates import near_duplicates as near_duplicates
    from .search.index import LatentIndex as LatentIndex
    from .study.space import Range as Range
    from .study.study import Study as Study

_PARTS = {cls: table for table in FAMILIES.values() for cls in table.classes}
_PACKAGES = ("datasets", "figures", "latent", "recipes")
_HOMES = {
    "AnomalyDetector": "anomaly.detector",
    "ArrowEncoder": "arrow",
    "ArrowScorer": "arrow",
    "Autoencoder": "estimator",
    "Codec": "codec.codec",
    "Imputer": "imputation",
    "LatentIndex": "search.index",
    "PyODAdapter": "anomaly.pyod",
    "Range": "study.space",
    "Study": "study.study",
    "intrinsic_dimension": "latent.dimension",
    "near_duplicates": "search.duplicates",
    "restore": "restoration",
    "DataError": "errors",
    "DataWarning": "errors",
    "FileError": "errors",
    "LatenteError": "errors",
    "MissingExtra": "errors",
    "ParameterError": "errors",
    "TrainingError": "errors",
    "TrainingWarning": "errors",
}

__all__ = ["__version__", *_PACKAGES, *_HOMES, *_PARTS]


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return import_module(f".{name}", __name__)
    if name in _PARTS:
        return _PARTS[name][_PARTS[name].classes[name]]
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
