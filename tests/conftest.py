"""What all tests share: how Hypothesis runs."""

from __future__ import annotations

from hypothesis import settings

# The first call of a compiled routine, or a busy machine, is slow without anything being wrong.
settings.register_profile("latente", deadline=None)
settings.load_profile("latente")
