"""pythae's side of the variants: its models and trainers, over dense networks of the same sizes."""
# mypy: disable-error-code="import-not-found, import-untyped"

from __future__ import annotations

import itertools
import tempfile
from importlib.metadata import version
from typing import Any

import pythae.models
import torch
from pythae.data.datasets import BaseDataset
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import (
    AdversarialTrainer,
    AdversarialTrainerConfig,
    BaseTrainer,
    BaseTrainerConfig,
)
from torch import Tensor, nn

from .harness import LEARNING_RATE, Bytes, Clock, Floats, Job, Outcome, held_out_bce, peak, serve
from .pythae_ import Stopwatch, shaped
from .variants import HIDDEN, LATENT, SAMPLES, VARIANTS, Variant, held_out_mse, likely

LOSSES = {"bernoulli": "bce", "squared": "mse"}
PLAIN = ("WAE_MMD", "VQVAE")
"""Models without a log-variance, whose loss is the squared error."""


def layers(*sizes: int) -> list[nn.Module]:
    """Return linear layers of these sizes, a ReLU after each."""
    pairs = itertools.pairwise(sizes)
    return [module for a, b in pairs for module in (nn.Linear(a, b), nn.ReLU())]


class Encoder(BaseEncoder):  # type: ignore[misc]
    """784-512-256, then the code, and its log-variance where the model has one."""

    def __init__(self, variational: bool) -> None:
        super().__init__()
        self.trunk = nn.Sequential(*layers(784, *HIDDEN))
        self.mean = nn.Linear(HIDDEN[-1], LATENT)
        self.log_variance = nn.Linear(HIDDEN[-1], LATENT) if variational else None

    def forward(self, x: Tensor) -> Any:
        h = self.trunk(x)
        output = ModelOutput(embedding=self.mean(h))
        if self.log_variance is not None:
            output["log_covariance"] = self.log_variance(h)
        return output


class Decoder(BaseDecoder):  # type: ignore[misc]
    """16-256-512-784, a sigmoid at the end."""

    def __init__(self) -> None:
        super().__init__()
        inner = layers(LATENT, *reversed(HIDDEN))
        self.body = nn.Sequential(*inner, nn.Linear(HIDDEN[0], 784), nn.Sigmoid())

    def forward(self, z: Tensor) -> Any:
        return ModelOutput(reconstruction=self.body(z))


def build(variant: Variant) -> Any:
    """Return pythae's model."""
    plain = variant.theirs in PLAIN
    values = {"input_dim": (784,), "latent_dim": LATENT, **variant.config}
    if not plain:
        values["reconstruction_loss"] = LOSSES[variant.loss]
    config = getattr(pythae.models, variant.configuration)(**values)
    model = getattr(pythae.models, variant.theirs)
    return model(config, encoder=Encoder(not plain), decoder=Decoder())


def fit(job: Job, model: Any, pictures: Bytes, clock: Clock, folder: str) -> None:
    """Train the model by the trainer that pythae has for it."""
    values = {
        "output_dir": folder,
        "per_device_train_batch_size": job.batch,
        "num_epochs": job.epochs,
        "seed": job.seed,
        "no_cuda": True,
    }
    if hasattr(model, "discriminator"):
        rates = ("autoencoder_learning_rate", "discriminator_learning_rate")
        trainer, config = AdversarialTrainer, AdversarialTrainerConfig
        values |= dict.fromkeys(rates, LEARNING_RATE)
    else:
        trainer, config = BaseTrainer, BaseTrainerConfig
        values["learning_rate"] = LEARNING_RATE
    data = BaseDataset(shaped(pictures), torch.zeros(len(pictures)))
    watch = Stopwatch(clock)
    trainer(model, train_dataset=data, training_config=config(**values), callbacks=[watch]).train()


@torch.no_grad()
def run(job: Job, pictures: Bytes) -> Outcome:
    """Train a fresh model and measure it."""
    variant = VARIANTS[job.model]
    torch.manual_seed(job.seed)
    model = build(variant)
    clock = Clock()
    with torch.enable_grad(), tempfile.TemporaryDirectory() as folder:
        fit(job, model, pictures, clock, folder)
    used = peak()
    model.eval()

    def reconstruct(block: Bytes) -> Floats:
        rows = shaped(block)
        if variant.theirs == "VQVAE":
            output: Floats = model({"data": rows}).recon_x.numpy()
        else:
            output = model.decoder(model.encoder(rows).embedding).reconstruction.numpy()
        return output

    nats = None
    if variant.likelihood:
        rows = shaped(likely(job))
        nats = float(model.get_nll(rows, n_samples=SAMPLES, batch_size=SAMPLES))  # not negative
    return Outcome(
        seconds=clock.seconds,
        busy=clock.busy,
        bce=held_out_bce(reconstruct),
        mse=held_out_mse(reconstruct),
        log_likelihood=nats,
        parameters=sum(p.numel() for p in model.parameters()),
        peak=used,
        threads=torch.get_num_threads(),
        versions={"pythae": version("pythae"), "torch": torch.__version__},
    )


if __name__ == "__main__":
    serve(run)
