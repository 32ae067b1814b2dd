"""What the numbers were measured on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from peers.harness import cores

TELLING = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "asimd", "bf16", "sve")
"""Processor flags that decide how fast matrix products are."""


def processor() -> str:
    """Return the processor's name, its number of cores and its telling flags."""
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


def load() -> str:
    """Return the load average of the last minute: what else the machine was doing."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
