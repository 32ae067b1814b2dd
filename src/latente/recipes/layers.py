"""Sizes of document C: O = (W − F + 2P)/S + 1 and P = (F − 1)/2, for every layer of networks.

Row S9.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from ..estimator import Autoencoder
from ..figures import page
from ..summary import Layer
from .language import _, mark
from .report import Recipe, Report

EXAMPLES = ((7, 3, 1, 0, 5), (7, 3, 2, 0, 3), (28, 3, 1, 1, 28), (10, 5, 1, 2, 10))
"""W, F, S, P and O of the document."""
SIDES, KERNELS, STRIDES, PADDINGS = range(7, 33), range(1, 8), range(1, 5), range(4)
"""All of W, F, S and P that are tried."""
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "pooled": (
        mark("Convolutions, pooling, and repeated values on the way back"),
        {"network": "conv(channels=[16, 8, 8], down='pool', up='upsample', code='spatial')"},
    ),
    "strided": (
        mark("Strided convolutions, and transposed ones on the way back"),
        {
            "latent_dim": 2,
            "network": "conv(channels=[32, 64], activation='gelu', hidden=[16], decoder_hidden=[])",
            "bottleneck": "gaussian",
        },
    ),
    "wide": (
        mark("Kernels of five"),
        {"latent_dim": 16, "network": "conv(channels=[8, 16, 32], kernel=5)"},
    ),
}
"""What is shown, and its keywords."""


def run(report: Report) -> None:
    """Try the formulas alone, and on every layer of three networks."""
    alone(report)
    padding(report)
    X = report.load("mnist").X
    counts = [in_network(report, X, name) for name in NETWORKS]
    right, cut, of = (sum(each) for each in zip(*counts, strict=True))
    report.claim(
        "S9",
        "C",
        _("the formula gives the size of every layer of a network"),
        _(
            "{right} of {of} layers with a kernel, in {n} networks; {cut} more are cut to fit"
        ).format(right=right, of=of, n=len(NETWORKS), cut=cut),
        "confirmed" if right + cut == of else "refuted",
    )


def size(side: int, kernel: int, stride: int, padding: int) -> Fraction:
    """Return O = (W − F + 2P)/S + 1 as the document writes it, without rounding."""
    return Fraction(side - kernel + 2 * padding, stride) + 1


def back(side: int, kernel: int, stride: int, padding: int, extra: int = 0) -> int:
    """Return the size that a transposed convolution gives: O = (W − 1)·S − 2P + F + extra."""
    return (side - 1) * stride - 2 * padding + kernel + extra


def real(side: int, kernel: int, stride: int, padding: int) -> int:
    """Return the size that a convolution really gives."""
    signal, weight = torch.zeros(1, 1, side), torch.zeros(1, 1, kernel)
    return functional.conv1d(signal, weight, stride=stride, padding=padding).shape[2]


def alone(report: Report) -> None:
    """Try the formula on single convolutions: the document's examples, and many more."""
    report.section("formula", _("The formula"))
    rows = [
        (w, f, s, p, said, str(size(w, f, s, p)), real(w, f, s, p)) for w, f, s, p, said in EXAMPLES
    ]
    report.table(
        _("The document's examples"),
        (
            "W",
            "F",
            "S",
            "P",
            _("O in the document"),
            _("O by the formula"),
            _("O of a convolution"),
        ),
        rows,
    )
    tried = [
        (size(w, f, s, p), real(w, f, s, p), back(real(w, f, s, p), f, s, p), w)
        for w in SIDES
        for f in KERNELS
        for s in STRIDES
        for p in PADDINGS
        if p < f
    ]
    rounded = sum(int(formula) == actual for formula, actual, _back, _w in tried)
    whole = sum(formula.denominator == 1 for formula, _actual, _back, _w in tried)
    returned = sum(w == side for formula, _actual, side, w in tried if formula.denominator == 1)
    report.text(
        _(
            "W is the side of the input, F that of the kernel, S the stride, P the zeros on each "
            "side. {n} convolutions were carried out, with W from {least} to {most}: {rounded} "
            "give the formula's size, rounded down. In {whole} of them it is whole; in the others "
            "the kernel does not reach the last values. A transposed convolution goes back, "
            "O = (W − 1)·S − 2P + F: it returns the side in {returned} of the {whole} that are "
            "whole, and in the others it needs values added at the end."
        ).format(
            n=f"{len(tried):,}", least=SIDES[0], most=SIDES[-1], rounded=f"{rounded:,}",
            whole=f"{whole:,}", returned=f"{returned:,}",
        )
    )  # fmt: skip
    report.figures |= {"convolutions": len(tried), "as the formula says": rounded}
    report.claim(
        "S9",
        "C",
        "O = (W − F + 2P)/S + 1",
        _("{rounded} of {n} convolutions give it, rounded down").format(
            rounded=f"{rounded:,}", n=f"{len(tried):,}"
        ),
        "confirmed" if rounded == len(tried) else "refuted",
    )


