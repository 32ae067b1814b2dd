"""Several processes make the fit that one makes: run by torchrun, this file is their script."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.utils.checkpoint import checkpoint

from latente import (
    AnomalyDetector,
    Autoencoder,
    ParameterError,
    Study,
    TrainingError,
    TrainingWarning,
    build,
    datasets,
)
from latente.cli import console
from latente.cli.main import explained_end
from latente.errors import FileError, LatenteError
from latente.families import FAMILIES
from latente.launch import LAUNCHED, OWNER
from latente.storage.packing import pack, unpack
from latente.storage.tensors import read_tensors, write_tensors
from latente.training import distributed
from latente.training.checkpoint import Checkpoint
from latente.training.distributed import ALONE, GradientSum, Processes, processes
from latente.training.state import TrainingState
from latente.training.steps import GradientStep

DIGITS = datasets.load("digits").X[:97]
"""Of which 65 are trained on: two batches of 32 and one of a single row, too few for two."""
WORDS = [f"{a} {b}" for a in ("red", "green", "blue") for b in ("sun", "sea", "sky")] * 11
SMALL: dict[str, Any] = {
    "latent_dim": 4, "network": "dense(hidden=[8], dropout=0.1)", "corruption": "gaussian_noise",
    "batch_size": 32, "epochs": 2, "random_state": 0, "device": "cpu", "precision": "float32",
    # Steps in proportion to the gradient: Adam makes whole steps of its rounding errors.
    "optimizer": "sgd", "learning_rate": 1e-3, "schedule": "constant", "gradient_clip": 1.0,
    "validation_fraction": 0.33,
}  # fmt: skip
VARIANTS: dict[str, dict[str, Any]] = {
    "no dropout": {"network": "dense(hidden=[8])", "corruption": None},
    "the start of auto": {"network": "auto", "optimizer": "adam", "schedule": "auto"},
    # One evaluation a step: its curvature is a difference of gradients that are nearly equal.
    "lbfgs": {
        "network": "dense(hidden=[8])",
        "optimizer": "lbfgs(iterations=1)",
        "corruption": None,
        "gradient_clip": None,
        "batch_size": 65,
    },
    "plateau": {"schedule": "plateau"},
    "several codes": {"bottleneck": "gaussian(samples=3)"},
    "total correlation": {"bottleneck": "gaussian(tc=3)"},
    "free bits": {"bottleneck": "gaussian(free_bits=0.3)"},
    "pseudo-inputs": {"bottleneck": "gaussian(prior='vamp', components=16)"},
    "stochastic mmd": {"bottleneck": "mmd(stochastic=True)"},
    "spatial": {"network": "conv", "bottleneck": "vector_quantized(codes=16)"},
    "bf16": {"precision": "bf16", "corruption": None, "network": "dense(hidden=[8])"},
}
KEPT = ("epoch", "total", "reconstruction", "validation_total")


def cases() -> dict[str, dict[str, Any]]:
    """Every part of the families whose work a share of the rows changes, and some variants."""
    named = {
        f"{family}: {name}": {family: name}
        for family in ("bottleneck", "corruption", "loss", "network")
        for name in FAMILIES[family]
    }
    return {**named, **VARIANTS}


def data_of(given: dict[str, Any]) -> Any:
    """Return the first data that the parts take."""
    if given.get("network") == "recurrent":
        return DIGITS
    if given.get("loss") == "categorical":
        return WORDS[:97]
    if given.get("corruption") == "grayscale" or given.get("loss") == "colours":
        return (DIGITS[..., None] * np.array([1, 0.5, 0.2])).astype(np.float32)
    return DIGITS


def trained(given: dict[str, Any]) -> Autoencoder:
    keywords = {**SMALL, **given}
    if given.get("loss") == "categorical" or given.get("network") == "recurrent":
        keywords |= {"corruption": None, "network": "recurrent(hidden=8)"}
    if given.get("network") == "recurrent":
        keywords |= {"layout": "sequences"}
    if given.get("loss") == "structural":
        keywords |= {"network": "dense(hidden=[8])"}
    return Autoencoder(**keywords).fit(data_of(given))


def outcome(model: Autoencoder) -> tuple[dict[str, torch.Tensor], list[list[float]]]:
    weights = {name: value.clone() for name, value in model.module_.state_dict().items()}
    return weights, [[record[name] for name in KEPT] for record in model.history_]


def everything() -> dict[str, Any]:
    """Fit all cases, here or in several processes."""
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TrainingWarning)
        for name, given in cases().items():
            found[name] = outcome(trained(given))
        for name in ("plain", "gaussian", "mmd"):
            rows = datasets.stream(np.concatenate([DIGITS] * 7))
            model = Autoencoder(**{**SMALL, "bottleneck": name, "batch_size": 100})
            found[f"streamed: {name}"] = outcome(model.fit(rows))
        weights = np.linspace(0, 2, len(DIGITS))
        model = Autoencoder(**{**SMALL, "bottleneck": "mmd"})
        found["weighted rows"] = outcome(model.fit(DIGITS, sample_weight=weights))
    return found


class Counting:
    """A callback that ends the fit after three epochs."""

    def __init__(self) -> None:
        self.calls = 0

    def on_epoch_end(self, state: TrainingState) -> None:
        self.calls += 1
        state.stop = self.calls == 3


class Interrupting:
    """A callback of the first process: Ctrl-C reaches that one only, after two epochs."""

    def on_epoch_end(self, state: TrainingState) -> None:
        if state.epoch == 2:
            signal.raise_signal(signal.SIGINT)


def full(*_: Any) -> None:
    """Stand in for what writes to a full disk."""
    raise FileError("full")


class Failing:
    """A callback that raises what it is given."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def on_epoch_end(self, state: TrainingState) -> None:
        raise self.error


