"""A fitted model at work: codes, reconstructions, scores and samples of whole data sets.

::

    X ──input──▶ x ──model──▶ x̂ ──target──▶ X̂

Rows are run in blocks of one size (the last is filled up), so that a row's result does not depend
on which rows are beside it: matrix products round differently for different heights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sized
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .bottlenecks.base import Moment
from .bottlenecks.frequencies import Frequencies
from .data.arrays import as_array, as_numpy
from .data.batches import Batches, Blocks, PassingRows
from .data.preparation import Preparation
from .data.sources import ArraySource, Source
from .data.stream import Side, Stream
from .errors import DataError, ParameterError
from .model import Model
from .networks.base import ACTIVATIONS
from .training.distributed import ALONE, Processes

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Rows = Tensor | Blocks | PassingRows
Finish = Callable[[Floats], NDArray[Any]]
"""From a block of values to what is returned of it."""

BLOCK_NUMBERS = 2**18
"""About how many numbers a block's rows hold."""
LARGEST_BLOCK, SMALLEST_BLOCK = 1024, 16
STUDIED = 4096
"""Training rows that are studied after a fit."""
MANY_DEAD = 0.75
"""Share of a layer's units that give one value for all data, beyond which it is told."""


@dataclass
class Fitted:
    """A model with the scales of its input and its target, and what its codes turned out to be.

    Parameters
    ----------
    model
        On the device it runs on.
    input, target
        How inputs and targets are brought to the model's scale; one object where the input is its
        own target.
    seed
        Of everything random in the fit.
    codes
        Codes of some training rows, (m, latent), where `sample` draws near them; else (0, latent).
    tables
        How often each whole number comes in the codes, where they are whole numbers.
    summary
        What the bottleneck tells of the codes of training rows, and the layers' dead units.
    """

    model: Model
    input: Preparation
    target: Preparation
    seed: int
    codes: Floats
    tables: Frequencies | None = None
    summary: dict[str, Any] = field(default_factory=dict)
    processes: Processes = field(default=ALONE, init=False, repr=False, compare=False)
    """Those that share out whatever rows the model is used on; each gets the whole result."""

    @property
    def code_shape(self) -> tuple[int, ...]:
        """Shape of one code."""
        return self.model.network.code_shape

    @property
    def device(self) -> torch.device:
        """Where the model lies."""
        return next(self.model.parameters()).device

    @property
    def numbers(self) -> int:
        """How many numbers of work a row means, about."""
        return int(np.prod(self.input.shape) + np.prod(self.target.shape))

    @property
    def takes_mask(self) -> bool:
        """Whether the model was trained to fill in what is missing."""
        return self.model.corruption.takes_mask()

    @property
    def keeps_gaps(self) -> bool:
        """Whether NaN stands for what is missing."""
        return self.model.corruption.keeps_gaps()

    def widened(self, X: Any) -> Any:
        """Return samples in the shape of the fit's, where the corruption lets them have less."""
        return self.model.corruption.widened(X, self.input.layout.shape)

    def store(self, X: Any, name: str = "X") -> Tensor:
        """Return rows, checked, as a tensor of their compact type."""
        return self.input.store(self.widened(X), name)

    def open(self, X: Any) -> Blocks | PassingRows:
        """Return rows, checked, to be taken block by block."""
        return self.input.open(self.widened(X), "X")

    def open_pairs(
        self, X: Any, target: Any = None
    ) -> tuple[Blocks | PassingRows, Blocks | PassingRows | None]:
        """Return rows and targets, checked; None for the targets where they are the rows."""
        x = self.open(X)
        if self.target is self.input and target is None:
            return x, None
        y = self.target.open(X if target is None else target, "target")
        check_rows(x, y)
        return x, y

    def batches(self, X: Any, target: Any = None, name: str = "X") -> Batches:
        """Return rows and targets, checked, in their compact type on the model's device."""
        return self.rows(X, target, name).gathered()

    def rows(self, X: Any, target: Any = None, name: str = "X") -> Batches | Stream:
        """Return the same; those of a source stay where they are."""
        if isinstance(X, Source) or isinstance(target, Source):
            return self.stream(X, target, name)
        x = self.store(X, name)
        if self.target is self.input and target is None:
            return self.resident(x, None)
        return self.resident(x, self.target.store(X if target is None else target, "target"))

    def stream(self, X: Any, target: Any = None, name: str = "X") -> Stream:
        """Return rows and targets of sources, to be trained on where they are."""

        def side(rows: Any, kind: Preparation, what: str) -> Side:
            source = (
                rows if isinstance(rows, Source) else ArraySource(as_numpy(as_array(rows)), what)
            )
            return Side(source, partial(kind.store, name=what), kind.convert)

        x = side(X, self.input, name)
        if self.target is self.input and target is None:
            return Stream(x, None, self.device)
        aims = side(X if target is None else target, self.target, "target")
        check_rows(x, aims)
        return Stream(x, aims, self.device)

    def resident(self, x: Tensor, target: Tensor | None) -> Batches:
        """Return checked rows, and targets where there are any, on the model's device."""
        if target is None:
            return Batches(x.to(self.device), self.input.convert)
        check_rows(x, target)
        convert = (self.input.convert, self.target.convert)
        return Batches(x.to(self.device), convert[0], target.to(self.device), convert[1])

    def encode(self, X: Any) -> Floats:
        """Return the codes of rows, (n, latent)."""
        return self._run(lambda x: self.model.encode(x).flatten(1), self.open(X))

    def integers(self, X: Any) -> Integers:
        """Return the codes of rows as whole numbers, (n, numbers), where they are such."""

        def whole(x: Tensor) -> Tensor:
            return self.model.bottleneck.to_integers(self.model.encode(x))

        return self._run(whole, self.open(X), finish=lambda found: found.astype(np.int64))

    def decode(self, Z: Floats) -> Any:
        """Return what codes (n, latent) stand for, in the target's shape, scale and dtype.

        Raises
        ------
        ParameterError
            If the model's decoder needs more than a code.
        """
        codes = torch.from_numpy(Z).view(-1, *self.code_shape)
        return self._decoded(self.model.decode_alone, codes)

    def decode_integers(self, integers: Integers) -> Any:
        """Return what codes as whole numbers (n, numbers) stand for."""

        def decode(rows: Tensor) -> Tensor:
            return self.model.decode_alone(self.model.bottleneck.from_integers(rows))

        return self._decoded(decode, torch.from_numpy(integers))

    def reconstruct(self, X: Any, mask: Any = None) -> Any:
        """Return rows as they come back through their code."""
        if self.target.restores_rows:
            return self.restored(X, mask, finish=self.target.restore)
        return self.target.restore(self.restored(X, mask), X)

    def restored(self, X: Any, mask: Any = None, finish: Finish | None = None) -> NDArray[Any]:
        """Return the same in the model's shape and scale, (n, *output_shape).

        Parameters
        ----------
        X, mask
            As for `reconstruct`.
        finish
            What to make of each block, row by row.
        """
        rows = self.open(X)
        if mask is None:
            return self._run(self.model, rows, finish=finish)
        return self._run(self.model, rows, self._missing(mask, len(rows)), finish=finish)

    def begin(self, batches: Batches | Stream) -> None:
        """Let the corruption look at training rows before the first step."""
        if not self.keeps_gaps:
            return
        sample = batches.sample
        rows = sample.take(torch.arange(len(sample), device=self.device))[0]
        with torch.no_grad():
            self.model.corruption.begin(rows, torch.Generator().manual_seed(self.seed))

    def impute(self, X: Any) -> Any:
        """Return rows with what is missing filled, and all else as it is.

        Raises
        ------
        ParameterError
            If the model was not trained to fill gaps.
        """
        self.require_gaps()
        return self.input.fill(X, self._run(self.model, self.open(X)))

    def require_gaps(self) -> None:
        """Raise `ParameterError` unless the model was trained to fill gaps."""
        if not self.keeps_gaps or self.target is not self.input:
            raise ParameterError(
                "this model was not trained to fill gaps; fit it with corruption='gaps' and "
                "without a target, or use Imputer()"
            )

    def score(self, X: Any, target: Any = None) -> Floats:
        """Return minus the loss of each row through its deterministic code, (n,)."""

        def negative_loss(x: Tensor, y: Tensor) -> Tensor:
            moment = Moment(torch.Generator(x.device).manual_seed(0))
            return -self.model.evaluate(x, y, moment)["total"]

        return self._per_row(negative_loss, X, target)

    def error(self, X: Any, target: Any = None) -> Floats:
        """Return the mean squared error of each row in the model's scale, (n,)."""

        def squared(x: Tensor, y: Tensor) -> Tensor:
            output = self.model(x)
            return self.model.loss.error(output, known(y, output))

        return self._per_row(squared, X, target)

    def differences(self, X: Any, target: Any = None) -> Floats:
        """Return what the reconstruction adds to each value in the model's scale, (n, *shape)."""

        def difference(x: Tensor, y: Tensor) -> Tensor:
            output: Tensor = self.model(x)
            return output - known(y, output)

        return self._per_row(difference, X, target)

    def log_likelihood(self, X: Any, samples: int, seed: int) -> Floats:
        """Estimate ``log p(x)`` in nats by importance sampling (Burda et al., 2016), (n,).

        Raises
        ------
        ParameterError
            If codes have no distribution, or the loss is no likelihood.
        """
        generator = torch.Generator(self.device).manual_seed(seed)

        def estimate(x: Tensor, y: Tensor) -> Tensor:
            h = self.model.hidden(x)
            at_once = max(1, 4 * BLOCK_NUMBERS // max(y.numel(), 1))
            parts = [
                self.model.log_ratio(h, y, min(at_once, samples - start), generator)
                for start in range(0, samples, at_once)
            ]
            return torch.cat(parts).logsumexp(0) - math.log(samples)

        return self._per_row(estimate, X, None)

    def sample(self, n: int, seed: int) -> Any:
        """Return n new rows: from the prior, or near the codes of the training rows."""
        generator = torch.Generator(self.device).manual_seed(seed)
        self.model.require_alone()
        with torch.no_grad():
            z = self.model.sample(n, generator, self.codes).flatten(1)
        return self.decode(z.float().cpu().numpy())

    def study(self, batches: Batches | Stream) -> str | None:
        """Look at training rows once the weights are final.

        Returns
        -------
        str or None
            A sentence about codes or units that are not as they should be.
        """
        sample = batches.sample
        order = np.random.default_rng(self.seed).permutation(len(sample))[:STUDIED]
        index = torch.from_numpy(np.sort(order)).to(self.device)
        blocks = torch.split(index, block_rows(self.numbers))
        generator = torch.Generator(self.device).manual_seed(self.seed)
        bottleneck = self.model.bottleneck
        with torch.no_grad():
            dead = dead_units(self.model, (sample.take(block)[0] for block in blocks))
            hidden = [self.model.hidden(sample.take(block)[0]) for block in blocks]
            h, z = torch.cat(hidden), torch.cat([bottleneck.code(part) for part in hidden])
            self.summary = bottleneck.describe(h, generator)
            self.tables = bottleneck.tables(z)
            self.codes = bottleneck.keep(z.flatten(1).float().cpu().numpy(), self.seed)
            warning = bottleneck.warn(h, generator)
        if self.model.network.needs_input():
            self.codes = self.codes[:0]
        self.summary["dead_units"] = {name: list(counts) for name, counts in dead.items()}
        warning = warning or describe_dead(dead)
        if warning is not None:
            self.summary["warning"] = warning
        return warning

    def _missing(self, mask: Any, rows: int) -> Blocks:
        """Return a mask as corruptions take it, (n, 1, h, w), or say what is wrong with it."""
        self.model.corruption.require_mask()
        missing = np.asarray(mask)
        right = (rows, *self.input.shape[1:])
        if missing.shape != right:
            raise DataError(
                f"mask has shape {missing.shape}, but it goes with X pixel by pixel: "
                f"{right}, True where a pixel is missing"
            )
        return Blocks(missing, lambda part: (torch.as_tensor(part) != 0)[:, None])

    def _decoded(self, function: Callable[[Tensor], Tensor], rows: Tensor) -> Any:
        if self.target.restores_rows:
            return self._applied(function, rows, finish=self.target.restore)
        return self.target.restore(self._applied(function, rows))

    def _run(
        self, function: Callable[..., Tensor], stored: Rows, *more: Rows,
        finish: Finish | None = None,
    ) -> NDArray[Any]:  # fmt: skip
        """Apply a function of inputs in the model's scale, and of whatever goes with them."""

        def converted(rows: Tensor, *others: Tensor) -> Tensor:
            return function(self.input.convert(rows), *others)

        return self._applied(converted, stored, *more, finish=finish)

    def _per_row(self, function: Callable[[Tensor, Tensor], Tensor], X: Any, target: Any) -> Floats:
        """Apply a function of inputs and targets in the model's scale."""
        x, y = self.open_pairs(X, target)
        if y is None:
            return self._run(lambda rows: function(rows, rows), x)
        return self._run(lambda rows, aims: function(rows, self.target.convert(aims)), x, y)

    def _applied(
        self, function: Callable[..., Tensor], *rows: Rows, finish: Finish | None = None
    ) -> NDArray[Any]:
        return run(
            function, *rows, device=self.device, numbers=self.numbers, finish=finish,
            processes=self.processes,
        )  # fmt: skip


def known(target: Tensor, output: Tensor) -> Tensor:
    """Return targets, with what is missing in them as it was reconstructed."""
    return torch.where(target.isnan(), output, target)


def block_rows(numbers: int) -> int:
    """Return how many rows of that many numbers make a block: a power of two."""
    rows = max(BLOCK_NUMBERS // max(numbers, 1), 1)
    return int(min(max(2 ** int(math.log2(rows)), SMALLEST_BLOCK), LARGEST_BLOCK))


def check_rows(x: Sized, target: Sized) -> None:
    """Raise `DataError` unless there are as many targets as rows."""
    if len(target) != len(x):
        raise DataError(f"target has {len(target)} rows but X has {len(x)}; they go row by row")


def filled(block: Tensor, size: int) -> Tensor:
    """Return a block of exactly ``size`` rows, zeros behind those it has."""
    short = size - len(block)
    return torch.cat([block, block.new_zeros((short, *block.shape[1:]))]) if short else block


def run(
    function: Callable[..., Tensor],
    *rows: Rows,
    device: torch.device,
    numbers: int,
    finish: Finish | None = None,
    processes: Processes = ALONE,
) -> NDArray[Any]:
    """Apply a function of batches to all rows; beyond the result it takes the memory of a block.

    ::

        rows (n, ...) ──block by block──▶ function ──▶ finish ──▶ result (n, ...)

    Parameters
    ----------
    function
        From batches on the device to a batch.
    rows
        What to apply it to, on any device: one argument or several that go row by row.
    device
        Where to compute.
    numbers
        How many numbers of work a row means; it sets the block's size.
    finish
        What to make of a block of the function's values, row by row; by itself they are left, in
        float32.
    processes
        Those that share out the rows; each has to have all of them, and gets the whole result.
    """
    n, size = len(rows[0]), block_rows(numbers)
    sizes = processes.blocks(n, size)
    own = sizes[processes.rank]
    # One without rows runs a block all the same, to know what a row's result looks like.
    first = sum(sizes[: processes.rank]) if own else 0
    last = first + own if own else min(size, n)
    result: NDArray[Any] | None = None
    with torch.no_grad():
        for start in range(first, last, size):
            stop = min(start + size, last)
            taken = [filled(each[start:stop], size).to(device) for each in rows]
            values = function(*taken)[: stop - start].detach()
            values = values.float() if values.is_floating_point() else values
            part = values.cpu().numpy() if finish is None else finish(values.cpu().numpy())
            if result is None:
                result = np.empty((last - first, *part.shape[1:]), part.dtype)
            result[start - first : stop - first] = part
    assert result is not None
    return result if processes.alone else processes.gathered(result[:own], sizes)


def dead_units(model: Model, rows: Iterable[Tensor]) -> dict[str, tuple[int, int]]:
    """Return how many units of each activated layer give one value for all samples, of how many.

    Parameters
    ----------
    model
        Ready for use.
    rows
        Batches in the model's scale; each is gone through once.
    """
    extremes: dict[str, list[Tensor]] = {}

    def watch(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def look(module: nn.Module, inputs: Any, output: Tensor) -> None:
            units = output.detach().transpose(0, 1).flatten(1).float()
            low, high = units.amin(1), units.amax(1)
            if name in extremes:
                low = torch.minimum(low, extremes[name][0])
                high = torch.maximum(high, extremes[name][1])
            extremes[name] = [low, high]

        return look

    kinds = set(ACTIVATIONS.values()) - {"Identity"}
    handles = [
        module.register_forward_hook(watch(name))
        for name, module in model.network.named_modules()
        if type(module).__name__ in kinds
    ]
    first: Tensor | None = None
    same = True
    try:
        for x in rows:
            first = x[:1].clone() if first is None else first
            same = same and bool((x == first).all())
            model(x)
    finally:
        for handle in handles:
            handle.remove()
    if same:
        return {}  # one and the same sample: every unit is constant
    return {
        name: (int((high - low <= 1e-6 * high.abs().clamp(min=1e-6)).sum()), len(high))
        for name, (low, high) in extremes.items()
    }


def describe_dead(dead: dict[str, tuple[int, int]]) -> str | None:
    """Return a sentence on the layer with the largest share of dead units, if that is large."""
    if not dead:
        return None
    name, (count, units) = max(dead.items(), key=lambda item: item[1][0] / item[1][1])
    if count <= MANY_DEAD * units:
        return None
    return (
        f"{count} of {units} units of the layer {name} give the same value for all data, so that "
        "the network is smaller than it looks; try a smaller learning_rate, or "
        "activation='leaky_relu'"
    )
