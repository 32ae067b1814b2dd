"""Keras on TensorFlow's CPU build: `compile` with Adam and binary cross-entropy, then `fit`."""
# mypy: disable-error-code="import-not-found, import-untyped"

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from typing import Any

import keras
import tensorflow
from keras import layers

from .harness import (
    LEARNING_RATE,
    Bytes,
    Clock,
    Floats,
    Job,
    Outcome,
    cores,
    held_out_bce,
    peak,
    serve,
)


def deep() -> Any:
    """Return 784-128-64-32-64-128-784."""
    hidden = [layers.Dense(n, "relu") for n in (128, 64, 32, 64, 128)]
    return keras.Sequential([keras.Input((784,)), *hidden, layers.Dense(784, "sigmoid")])


def conv() -> Any:
    """Return the convolutional one of the Keras blog, code (4, 4, 8)."""

    def convolve(channels: int, padding: str = "same", activation: str = "relu") -> Any:
        return layers.Conv2D(channels, 3, padding=padding, activation=activation)

    return keras.Sequential(
        [
            *(keras.Input((28, 28, 1)),),
            *(convolve(16), layers.MaxPooling2D(2, padding="same")),
            *(convolve(8), layers.MaxPooling2D(2, padding="same")),
            *(convolve(8), layers.MaxPooling2D(2, padding="same")),
            *(convolve(8), layers.UpSampling2D(2)),
            *(convolve(8), layers.UpSampling2D(2)),
            *(convolve(16, "valid"), layers.UpSampling2D(2)),
            *(convolve(1, activation="sigmoid"),),
        ]
    )


MODELS = {"deep": deep, "conv": conv}


class Stopwatch(keras.callbacks.Callback):  # type: ignore[misc]
    """Tells the clock when training starts and when an epoch ends."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock

    def on_train_begin(self, logs: Any = None) -> None:
        """Start the clock."""
        self.clock.start()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Note the end of an epoch."""
        self.clock.tick()


def run(job: Job, pictures: Bytes) -> Outcome:
    """Train a fresh model and measure it."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(job.seed)
    model = MODELS[job.model]()
    shape = (-1, *model.input_shape[1:])
    x: Floats = (pictures.astype("float32") / 255).reshape(shape)
    model.compile(keras.optimizers.Adam(LEARNING_RATE), "binary_crossentropy")
    clock = Clock()
    # No progress bar: it would cost Keras time.
    model.fit(
        *(x, x),
        batch_size=job.batch,
        epochs=job.epochs,
        shuffle=True,
        verbose=0,
        callbacks=[Stopwatch(clock)],
    )
    used = peak()
    return Outcome(
        seconds=clock.seconds,
        busy=clock.busy,
        bce=held_out_bce(lambda block: model.predict_on_batch(block.reshape(shape) / 255.0)),
        parameters=model.count_params(),
        peak=used,
        threads=int(os.environ.get("TF_NUM_INTRAOP_THREADS", cores())),
        versions={"keras": keras.__version__, "tensorflow": tensorflow.__version__},
    )


if __name__ == "__main__":
    serve(run)