def told(work: Any) -> str:
    try:
        work()
    except (LatenteError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def behaviour(own: Processes) -> dict[str, Any]:
    """What processes do beside taking steps."""
    keywords = {**SMALL, "network": "dense(hidden=[8])", "epochs": 5}
    counting = Counting()
    stopped = Autoencoder(**{**keywords, "callbacks": counting}).fit(DIGITS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TrainingWarning)
        interrupted = Autoencoder(**{**keywords, "callbacks": Interrupting()}).fit(DIGITS)
    free = Autoencoder(**{**keywords, "random_state": None, "epochs": 1}).fit(DIGITS)
    seeds = own.gathered(np.array([free.fitted_.seed]), [1] * own.size)
    different = told(lambda: Autoencoder(**keywords).fit(DIGITS[own.rank :]))
    halves = (
        nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.BatchNorm1d(4)),
        nn.Sequential(nn.Linear(4, 64), nn.Unflatten(1, (1, 8, 8))),
    )
    normed = told(lambda: Autoencoder(**{**keywords, "network": halves}).fit(DIGITS))
    free.fitted_.processes = own
    shared = free.transform(np.concatenate([DIGITS] * 20))
    free.fitted_.processes = ALONE
    alone = free.transform(DIGITS)
    odd = kept_in_step(own, keywords)
    return {
        **odd,
        "calls": own.gathered(np.array([counting.calls]), [1] * own.size).tolist(),
        "stopped": [stopped.stopped_, stopped.epochs_],
        "interrupted": own.gathered(np.array([interrupted.epochs_]), [1] * own.size).tolist(),
        "why": interrupted.stopped_,
        "seeds": len(set(seeds.tolist())),
        "different": different,
        "normed": normed,
        "shared": torch.from_numpy(shared),
        "alone": torch.from_numpy(alone),
    }


