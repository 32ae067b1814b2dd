"""Rates: one model at several rates, by coarser or finer steps of its code."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from ..bottlenecks.prior import Factorised
from ..bottlenecks.rounded import Rounded
from ..errors import ParameterError
from ..parts import is_number

if TYPE_CHECKING:
    from ..estimator import Autoencoder


def requantised(model: Autoencoder, X: Any, factor: float) -> Autoencoder:
    """Return the model with larger steps in its code: a smaller file, and rougher pictures.

    Nothing is trained again, so the further the factor is from 1 the more is lost against a model
    trained with another weight. The result is a model of its own, whose archives only it can read.

    Parameters
    ----------
    model
        Fitted, with the bottleneck "rounded".
    X
        The data of the fit, or more of the kind: how often each step comes is counted anew.
    factor
        Steps as a multiple of what they were; positive.

    Raises
    ------
    ParameterError
        If the model has another bottleneck, or the factor is not a positive number.
    """
    if not (is_number(factor, 0) and factor > 0):
        raise ParameterError(f"factor={factor!r}: use a positive number")
    found = copy.deepcopy(model)
    bottleneck, prior = found.bottleneck_, found.fitted_.model.prior
    if not isinstance(bottleneck, Rounded) or not isinstance(prior, Factorised):
        raise ParameterError("only a model with bottleneck='rounded' has steps")
    # At the best trade-off, the error grows as the square of the step, and a bit's price with it.
    bottleneck.set_params(step=bottleneck.step * factor, weight=bottleneck.weight * factor**2)
    prior.rescale(factor)
    found.fitted_.look(found.fitted_.batches(X))
    return found
