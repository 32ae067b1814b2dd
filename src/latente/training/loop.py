"""The training loop: the only one, for every variant.

::

    epoch:  permutation ──▶ index batches ──take──▶ x, target ──objective──▶ terms ──▶ step
    then:   validation objective ──▶ record ──▶ best weights, patience, callbacks, checkpoint
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from traceback import clear_frames
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..bottlenecks.base import Moment
from ..data.batches import Batches
from ..data.stream import Stream
from ..errors import FileError, ParameterError, TrainingError
from ..model import Model
from ..shares import SharedGenerator, share_of
from .checkpoint import Checkpoint, FormError, require_form
from .distributed import ALONE, Processes, require_rowwise
from .hardware import autocast, is_out_of_memory, is_small, one_thread
from .precision import faster_precision
from .progress import Progress
from .state import Plan, Record, TrainingState
from .steps import (
    ClosureStep,
    GradientStep,
    Optimizers,
    Stepper,
    build_optimizers,
)

LOOK_EVERY = 200
"""Steps between two looks at the losses: each look waits for the device."""
VALIDATED, VALIDATED_VALUES = 512, 2**22
"""Held-out rows, and values, that are looked at at a time; a batch where that is more."""
CHECKPOINT_SECONDS = 2.0
"""Least time between two checkpoints, so that short epochs are not spent on writing."""
VALIDATION_STREAM = 2**32 - 1
FIRST_STREAM = 2**32 - 2
MARGIN = 2.0
"""What the components of a code gain by further rows, as a share of the loss: at most about so many
times the numbers of the code over the rows."""
EXPLODED = 1e4
"""A loss so many times as high as the first one's, or as one for each value, has exploded."""
NO_ROOM = "could not create a primitive"
"""What oneDNN says where it finds no memory, and in other cases."""
RECENT = 10
"""Steps of which at least half are above that."""


class Diverged(Exception):
    """The loss is no longer finite, or has exploded."""

    def __init__(self, step: int, epoch: int, value: float) -> None:
        super().__init__(step, epoch, value)
        self.step, self.epoch, self.value = step, epoch, value


