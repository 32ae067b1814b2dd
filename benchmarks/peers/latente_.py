"""Our side: the estimator as a user calls it, on the uint8 pictures as they come."""

from __future__ import annotations

from typing import Any

import torch

from latente import Autoencoder, Conv, Dense, Gaussian, __version__

from .harness import LEARNING_RATE, Bytes, Clock, Job, Outcome, held_out_bce, peak, serve

BLOG = Conv(
    channels=(16, 8, 8), down="pool", up="upsample", code="spatial", code_activation="relu",
    trim="valid",
)  # fmt: skip
EXAMPLE = Conv(channels=(32, 64), hidden=(16,), decoder_hidden=())

MODELS: dict[str, dict[str, Any]] = {
    "deep": {"latent_dim": 32, "network": Dense(hidden=(128, 64), code_activation="relu")},
    "vae": {"latent_dim": 16, "network": Dense(hidden=(512,)), "bottleneck": Gaussian()},
    "conv": {"network": BLOG},
    "convvae": {"latent_dim": 2, "network": EXAMPLE, "bottleneck": Gaussian()},
}
FLAT = {"deep", "vae"}


class Stopwatch:
    """Tells the clock when an epoch ends."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def on_epoch_end(self, state: object) -> None:
        """Note the end of an epoch."""
        self.clock.tick()


def shaped(job: Job, pictures: Bytes) -> Bytes:
    """Return the pictures as the model is given them: rows, or pictures."""
    return pictures.reshape(-1, 784) if job.model in FLAT else pictures


def run(job: Job, pictures: Bytes) -> Outcome:
    """Train a fresh model and measure it."""
    clock = Clock(settle=torch.cuda.synchronize if job.device == "cuda" else lambda: None)
    model = Autoencoder(
        **MODELS[job.model],
        loss="bernoulli",
        optimizer="adam",
        learning_rate=LEARNING_RATE,
        batch_size=job.batch,
        epochs=job.epochs,
        validation_fraction=0,
        device=job.device,
        precision=job.precision,
        callbacks=[Stopwatch(clock)],
        random_state=job.seed,
    )
    clock.start()
    model.fit(shaped(job, pictures))
    used = peak()
    return Outcome(
        seconds=clock.seconds,
        busy=clock.busy,
        bce=held_out_bce(lambda block: model.reconstruct(shaped(job, block)) / 255.0),
        parameters=model.n_parameters_,
        peak=used,
        threads=torch.get_num_threads(),
        versions={"latente": __version__, "torch": torch.__version__},
        precision=str(model.precision_),
        hardware=torch.cuda.get_device_name() if job.device == "cuda" else "",
    )


if __name__ == "__main__":
    serve(run)
