"""The variants that both sides train, and how their held-out error is taken.

Like the harness, this module needs numpy alone: each side reads the table and takes its half.

Equal on both sides
    Encoder 784-512-256-code, decoder code-256-512-784, rectified, a sigmoid at the end; 16 code
    numbers; data, batch, epochs, Adam at 0.001, no validation, the last weights; the loss (binary
    cross-entropy, or the squared error where pythae has no other), summed over the pixels, and the
    weights of all other terms, as far as they are named in the table. Importance samples for the
    log-likelihood, 100 on the same test pictures.
Not equal
    Initial weights: Glorot's for ours, torch's own for pythae, as users of each have them. The mean
    and the log-variance come from one layer of 32 in ours, from two of 16 in pythae. Ours may
    multiply in bf16 where the processor does, pythae has float32 there.
    β-TC: pythae estimates the total correlation by minibatch stratified sampling.
    MMD: pythae adds seven inverse multiquadratic kernels, and takes the unbiased estimate but for
    the cross term, which is divided by n².
    VQ: each of the 16 numbers is one of 512 values, which is what pythae makes of a dense encoder;
    its commitment is averaged over the 16 numbers, so that its factor here is 16 times 0.25. It
    restarts no dead vectors.
    Adversarial: one hidden layer of 256 on both sides; pythae steps the discriminator on the same
    codes as the encoder, once a batch.
    pythae keeps a progress bar and a copy of its best model, which cannot be turned off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .harness import Bytes, Job, images

HIDDEN = (512, 256)
LATENT = 16
SAMPLES = 100
"""Codes drawn for each picture whose log-likelihood is estimated."""
LIKELY = 2_000
"""Test pictures whose log-likelihood is estimated."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One line of the table.

    `ours` is our bottleneck; `theirs` is pythae's class, with its configuration's class and the
    values of that beside sizes and loss; `likelihood` says whether both sides estimate one.
    """

    title: str
    ours: str
    theirs: str
    configuration: str
    config: dict[str, Any] = field(default_factory=dict)
    loss: str = "bernoulli"
    likelihood: bool = True


VARIANTS: dict[str, Variant] = {
    "vae": Variant(title="VAE", ours="gaussian", theirs="VAE", configuration="VAEConfig"),
    "btcvae": Variant(
        title="β-TC-VAE, TC × 6",
        ours="gaussian(beta=1, tc=6)",
        theirs="BetaTCVAE",
        configuration="BetaTCVAEConfig",
        config={"alpha": 1.0, "beta": 6.0, "gamma": 1.0},
    ),
    "iwae": Variant(
        title="IWAE, 5 samples",
        ours="gaussian(samples=5)",
        theirs="IWAE",
        configuration="IWAEConfig",
        config={"number_samples": 5},
    ),
    "wae": Variant(
        title="WAE-MMD, × 10",
        ours="mmd(weight=10)",
        theirs="WAE_MMD",
        configuration="WAE_MMD_Config",
        config={"kernel_choice": "imq", "reg_weight": 10.0},
        loss="squared",
        likelihood=False,
    ),
    "infovae": Variant(
        title="InfoVAE, KL + MMD × 10",
        ours="mmd(stochastic=True, kl_weight=1, weight=10)",
        theirs="INFOVAE_MMD",
        configuration="INFOVAE_MMD_Config",
        # KL × (1 − alpha) + MMD × (alpha + lbd − 1)
        config={"kernel_choice": "imq", "alpha": 0.0, "lbd": 11.0},
    ),
    "vqvae": Variant(
        title="VQ-VAE, 16 numbers of 512 values",
        ours="vector_quantized(codes=512, size=1, commitment=0.25, decay=0.99)",
        theirs="VQVAE",
        configuration="VQVAEConfig",
        config={
            "num_embeddings": 512,
            "use_ema": True,
            "decay": 0.99,
            "commitment_loss_factor": 0.25 * LATENT,
        },
        loss="squared",
        likelihood=False,
    ),
    "aae": Variant(
        title="AAE",
        ours="adversarial(weight=1, hidden=(256,))",
        theirs="Adversarial_AE",
        configuration="Adversarial_AE_Config",
        config={"adversarial_loss_scale": 1.0, "deterministic_posterior": True},
        likelihood=False,
    ),
    "vampprior": Variant(
        title="VampPrior, 50 components",
        ours="gaussian(prior='vamp', components=50)",
        theirs="VAMP",
        configuration="VAMPConfig",
        config={"number_components": 50},
    ),
}


def held_out_mse(reconstruct: Callable[[Bytes], npt.ArrayLike]) -> float:
    """Return the mean squared error per pixel, in [0, 1], of the reconstructed test pictures.

    Parameters
    ----------
    reconstruct
        As for `harness.held_out_bce`: uint8 pictures in, reconstructions in [0, 1] out, through the
        code without noise.
    """
    pictures = images("test")
    total = 0.0
    for start in range(0, len(pictures), 1000):
        block = pictures[start : start + 1000]
        target = block.reshape(len(block), -1) / 255.0
        output = np.asarray(reconstruct(block), dtype=np.float64).reshape(target.shape)
        total += float(((output - target) ** 2).sum())
    return total / pictures.size


def likely(job: Job) -> Bytes:
    """Return the test pictures whose log-likelihood is estimated; fewer for a short job."""
    return images("test")[: min(LIKELY, job.rows // 20)]
