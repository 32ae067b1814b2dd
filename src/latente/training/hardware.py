"""Hardware: which device to compute on, and in which precision it is fast."""

from __future__ import annotations

import contextlib
import os
import platform
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .. import launch
from ..data.memory import physical_memory
from ..errors import ParameterError

PRECISIONS = ("auto", "float32", "bf16")
TELLING = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "asimd", "bf16", "sve")
"""Processor flags that decide how fast matrix products are."""
SMALL = 16e6
"""Multiplications in a step's forward pass below which a second thread hardly pays."""


def find_device(name: str) -> torch.device:
    """Return the device a name stands for; "auto" takes a GPU where there is one.

    Raises
    ------
    ParameterError
        If there is no such device here.
    """
    if launch.is_launched() and name in ("auto", "cuda"):
        return _own_device(name)
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError, NotImplementedError):
        raise ParameterError(
            f"device={name!r} is not to be had here; use 'auto', 'cpu', or one of "
            f"{', '.join(_gpus()) or 'no GPU: none was found'}"
        ) from None
    return device


def _own_device(name: str) -> torch.device:
    """Return the device of a process that torchrun started: the GPU of its number, or the CPU."""
    gpus, number = torch.cuda.device_count(), launch.local_rank()
    if gpus == 0 and name == "auto":
        return torch.device("cpu")
    if number >= gpus:
        raise ParameterError(
            f"device={name!r}: torchrun started more processes on this machine than it has GPUs "
            f"({gpus}); start one for each, or use device='cpu'"
        )
    device = torch.device("cuda", number)
    torch.cuda.set_device(device)
    return device


def find_precision(name: str, device: torch.device, *, worthwhile: bool, long: bool) -> str:
    """Return "float32", "bf16", or "auto" where that is to be found out by trying.

    Parameters
    ----------
    name
        "auto", "float32" or "bf16".
    device
        Where the products are computed.
    worthwhile
        Whether the model gains by bf16 as a rule: small networks and second derivatives do not.
    long
        Whether the fit is long enough to try both, where the hardware multiplies in bf16.
    """
    if name not in PRECISIONS:
        raise ParameterError(f"precision={name!r}: use 'auto', 'float32' or 'bf16'")
    if name != "auto":
        return name
    if not multiplies_bf16(device):
        return "float32"
    if long and device.type == "cpu":
        return "auto"
    return "bf16" if worthwhile else "float32"


def multiplies_bf16(device: torch.device) -> bool:
    """Whether the device has instructions for bf16 products (not merely emulates them)."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        return any(getattr(torch.cpu, probe, bool)() for probe in probes)
    return False


def memory_of(device: torch.device) -> float:
    """Return how many bytes a model on that device can take, infinite where nobody says."""
    sizes = [physical_memory() or float("inf")]
    if device.type == "cuda":
        sizes.append(torch.cuda.get_device_properties(device).total_memory)
    return min(sizes)


def processor() -> str:
    """Return the processor's name, its number of cores, and its flags that decide speed."""
    name, flags = platform.processor() or platform.machine(), set[str]()
    info = Path("/proc/cpuinfo")
    if info.exists():
        pairs = (line.partition(":") for line in info.read_text().splitlines())
        lines = {key.strip(): value.strip() for key, _, value in pairs}
        name = lines.get("model name", name)
        flags = set((lines.get("flags") or lines.get("Features", "")).split())
    known = [flag for flag in TELLING if flag in flags]
    absent = [flag for flag in ("avx512_bf16", "amx_bf16") if flag not in flags]
    told = f"{name}, {cores()} cores ({', '.join(known) or 'no flags known'}"
    return told + (f"; no {' or '.join(absent)})" if absent else ")")


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def autocast(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    """Return the context in which products run in that precision; weights stay float32."""
    if precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def is_small(model: nn.Module, rows: int) -> bool:
    """Whether a step of so many rows is too small for several threads on a processor to pay.

    Only what multiplies each row by each matrix once is known to be small; convolutions and
    recurrent layers use their weights many times.
    """
    known = all(p.ndim <= 2 for p in model.parameters()) and not any(
        isinstance(module, nn.RNNBase) for module in model.modules()
    )
    return known and rows * sum(p.numel() for p in model.parameters() if p.ndim == 2) < SMALL


class OneThread:
    """A context in which torch computes in one thread, also where several fits are in it at once.

    Two threads wait for each other at every product. Beside another busy process one of them is
    often not running, and small steps take many times as long.
    """

    def __init__(self) -> None:
        self.lock, self.inside, self.usual = threading.Lock(), 0, 1

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        with self.lock:
            self.usual = self.usual if self.inside else torch.get_num_threads()
            self.inside += 1
        torch.set_num_threads(1)
        try:
            yield
        finally:
            with self.lock:
                self.inside -= 1
            torch.set_num_threads(self.usual)


one_thread = OneThread()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the error says that the device's memory is full."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "allocate memory" in str(error)
    )


def _gpus() -> list[str]:
    names = [f"'cuda:{i}'" for i in range(torch.cuda.device_count())]
    return [*names, "'mps'"] if torch.backends.mps.is_available() else names
