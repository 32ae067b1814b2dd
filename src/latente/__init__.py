"""Autoencoders as estimators: fit a network that gives each sample a short code, and use the code.

>>> from latente import Autoencoder
>>> model = Autoencoder(latent_dim=2).fit(X)  # doctest: +SKIP
>>> Z = model.transform(X)  # doctest: +SKIP

Each public name is loaded, and torch with it, when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module

from .version import __version__

TYPE_CHECKING = False  # as type checkers understand it, without the cost of importing typing

if TYPE_CHECKING:
    from . import datasets as datasets
    from . import latent as latent
    from .apps.anomaly.detector import AnomalyDetector
    from .apps.codec.codec import Codec
    from .apps.restoration import restore
    from .apps.search.duplicates import near_duplicates
    from .apps.search.index import LatentIndex
    from .corruptions import (
        Blur,
        Downsample,
        Erase,
        GaussianNoise,
        Grayscale,
        Mask,
        SaltAndPepper,
        Watermark,
    )
    from .errors import (
        DataError,
        FileError,
        LatenteError,
        MissingExtra,
        ParameterError,
        TrainingError,
        TrainingWarning,
    )
    from .estimator import Autoencoder
    from .model.bottlenecks import Contractive, Gaussian, Plain, Rounded, Sparse
    from .model.conv import Conv
    from .model.dense import Dense
    from .model.losses import Absolute, Bernoulli, GaussianLikelihood, Huber, Squared
    from .training.optimizers import (
        LBFGS,
        SGD,
        Adadelta,
        Adagrad,
        Adam,
        Adamax,
        AdamW,
        NAdam,
        RAdam,
        RMSprop,
    )
    from .training.schedules import (
        Constant,
        Cosine,
        Exponential,
        Linear,
        OneCycle,
        Plateau,
        Step,
    )

__all__ = [
    "LBFGS",
    "SGD",
    "Absolute",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "AnomalyDetector",
    "Autoencoder",
    "Bernoulli",
    "Blur",
    "Codec",
    "Constant",
    "Contractive",
    "Conv",
    "Cosine",
    "DataError",
    "Dense",
    "Downsample",
    "Erase",
    "Exponential",
    "FileError",
    "Gaussian",
    "GaussianLikelihood",
    "GaussianNoise",
    "Grayscale",
    "Huber",
    "LatentIndex",
    "LatenteError",
    "Linear",
    "Mask",
    "MissingExtra",
    "NAdam",
    "OneCycle",
    "ParameterError",
    "Plain",
    "Plateau",
    "RAdam",
    "RMSprop",
    "Rounded",
    "SaltAndPepper",
    "Sparse",
    "Squared",
    "Step",
    "TrainingError",
    "TrainingWarning",
    "Watermark",
    "__version__",
    "datasets",
    "latent",
    "near_duplicates",
    "restore",
]

_HOMES = {
    "apps.anomaly.detector": "AnomalyDetector",
    "apps.codec.codec": "Codec",
    "apps.restoration": "restore",
    "apps.search.duplicates": "near_duplicates",
    "apps.search.index": "LatentIndex",
    "corruptions": "Blur Downsample Erase GaussianNoise Grayscale Mask SaltAndPepper Watermark",
    "errors": "DataError FileError LatenteError MissingExtra ParameterError TrainingError "
    "TrainingWarning",
    "estimator": "Autoencoder",
    "model.bottlenecks": "Contractive Gaussian Plain Rounded Sparse",
    "model.conv": "Conv",
    "model.dense": "Dense",
    "model.losses": "Absolute Bernoulli GaussianLikelihood Huber Squared",
    "training.optimizers": "Adadelta Adagrad Adam AdamW Adamax LBFGS NAdam RAdam RMSprop SGD",
    "training.schedules": "Constant Cosine Exponential Linear OneCycle Plateau Step",
}
_HOME = {name: home for home, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    if name in ("datasets", "latent"):
        return import_module(f".{name}", __name__)
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
