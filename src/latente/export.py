"""ONNX: the networks for other programs, checked against torch before they are left.

::

    encoder.onnx    input (batch, ...), as the data come  ──▶ code (batch, latent)
    decoder.onnx    code (batch, latent)  ──▶ output (batch, ...), in the scale of the data

    restorer.onnx   input ──▶ output, where skip connections or a residual make them one

A model that is told which pixels are missing takes pictures with one channel more, 1 there and 0
elsewhere.

Exported through `torch.onnx.export`: https://docs.pytorch.org/docs/stable/onnx_export.html
"""

from __future__ import annotations

import copy
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from .errors import FileError, MissingExtra, ParameterError
from .model import Decoder, Encoder
from .storage.files import StrPath, staging
from .version import __version__

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .data.preparation import Preparation
    from .fitted import Fitted

LIBRARIES = ("onnx", "onnxscript", "onnxruntime")
OPSET = 20
"""Version of ONNX's operators that is written; a file names it too."""
EXAMPLES = 16
"""Rows from which the batches of the check are drawn."""
BATCHES = (1, 2, 7, 1, 2, 7)
"""Sizes of the batches on which an exported network is compared with torch."""
TOLERANCE = 1e-4
"""Difference that is let pass, as a share of the largest output."""
LARGEST_FILE = 2_000_000_000
"""Bytes of weights beyond which they go to a file beside: protobuf ends at 2 GiB."""


class RawInput(nn.Module):
    """Samples as they come, brought to the model's shape and scale.

    ::

        input (n, *shape) ──▶ x, None           with a mask, (n, h, w, c + 1) ──▶ x, mask

    Parameters
    ----------
    preparation
        Of the samples.
    masked
        Whether the last channel of the input tells which pixels are missing.
    """

    def __init__(self, preparation: Preparation, masked: bool) -> None:
        super().__init__()
        self.layout = preparation.layout
        self.scale = preparation.scaling_map.module()
        self.padded = preparation.sequences is not None
        self.masked = masked

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        if self.padded:
            return x, None
        if not self.masked:
            return self.scale(self.layout.to_model_shape(x)), None
        picture, mask = x[..., :-1], x[..., -1:] >= 0.5
        return self.scale(picture.movedim(3, 1)), mask.movedim(3, 1)


class RawEncoder(nn.Module):
    """An encoder that takes samples as they come.

    ::

        input (n, *shape) ──▶ model's shape and scale ──encoder──▶ code (n, latent)
    """

    def __init__(self, encoder: nn.Module, preparation: Preparation, masked: bool) -> None:
        super().__init__()
        self.entry = RawInput(preparation, masked)
        self.encoder = encoder

    def forward(self, x: Tensor) -> Tensor:
        sample, mask = self.entry(x)
        code: Tensor = self.encoder(sample) if mask is None else self.encoder(sample, mask)
        return code.flatten(1)


class RawDecoder(nn.Module):
    """A decoder that gives samples as they come, not rounded.

    ::

        code (n, latent) ──decoder──▶ model's shape and scale ──▶ output (n, *shape)
    """

    def __init__(
        self, decoder: nn.Module, preparation: Preparation, code_shape: tuple[int, ...]
    ) -> None:
        super().__init__()
        padded = preparation.sequences is not None
        self.shape = preparation.shape if padded else preparation.layout.shape
        self.unscale = nn.Identity() if padded else preparation.scaling_map.inverse_module()
        self.decoder = decoder
        self.code_shape = code_shape

    def forward(self, z: Tensor) -> Tensor:
        x: Tensor = self.unscale(self.decoder(z.reshape(-1, *self.code_shape)))
        return x.movedim(1, 3) if len(self.shape) == 3 else x.reshape(-1, *self.shape)


class RawRestorer(nn.Module):
    """A whole model that takes samples and gives them restored, as they come.

    ::

        input (n, *shape) ──model──▶ output (n, *shape), not rounded
    """

    def __init__(self, fitted: Fitted, masked: bool) -> None:
        super().__init__()
        self.entry = RawInput(fitted.input, masked)
        self.model = fitted.model
        self.exit = RawDecoder(nn.Identity(), fitted.target, fitted.target.shape)

    def forward(self, x: Tensor) -> Tensor:
        return self.exit(self.model(*self.entry(x)))  # type: ignore[no-any-return]


def export_onnx(fitted: Fitted, folder: StrPath) -> tuple[Path, ...]:
    """Write the networks of a fitted model, the scaling of the data included.

    They take and give float32 in the shape and scale of the data; of a data frame with columns
    that are encoded, the encoded matrix; of texts and sequences of several lengths, the padded
    array in the model's scale, (n, T, d + 1), whose last feature is 1 where a step exists.

    Parameters
    ----------
    fitted
        What a fit left behind.
    folder
        Where ``encoder.onnx`` and ``decoder.onnx`` are written, or ``restorer.onnx`` where a code
        alone cannot be decoded; made if it is not there.

    Returns
    -------
    tuple of Path
        The files.

    Raises
    ------
    FileError
        If the files cannot be written, or give other values than torch; none is left then.
    MissingExtra
        If ONNX's libraries are not installed.
    """
    if fitted.keeps_gaps:
        raise ParameterError(
            "a model trained under Gaps cannot be exported: ONNX has no way to solve the equations "
            "by which it fills what is missing"
        )
    masked = fitted.model.corruption.shows_mask()
    examples = _examples(fitted.input)
    if masked:
        flat = examples.reshape(*examples.shape[:3], -1)
        examples = torch.cat([flat, (flat[..., :1] > flat.mean()).to(flat)], -1)
    if fitted.model.network.needs_input():
        return _export([("restorer", RawRestorer(fitted, masked), "output")], examples, folder)
    decoder = RawDecoder(Decoder(fitted.model), fitted.target, fitted.code_shape)
    encoder = RawEncoder(Encoder(fitted.model), fitted.input, masked)
    return export_modules(encoder, decoder, examples, folder)


