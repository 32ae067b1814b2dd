"""``latente explore``: what it refuses at once, and a page from beginning to end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from latente import Autoencoder, datasets
from latente.cli.main import app

WRONG = [
    (["m.safetensors"], "--data"),
    (["m.safetensors", "--data", "digits", "--latent-dim", "3"], "--latent-dim goes with --fit"),
    (["m.safetensors", "--data", "digits", "--seed", "3"], "--seed goes with --fit"),
    (["m.safetensors", "--data", "digits", "-o", "x"], "--output goes with --fit"),
    (["digits", "--fit", "--data", "digits"], "--data goes with MODEL"),
    (["digits", "--fit", "--beside", "pca"], "--beside goes with MODEL"),
    (["m.safetensors", "--data", "digits", "--lang", "fr"], "en, es or pt"),
    (["nothing.safetensors", "--data", "digits"], "there is no such model"),
    (["digits", "--fit", "--latent-dim", "0"], "latent_dim"),
    (["digits", "--fit", "-o", "x.txt"], ".safetensors"),
]


@pytest.mark.parametrize(("args", "told"), WRONG)
def test_a_wrong_call_is_told_in_a_sentence(args: list[str], told: str) -> None:
    result = CliRunner().invoke(app, ["explore", *args])
    assert result.exit_code == 2
    assert told in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def heed_ctrl_c() -> None:
    """Undo what a shell does to what it starts in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent as a signal of POSIX")
def test_a_page_from_the_first_to_ctrl_c(tmp_path: Path) -> None:
    digits = datasets.load("digits")
    path = tmp_path / "m.safetensors"
    Autoencoder(2, network="dense(hidden=[8])", epochs=1, random_state=0).fit(digits.X).save(path)
    command = [sys.executable, "-m", "latente", "explore", str(path), "--data", "digits"]
    options = ["--beside", "pca", "--limit", "40", "--no-browser", "--port", "0", "--lang", "es"]
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(
        [*command, *options], env=os.environ, preexec_fn=heed_ctrl_c, **pipes
    ) as process:
        assert process.stdout is not None
        url, _, state = process.stdout.readline().strip().partition("#")
        assert state == "lang=es"
        with urllib.request.urlopen(f"{url}api/info", timeout=20) as answer:
            info = json.load(answer)
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (info["n"], info["split"]) == (40, "test")
    assert [model["name"] for model in info["models"]] == ["m", "PCA"]
    assert process.returncode == 0
    assert out == ""
    assert "Traceback" not in err
