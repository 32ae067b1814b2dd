"""Several processes that fit one model, on one machine or many, as `torchrun` starts them.

::

    batch ──own rows──▶ terms ──backward──▶ gradients ──sum over processes──▶ the same step in each

A batch is that of all processes together, so that their number changes nothing but the time: every
process works on its share of the rows, the gradients are summed, and all take one step. What a fit
decides beside that (seed, precision, what a checkpoint holds, which epoch is the best, when a
callback ends it) is decided by the first process. https://docs.pytorch.org/docs/stable/elastic/run.html
"""

from __future__ import annotations

import atexit
import json
import os
import re
import secrets
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from .. import errors
from ..data.batches import Batches, even_parts
from ..data.stream import Stream
from ..errors import DataError, LatenteError, ParameterError, TrainingError
from ..launch import is_apart, is_launched
from ..shares import Share, SharedGenerator
from ..storage.packing import pack, unpack
from .checkpoint import flatten
from .hardware import is_out_of_memory

T = TypeVar("T")

TIMEOUT = "LATENTE_TIMEOUT"
"""Environment variable: seconds that a process waits for another before it gives up."""
PATIENCE, LONGEST = 600.0, 1e7
ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]+")
"""In the text of an object that has no text of its own: it differs from process to process."""
GONE = re.compile(r"closed|reset by|broken pipe|refused|aborted|exited", re.IGNORECASE)
"""In what is said of a connection whose other end is gone."""
MEETING = 0.02
"""Seconds between two looks for the others at the start."""
MESSAGE = 2**22
"""Bytes of gradients that are sent together, at least."""
SHOWN = 3
"""Differences that a refusal names."""


