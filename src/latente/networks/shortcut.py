"""Shortcut: a linear map beside the layers of each half, so that a network begins as PCA."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn

from ..data.space import Shape
from ..parts import require
from .base import Network, NetworkModule, Pace, Samples
from .layers import DenseLayer, initialized, start_at_zero

MOST_VALUES = 16_000_000
LEAST_ROWS = 2_000
"""Values of training rows that principal components are taken of, and the least number of rows."""
TINY = 1e-6
"""Spread of a code's number below which it is not enlarged."""
EXACT = 1024
"""Rows or features, whichever is fewer, up to which components come from all eigenvectors."""
OVERSAMPLING = 32
ROUNDS = 10
"""Further directions, and multiplications by the data, of the randomised search beyond that."""
AT_ONCE = 2**22
"""Values that are brought to double precision at a time."""
RIDGE = 1e-6
"""Share of the largest variance that is added to all, so that codes without any do no harm."""


QUICK = Pace(
    schedule="one_cycle",
    rate=5.0,
    batches=((math.inf, 256),),
    updates=1_500,
    many=5_000,
    epochs=(2, 400),
    patience=0.7,
)
"""Networks that begin as PCA need few updates, and their learning rate to end at nothing."""


class ShortcutModule(NetworkModule):
    """Two halves with a linear map beside the layers of each, which learn what it leaves.

    ::

        h = W x + b + f(x)        raw = V z + c + g(z)

    W begins as the principal components of the training rows, V as the linear way back of least
    squared error, f and g as 0 (compare He et al., 2016): the first reconstruction is that of PCA.

    Parameters
    ----------
    encoder, decoder
        f and g, each with a layer last whose output is 0 if its weights are; None for none.
    features
        Values in a sample as the encoder sees it.
    code
        Numbers in a code.
    per_code
        How many numbers the encoder gives for each of them; the first is the principal component.
    outputs
        Shape of raw.
    generator
        Source of the weights of linear maps that see no rows before they are used.
    """

    encoder: Shortcut
    decoder: Shortcut

    def __init__(
        self,
        encoder: nn.Module | None,
        decoder: nn.Module | None,
        features: int,
        code: int,
        per_code: int,
        outputs: Shape,
        generator: Generator,
    ) -> None:
        to_code = Shortcut(features, (per_code * code,), encoder, generator)
        from_code = Shortcut(code, outputs, decoder, generator)
        super().__init__(to_code, from_code, (code,))

    def begin(self, samples: Samples, spread: float | None, generator: Generator) -> int:
        linear = self.encoder.linear
        (k,) = self.code_shape
        rows = max(MOST_VALUES // linear.in_features, LEAST_ROWS)
        x, _ = samples(rows)
        found = principal_components(x.flatten(1), k, generator)
        weight = found.directions
        if spread is not None:
            weight = weight * (spread / found.spreads.clamp(min=TINY))[:, None]
        place(linear, weight, -weight @ found.mean)
        return rows

    def regress(self, z: Tensor, raw: Tensor) -> None:
        place(self.decoder.linear, *least_squares(z.flatten(1), raw.flatten(1)))


class Shortcut(nn.Module):
    """A linear map, and what deeper layers add to it: nothing at first.

    ::

        x (n, ...) ──flatten──▶ W x + b ──▶ (n, *outputs)  +  deep(x)

    Parameters
    ----------
    features
        Values in x.
    outputs
        Shape of y.
    deep
        From x to y; its last layer is set to 0. None adds nothing ever.
    generator
        Source of the first weights of the map.
    """

    def __init__(
        self, features: int, outputs: Shape, deep: nn.Module | None, generator: Generator
    ) -> None:
        super().__init__()
        self.linear = initialized(DenseLayer(features, math.prod(outputs)), generator)
        self.outputs = outputs
        self.deep = deep
        if deep is not None:
            start_at_zero(deep)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear(x.flatten(1)).unflatten(1, self.outputs)
        return y if self.deep is None else y + self.deep(x)


def pace_of(shortcut: str) -> Pace:
    """Return how a network with the shortcut of that name is best trained."""
    return Pace() if shortcut == "none" else QUICK


def place(linear: nn.Linear, weight: Tensor, bias: Tensor) -> None:
    """Give a layer weights (m, features) and biases (m,) for its first m outputs, and 0 behind."""
    for parameter, values in ((linear.weight, weight), (linear.bias, bias)):
        parameter.zero_()
        parameter[: len(values)] = values


def require_shortcut(part: Network, value: object, against: Mapping[str, bool]) -> None:
    """Raise `ParameterError` unless the network can have the shortcut of that name.

    Parameters
    ----------
    part
        The description.
    value
        The shortcut asked for.
    against
        Parameters that do not go with a shortcut, and whether they are set.
    """
    require(value in ("none", "pca"), part, "shortcut", value, "'none' or 'pca'")
    outputs = ("auto", "identity", "sigmoid")
    others = {"output_activation": part.output_activation not in outputs}
    for name, given in {**against, **others}.items():
        wanted = f"'none' with {name}={getattr(part, name)!r}"
        require(value == "none" or not given, part, "shortcut", value, wanted)


class Components(NamedTuple):
    """Directions of the largest variance."""

    mean: Tensor
    """Of the rows, (features,)."""
    directions: Tensor
    """Orthonormal, the first with the largest variance, (k, features)."""
    spreads: Tensor
    """Standard deviation of the rows along each direction, (k,)."""


def principal_components(rows: Tensor, k: int, generator: Generator) -> Components:
    """Return the principal components of rows.

    Exact where rows or features are few; otherwise by a randomised search (Halko, Martinsson and
    Tropp, 2011, algorithm 4.4). Directions beyond the rank of the rows are random ones.

    Parameters
    ----------
    rows
        Shape (n, features), n at least 1.
    k
        How many, also more than there are.
    generator
        Source of the random numbers, on the rows' device.
    """
    n, features = rows.shape
    centred = Centred(rows)
    rank = min(k, n, features)
    few = min(n, features) <= EXACT
    found = _exact(centred, rank) if few else _searched(centred, rank, generator)
    directions = _orthonormal(_completed(found, k, generator))
    spreads = centred.times(directions.T).square().mean(0).sqrt()
    return Components(centred.mean.float(), directions.float(), spreads.float())


class Centred:
    """Rows less their mean, in double precision, of which only a part is ever in memory.

    Parameters
    ----------
    rows
        Shape (n, features).
    """

    def __init__(self, rows: Tensor) -> None:
        self.rows = rows
        parts = torch.split(rows, self._size(1))
        self.mean = torch.stack([part.double().sum(0) for part in parts]).sum(0) / len(rows)

    @property
    def shape(self) -> torch.Size:
        """(n, features)."""
        return self.rows.shape

    def times(self, weights: Tensor) -> Tensor:
        """Return the rows times weights (features, m)."""
        return torch.cat([part @ weights for part in self._parts()])

    def combined(self, weights: Tensor) -> Tensor:
        """Return weights (m, n) times the rows."""
        parts = zip(torch.split(weights, self._size(1), 1), self._parts(), strict=True)
        return _total(weight @ part for weight, part in parts)

    def covariances(self) -> Tensor:
        """Return the products of all pairs of features, summed over the rows."""
        return _total(part.T @ part for part in self._parts())

    def products(self) -> Tensor:
        """Return the products of all pairs of rows, summed over the features."""
        size = self._size(0)
        pairs = zip(torch.split(self.rows, size, 1), torch.split(self.mean, size), strict=True)
        centred = (part.double() - mean for part, mean in pairs)
        return _total(part @ part.T for part in centred)

    def _size(self, axis: int) -> int:
        """Return how many rows, or features, are taken at a time, given the length of the other."""
        return max(1, AT_ONCE // max(self.rows.shape[axis], 1))

    def _parts(self) -> Iterator[Tensor]:
        return (part.double() - self.mean for part in torch.split(self.rows, self._size(1)))


def _total(terms: Iterator[Tensor]) -> Tensor:
    """Return the sum of tensors, added to the first of them."""
    total = next(terms)
    for term in terms:
        total += term
    return total


def least_squares(codes: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return weight (outputs, k) and bias (outputs,) that give targets of codes with least squares.

    Parameters
    ----------
    codes
        Shape (n, k).
    targets
        Shape (n, outputs).
    """
    codes, wide = codes.double(), Centred(targets)
    centre, level = codes.mean(0), wide.mean
    codes = codes - centre
    gram = codes.T @ codes
    ridge = RIDGE * gram.diagonal().max().clamp(min=torch.finfo(torch.float32).tiny)
    gram.diagonal().add_(ridge)
    weight: Tensor = torch.linalg.solve(gram, wide.combined(codes.T)).T
    return weight.float(), (level - weight @ centre).float()


def _exact(rows: Centred, k: int) -> Tensor:
    """Return the first k right singular vectors of centred rows, (k, features)."""
    n, features = rows.shape
    if features <= n:
        vectors: Tensor = torch.linalg.eigh(rows.covariances()).eigenvectors
        return vectors.flip(1)[:, :k].T
    values, left = torch.linalg.eigh(rows.products())
    scale = values.clamp(min=torch.finfo(values.dtype).tiny).sqrt()
    return rows.combined((left / scale).flip(1)[:, :k].T)


def _searched(rows: Centred, k: int, generator: Generator) -> Tensor:
    """Return nearly the first k right singular vectors of centred rows, (k, features)."""
    width = min(k + OVERSAMPLING, *rows.shape)
    basis = rows.mean.new_empty(rows.shape[1], width).normal_(generator=generator)
    for _ in range(ROUNDS):
        basis = torch.linalg.qr(rows.combined(rows.times(basis).T).T).Q
    small: Tensor = torch.linalg.svd(rows.times(basis), full_matrices=False).Vh
    found: Tensor = small[:k] @ basis.T
    return found


def _completed(directions: Tensor, k: int, generator: Generator) -> Tensor:
    """Return directions with random ones behind them, k in all."""
    missing = k - len(directions)
    drawn = directions.new_empty(missing, directions.shape[1]).normal_(generator=generator)
    return torch.cat([directions, drawn])


def _orthonormal(directions: Tensor) -> Tensor:
    """Return directions of length 1, each orthogonal to those before it as far as there is room."""
    room = min(directions.shape)
    basis = torch.linalg.qr(directions[:room].T).Q.T
    beyond = directions[room:]
    return torch.cat([basis, beyond / beyond.norm(dim=1, keepdim=True)])