class Trainer:
    """One fit: a model, its optimiser, and what they have come to.

    Parameters
    ----------
    model
        On the device it is trained on.
    plan
        How to train.
    processes
        Those that share every batch; all make the same fit.
    """

    def __init__(self, model: Model, plan: Plan, processes: Processes = ALONE) -> None:
        self.model = model
        self.plan = plan
        self.processes = processes
        if not processes.alone:
            require_rowwise(model)
        self.device = next(model.parameters()).device
        if len(model.groups()) > 1 and plan.optimizer.whole:
            raise ParameterError(
                "optimizer='lbfgs' minimises one objective, but this bottleneck trains a network "
                "against the rest; use optimizer='adam'"
            )
        self.optimizers = build_optimizers(model, plan, self.device)
        self.schedulers: list[Any] = []
        self.state = TrainingState(model, plan.epochs)
        self.clock = torch.zeros((), device=self.device)
        self.stopped: str | None = None
        self.message = ""
        self._written = -math.inf
        """When the last checkpoint was, in seconds."""

    def standing(self, batches: Batches | Stream) -> dict[str, object]:
        """Return what all processes of a fit have in common beside the data and parameters."""
        device = self.device.type
        if device == "cuda":  # other models draw other random numbers
            device = torch.cuda.get_device_name(self.device)
        return {
            "device": device,
            "epochs": self.plan.epochs,
            "epochs done": self.state.epoch,
            "seed": self.plan.seed,
            "streaming": isinstance(batches, Stream),
        }

    def fit(
        self,
        batches: Batches | Stream,
        validation: Batches | None,
        checkpoint: Checkpoint | None = None,
        *,
        apart: bool = False,
    ) -> None:
        """Train until the planned epochs are done, patience ends or something stops it.

        Nothing is ever learned from the validation rows where they are to be kept `apart`.

        `stopped` tells afterwards what ended it early (None, "patience", "callback",
        "interrupted" or "diverged") and `message` says so in a sentence. The model holds the best
        weights: the lowest validation loss, or the last finite ones where nothing was held out.

        Raises
        ------
        TrainingError
            If not even one epoch gave finite weights, or the device's memory is full.
        FileError
            If the checkpoint is damaged or of another fit, or another fit uses its folder.
        """
        rows = -(-self.plan.batch_size // self.processes.size)
        small = self.device.type == "cpu" and is_small(self.model, rows)
        with (
            one_thread() if small else nullcontext(),
            ExitStack() as held,
            self._attended(batches),
        ):
            if checkpoint is not None:
                self.processes.from_first(lambda: held.enter_context(checkpoint.fitting()))
            try:
                self._fit(batches, validation, checkpoint)
                if validation is not None and not apart and self.state.stands_at_start():
                    self._begin([batches, validation])
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                self.processes.leave()
                clear_frames(error.__traceback__)  # they hold what the step had come to
                raise self._out_of_memory(batches) from None
        self.model.eval()

    def _fit(
        self, batches: Batches | Stream, validation: Batches | None, checkpoint: Checkpoint | None
    ) -> None:
        self._schedule(len(batches))
        self.processes.follow_first(self._tensors())
        saved = None
        if checkpoint is not None:
            saved = self.processes.from_first(checkpoint.load)
        self._choose_precision(batches, saved)
        if self.state.epoch == 0 and self._begin([batches]) and validation is not None:
            self._remember(validation, len(batches))
        if checkpoint is not None and saved is not None:
            self._resume(checkpoint, saved)
        self.stopped, self.message = None, ""
        stepper = make_stepper(self.model, self.optimizers, self.plan, self.device, self.processes)
        verbose = self.plan.verbose if self.processes.leads else 0
        with (
            Progress(verbose, self.plan.epochs, self.state.epoch) as progress,
            self.processes.interrupted_together(),
        ):
            try:
                self._epochs(batches, validation, stepper, checkpoint, progress)
            except KeyboardInterrupt:
                self._interrupted()
            except Diverged as bad:
                self._diverged(bad)
        if validation is not None or self.stopped in ("diverged", "interrupted"):
            self.state.restore()

    def go_on(self, history: list[Record], before: Trainer | None) -> None:
        """Count on from an earlier fit's epochs, with its optimiser's state if that is the same."""
        self.state.history = list(history)
        self.state.epoch = self.state.best_epoch = len(history)
        self.plan = replace(self.plan, epochs=self.plan.epochs + len(history))
        self.state.epochs = self.plan.epochs
        if before is not None and before.plan.optimizer == self.plan.optimizer:
            for optimizer, earlier in zip(self.optimizers, before.optimizers, strict=True):
                settings = [{**group, "params": None} for group in optimizer.param_groups]
                optimizer.load_state_dict(earlier.state_dict())
                for group, own in zip(optimizer.param_groups, settings, strict=True):
                    group["lr"], group["weight_decay"] = own["lr"], own.get("weight_decay", 0.0)

    def _epochs(
        self,
        batches: Batches | Stream,
        validation: Batches | None,
        stepper: Stepper,
        checkpoint: Checkpoint | None,
        progress: Progress,
    ) -> None:
        while self.state.epoch < self.plan.epochs and not self._out_of_patience(validation):
            begun = time.perf_counter()
            record: Record = {"epoch": self.state.epoch + 1}
            record |= self._train(batches, stepper, progress)
            record["per_pixel"] = record["reconstruction"] / self._values(batches)
            losses = None
            if validation is not None:
                terms, losses = self.validate(validation)
                record |= {f"validation_{name}": value for name, value in terms.items()}
            record["learning_rate"] = float(self.optimizers[0].param_groups[0]["lr"])
            record["seconds"] = time.perf_counter() - begun
            record["samples_per_second"] = len(batches) / record["seconds"]
            self._close(record, losses)
            progress.epoch(record)
            self.processes.follow_first(list(self.model.buffers()))
            self.state.stop = self.processes.from_first(partial(self._handed_on, checkpoint))
            if self.state.stop:
                self.stopped = "callback"
                self.message = f"a callback ended the fit after epoch {self.state.epoch}"
                return

    def _handed_on(self, checkpoint: Checkpoint | None) -> bool:
        """Tell the callbacks of an epoch, write it if that is due, and return whether it ends."""
        state = self.state
        for callback in self.plan.callbacks:
            callback.on_epoch_end(state)
        last = state.epoch >= self.plan.epochs or state.stop
        due = last or time.monotonic() - self._written > CHECKPOINT_SECONDS
        if checkpoint is not None and due:
            checkpoint.save(self.to_dict())
            self._written = time.monotonic()
        return bool(state.stop)

    def _tensors(self) -> list[Tensor]:
        return [*self.model.parameters(), *self.model.buffers()]

    def _begin(self, parts: Sequence[Batches | Stream]) -> bool:
        """Let network and bottleneck look at rows before the first step.

        Returns whether the model now stands for a solution that training has to surpass.
        """
        generator = self._seeded(FIRST_STREAM)
        with torch.no_grad():
            begun = self.model.begin(partial(self._drawn, parts, generator), generator)
        self.processes.follow_first(self._tensors())
        return begun

    @contextmanager
    def _attended(self, batches: Batches | Stream) -> Iterator[None]:
        """Let the bottleneck keep training rows at hand while a fit lasts."""
        generator, bottleneck = self._seeded(FIRST_STREAM), self.model.bottleneck
        with torch.no_grad():
            bottleneck.attend(lambda n: self._drawn([batches], generator, n)[0], generator)
        try:
            yield
        finally:
            bottleneck.leave()

    def _drawn(
        self, parts: Sequence[Batches | Stream], generator: torch.Generator, n: int
    ) -> tuple[Tensor, Tensor]:
        """Return at most n random rows of each part, as the encoder sees them, and targets."""
        taken = []
        for batches in parts:
            sample = batches.sample
            order = torch.randperm(len(sample), generator=generator, device=self.device)
            taken.append(sample.take(order[:n]))
        x, target = taken[0]
        if len(taken) > 1:
            x, target = (torch.cat(several) for several in zip(*taken, strict=True))
        return self.model.corruption.present(x), target

    def _remember(self, validation: Batches, rows: int) -> None:
        """Take the first weights, found from so many rows, for the best so far."""
        self.state.start_losses = self.validate(validation)[1]
        self.state.margin = MARGIN * self.model.network.components() / rows
        self.state.best_loss = float(self.state.start_losses.mean())
        self.state.keep()

    def _train(self, batches: Batches | Stream, stepper: Stepper, progress: Progress) -> Record:
        """Train one epoch and return the mean of each term over its samples."""
        epoch, n, size = self.state.epoch, len(batches), self.plan.batch_size
        generator, steps = self._seeded(epoch), -(-n // size)
        self.clock.fill_(epoch)
        self.model.train()
        stepper.start(generator, self.clock)
        # One tensor for all steps: small ones that live on would break up the memory of large ones.
        rows = torch.empty(steps, 0, device=self.device)
        with closing(self.processes.epoch(batches, generator, size)) as taken:
            for i, (part, index) in enumerate(taken):
                row = stepper.step(part, index)
                rows = rows if i else row.new_empty(steps, len(row))
                rows[i] = row
                if self.state.first_loss is None:
                    self.state.first_loss = float(row[0])
                self.clock += 1 / steps
                if self.plan.schedule.every_step:
                    for scheduler in self.schedulers:
                        scheduler.step()
                look = (i + 1) % LOOK_EVERY == 0
                if look:
                    self._look(rows[: i + 1], epoch, steps, batches)
                self.processes.heed_interrupt(look=look or i + 1 == steps)
                progress.step(epoch + (i + 1) / steps)
        self._look(rows, epoch, steps, batches)
        sizes = torch.full((steps,), size, dtype=torch.float64)
        sizes[-1] = n - (steps - 1) * size
        means = (rows.cpu().double() * sizes[:, None]).sum(0) / n
        return dict(zip(stepper.names, means.tolist(), strict=True))

    def validate(self, validation: Batches) -> tuple[Record, Tensor]:
        """Return the mean of each term over held-out rows, and the watched one of each row, (n,).

        The random numbers are the same at every call, and costs count in full even while a
        warm-up has not ended, so that epochs can be compared.
        """
        self.model.eval()
        generator = self._seeded(VALIDATION_STREAM)
        moment = Moment(generator)
        found: dict[str, list[Tensor]] = {}
        index = torch.arange(len(validation), device=self.device)
        with torch.no_grad(), autocast(self.device, self.plan.precision):
            for part in torch.split(index, self._validated(validation)):
                own = self.processes.own_rows(part, generator)
                terms = self.model.objective(*validation.take(own), moment)
                share = share_of(generator)
                for name, value in terms.items():
                    term = validation.weighted(value.detach(), own)
                    term = term if share is None else share.whole(term.float())
                    found.setdefault(name, []).append(term)
        losses = {name: torch.cat(values).cpu().double() for name, values in found.items()}
        means = {name: float(values.mean()) for name, values in losses.items()}
        return means, losses[self.model.bottleneck.watched()]

    def _validated(self, validation: Batches) -> int:
        """Return how many held-out rows are looked at at a time: few where they are large."""
        values = max(validation.x[:1].numel(), 1)
        return max(self.plan.batch_size, min(VALIDATED, VALIDATED_VALUES // values))

    def _close(self, record: Record, losses: Tensor | None) -> None:
        """Enter an epoch into the history, and keep its weights if they are the best.

        Parameters
        ----------
        record
            Of the epoch.
        losses
            The watched term of each held-out row, (n,); None where nothing was held out.
        """
        state = self.state
        # Machines of several kinds round differently; one of them says what came out.
        record, finite, better = self.processes.from_first(lambda: self._judged(record, losses))
        if not finite:
            raise Diverged(-1, state.epoch + 1, float("nan"))
        state.epoch += 1
        state.history.append(record)
        watched = self._watched(record)
        if not np.isfinite(watched):
            raise Diverged(-1, state.epoch, watched)
        if better:
            state.best_loss = watched
            state.keep()
        if not self.plan.schedule.every_step:
            for scheduler in self.schedulers:
                scheduler.step(*([watched] if self.plan.schedule.watches else []))

    def _judged(self, record: Record, losses: Tensor | None) -> tuple[Record, bool, bool]:
        """Return an epoch's record, whether its weights are finite, and whether they are better."""
        finite = all(bool(p.isfinite().all()) for p in self.model.parameters())
        if losses is None or not finite:
            return record, finite, finite
        lower = self._watched(record) < self.state.best_loss
        return record, finite, lower and self.state.surpasses_start(losses)

    def _watched(self, record: Record) -> float:
        """Return the loss that patience goes by: that of held-out rows, where there are any."""
        name = self.model.bottleneck.watched()
        held_out = f"validation_{name}"
        return record[held_out if held_out in record else name]

    def _out_of_patience(self, validation: Batches | None) -> bool:
        patience, state = self.plan.patience, self.state
        if patience is None or validation is None or state.epoch - state.best_epoch < patience:
            return False
        if state.epoch > state.best_epoch:
            self.stopped = "patience"
            self.message = (
                f"no lower validation loss for {patience} epochs; "
                f"the weights of epoch {state.best_epoch} are kept"
            )
            return True
        return False

    def _schedule(self, rows: int) -> None:
        """Lay the schedule over the planned epochs."""
        schedule, steps = self.plan.schedule, -(-rows // self.plan.batch_size)
        remaining = max(self.plan.epochs - self.state.epoch, 1)
        built = [schedule.over(optimizer, remaining, steps) for optimizer in self.optimizers]
        self.schedulers = [scheduler for scheduler in built if scheduler is not None]

    def _look(self, rows: Tensor, epoch: int, steps: int, batches: Batches | Stream) -> None:
        """Raise `Diverged` at the first step whose loss is not finite, or has exploded."""
        totals = rows[-LOOK_EVERY:, 0]
        limit = EXPLODED * max(abs(self.state.first_loss or 0.0), float(self._values(batches)))
        bad = ~totals.isfinite()
        if float(totals[-RECENT:].abs().median()) > limit:  # one spike may pass
            bad[-1] = True
        if bool(bad.any()):
            first = int(bad.nonzero()[0, 0])
            step = epoch * steps + len(rows) - len(totals) + first + 1
            raise Diverged(step, epoch + 1, float(totals[first]))

    def _interrupted(self) -> None:
        state = self.state
        if state.best_weights is None and not all(
            bool(p.isfinite().all()) for p in self.model.parameters()
        ):
            raise TrainingError("interrupted before anything was learned")
        self.stopped = "interrupted"
        kept = f"the weights of epoch {state.best_epoch} are kept"
        if state.best_weights is None:
            kept = "the weights reached so far are kept"
        self.message = f"interrupted after {state.epoch} of {self.plan.epochs} epochs; {kept}"

    def _diverged(self, bad: Diverged) -> None:
        where = (
            f"in step {bad.step} (epoch {bad.epoch})" if bad.step > 0 else f"in epoch {bad.epoch}"
        )
        rate = self.plan.learning_rate
        advice = f"try learning_rate={rate / 10:.2g} (it was {rate:.2g}) or gradient_clip=1.0"
        what = f"the loss became {bad.value:.3g} {where}"
        if self.state.best_weights is None:
            raise TrainingError(f"{what}, before one epoch was done; {advice}")
        self.stopped = "diverged"
        self.message = f"{what}; the weights of epoch {self.state.best_epoch} are kept; {advice}"

    def _out_of_memory(self, batches: Batches | Stream) -> TrainingError:
        """Return an error that says which batch size would fit, found by trying."""
        size = self.plan.batch_size
        self._forget_gradients()
        fits = min(size, len(batches)) // self.processes.size // 2
        while fits >= 1 and not self._fits(batches, fits):
            fits //= 2
        fits *= self.processes.size
        advice = f"batch_size={fits} fits" if fits else "not even one row at a time fits"
        return TrainingError(f"{self.device} is out of memory at batch_size={size}; {advice}")

    def _fits(self, batches: Batches | Stream, size: int) -> bool:
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        try:
            index = torch.arange(size, device=self.device) % len(batches.sample)
            x, target = batches.sample.take(index)
            with autocast(self.device, self.plan.precision):
                generator = self._seeded(0)
                self.model.network.seed(generator)  # that of the epoch may draw for a share
                terms = self.model.objective(x, target, Moment(generator))
            terms["total"].mean().backward()  # type: ignore[no-untyped-call]
        except RuntimeError as error:
            if is_out_of_memory(error) or NO_ROOM in str(error):
                return False
            raise
        finally:
            self._forget_gradients()
        return True

    def _seeded(self, stream: int) -> SharedGenerator:
        """Return a generator for one stream: an epoch's number, or the validation's.

        Every epoch starts from its own seed, so that a resumed fit needs no generator's state.
        """
        word = np.random.SeedSequence([self.plan.seed, stream]).generate_state(1, np.uint64)[0]
        generator = SharedGenerator(self.device)
        generator.manual_seed(int(word >> np.uint64(1)))
        return generator

    def _forget_gradients(self) -> None:
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)

    def _values(self, batches: Batches | Stream) -> int:
        """Return how many values a sample's loss is summed over."""
        if self.model.loss.mean:
            return 1
        _, target = batches.sample.take(torch.zeros(1, dtype=torch.long, device=self.device))
        return target.numel()

    def to_dict(self) -> dict[str, Any]:
        """Return the whole state of the fit as nested values and tensors."""
        return {
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "schedulers": [scheduler.state_dict() for scheduler in self.schedulers],
            "state": self.state.to_dict(),
            "precision": self.plan.precision,
        }

    def _choose_precision(self, batches: Batches | Stream, saved: dict[str, Any] | None) -> None:
        """Take the first process's precision; what "auto" stands for depends on its hardware."""
        precision = self.processes.from_first(partial(self._precision, batches, saved))
        self.plan = replace(self.plan, precision=precision)

    def _precision(self, batches: Batches | Stream, saved: dict[str, Any] | None) -> str:
        """Let "auto" become the faster precision; a resumed fit keeps the one it began with."""
        if self.plan.precision != "auto":
            return self.plan.precision
        before = None if saved is None else saved.get("precision")
        if before in ("float32", "bf16"):
            return str(before)
        rows = -(-self.plan.batch_size // self.processes.size)
        return faster_precision(self.model, replace(self.plan, batch_size=rows), batches)

    def _resume(self, checkpoint: Checkpoint, saved: dict[str, Any]) -> None:
        with checkpoint.resuming():
            own = self.to_dict()
            for name in ("model", "schedulers"):
                require_form(saved[name], own[name], name)
            for i, optimizer in enumerate(self.optimizers):
                self._require_form(saved["optimizers"][i], optimizer)
            done = saved["state"]["epoch"]
            if type(done) is int and done > self.plan.epochs:
                raise FileError(
                    f"{checkpoint.path} holds {done} epochs of this fit, but epochs="
                    f"{self.plan.epochs}; give epochs={done} or more, or another folder"
                )
            self.state.from_dict(saved["state"])
            self.model.load_state_dict(saved["model"])
            for optimizer, state in zip(self.optimizers, saved["optimizers"], strict=True):
                optimizer.load_state_dict(state)
            for scheduler, state in zip(self.schedulers, saved["schedulers"], strict=True):
                scheduler.load_state_dict(state)

    def _require_form(self, saved: dict[str, Any], optimizer: torch.optim.Optimizer) -> None:
        """Refuse an optimiser's state that cannot be one of its steps', before torch uses it."""
        groups = optimizer.state_dict()["param_groups"]
        require_form(saved["param_groups"], groups, "param_groups")
        for group, own in zip(saved["param_groups"], groups, strict=True):
            if group["params"] != own["params"]:
                raise FormError("the parameters of an optimiser are not of the right form")
        if self.plan.optimizer.whole:
            return
        # What a first step leaves, on copies whose gradients are zero.
        copies = [p.detach().clone() for group in optimizer.param_groups for p in group["params"]]
        for copy in copies:
            copy.grad = torch.zeros_like(copy)
        stepped = self.plan.optimizer.build(copies, self.plan.learning_rate, 0.0, self.device)
        stepped.step()
        like = stepped.state_dict()["state"]
        if not saved["state"].keys() <= like.keys():
            raise FormError("the state of an optimiser is of parameters that are not there")
        for number, state in saved["state"].items():
            require_form(state, like[number], f"the optimiser's state of parameter {number}")


def make_stepper(
    model: Model,
    optimizers: Optimizers,
    plan: Plan,
    device: torch.device,
    processes: Processes = ALONE,
) -> Stepper:
    """Return the way to step that suits the optimiser, the device and the processes."""
    if plan.optimizer.whole:
        return ClosureStep(model, optimizers, plan, device, processes)
    if not processes.alone:
        return GradientStep(model, optimizers, plan, device, processes)
    if device.type == "cuda" and model.corruption.is_recordable():
        from .graphs import GraphStep

        return GraphStep(model, optimizers, plan, device)
    return GradientStep(model, optimizers, plan, device)