def kept_in_step(own: Processes, keywords: dict[str, Any]) -> dict[str, Any]:
    """What is given, drawn, measured or raised in one process alone, and what both then do."""
    keywords = {**keywords, "epochs": 2}

    def each(number: float) -> list[float]:
        found: list[float] = own.gathered(np.array([number], float), [1] * own.size).tolist()
        return found

    def tell(sentence: str) -> list[str]:
        found: list[str] = own.gathered(np.array([sentence], "U300"), [1] * own.size).tolist()
        return found

    def fit(**other: Any) -> Autoencoder:
        return Autoencoder(**{**keywords, **other}).fit(DIGITS)

    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        folders = folder if own.leads else None
        Autoencoder(**keywords).fit(DIGITS, checkpoint=folders)
        found["kept"] = (Path(folder) / "checkpoint.safetensors").exists() if own.leads else None
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Checkpoint, "save", full)
            longer = Autoencoder(**{**keywords, "epochs": 3})
            found["full disk"] = tell(told(lambda: longer.fit(DIGITS, checkpoint=folders)))
    found["own error"] = tell(told(lambda: fit(callbacks=Failing(ValueError("a bug")))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TrainingWarning)
        found["asked"] = tell(fit(callbacks=Failing(KeyboardInterrupt())).stopped_ or "")
    found["epochs"] = tell(told(lambda: fit(epochs=2 + own.rank)))
    state = np.random.RandomState(0)
    fit(random_state=state)
    found["drawn after"] = each(state.randint(1000))
    with pytest.MonkeyPatch.context() as patch:
        precision = "bf16" if own.leads else "float32"
        patch.setattr(build, "find_precision", lambda *_, **__: precision)
        model = fit(precision="auto")
    found["precision"] = tell(model.precision_)
    found["seconds"] = each(model.history_[0]["seconds"])
    with torch.no_grad():
        next(model.module_.parameters()).add_(own.rank)
    model.set_params(warm_start=True).fit(DIGITS)
    found["warm"] = each(float(next(model.module_.parameters()).detach().double().sum()))
    inner = Autoencoder(**{**keywords, "random_state": None})
    detector = AnomalyDetector(inner, scores="reconstruction")
    found["detector"] = tell(told(lambda: detector.fit(DIGITS)))
    study = Study(Autoencoder(**keywords), {"latent_dim": [2 + own.rank]}).run(DIGITS)
    found["study"] = tell(study.rows[0].state)
    return found


def lost(path: Path) -> None:
    """Let the second process run out of memory; each tells what it comes to, and in which time."""
    own, inner = processes(), GradientStep.step

    def step(self: GradientStep, *given: Any) -> torch.Tensor:
        if not own.leads and self.names:
            raise torch.OutOfMemoryError("allocate memory")
        return inner(self, *given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GradientStep, "step", step)
        begun = time.monotonic()
        sentence = told(lambda: Autoencoder(**SMALL).fit(DIGITS))
        seconds = time.monotonic() - begun
    again = "" if own.leads else told(lambda: Autoencoder(**SMALL).fit(DIGITS))
    words = [sentence, again, "soon" if seconds < 60 else "late"]
    path.with_suffix(f".{own.rank}").write_text("\n".join(words))
    parts = [path.with_suffix(f".{rank}") for rank in range(own.size)]
    while not all(part.exists() for part in parts) and time.monotonic() < begun + 100:
        time.sleep(0.01)  # the end of one process would tell the other the same


def several(work: str, *arguments: str, processes: int = 2, **options: Any) -> Any:
    """Run this file under torchrun."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(processes)]
    command += [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": ":".join(sys.path)}
    return subprocess.run(
        [*command, __file__, work, *arguments],
        capture_output=True, text=True, timeout=300, env=environment,
    )  # fmt: skip


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    """What two processes came to, and what this one comes to."""
    path = tmp_path_factory.mktemp("several") / "found.safetensors"
    done = several("everything", str(path))
    assert done.returncode == 0, done.stderr[-4000:]
    tensors, meta = read_tensors(path, kind="outcome", newest_format=1, finite=False)
    found = unpack(meta, tensors)
    found["lost"] = [path.with_suffix(f".{rank}").read_text().split("\n") for rank in (0, 1)]
    return found, everything()


STREAMED = [f"streamed: {name}" for name in ("plain", "gaussian", "mmd")]


@pytest.mark.parametrize("name", [*cases(), "weighted rows", *STREAMED])
def test_two_processes_take_the_steps_of_one(
    name: str, both: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    (weights, history), (alone, expected) = (found[name] for found in both)
    coarse = name == "bf16"
    np.testing.assert_allclose(history, expected, rtol=3e-2 if coarse else 1e-4, atol=1e-5)
    for key, value in alone.items():
        if not value.numel():
            continue
        size = float(value.abs().max()) + 1e-3
        off = float((weights[key].double() - value.double()).abs().max())
        assert off <= (1e-2 if coarse else 1e-5) * size + 1e-7, key


def test_processes_act_as_one(both: tuple[dict[str, Any], dict[str, Any]]) -> None:
    found = both[0]["behaviour"]
    assert found["calls"] == [3, 0]  # the first process's are called
    assert found["stopped"] == ["callback", 3]
    assert found["interrupted"] == [2, 2]  # both stop, and have a model
    assert found["why"] == "interrupted"
    assert found["seeds"] == 1
    assert "different data" in found["different"]
    assert "BatchNorm1d" in found["normed"]
    assert torch.equal(found["shared"], torch.cat([found["alone"]] * 20))


def test_what_one_process_has_alone_keeps_none_waiting(
    both: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    found = both[0]["behaviour"]
    assert found["kept"]  # where only the first was given a folder
    assert found["full disk"] == ["FileError: full"] * 2
    own_error = ["ValueError: a bug", "TrainingError: the first process failed: ValueError: a bug"]
    assert found["own error"] == own_error
    assert found["asked"] == ["interrupted"] * 2
    assert "epochs differ in process 1" in found["epochs"][1]
    assert found["precision"] == ["bf16"] * 2
    for name in ("drawn after", "seconds", "warm"):
        assert found[name][0] == found[name][1], name
    assert found["detector"] == [""] * 2
    assert found["study"] == ["complete"] * 2


def test_a_process_that_fails_alone_leaves_the_others(
    both: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    first, second = both[0]["lost"]
    assert "another of the 2 processes of this fit ended" in first[0]
    assert "out of memory" in second[0]
    assert "left the others" in second[1]
    assert first[2] == second[2] == "soon"


KILLED: dict[str, Any] = {**SMALL, "network": "dense(hidden=[8])", "epochs": 6}


class KillSecond:
    """Ends a process, as `kill -9` does, after some epochs of its first life."""

    def on_epoch_end(self, state: TrainingState) -> None:
        time.sleep(0.1)


def killed(folder: str, epochs: str) -> None:
    """Fit with a checkpoint; the second process dies once there is one."""
    own = processes()
    first_life = os.environ["TORCHELASTIC_RESTART_COUNT"] == "0"
    if own.rank == 1 and first_life and int(epochs):
        kill_when(Path(folder) / "checkpoint.safetensors")
    model = Autoencoder(**{**KILLED, "callbacks": KillSecond()})
    model.fit(DIGITS, checkpoint=folder)
    if own.leads:
        model.save(Path(folder) / "model.safetensors")


def kill_when(path: Path) -> None:
    """Kill this process, from another thread, as soon as a file is there."""
    import threading

    def look() -> None:
        while not path.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=look, daemon=True).start()


def test_a_killed_process_ends_the_job_and_a_checkpoint_goes_on(tmp_path: Path) -> None:
    expected = outcome(Autoencoder(**KILLED).fit(DIGITS))[0]
    begun = time.monotonic()
    done = several("killed", str(tmp_path), "1")
    assert done.returncode != 0
    assert time.monotonic() - begun < 120
    assert "SIGKILL" in done.stderr
    assert not (tmp_path / "model.safetensors").exists()
    model = Autoencoder(**KILLED).fit(DIGITS, checkpoint=tmp_path)  # with one process
    assert_close(outcome(model)[0], expected)


def test_a_restarted_job_goes_on(tmp_path: Path) -> None:
    done = several("killed", str(tmp_path), "1", max_restarts=1)
    assert done.returncode == 0, done.stderr[-4000:]
    model = Autoencoder.load(tmp_path / "model.safetensors")
    assert model.epochs_ == KILLED["epochs"]
    assert_close(outcome(model)[0], outcome(Autoencoder(**KILLED).fit(DIGITS))[0])


def assert_close(weights: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    for name, value in expected.items():
        assert torch.allclose(weights[name], value, rtol=1e-4, atol=1e-5), name


@pytest.fixture
def second(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Be the second of two processes that torchrun started."""
    before = signal.getsignal(signal.SIGTERM)
    for name, value in {LAUNCHED: "fit", OWNER: os.getpid(), "WORLD_SIZE": 2, "RANK": 1}.items():
        monkeypatch.setenv(name, str(value))
    yield
    signal.signal(signal.SIGTERM, before)


def test_the_signal_that_ends_a_command_is_explained(second: None) -> None:
    with pytest.raises(TrainingError, match="torchrun ends this process"), explained_end():
        signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)  # nothing is said twice


