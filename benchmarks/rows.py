"""The rows of the table: which model, against whom, and what was promised."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Row:
    """One model of the table.

    `least` has the promised ratio of samples per second by peer (None: shown, nothing promised),
    `epochs` how many are measured after the warm-up.
    """

    model: str
    title: str
    batch: int
    epochs: int
    least: dict[str, float | None]
    least_cuda: dict[str, float | None] = field(default_factory=dict)
    epoch_cuda: float | None = None

    def targets(self, device: str) -> dict[str, float | None]:
        """Return the promised ratio by peer on that device."""
        return self.least_cuda if device == "cuda" else self.least


ROWS = (
    Row(
        model="deep",
        title="784-128-64-32-64-128-784",
        batch=256,
        epochs=4,
        least={"keras": 2.0, "tutorial": 2.0},
        least_cuda={"tutorial": None},
        epoch_cuda=0.1,
    ),
    Row(
        model="vae",
        title="784-512-16-512-784, variational",
        batch=256,
        epochs=3,
        least={"pythae": 2.5},
        least_cuda={"pythae": 20.0, "tutorial": None},
    ),
    Row(
        model="conv",
        title="convolutional, code (4, 4, 8)",
        batch=128,
        epochs=1,
        least={"keras": 2.5},
        least_cuda={"tutorial": None},
    ),
    Row(
        model="convvae",
        title="convolutional variational, 69,076 + 65,089 parameters",
        batch=128,
        epochs=1,
        least={"tutorial": 2.0},
        least_cuda={"tutorial": None},
    ),
)