def _examples(preparation: Preparation) -> Tensor:
    """Return random samples as they come, within the range that the fit has seen."""
    low, high = preparation.range
    generator = torch.Generator().manual_seed(0)
    inside = low + (high - low) * torch.rand(EXAMPLES, *preparation.shape, generator=generator)
    raw = RawDecoder(nn.Identity(), preparation, preparation.shape)
    with torch.no_grad():
        return raw(inside.flatten(1))  # type: ignore[no-any-return]


def export_modules(
    encoder: nn.Module, decoder: nn.Module, examples: Tensor, folder: StrPath
) -> tuple[Path, Path]:
    """Write two modules as ``encoder.onnx`` and ``decoder.onnx``, checked against torch.

    Parameters
    ----------
    encoder, decoder
        From samples to codes and back, each with one input and one output whose first axis is the
        batch; on any device.
    examples
        Some samples, (m, ...).
    folder
        Where to; made if it is not there.

    Returns
    -------
    tuple of Path
        The two files.

    Raises
    ------
    FileError
        If a module cannot be exported, a file cannot be written or gives other values than torch.
    MissingExtra
        If ONNX's libraries are not installed.
    """
    chain = [("encoder", encoder, "code"), ("decoder", decoder, "output")]
    written = _export(chain, examples, folder)
    return written[0], written[1]


def _export(
    chain: list[tuple[str, nn.Module, str]], examples: Tensor, folder: StrPath
) -> tuple[Path, ...]:
    """Write modules of which each takes what the one before gives: their names and outputs' names.

    Nothing is left unless all could be written.
    """
    missing = [name for name in LIBRARIES if find_spec(name) is None]
    if missing:
        raise MissingExtra(
            f"ONNX export needs {missing[0]}, which is not installed: pip install 'latente[onnx]'"
        )
    values, given = examples.detach().cpu(), "input"
    with staging(folder) as stage:
        for name, original, output in chain:
            module = copy.deepcopy(original).cpu().eval()
            _write(module, values, stage / f"{name}.onnx", (given, output))
            with torch.no_grad():
                values, given = module(values), output
    return tuple(Path(folder) / f"{name}.onnx" for name, _, _ in chain)


def _write(module: nn.Module, examples: Tensor, path: Path, names: tuple[str, str]) -> None:
    """Write one module, or raise `FileError` if what was written differs from it."""
    weights = [*module.parameters(), *module.buffers()]
    size = sum(tensor.numel() * tensor.itemsize for tensor in weights)
    try:
        with quiet():
            program = _program(module, examples[:3], names)
            program.save(path, external_data=size > LARGEST_FILE)
            difference, largest = _difference(module, examples, path, names)
    except OSError:
        raise
    except Exception as error:  # what exporter and runtime raise differs by release
        why = " ".join(str(error.__cause__ or error).split())[:200]
        raise FileError(f"the {path.stem} cannot be written as ONNX: {why}") from error
    if not difference <= TOLERANCE * largest + 1e-6:
        raise FileError(
            f"{path.name} is not left: it differs from torch by up to {difference:.2g} "
            f"where values reach {largest:.2g}"
        )


def _program(module: nn.Module, examples: Tensor, names: tuple[str, str]) -> Any:
    """Return the module as an ONNX program whose first axis may be of any length."""
    program = torch.onnx.export(
        module,
        (examples,),
        dynamo=True,
        verbose=False,
        input_names=names[:1],
        output_names=names[1:],
        opset_version=OPSET,
        dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
    )
    assert program is not None
    graphs: list[Any] = [program.model.graph, *program.model.functions.values()]
    for graph in graphs:
        for node in graph.all_nodes():
            # Where a node comes from in the source: paths of this machine, larger than the network.
            node.metadata_props.clear()
    program.model.producer_name, program.model.producer_version = "latente", __version__
    return program


def _difference(
    module: nn.Module, examples: Tensor, path: Path, names: tuple[str, str]
) -> tuple[float, float]:
    """Return the largest difference from torch over some batches, and the largest value of all."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(1)
    spread = 0.1 * examples.std(0, correction=0)
    difference = largest = 0.0
    for size in BATCHES:
        rows = torch.randint(len(examples), (size,), generator=generator)
        batch = examples[rows]
        batch = batch + spread * torch.randn(batch.shape, generator=generator)
        with torch.no_grad():
            ours: NDArray[Any] = module(batch).numpy()
        (theirs,) = session.run(list(names[1:]), {names[0]: batch.numpy()})
        if theirs.shape != ours.shape:
            return np.inf, float(np.abs(ours).max())
        apart = np.where((ours == theirs) | (np.isnan(ours) & np.isnan(theirs)), 0, ours - theirs)
        difference = float(np.maximum(difference, np.abs(apart).max()))  # NaN stays NaN
        largest = max(largest, float(np.abs(np.nan_to_num(ours, posinf=0, neginf=0)).max()))
    return difference, largest


@contextmanager
def quiet() -> Iterator[None]:
    """Silence an exporter that tells of its steps, its deprecations and what is not installed."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(),
            redirect_stdout(io.StringIO()),
            redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