def test_what_ends_another_process_than_the_first_is_told(
    second: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "FIRST_SPEAKS", 0.01)

    def ended(code: int) -> None:
        with console.quietly(True):
            console.say("no such file")
            print("a result")
            raise SystemExit(code)

    for code, expected in ((0, ""), (2, "process 1: latente: no such file\n")):
        with pytest.raises(SystemExit):
            ended(code)
        assert capsys.readouterr() == ("", expected)


def test_what_lies_on_no_gpu_goes_through_the_group_for_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    groups = []

    def begun(values: torch.Tensor, group: Any, async_op: bool) -> Any:
        groups.append(group)
        return SimpleNamespace(wait=lambda: None)

    monkeypatch.setattr(dist, "all_reduce", begun)
    own = Processes(0, 2, "control")
    own.add(torch.zeros(1))
    own.add(torch.zeros(1, device="meta"))
    assert groups == ["control", None]


@pytest.fixture
def twin(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let there be another process of the same gradients; gives the sizes of the messages."""
    sizes = []

    def begun(values: torch.Tensor, group: Any, async_op: bool) -> Any:
        sizes.append(len(values))
        return SimpleNamespace(wait=lambda: values.mul_(2))

    monkeypatch.setattr(dist, "all_reduce", begun)
    monkeypatch.setattr(Processes, "from_first", lambda self, function: function())
    monkeypatch.setattr(distributed, "MESSAGE", 64)
    return sizes


def test_gradients_are_sent_while_others_are_computed(twin: list[int]) -> None:
    layers = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 3), nn.Linear(3, 2))
    unused = nn.Parameter(torch.zeros(7))
    own = Processes(0, 2)
    sums, begun = GradientSum(own, [unused, *layers.parameters()]), []
    layers[0].weight.register_hook(lambda gradient: begun.append(len(twin)))
    x = torch.randn(6, 4)
    for messages in (1, 3):
        layers.zero_grad()
        loss = layers(x).square().mean()
        expected = torch.autograd.grad(loss, list(layers.parameters()), retain_graph=True)
        twin.clear()
        begun.clear()
        found = sums.backward({"total": loss, "cost": 2 * loss})
        assert found == {"total": 2 * loss.detach(), "cost": 4 * loss.detach()}
        for p, gradient in zip(layers.parameters(), expected, strict=True):
            torch.testing.assert_close(p.grad, 2 * gradient)
        assert len(twin) == messages
        assert sum(twin) == 20 + 5 + 15 + 3 + 6 + 2 + 3  # all gradients, both terms and a flag
    assert 0 < begun[0] < len(twin)
    assert unused.grad is None


def test_what_connects_processes_ends_before_the_interpreter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = Processes(0, 2, "control")
    monkeypatch.setattr(distributed, "_joined", {1: (None, own)})
    distributed._leave()
    assert own.control is None
    assert not distributed._joined


def test_a_gradient_that_changes_once_it_is_sent_is_refused(twin: list[int]) -> None:
    layer = nn.Linear(4, 4)
    sums = GradientSum(Processes(0, 2), list(layer.parameters()))

    def loss() -> torch.Tensor:
        x = torch.randn(3, 4, requires_grad=True)
        for _ in range(2):
            x = checkpoint(layer, x, use_reentrant=True)
        return x.square().mean()

    sums.backward({"total": loss()})
    with pytest.raises(TrainingError, match="use_reentrant=False"):
        sums.backward({"total": loss()})


def test_the_word_of_an_interrupt_keeps_no_gradients(twin: list[int]) -> None:
    weights = nn.Parameter(torch.ones(1000))
    own = Processes(0, 2)
    GradientSum(own, [weights]).backward({"total": weights.sum()})
    assert own._interruptions is not None
    assert own._interruptions.untyped_storage().nbytes() == 4


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        ("pair.cc:553] Connection closed by peer [127.0.0.1]", "this fit ended, so"),
        ("Timed out waiting 600000ms", "did not answer for 600 s"),
        ("No backend type associated with device type mps", "could not be reached .No backend"),
    ],
)
def test_what_breaks_between_processes_is_told_as_it_is(error: str, sentence: str) -> None:
    with pytest.raises(TrainingError, match=sentence), Processes(1, 2).attended():
        raise RuntimeError(error)


@pytest.mark.parametrize("seconds", ["inf", "nan", "0", "ten", "1e300"])
def test_a_patience_that_cannot_be_is_refused(
    seconds: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(distributed.TIMEOUT, seconds)
    with pytest.raises(ParameterError, match=f"LATENTE_TIMEOUT='{seconds}'"):
        distributed._patience()


def test_a_share_of_every_size_adds_up() -> None:
    for rows in range(1, 12):
        for size in (2, 3, 4):
            shares = [Processes(rank, size).share(rows) for rank in range(size)]
            own = [share.own(torch.arange(rows)) for share in shares if share is not None]
            weights = [share.weight for share in shares if share is not None]
            assert sum(weights) == pytest.approx(1.0)
            counted = [x for part, w in zip(own, weights, strict=True) if w for x in part.tolist()]
            assert counted == list(range(rows))
            assert all(len(part) for part in own)


def main(work: str, *arguments: str) -> None:
    if work == "killed":
        killed(*arguments)
        return
    processes()
    dist.destroy_process_group()  # as a script may; the next fit meets the others anew
    distributed.MESSAGE = 64  # so that small networks send several
    found = everything()
    found["behaviour"] = behaviour(processes())
    if processes().leads:
        structure, tensors = pack(found)
        write_tensors(Path(arguments[0]), tensors, structure, kind="outcome", format=1)
    lost(Path(arguments[0]))


if __name__ == "__main__":
    main(*sys.argv[1:])
