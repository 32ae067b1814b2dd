"""One picture on its way through an autoencoder, drawn as SVG in the page's colours."""

from __future__ import annotations

from typing import Any

import numpy as np

from .items import Values, look

SIDE = 128.0
WIDTH, HEIGHT = 760, 190


def flow(x: Any, z: Any, restored: Any) -> str:
    """Return the drawing: a picture, encoder, code, decoder, and the picture as it comes back.

    Parameters
    ----------
    x, restored
        Grey pictures, (h, w), in one scale.
    z
        The code between them, (latent,); the first few numbers are written out.
    """
    looks = look(np.asarray(x)[None])
    before, after = looks(np.asarray(x)[None])[0], looks(np.asarray(restored)[None])[0]
    middle = HEIGHT / 2
    parts = [
        _pixels(before, 10, middle),
        _trapezium(172, 288, 56, 22, "encoder"),
        _code(np.asarray(z), WIDTH / 2, middle),
        _trapezium(472, 588, 22, 56, "decoder"),
        _pixels(after, WIDTH - 10 - SIDE, middle),
        *(_arrow(x0, x1, middle) for x0, x1 in ((144, 166), (292, 322), (440, 468), (594, 614))),
    ]
    numbers = " and ".join(f"{value:.2f}" for value in z[:3])
    alt = f"A digit goes through the encoder, becomes the numbers {numbers}, and comes back."
    return (
        f'<figure><div class="figure"><svg role="img" aria-label="{alt}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" style="max-width:{WIDTH}px">\n'
        + "\n".join(parts)
        + "\n</svg></div></figure>"
    )


def _pixels(values: Values, left: float, middle: float) -> str:
    """Draw a picture as squares of ink on a sheet."""
    height, width = values.shape
    side = SIDE / max(height, width)
    top = middle - side * height / 2
    squares = "".join(
        f'<rect x="{left + column * side:.2f}" y="{top + row * side:.2f}" '
        f'width="{side + 0.2:.2f}" height="{side + 0.2:.2f}" fill-opacity="{value:.2f}"/>'
        for (row, column), value in np.ndenumerate(values)
        if value > 0.005
    )
    return (
        f'<rect x="{left}" y="{top:.2f}" width="{side * width:.2f}" height="{side * height:.2f}" '
        f'fill="var(--tile)" stroke="var(--line)"/><g fill="var(--ink)">{squares}</g>'
    )


def _trapezium(left: float, right: float, before: float, after: float, name: str) -> str:
    middle = HEIGHT / 2
    corners = (
        f"{left},{middle - before} {right},{middle - after} "
        f"{right},{middle + after} {left},{middle + before}"
    )
    return (
        f'<polygon points="{corners}" fill="var(--accent)" fill-opacity=".14" '
        f'stroke="var(--accent)" stroke-linejoin="round"/>'
        f'<text x="{(left + right) / 2}" y="{middle + 5}" text-anchor="middle" font-size="15" '
        f'fill="var(--ink)">{name}</text>'
    )


def _code(z: Values, centre: float, middle: float) -> str:
    """Write the code's numbers, at most three, one below the other."""
    shown = [f"{value:.2f}".replace("-", "−") for value in z[:3]] + ["…"] * (len(z) > 3)
    top = middle - 26 * (len(shown) - 1) / 2 + 7
    lines = "".join(
        f'<text x="{centre}" y="{top + 26 * i}" text-anchor="middle" font-size="20" '
        f'font-weight="600" fill="var(--warm)">{text}</text>'
        for i, text in enumerate(shown)
    )
    label = (
        f'<text x="{centre}" y="{top + 26 * len(shown) + 4}" text-anchor="middle" font-size="13" '
        f'fill="var(--muted)">the code</text>'
    )
    return lines + label


def _arrow(left: float, right: float, middle: float) -> str:
    return (
        f'<path d="M{left} {middle}H{right}m-6 -5l6 5l-6 5" fill="none" '
        f'stroke="var(--muted)" stroke-width="1.5" stroke-linecap="round"/>'
    )
