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
    import torch

    from ..corruptions import corrupt

    given = model.fitted_.given
    x = given.convert(given.store(X, "X"))
    generator = torch.Generator().manual_seed(random_state)
    return given.restore(corrupt(x, model.corruption_, generator, given.bounds).numpy())
