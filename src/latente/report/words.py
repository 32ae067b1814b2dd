"""Numbers as the page writes them."""

from __future__ import annotations


def percent(share: float) -> str:
    """Return a signed share in per cent."""
    return f"{share:+.0%}".replace("-", "−")


def decibels(value: float) -> str:
    """Return a ratio in decibels."""
    return f"{value:.1f} dB"


def signed(value: float, digits: int = 1) -> str:
    """Return a number with a proper minus sign."""
    return f"{value:.{digits}f}".replace("-", "−")