class Processes:
    """The processes of one fit, seen from one of them.

    Parameters
    ----------
    rank, size
        The number of this process, from 0, and how many there are.
    control
        Their group for what lies on no GPU; None for a process alone.
    made
        Whether the other group, that for GPUs, was made here too.
    """

    def __init__(
        self, rank: int = 0, size: int = 1, control: Any = None, *, made: bool = False
    ) -> None:
        self.rank, self.size, self.control, self.made = rank, size, control, made
        self.failed = False
        """Whether this one has left the others."""
        self.bytes = 0
        """That this process gave to the others so far."""
        self._interrupted = False
        self._interruptions: Tensor | None = None

    @property
    def leads(self) -> bool:
        """Whether this is the first process, which writes, prints and decides."""
        return self.rank == 0

    @property
    def alone(self) -> bool:
        """Whether there is no other process."""
        return self.size == 1

    def share(self, rows: int) -> Share | None:
        """Return this process's share of a batch of so many rows; None for all of it."""
        if self.alone:
            return None
        return self.share_of_sizes(even_parts(rows, self.size))

    def epoch(
        self, batches: Batches | Stream, generator: SharedGenerator, size: int
    ) -> Generator[tuple[Batches, Tensor]]:
        """Yield the steps of an epoch: this process's rows of each batch.

        The generator draws for these rows from then on.

        Parameters
        ----------
        batches
            All rows, the same in every process.
        generator
            Source of the order and of what is drawn for the rows.
        size
            Rows in a batch of all processes.
        """
        if self.alone:
            yield from batches.epoch(generator, size)
            return
        with closing(batches.shared_epoch(generator, size, self.rank, self.size)) as steps:
            for part, index, sizes in steps:
                generator.share = self.share_of_sizes(sizes)
                yield part, index

    def own_rows(self, index: Tensor, generator: SharedGenerator) -> Tensor:
        """Return this process's rows of a batch, and let the generator draw for them."""
        generator.share = self.share(len(index))
        return index if generator.share is None else generator.share.own(index)

    def share_of_sizes(self, sizes: Sequence[int]) -> Share:
        """Return this process's share of a batch of which each process has so many rows."""
        total, own = sum(sizes), sizes[self.rank]
        first = min(sum(sizes[: self.rank]), total - 1)
        join = Join(self, first, sizes)
        return Share(first, max(own, 1), total, own / total, join, self.sum)

    @contextmanager
    def interrupted_together(self) -> Iterator[None]:
        """Hold Ctrl-C back until `heed_interrupt`, after the same step in every process."""
        if self.alone:
            yield
            return
        before = signal.signal(signal.SIGINT, self._hold)
        self._interrupted, self._interruptions = False, None
        try:
            yield
        finally:
            # While torchrun ends a job it sends the signal again.
            ending = self._interrupted and is_launched()
            # Of a handler that was not set from Python nothing is known.
            signal.signal(signal.SIGINT, signal.SIG_IGN if ending else before or signal.SIG_DFL)

    def _hold(self, *_: object) -> None:
        self._interrupted = True

    def interrupt_flag(self, like: Tensor) -> Tensor:
        """Return what tells the others whether this process was interrupted, (1,)."""
        return like.new_full((1,), float(self._interrupted))

    def hear_interrupt(self, flags: Tensor) -> None:
        """Take the sum of all processes' flags, which `heed_interrupt` acts on."""
        self._interruptions = flags.clone()  # a view would keep the message

    def heed_interrupt(self, *, look: bool) -> None:
        """Raise `KeyboardInterrupt` in every process, if one was interrupted before the last step.

        Parameters
        ----------
        look
            Whether to wait for a device other than the CPU, on which it is told.
        """
        told = self._interruptions
        if told is not None and (look or told.device.type == "cpu") and bool(told):
            self._interrupted = True
            raise KeyboardInterrupt

    def add(self, values: Tensor) -> None:
        """Sum a tensor over the processes, in place."""
        self.begin_add(values)()

    def begin_add(self, values: Tensor) -> Callable[[], None]:
        """Begin to sum a tensor over the processes, in place; what is returned waits for the end.

        All processes have to begin their sums in the same order.
        """
        self.bytes += values.nbytes
        with self.attended():
            work = dist.all_reduce(values, group=self._group(values), async_op=True)

        def wait() -> None:
            with self.attended():
                work.wait()

        return wait

    def sum(self, own: Tensor) -> Tensor:
        """Return the sum of a tensor over the processes."""
        found = own.detach().clone()
        self.add(found)
        return found

    def join(self, own: Tensor, sizes: Sequence[int]) -> Tensor:
        """Return the rows of all processes, in their order, of which each gives its own.

        Parameters
        ----------
        own
            At least as many rows as this process has; the others behind them are left out.
        sizes
            Rows of each process.
        """
        most = max(sizes)
        padded = own.new_zeros((most, *own.shape[1:]))
        padded[: sizes[self.rank]] = own[: sizes[self.rank]]
        found = own.new_empty((self.size * most, *own.shape[1:]))
        self.bytes += padded.nbytes
        with self.attended():
            _all_gather(found, padded, self._group(padded))
        parts = torch.split(found, most)
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    def from_first(self, function: Callable[[], T]) -> T:
        """Return what a function gives the first process, which alone calls it, in all of them.

        Parameters
        ----------
        function
            Gives nested values and tensors, as `packing.pack` takes them. What it raises is raised
            in every process: in the others as an error of the library, or an interrupt.
        """
        if self.alone:
            return function()
        if not self.leads:
            told = self._broadcast(None)
            if "error" in told:
                raise _as_told(told["error"], told["sentence"])
            found: T = told["value"]
            return found
        try:
            value = function()
        except BaseException as error:
            self._broadcast({"error": type(error).__name__, "sentence": str(error)})
            raise
        self._broadcast({"value": value})
        return value

    def follow_first(self, tensors: Sequence[Tensor]) -> None:
        """Overwrite tensors by those of the first process."""
        if self.alone or not tensors:
            return
        groups: dict[torch.dtype, list[Tensor]] = {}
        for tensor in tensors:
            groups.setdefault(tensor.dtype, []).append(tensor)
        with torch.no_grad(), self.attended():
            for alike in groups.values():
                flat = torch.cat([tensor.flatten() for tensor in alike])
                self.bytes += flat.nbytes if self.leads else 0
                dist.broadcast(flat, 0, group=self._group(flat))
                parts = torch.split(flat, [tensor.numel() for tensor in alike])
                for tensor, part in zip(alike, parts, strict=True):
                    tensor.copy_(part.view_as(tensor))

    def require_same(self, fingerprint: Mapping[str, object]) -> None:
        """Raise `DataError` in every process unless all were given the same data and parameters."""
        if self.alone:
            return
        own = {k: v for k, v in flatten(fingerprint).items() if not ADDRESS.search(v)}
        first = self.from_first(lambda: own)
        names = [name for name in {**first, **own} if first.get(name) != own.get(name)]
        wrong = torch.tensor([float(bool(names))])
        with self.attended():
            dist.all_reduce(wrong, group=self.control)
        if not wrong:
            return
        which = f" ({', '.join(names[:SHOWN])} differ in process {self.rank})" if names else ""
        raise DataError(
            f"the processes were given different data or parameters{which}; give each of them all "
            "the rows: a fit shares them out by itself"
        )

    def blocks(self, rows: int, size: int) -> list[int]:
        """Return how many of all rows each process takes: whole blocks of a size, but the last."""
        blocks = -(-rows // size)
        ends = [min(blocks * (i + 1) // self.size * size, rows) for i in range(self.size)]
        return [end - begin for begin, end in zip([0, *ends], ends, strict=False)]

    def gathered(self, own: NDArray[Any], sizes: Sequence[int]) -> NDArray[Any]:
        """Return the rows of all processes, in their order, as `join` does, of an array."""
        most = max(sizes)
        shape = own.shape[1:]
        padded = np.zeros((most, *shape), own.dtype)
        padded[: len(own)] = own
        sent = torch.from_numpy(padded.reshape(-1).view(np.uint8))
        found = torch.empty(self.size * len(sent), dtype=torch.uint8)
        self.bytes += sent.nbytes
        with self.attended():
            _all_gather(found, sent, self.control)
        parts = found.numpy().view(own.dtype).reshape(self.size, most, *shape)
        return np.concatenate([part[:size] for part, size in zip(parts, sizes, strict=True)])

    def leave(self) -> None:
        """End what connects this process with the others: it failed alone, and they wait for it."""
        if not self.alone:
            control, self.control, self.failed = self.control, None, True
            dist.destroy_process_group(None if self.made else control)

    @contextmanager
    def attended(self) -> Iterator[None]:
        """Turn the end of another process into one sentence."""
        try:
            yield
        except RuntimeError as error:
            if isinstance(error, LatenteError) or is_out_of_memory(error):
                raise
            first = str(error).partition("\n")[0]
            why = "ended" if GONE.search(first) else f"could not be reached ({first})"
            if "timed out" in str(error).lower() or "timeout" in str(error).lower():
                why = f"did not answer for {_patience():.0f} s"
            raise TrainingError(
                f"another of the {self.size} processes of this fit {why}, so that process "
                f"{self.rank} cannot go on; run it again: with the same checkpoint folder it goes "
                "on from the last epoch, with any number of processes"
            ) from error

    def _group(self, values: Tensor) -> Any:
        """Return the group for a tensor: that of a program's own making may be for GPUs alone."""
        return self.control if values.device.type == "cpu" else None

    def _broadcast(self, value: Any) -> Any:
        """Return the first process's value in every process."""
        from safetensors.torch import load, save

        message = b""
        if self.leads:
            structure, tensors = pack(value)
            text = torch.frombuffer(bytearray(json.dumps(structure).encode()), dtype=torch.uint8)
            kept = {f"tensor {name}": each.cpu().contiguous() for name, each in tensors.items()}
            message = save({"structure": text, **kept})
        size = torch.tensor([len(message)])
        with self.attended():
            dist.broadcast(size, 0, group=self.control)
            sent = torch.frombuffer(bytearray(message or bytes(int(size))), dtype=torch.uint8)
            dist.broadcast(sent, 0, group=self.control)
        self.bytes += len(message)
        if self.leads:
            return value
        found = load(sent.numpy().tobytes())
        structure = json.loads(found.pop("structure").numpy().tobytes())
        return unpack(structure, {name.removeprefix("tensor "): t for name, t in found.items()})


def _as_told(name: str, sentence: str) -> BaseException:
    """Return what the first process raised, as another one raises it."""
    if name == KeyboardInterrupt.__name__:
        return KeyboardInterrupt()
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, LatenteError):
        return kind(sentence)
    return TrainingError(f"the first process failed: {name}: {sentence}")


def _all_gather(found: Tensor, own: Tensor, group: Any) -> None:
    # torch 2.13 gave the call another name and warns of the one before.
    gather = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor
    gather(found, own, group=group)


ALONE = Processes()


class GradientSum:
    """Gradients of a group of parameters, summed over processes while they are computed.

    ::

        backward:  last layers ────────▶ first layers
                        └─ message 1 ─▶       └─ message 2 ─▶ ... ─ wait ─▶ gradients of all rows

    The first backward pass tells in which order the gradients come; from the next one on those that
    come together are sent together, as soon as they are there.
    https://docs.pytorch.org/docs/stable/notes/ddp.html

    Parameters
    ----------
    processes
        Those that sum.
    parameters
        Of the group. Those that a loss leaves without a gradient are left out; they have to be the
        same in every process.
    """

    def __init__(self, processes: Processes, parameters: Sequence[nn.Parameter]) -> None:
        self.processes = processes
        self.parameters = list(parameters)
        self.messages: list[list[int]] | None = None
        """Which parameters' gradients are sent together; None before the first pass."""
        self._terms: list[Tensor] = []
        self._came: dict[int, None] = {}
        """The gradients that are there, in the order in which they came."""
        self._sent: list[tuple[Tensor, list[Tensor], Callable[[], None]]] = []
        """Of each message: itself, what it was made of, and what waits for its end."""

    def backward(self, means: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Leave the gradient of the first of some loss terms, (), in the parameters; sum all terms.

        Parameters
        ----------
        means
            Each this process's part of a mean over the rows of all processes.

        Raises
        ------
        TrainingError
            If a gradient changes after it was sent.
        """
        loss, *_ = means.values()
        if self.processes.alone:
            loss.backward()  # type: ignore[no-untyped-call]
            return {name: mean.detach() for name, mean in means.items()}
        self._terms = [mean.detach() for mean in means.values()]
        self._came, self._sent = {}, []
        hooks = [self._watched(number) for number in range(len(self.parameters))]
        try:
            loss.backward()  # type: ignore[no-untyped-call]
        finally:
            for hook in hooks:
                hook.remove()
        return dict(zip(means, self._finish(), strict=True))

    def _watched(self, number: int) -> RemovableHandle:
        """Let a parameter's gradient be noted, and sent, once it is there."""
        hook = self.parameters[number].register_post_accumulate_grad_hook
        handle: RemovableHandle = hook(lambda _: self._note(number))  # type: ignore[no-untyped-call]
        return handle

    def _note(self, number: int) -> None:
        """Note that a gradient is there, and send the messages that are whole, in their order."""
        messages = self.messages or []
        if any(number in sent for sent in messages[: len(self._sent)]):
            raise TrainingError(
                "a weight's gradient came twice in a backward pass, which several processes "
                "cannot sum; of torch.utils.checkpoint, use use_reentrant=False"
            )
        self._came[number] = None
        for numbers in messages[len(self._sent) :]:
            if not all(each in self._came for each in numbers):
                return
            self._send(numbers)

    def _send(self, numbers: Sequence[int]) -> None:
        """Begin to sum some gradients; the first message holds the terms too."""
        gradients = [grad for i in numbers if (grad := self.parameters[i].grad) is not None]
        head: list[Tensor] = []
        if not self._sent:
            flag = self.processes.interrupt_flag(self._terms[0])
            head = [torch.cat([*(term.view(1) for term in self._terms), flag])]
        parts = [*head, *gradients]
        flat = (
            torch.cat([part.flatten() for part in parts]) if parts else self._terms[0].new_empty(0)
        )
        self._sent.append((flat, parts, self.processes.begin_add(flat)))

    def _finish(self) -> Sequence[Tensor]:
        """Send what is left, and wait for all."""
        all_at_once = [list(range(len(self.parameters)))]
        for numbers in (self.messages or all_at_once)[len(self._sent) :]:
            self._send(numbers)
        for flat, parts, wait in self._sent:
            wait()
            summed = torch.split(flat, [part.numel() for part in parts])
            for part, values in zip(parts, summed, strict=True):
                part.copy_(values.view_as(part))
        *terms, flags = self._sent[0][1][0].unbind()
        self.processes.hear_interrupt(flags.view(1))
        if self.messages is None:
            self.messages = self._together()
        self._sent = []  # they hold as much as the gradients
        return terms

    def _together(self) -> list[list[int]]:
        """Return which gradients are sent together, in the first process's order."""
        missing = [i for i in range(len(self.parameters)) if i not in self._came]
        order = self.processes.from_first(lambda: [*self._came, *missing])
        messages: list[list[int]] = [[]]
        size = 0
        for number in order:
            if size >= MESSAGE:
                messages.append([])
                size = 0
            messages[-1].append(number)
            size += self.parameters[number].nbytes
        return messages


class Join:
    """From a process's rows to those of all; the gradient of each goes back to its process."""

    def __init__(self, processes: Processes, first: int, sizes: Sequence[int]) -> None:
        self.processes, self.first, self.sizes = processes, first, sizes

    def __call__(self, own: Tensor) -> Tensor:
        joined: Tensor = _Joined.apply(own, self)  # type: ignore[no-untyped-call]
        return joined


class _Joined(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: Tensor, join: Join) -> Tensor:
        ctx.join, ctx.rows, ctx.dtype = join, len(own), own.dtype
        wide = own if own.dtype in (torch.float32, torch.float64) else own.float()
        return join.processes.join(wide.contiguous(), join.sizes).to(own.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        join: Join = ctx.join
        summed = gradients[0].float().contiguous()
        join.processes.add(summed)
        own = summed[join.first : join.first + join.sizes[join.processes.rank]].to(ctx.dtype)
        missing = own.new_zeros((ctx.rows - len(own), *own.shape[1:]))
        return torch.cat([own, missing]), None


_joined: dict[int, tuple[Any, Processes]] = {}
"""By process number, a group and what was made of it."""


def processes() -> Processes:
    """Return the processes that this one fits with: those that torchrun started, or it alone.

    They find each other at the first call, which all of them have to make. A group that a program
    made itself by `torch.distributed.init_process_group` is taken as it is; one that it has ended
    is left. In a thread other than the main one, in a child of such a process, and inside
    `launch.apart`, a fit is alone.

    Raises
    ------
    ParameterError
        If there are more processes than GPUs for them.
    TrainingError
        If they do not find each other, or this one has left the others.
    """
    if is_apart() or threading.current_thread() is not threading.main_thread():
        return ALONE
    own = os.getpid()
    if _joined and own not in _joined:  # a fork: the group is its parent's
        return ALONE
    if not (dist.is_available() and (dist.is_initialized() or is_launched())):
        return ALONE
    if own in _joined and _joined[own][1].failed:
        raise TrainingError(
            "a fit failed in this process, which then left the others; start all of them again"
        )
    if own not in _joined or _joined[own][0] is not dist.group.WORLD:
        found = _found()
        _joined[own] = dist.group.WORLD, found
    return _joined[own][1]


def _found() -> Processes:
    """Join the other processes."""
    patience, made = timedelta(seconds=_patience()), not dist.is_initialized()
    if made:
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        try:
            met: Any = dist.rendezvous("env://", timeout=patience)  # type: ignore[attr-defined]
            store, rank, size = next(met)
            store = dist.distributed_c10d.PrefixStore(_meeting(store, rank, size), store)
            dist.init_process_group(
                backend, store=store, rank=rank, world_size=size, timeout=patience
            )
        except (RuntimeError, ValueError) as error:
            first = str(error).partition("\n")[0]
            raise TrainingError(
                f"the processes that torchrun started did not find each other: {first}"
            ) from error
        atexit.unregister(_leave)
        atexit.register(_leave)
    rank, size = dist.get_rank(), dist.get_world_size()
    if size == 1:
        return ALONE
    return Processes(rank, size, dist.new_group(backend="gloo", timeout=patience), made=made)


def _meeting(store: Any, rank: int, size: int) -> str:
    """Return a name that exactly the processes that live now agree on.

    After a restart torchrun's store still holds what the processes before wrote there, under the
    same names, and one that reads it looks for others that are gone. The first process calls a new
    name, the others greet it under that name, and only then it welcomes them.
    """
    own, end = secrets.token_hex(8), time.monotonic() + _patience()
    if rank == 0:
        store.set("latente/name", own)
        greetings = [store.get(f"latente/{own}/{other}").decode() for other in range(1, size)]
        store.set(f"latente/{own}/welcome", " ".join(greetings))
        return own
    while time.monotonic() < end:
        name = store.get("latente/name").decode()
        store.set(f"latente/{name}/{rank}", own)
        welcome = f"latente/{name}/welcome"
        while time.monotonic() < end and store.get("latente/name").decode() == name:
            if store.check([welcome]):
                if own in store.get(welcome).decode().split():
                    return str(name)
                break  # one of an earlier life
            time.sleep(MEETING)
        time.sleep(MEETING)
    raise RuntimeError(f"process {rank} met no first process")


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
    for _, own in _joined.values():
        own.control = None  # its threads have to end before the interpreter does
    _joined.clear()


def _patience() -> float:
    given = os.environ.get(TIMEOUT)
    try:
        seconds = PATIENCE if given is None else float(given)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= LONGEST:
        raise ParameterError(
            f"{TIMEOUT}={given!r}: use a number of seconds above 0, at most {LONGEST:.0f}"
        )
    return seconds


def require_rowwise(model: nn.Module) -> None:
    """Raise `ParameterError` where a layer needs the whole batch, of which a process has a part."""
    for name, module in model.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            raise ParameterError(
                f"network: the layer {name} is a {type(module).__name__}, which needs a whole "
                "batch, but each of several processes has only its rows; use GroupNorm or "
                "LayerNorm, or fit in one process"
            )
