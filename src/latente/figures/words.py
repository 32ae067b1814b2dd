"""Numbers as the page writes them."""

from __future__ import annotations


def short(value: float) -> str:
    """Return a number in at least three figures, never in powers of ten unless it is tiny."""
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return text.replace("-", "−")


def percent(share: float) -> str:
    """Return a signed share in per cent."""
    return f"{share:+.0%}".replace("-", "−")


def decibels(value: float) -> str:
    """Return a ratio in decibels."""
    return f"{value:.1f} dB"


def signed(value: float, digits: int = 1) -> str:
    """Return a number with a proper minus sign."""
    return f"{value:.{digits}f}".replace("-", "−")
