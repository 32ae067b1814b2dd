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
    from . import figures as figures
    from . import latent as latent
    from .anomaly.detector import AnomalyDetector
    from .bottlenecks.table import Contractive, Gaussian, Plain, Rounded, Sparse
    from .codec.codec import Codec
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
    from .losses import Absolute, Bernoulli, GaussianLikelihood, Huber, Squared
    from .networks.conv import Conv
    from .networks.dense import Dense
    from .optimizers import (
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
    from .restoration import restore
    from .schedules import (
        Constant,
        Cosine,
        Exponential,
        Linear,
        OneCycle,
        Plateau,
        Step,
    )
    from .search.duplicates import near_duplicates
    from .search.index import LatentIndex

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
    "figures",
    "latent",
    "near_duplicates",
    "restore",
]

_HOMES = {
    "anomaly.detector": "AnomalyDetector",
    "codec.codec": "Codec",
    "restoration": "restore",
    "search.duplicates": "near_duplicates",
    "search.index": "LatentIndex",
    "corruptions": "Blur Downsample Erase GaussianNoise Grayscale Mask SaltAndPepper Watermark",
    "errors": "DataError FileError LatenteError MissingExtra ParameterError TrainingError "
    "TrainingWarning",
    "estimator": "Autoencoder",
    "bottlenecks.table": "Contractive Gaussian Plain Rounded Sparse",
    "networks.conv": "Conv",
    "networks.dense": "Dense",
    "losses": "Absolute Bernoulli GaussianLikelihood Huber Squared",
    "optimizers": "Adadelta Adagrad Adam AdamW Adamax LBFGS NAdam RAdam RMSprop SGD",
    "schedules": "Constant Cosine Exponential Linear OneCycle Plateau Step",
}
_HOME = {name: home for home, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    if name in ("datasets", "figures", "latent"):
        return import_module(f".{name}", __name__)
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