def padding(report: Report) -> None:
    """Try the padding that keeps the size."""
    odd = [f for f in range(1, 12) if f % 2]
    kept = sum(real(w, f, 1, (f - 1) // 2) == w for w in SIDES for f in odd)
    tried = len(SIDES) * len(odd)
    report.section("padding", _("The padding that keeps the size"))
    report.text(
        _(
            "With a stride of 1, P = (F − 1)/2 keeps the size: in {kept} of {tried} convolutions "
            "with kernels of {kernels}. Of an even kernel that is no whole number, and no padding "
            "that is the same on both sides keeps the size."
        ).format(kept=kept, tried=tried, kernels=", ".join(map(str, odd)))
    )
    report.claim(
        "S9",
        "C",
        _("P = (F − 1)/2 keeps the size, with a stride of 1"),
        _("in {kept} of {tried} convolutions with odd kernels").format(kept=kept, tried=tried),
        "confirmed" if kept == tried else "refuted",
    )


def in_network(report: Report, X: Any, name: str) -> tuple[int, int, int]:
    """Show the layers of a network; how many have the formula's size, are cut, have a kernel."""
    title, keywords = NETWORKS[name]
    model = report.fit(name, {**keywords, "epochs": 1}, X[:512], data="mnist", quick={"epochs": 1})
    summary = model.summary()
    report.section(name, _(title))
    noted = report.fits[name]["keywords"]
    shell = page.shell_fit(name, noted, [f"info {name}.safetensors"], "mnist")
    python = (
        "from latente import Autoencoder\n\n"
        f'model = Autoencoder.load("{name}.safetensors")\nprint(model.summary())'
    )
    report.code_pair(python, shell)
    rows: list[tuple[Any, ...]] = []
    titles = {"encoder": _("Encoder"), "bottleneck": _("Code"), "decoder": _("Decoder")}
    for section, count in summary.sections.items():
        rows.append((titles.get(section, section), "", "", "", count, ""))
        rows += [cells(layer) for layer in summary.layers if layer.section == section]
    head = (_("layer"), _("output"), "O", "P", _("parameters"), _("sees"))
    report.table(
        _("Sizes and parameters; how much of the input a value depends on is what it sees"),
        head,
        rows,
    )
    checked = sizes(model, X[:2])
    right = sum(formula == actual for formula, actual in checked)
    cut = sum(formula > actual for formula, actual in checked)
    report.text(
        _(
            "Two pictures were sent through the network: of {of} layers with a kernel, {right} "
            "gave pictures of the formula's size. {cut} more cut their last row and column, where "
            "a side was odd on the way there, so that the picture comes back in its own size."
        ).format(of=len(checked), right=right, cut=cut)
    )
    return right, cut, len(checked)


def cells(layer: Layer) -> tuple[Any, ...]:
    """Return a layer as a row of the table."""
    padding = "×".join(str(p) for p in dict.fromkeys(layer.padding or ()))
    shape, seen = ("×".join(map(str, each or ())) for each in (layer.output, layer.receptive_field))
    formula = "; ".join(layer.formula or ())
    return f"· {layer.kind}", shape, formula, padding, layer.parameters, seen


def sizes(model: Autoencoder, X: Any) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Return height and width by the formula, and those that were seen, of layers with a kernel.

    Parameters
    ----------
    model
        A fitted network of pictures.
    X
        Pictures to send through it.
    """
    seen: list[tuple[tuple[int, ...], tuple[int, ...]]] = []

    def look(module: Any, inputs: Any, output: Any) -> None:
        before = inputs[0].shape[2:]
        seen.append((tuple(expected(module, before)), tuple(output.shape[2:])))

    kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.MaxPool2d)
    layers = [module for module in model.module_.modules() if isinstance(module, kinds)]
    handles = [layer.register_forward_hook(look) for layer in layers]
    try:
        model.reconstruct(X)
    finally:
        for handle in handles:
            handle.remove()
    return seen


def expected(module: Any, before: Any) -> list[int]:
    """Return the size of a layer's output, along each axis, by the formula."""
    sides = []
    for axis, side in enumerate(before):
        kernel, stride, around, extra = (
            each if isinstance(each, int) else each[axis]
            for each in (
                module.kernel_size,
                module.stride,
                module.padding,
                getattr(module, "output_padding", 0),
            )
        )
        if isinstance(module, nn.ConvTranspose2d):
            sides.append(back(side, kernel, stride, around, extra))
            continue
        doubled = 2 * side if hasattr(module, "mixture") else side  # values are repeated before
        formula = size(doubled, kernel, stride, around)
        up = getattr(module, "ceil_mode", False)
        sides.append(-int(-formula // 1) if up else int(formula))
    return sides


RECIPE = Recipe(
    name="layers",
    title=mark("The size of every layer"),
    summary=mark(
        "How large is what a convolution gives, which padding keeps the size, and does the formula "
        "hold in every layer of a network?"
    ),
    rows=("S9",),
    minutes=0.5,
    run=run,
)
