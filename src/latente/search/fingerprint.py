"""A model's fingerprint: what tells whether codes were made by this very encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..storage.digest import digest
from ..parts import Part

if TYPE_CHECKING:
    from ..estimator import Autoencoder


def fingerprint(autoencoder: Autoencoder) -> str:
    """Return 64 hexadecimal digits that two models share if they make the same codes.

    Parameters
    ----------
    autoencoder
        Fitted. What is hashed is what makes a code: the parts that shape the encoder, its weights
        and the scaling of its input; a model that was saved and loaded keeps its fingerprint.
    """
    fitted = autoencoder.fitted_
    meta, arrays = fitted.given.state()
    parts = [
        [type(part).__name__, part.get_params()] if isinstance(part, Part) else "own modules"
        for part in (autoencoder.network_, autoencoder.bottleneck_)
    ]
    described = [list(fitted.code_shape), meta, parts]
    return digest(described, fitted.model.encoder.state_dict(), sorted(arrays.items()))
