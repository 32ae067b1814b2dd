"""pythae's dense variational autoencoder, its default networks, trained by its `BaseTrainer`."""
# mypy: disable-error-code="import-not-found, import-untyped"

from __future__ import annotations

import tempfile
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback

from .harness import LEARNING_RATE, Bytes, Clock, Floats, Job, Outcome, held_out_bce, peak, serve


class Stopwatch(TrainingCallback):  # type: ignore[misc]
    """Tells the clock when training starts and when an epoch ends."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def on_train_begin(self, training_config: Any, **kwargs: Any) -> None:
        """Start the clock."""
        self.clock.start()

    def on_epoch_end(self, training_config: Any, **kwargs: Any) -> None:
        """Note the end of an epoch."""
        self.clock.tick()


def shaped(pictures: Bytes) -> torch.Tensor:
    """Return the pictures as rows, float32 in [0, 1]."""
    scaled = pictures.reshape(-1, 784).astype(np.float32) / np.float32(255)
    return torch.from_numpy(scaled)


def fit(job: Job, model: Any, pictures: Bytes, clock: Clock, folder: str) -> None:
    """Train the model."""
    config = BaseTrainerConfig(
        output_dir=folder,
        per_device_train_batch_size=job.batch,
        num_epochs=job.epochs,
        learning_rate=LEARNING_RATE,
        seed=job.seed,
        no_cuda=job.device == "cpu",
    )
    data = BaseDataset(shaped(pictures), torch.zeros(len(pictures)))
    watch = Stopwatch(clock)
    BaseTrainer(model, train_dataset=data, training_config=config, callbacks=[watch]).train()


def run(job: Job, pictures: Bytes) -> Outcome:
    """Train a fresh model and measure it."""
    if job.model != "vae":
        raise SystemExit(f"pythae is measured on the model 'vae', not {job.model!r}")
    torch.manual_seed(job.seed)
    model = VAE(VAEConfig(input_dim=(784,), latent_dim=16, reconstruction_loss="bce"))
    clock = Clock(settle=torch.cuda.synchronize if job.device == "cuda" else lambda: None)
    with tempfile.TemporaryDirectory() as folder:
        fit(job, model, pictures, clock, folder)
    used = peak()
    model.eval()

    def reconstruct(block: Bytes) -> Floats:
        with torch.no_grad():
            code = model.encoder(shaped(block).to(job.device)).embedding
            out: Floats = model.decoder(code).reconstruction.cpu().numpy()
        return out

    return Outcome(
        seconds=clock.seconds,
        busy=clock.busy,
        bce=held_out_bce(reconstruct),
        parameters=sum(p.numel() for p in model.parameters()),
        peak=used,
        threads=torch.get_num_threads(),
        versions={"pythae": version("pythae"), "torch": torch.__version__},
        hardware=torch.cuda.get_device_name() if job.device == "cuda" else "",
    )


if __name__ == "__main__":
    serve(run)
