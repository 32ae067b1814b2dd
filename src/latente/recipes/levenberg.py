"""Levenberg–Marquardt: least squares by Gauss and Newton's step, damped until the error falls.

::

    r(θ)  residuals,  J = ∂r/∂θ        (JᵀJ + λI) δ = −Jᵀr,    θ ← θ + δ
    the error fell:  λ ← λ / 10        it did not:  λ ← 10 λ, and the step is not taken

A step needs the derivative of every residual by every weight, residuals × weights numbers, and the
solution of an equation in as many unknowns as there are weights. Both are cheap in a network of
some hundred weights, and out of reach in one of a million: so this is no optimiser of the package.
"""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, jacrev, vmap

from ..estimator import Autoencoder
from .descent import Descent

LEAST, MOST = 1e-12, 1e12
"""Bounds of the damping λ; beyond the upper one no step lowers the error."""


def levenberg_marquardt(
    model: Autoencoder, X: Any, iterations: int, *, damping: float = 0.01
) -> Descent:
    """Move the weights of a fitted autoencoder to where its squared error is least, near by.

    Parameters
    ----------
    model
        Whose weights are changed; a deterministic one, of a loss whose output is compared by
        squares.
    X
        Samples.
    iterations
        Steps that are tried.
    damping
        λ at the start.

    Returns
    -------
    Descent
        Of the mean over the samples of the squared error summed over their values; an iteration
        is a step that is tried. Shorter where no step lowers the error any more.
    """
    begun = time.perf_counter()
    module = model.module_
    batches = model.fitted_.batches(X)
    x, target = (
        values.double() for values in batches.take(torch.arange(len(X), device=batches.device))
    )
    names = [name for name, _ in module.named_parameters()]
    weights = [weight.detach().double() for weight in module.parameters()]
    theta = torch.cat([weight.flatten() for weight in weights])
    sizes, shapes = [w.numel() for w in weights], [w.shape for w in weights]

    def difference(theta: Tensor, x: Tensor, target: Tensor) -> Tensor:
        parts = torch.split(theta, sizes)
        given = {n: p.view(s) for n, p, s in zip(names, parts, shapes, strict=True)}
        output: Tensor = functional_call(module, given, (x[None],))[0]
        return (output - target).flatten()

    every = (None, 0, 0)  # one θ, each sample by itself
    residuals = vmap(difference, every)
    derivatives = vmap(jacrev(difference), every)
    errors: list[float] = []
    seconds: list[float] = []
    r = residuals(theta, x, target).flatten()
    one = torch.eye(len(theta)).to(theta)
    fresh = True
    while len(errors) < iterations and LEAST <= damping <= MOST:
        if fresh:
            jacobian = derivatives(theta, x, target).flatten(0, 1)
            squares, gradient = jacobian.T @ jacobian, jacobian.T @ r
        step = torch.linalg.solve(squares + damping * one, -gradient)
        tried = residuals(theta + step, x, target).flatten()
        fresh = bool(tried.square().sum() < r.square().sum())
        if fresh:
            theta, r = theta + step, tried
        damping = max(damping / 10, LEAST) if fresh else damping * 10
        errors.append(float(r.square().sum()) / len(x))
        seconds.append(time.perf_counter() - begun)
    with torch.no_grad():
        for weight, values in zip(module.parameters(), torch.split(theta, sizes), strict=True):
            weight.copy_(values.view_as(weight))
    return Descent.of(errors, seconds)
