"""What a model with a corruption sees while it learns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..estimator import Autoencoder


def corrupted(model: Autoencoder, X: Any, random_state: int = 0) -> Any:
    """Return samples as the model's own corruption leaves them, in X's shape, scale and dtype.

    Parameters
    ----------
    model
        A fitted autoencoder; without a corruption, X comes back as it was.
    X
        Samples as for `transform`.
    random_state
        Seed of the corruption.
    """
    return damaged(model, X, random_state)[0]


def damaged(model: Autoencoder, X: Any, random_state: int = 0) -> tuple[Any, Any]:
    """Return the same, and which pixels are missing where the model is told: (n, h, w), or None.

    Pictures without their colours come with equal channels.

    Parameters
    ----------
    model, X, random_state
        As for `corrupted`.
    """
    import torch

    from ..corruptions import corrupt

    fitted = model.fitted_
    given = fitted.given
    x = given.convert(given.store(X, "X"))
    generator = torch.Generator().manual_seed(random_state)
    seen = corrupt(x, model.corruption_, generator, given.bounds)
    mask = None
    if fitted.told:
        mask, seen = seen[:, -1].numpy() > 0, seen[:, :-1]
    return given.restore(seen.expand(x.shape).numpy()), mask
