"""The training loop that tutorials write: `TensorDataset`, `DataLoader(shuffle=True)`, Adam.

Float32 from end to end, pictures scaled beforehand, `loss.item()` added up for the epoch's mean.
"""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from .harness import LEARNING_RATE, Bytes, Clock, Floats, Job, Outcome, held_out_bce, peak, serve


class Variational(nn.Module):
    """Mean and log-variance from one trunk, a sample, a decoder that ends in a sigmoid."""

    def __init__(self, trunk: nn.Module, width: int, latent: int, decoder: nn.Module) -> None:
        super().__init__()
        self.trunk, self.decoder = trunk, decoder
        self.mean, self.logvar = nn.Linear(width, latent), nn.Linear(width, latent)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = self.trunk(x)
        mean, logvar = self.mean(h), self.logvar(h)
        z = mean + torch.exp(0.5 * logvar) * torch.randn_like(mean)
        return self.decoder(z), mean, logvar

    def reconstruct(self, x: Tensor) -> Tensor:
        """Decode the mean of the code."""
        out: Tensor = self.decoder(self.mean(self.trunk(x)))
        return out


def layers(*sizes: int) -> list[nn.Module]:
    """Return linear layers of these sizes, a ReLU after each."""
    pairs = itertools.pairwise(sizes)
    return [module for a, b in pairs for module in (nn.Linear(a, b), nn.ReLU())]


def deep() -> nn.Module:
    """Return 784-128-64-32-64-128-784."""
    return nn.Sequential(*layers(784, 128, 64, 32, 64, 128, 784)[:-1], nn.Sigmoid())


def vae() -> nn.Module:
    """Return 784-512-16-512-784, variational."""
    decoder = nn.Sequential(*layers(16, 512, 784)[:-1], nn.Sigmoid())
    return Variational(nn.Sequential(*layers(784, 512)), 512, 16, decoder)


def conv() -> nn.Module:
    """Return the convolutional one of the Keras blog, code (8, 4, 4)."""
    relu, up = nn.ReLU, partial(nn.Upsample, scale_factor=2)
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), relu(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 8, 3, padding=1), relu(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 8, 3, padding=1), relu(), nn.MaxPool2d(2, ceil_mode=True)),
        *(nn.Conv2d(8, 8, 3, padding=1), relu(), up()),
        *(nn.Conv2d(8, 8, 3, padding=1), relu(), up()),
        *(nn.Conv2d(8, 16, 3), relu(), up()),
        *(nn.Conv2d(16, 1, 3, padding=1), nn.Sigmoid()),
    )


def convvae() -> nn.Module:
    """Return the convolutional variational one of Keras's examples: 69,076 + 65,089 parameters."""
    trunk = nn.Sequential(
        *(nn.Conv2d(1, 32, 3, stride=2, padding=1), nn.ReLU()),
        *(nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(3136, 16), nn.ReLU()),
    )
    decoder = nn.Sequential(
        *(nn.Linear(2, 3136), nn.ReLU(), nn.Unflatten(1, (64, 7, 7))),
        *(nn.ConvTranspose2d(64, 64, 3, stride=2, padding=1, output_padding=1), nn.ReLU()),
        *(nn.ConvTranspose2d(64, 32, 3, stride=2, padding=1, output_padding=1), nn.ReLU()),
        *(nn.ConvTranspose2d(32, 1, 3, padding=1), nn.Sigmoid()),
    )
    return Variational(trunk, 16, 2, decoder)


MODELS = {"deep": deep, "vae": vae, "conv": conv, "convvae": convvae}
FLAT = {"deep", "vae"}


def shaped(job: Job, pictures: Bytes) -> Tensor:
    """Return the pictures as the model wants them: float32 in [0, 1], rows or one channel."""
    shape = (-1, 784) if job.model in FLAT else (-1, 1, 28, 28)
    scaled = pictures.astype(np.float32) / np.float32(255)
    return torch.from_numpy(scaled).reshape(shape)


def loss_of(output: Tensor | tuple[Tensor, Tensor, Tensor], x: Tensor) -> Tensor:
    """Return the loss as tutorials have it: a mean, or for a variational one a sum per picture."""
    if isinstance(output, Tensor):
        return functional.binary_cross_entropy(output, x)
    given, mean, logvar = output
    bce = functional.binary_cross_entropy(given, x, reduction="sum")
    kl = -0.5 * torch.sum(1 + logvar - mean.pow(2) - logvar.exp())
    return (bce + kl) / len(x)


def fit(job: Job, model: nn.Module, pictures: Bytes, clock: Clock) -> None:
    """Train the model."""
    data = TensorDataset(shaped(job, pictures))
    loader = DataLoader(data, batch_size=job.batch, shuffle=True)
    optimiser = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    clock.start()
    for epoch in range(job.epochs):
        running = 0.0
        for (batch,) in loader:
            x = batch.to(job.device)
            optimiser.zero_grad()
            loss = loss_of(model(x), x)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            running += loss.item()
        print(f"epoch {epoch + 1}: {running / len(loader):.4f}")
        clock.tick()


def run(job: Job, pictures: Bytes) -> Outcome:
    """Train a fresh model and measure it."""
    torch.manual_seed(job.seed)
    model = MODELS[job.model]().to(job.device)
    clock = Clock(settle=torch.cuda.synchronize if job.device == "cuda" else lambda: None)
    fit(job, model, pictures, clock)
    used = peak()
    model.eval()
    forward = model.reconstruct if isinstance(model, Variational) else model

    def reconstruct(block: Bytes) -> Floats:
        with torch.no_grad():
            out: Floats = forward(shaped(job, block).to(job.device)).cpu().numpy()
        return out

    return Outcome(
        seconds=clock.seconds,
        busy=clock.busy,
        bce=held_out_bce(reconstruct),
        parameters=sum(p.numel() for p in model.parameters()),
        peak=used,
        threads=torch.get_num_threads(),
        versions={"torch": torch.__version__},
        hardware=torch.cuda.get_device_name() if job.device == "cuda" else "",
    )


if __name__ == "__main__":
    serve(run)
