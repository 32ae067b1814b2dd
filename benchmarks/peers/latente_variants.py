"""Our side of the variants: the estimator as a user calls it, one bottleneck after the other."""

from __future__ import annotations

import torch

from latente import Autoencoder, Dense, __version__

from .harness import LEARNING_RATE, Bytes, Clock, Job, Outcome, held_out_bce, peak, serve
from .latente_ import Stopwatch
from .variants import HIDDEN, LATENT, SAMPLES, VARIANTS, held_out_mse, likely


def run(job: Job, pictures: Bytes) -> Outcome:
    """Train a fresh model and measure it."""
    variant = VARIANTS[job.model]
    clock = Clock()
    model = Autoencoder(
        latent_dim=LATENT,
        network=Dense(hidden=HIDDEN, output_activation="sigmoid"),
        bottleneck=variant.ours,
        loss=variant.loss,
        optimizer="adam",
        learning_rate=LEARNING_RATE,
        batch_size=job.batch,
        epochs=job.epochs,
        validation_fraction=0,
        device="cpu",
        precision=job.precision,
        callbacks=[Stopwatch(clock)],
        random_state=job.seed,
    )
    clock.start()
    model.fit(pictures.reshape(-1, 784))
    used = peak()

    def reconstruct(block: Bytes) -> Bytes:
        output: Bytes = model.reconstruct(block.reshape(-1, 784)) / 255.0
        return output

    nats = None
    if variant.likelihood:
        rows = likely(job).reshape(-1, 784)
        nats = float(model.log_likelihood(rows, samples=SAMPLES, random_state=job.seed).mean())
    return Outcome(
        seconds=clock.seconds,
        busy=clock.busy,
        bce=held_out_bce(reconstruct),
        mse=held_out_mse(reconstruct),
        log_likelihood=nats,
        parameters=model.n_parameters_,
        peak=used,
        threads=torch.get_num_threads(),
        versions={"latente": __version__, "torch": torch.__version__},
        precision=str(model.precision_),
    )


if __name__ == "__main__":
    serve(run)
