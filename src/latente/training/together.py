"""Many small fits of one shape at once: their weights stacked, one step for all.

::

    weights of K models ──stack──▶ (K, ...) ──vmap(grad(objective))──▶ gradients (K, ...)
                                      ▲                                     │
                                      └── torch's optimisers, one for each setting of theirs

A small network's step is dozens of kernels of a few microseconds; what it costs is to launch them,
and that is paid once for all models. https://docs.pytorch.org/functorch/stable/notebooks/ensembling.html
The kernels of a step are recorded once, and launched from the record without the layers above them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap

from ..bottlenecks.base import Moment
from ..data.batches import Batches
from ..model import Model
from .hardware import is_small, one_thread
from .loop import EXPLODED, LOOK_EVERY, RECENT, Trainer
from .progress import Progress
from .state import Record

STACKED = ("learning_rate", "optimizer", "random_state", "schedule", "weight_decay")
"""Keywords of the estimator in which models of one stack may differ."""

MOST_WORK = 2**22
"""Weights times rows of a step up to which a step is launching rather than computing."""
MOST_VALUES = 2**18
"""Values in a batch, of which every model of a stack may have a copy of its own."""
CLOSE = 1e-3
"""How near to a model's own loss the stacked one must be, relative to it."""
State = dict[str, Tensor]
Setting = tuple[Any, ...]
"""Optimiser, learning rate, weight decay and schedule of a fit."""
_recording = threading.Lock()  # torch's recorder looks into every call of a module meanwhile


class NotStackable(RuntimeError):
    """Models that cannot be trained at once: they draw numbers, or differ in more than weights."""


class _Objective(nn.Module):
    """A model whose forward pass gives its loss terms."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, target: Tensor, moment: Moment) -> dict[str, Tensor]:
        return self.model.objective(x, target, moment)


def is_stackable(trainer: Trainer, batches: Batches, validation: Batches | None) -> bool:
    """Whether a fit is of the kind that can be trained beside others, and gains by it.

    Parameters
    ----------
    trainer
        Of a fit that has not begun; its precision is chosen afterwards.
    batches, validation
        What it is trained and validated on.
    """
    plan, groups = trainer.plan, trainer.model.groups()
    learned = {id(p) for p in trainer.model.parameters() if p.requires_grad}
    weights = sum(p.numel() for p in trainer.model.parameters())
    rows = min(plan.batch_size, len(batches))
    values = batches.take(torch.zeros(1, dtype=torch.long, device=batches.device))[0].numel()
    fitting = (
        trainer.device.type == "cpu"
        and plan.optimizer.elementwise
        and (plan.patience is None or validation is None)
        and plan.gradient_clip is None
        and not plan.callbacks
        and plan.verbose in (0, 1)
        and len(groups) == 1
        and groups[0].learning_rate is None
        and {id(p) for p in groups[0].parameters} == learned
        and batches.weights is None
        and weights * rows <= MOST_WORK
        and values * rows <= MOST_VALUES
    )
    if fitting:
        trainer._choose_precision(batches, None)
    return fitting and trainer.plan.precision == "float32"


def setting_of(trainer: Trainer) -> Setting:
    """Return how the weights of a fit are moved: fits of equal settings share an optimiser."""
    plan = trainer.plan
    return plan.optimizer, plan.learning_rate, plan.weight_decay, plan.schedule


@dataclass
class _Run:
    """Fits of a stack that follow one another and share an optimiser, over views of the stack."""

    where: slice
    views: list[nn.Parameter]
    optimizer: torch.optim.Optimizer
    scheduler: Any
    rates: list[float] = field(default_factory=list)
    """The learning rate at the end of each epoch."""


def _recorded(function: Callable[..., Any], arguments: Sequence[Any]) -> Callable[..., Any]:
    """Return what a function launches, for arguments of the same shapes."""
    from torch.fx.experimental.proxy_tensor import make_fx

    with _recording:
        module = make_fx(lambda *given: function(*given))(*arguments)
    operators = torch.ops.aten
    shaping = (operators.expand.default, operators.view.default, operators._unsafe_view.default)
    for node in module.graph.nodes:  # a third of all: shapes that vmap asks for, but are there
        if node.target in shaping:
            (before, *_) = node.args
            if before.meta["tensor_meta"].shape == node.meta["tensor_meta"].shape:
                node.replace_all_uses_with(before)
                module.graph.erase_node(node)
    module.recompile()
    return module


class Together:
    """Fits of one shape, trained step by step at once.

    Parameters
    ----------
    trainers
        Of the fits; the same but for seeds, learning rates, weight decays, optimisers and
        schedules. Those of equal settings follow one another.
    batches, validation
        What all are trained and validated on; None where nothing is held out.

    Raises
    ------
    NotStackable
        If they cannot be trained at once.
    """

    def __init__(
        self, trainers: Sequence[Trainer], batches: Batches, validation: Batches | None
    ) -> None:
        self.trainers, self.batches, self.validation = trainers, batches, validation
        first = trainers[0]
        self.size = min(first.plan.batch_size, len(batches))
        for trainer in trainers:
            if trainer.plan.epochs != first.plan.epochs:
                raise NotStackable("they differ in epochs")
            if trainer._begin([batches]):
                raise NotStackable("they begin at a solution")
        models = [trainer.model for trainer in trainers]
        params, self.buffers = stack_module_state(models)
        self.params = {name: value.detach() for name, value in params.items()}
        self.objective = _Objective(first.model)
        self.values = first._values(batches)
        self.runs = self._build()
        self.seeds = list(dict.fromkeys(trainer.plan.seed for trainer in trainers))
        self.seed_of = torch.tensor([self.seeds.index(t.plan.seed) for t in trainers])
        self.recorded: dict[tuple[str, torch.Size], Callable[..., Any]] = {}
        self.names: tuple[str, ...] = ()
        self.epoch = 0
        self.best = torch.full((len(trainers),), float("inf"), dtype=torch.float64)
        self.best_epoch = torch.zeros(len(trainers), dtype=torch.long)
        self.best_params = {name: value.clone() for name, value in self.params.items()}
        self.bad = torch.zeros(len(trainers), dtype=torch.bool)
        self.first: Tensor | None = None
        self.unseen: list[Tensor] = []
        self.trained: list[Tensor] = []
        self.validated: list[Tensor] = []
        self.seconds: list[float] = []

    def _build(self) -> list[_Run]:
        """Return the runs of fits of equal settings; a schedule that watches has its own fit."""
        built: list[_Run] = []
        begin = 0
        steps = -(-len(self.batches) // self.size)
        settings = [setting_of(trainer) for trainer in self.trainers]
        for end in range(1, len(settings) + 1):
            part, rate, decay, schedule = settings[begin]
            if end < len(settings) and settings[end] == settings[begin] and not schedule.watches:
                continue
            where = slice(begin, end)
            views = [nn.Parameter(value[where]) for value in self.params.values()]
            optimizer = part.build(views, rate, decay, torch.device("cpu"))
            laid = schedule.over(optimizer, self.trainers[begin].plan.epochs, steps)
            built.append(_Run(where, views, optimizer, laid))
            begin = end
        return built

    def fit(self, stops: Sequence[int]) -> Iterator[int]:
        """Train, and yield the number of epochs at each stop; it ends early if all diverge.

        The trainers are then as those of single fits that have come so far, but for those in `bad`.

        Parameters
        ----------
        stops
            Rising, at most the epochs of the plans.
        """
        self.check()
        verbose, epochs = self.trainers[0].plan.verbose, self.trainers[0].plan.epochs
        for stop in stops:
            with self._threads(), Progress(verbose, epochs, self.epoch) as progress:
                while self.epoch < stop and not bool(self.bad.all()):
                    self._advance()
                    progress.step(self.epoch)
                self._look()
            self._leave()
            yield self.epoch
            if bool(self.bad.all()):
                return

    def _threads(self) -> AbstractContextManager[None]:
        small = is_small(self.trainers[0].model, self.size * len(self.trainers))
        return one_thread() if small else nullcontext()

    def _advance(self) -> None:
        """Train and validate an epoch."""
        begun = time.perf_counter()
        self._train()
        watched = self.trained[-1]
        if self.validation is not None:
            self._validate(self.validation)
            watched = self.validated[-1]
        self.epoch += 1
        for run in self.runs:
            run.rates.append(float(run.optimizer.param_groups[0]["lr"]))
            schedule = self._schedule(run)
            if run.scheduler is not None and not schedule.every_step:
                seen = [float(self._watched(watched)[run.where][0])] if schedule.watches else []
                run.scheduler.step(*seen)
        if len(self.unseen) * len(self.unseen[0]) >= LOOK_EVERY:
            self._look()
        self.seconds.append((time.perf_counter() - begun) / len(self.trainers))

    def _schedule(self, run: _Run) -> Any:
        return self.trainers[run.where.start].plan.schedule

    def _watched(self, terms: Tensor) -> Tensor:
        """Return of the means of all terms, (K, terms), the one that fits are judged by, (K,)."""
        return terms[:, self.names.index(self.trainers[0].model.bottleneck.watched())]

    def _terms(self, params: State, buffers: State, x: Tensor, y: Tensor, moment: Moment) -> Tensor:
        """Return the loss terms of one model, (terms, rows)."""
        state = {f"model.{name}": value for name, value in {**params, **buffers}.items()}
        terms: dict[str, Tensor] = functional_call(self.objective, state, (x, y, moment))
        self.names = tuple(terms)
        return torch.stack(list(terms.values()))

    def _gradients(
        self, params: State, buffers: State, x: Tensor, y: Tensor, clock: Tensor
    ) -> tuple[list[Tensor], Tensor]:
        """Return the gradients of all models, (K, ...), and the means of their terms, (K, terms).

        x and y hold the same rows for all, (rows, ...), or those of each, (K, rows, ...).
        """

        def means(params: State, buffers: State, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
            found = self._terms(params, buffers, x, y, Moment(self.generator, clock)).mean(1)
            return found[0], found

        own = None if self._alike() else 0
        step = vmap(grad(means, has_aux=True), (0, 0, own, own))
        gradients, found = step(params, buffers, x, y)
        return list(gradients.values()), found

    def _losses(self, params: State, buffers: State, x: Tensor, y: Tensor) -> Tensor:
        """Return the sum over the rows of each term of all models, (K, terms)."""
        moment = Moment(self.generator)
        found = vmap(self._terms, (0, 0, None, None, None))(params, buffers, x, y, moment)
        return found.double().sum(2)

    def _call(self, function: Callable[..., Any], x: Tensor, *more: Tensor) -> Any:
        """Call a function of the stack and of rows; what it launches is recorded the first time."""
        arguments = (self.params, self.buffers, x, *more)
        key = (function.__name__, x.shape)
        with torch.no_grad():
            if key not in self.recorded:
                try:
                    self.recorded[key] = _recorded(function, arguments)
                except RuntimeError as error:  # what vmap cannot do: random numbers
                    raise NotStackable(str(error)) from error
            return self.recorded[key](*arguments)

    def check(self) -> None:
        """Refuse models whose loss is not that of the stack, or which change beside weights."""
        self.generator = self.trainers[0]._seeded(0)
        clock = self.trainers[0].clock
        x, y = next(self._steps())
        before = {name: value.clone() for name, value in self.buffers.items()}
        self.objective.train()
        stacked = self._call(self._gradients, x, y, clock)[1][:, 0]
        for i, trainer in enumerate(self.trainers):
            trainer.model.network.seed(self.generator)
            trainer.model.train()
            rows = (x, y) if self._alike() else (x[i], y[i])
            with torch.no_grad():
                terms = trainer.model.objective(*rows, Moment(self.generator, clock))
            if not torch.isclose(terms["total"].mean(), stacked[i], rtol=CLOSE, equal_nan=True):
                raise NotStackable("they are not functions of their weights")
        if not all(torch.equal(before[name], self.buffers[name]) for name in before):
            raise NotStackable("they change beside their weights")

    def _alike(self) -> bool:
        """Whether all models see the same rows in a step: all there are, in any order."""
        return self.size >= len(self.batches)

    def _steps(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Return inputs and targets of each step of an epoch, for all models or for each."""
        n = len(self.batches)
        if self._alike():
            if self.epoch == 0:
                self.all = self.batches.take(torch.arange(n))
            yield self.all
            return
        firsts = [next(t for t in self.trainers if t.plan.seed == seed) for seed in self.seeds]
        orders = [torch.randperm(n, generator=each._seeded(self.epoch)) for each in firsts]
        for index in torch.split(torch.stack(orders), self.size, dim=1):
            taken = self.batches.take(index.flatten())
            x, y = (each.view(*index.shape, *each.shape[1:])[self.seed_of] for each in taken)
            yield x, y

    def _train(self) -> None:
        """Take the steps of an epoch."""
        self.objective.train()
        clock = self.trainers[0].clock
        clock.fill_(self.epoch)
        n, rows, sizes = len(self.batches), [], []
        for x, y in self._steps():
            gradients, terms = self._call(self._gradients, x, y, clock)
            self._step(gradients)
            rows.append(terms)
            sizes.append(n if self._alike() else x.shape[1])
            clock += 1 / -(-n // self.size)
        losses = torch.stack(rows)  # (steps, K, terms)
        if self.first is None:
            self.first = losses[0, :, 0]
        self.unseen.append(losses[:, :, 0])
        share = torch.tensor(sizes, dtype=torch.float64) / n
        self.trained.append((losses.double() * share[:, None, None]).sum(0))

    def _step(self, gradients: Sequence[Tensor]) -> None:
        for run in self.runs:
            for view, gradient in zip(run.views, gradients, strict=True):
                view.grad = gradient[run.where]
            run.optimizer.step()
            if run.scheduler is not None and self._schedule(run).every_step:
                run.scheduler.step()

    def _look(self) -> None:
        """Mark fits whose loss is not finite, or has exploded, as the loop of one fit finds it."""
        if self.first is None or not self.unseen:
            return
        losses = torch.stack(self.unseen)  # (epochs, steps, K)
        self.unseen = []
        limit = EXPLODED * self.first.abs().clamp(min=float(self.values))
        self.bad |= ~losses.isfinite().flatten(0, 1).all(0)
        self.bad |= (losses[:, -RECENT:].abs().median(1).values > limit).any(0)
        for value in self.params.values():
            self.bad |= ~value.flatten(1).isfinite().all(1)

    def _validate(self, validation: Batches) -> None:
        """Measure the held-out rows, and keep the weights of fits that are at their best."""
        self.objective.eval()
        held = len(validation)
        parts = [
            self._call(self._losses, *validation.take(index))
            for index in torch.split(torch.arange(held), max(self.size, 512))
        ]
        means = torch.stack(parts).sum(0) / held
        watched = self._watched(means)
        self.validated.append(means)
        self.bad |= ~watched.isfinite()
        better = watched < self.best
        self.best = torch.where(better, watched, self.best)
        self.best_epoch[better] = self.epoch + 1
        for name, value in self.params.items():
            shape = (-1, *[1] * (value.dim() - 1))
            kept = self.best_params[name]
            torch.where(better.view(shape), value, kept, out=kept)

    def _leave(self) -> None:
        """Bring each trainer into the state that a fit of its own would leave."""
        trained = torch.stack(self.trained)
        validated = torch.stack(self.validated) if self.validated else None
        if validated is None:  # the last weights stay, whatever their loss
            self.best, self.best_params = self._watched(trained[-1]), self.params
            self.best_epoch.fill_(self.epoch)
        for run in self.runs:
            for i in range(*run.where.indices(len(self.trainers))):
                trainer = self.trainers[i]
                with torch.no_grad():
                    for name, parameter in trainer.model.named_parameters():
                        parameter.copy_(self.best_params[name][i])
                state = trainer.state
                held = None if validated is None else validated[:, i].tolist()
                state.history = self._records(trained[:, i].tolist(), held, run.rates)
                state.epoch = state.epochs = self.epoch
                state.best_loss, state.best_epoch = float(self.best[i]), int(self.best_epoch[i])
                state.best_weights = {n: v.clone() for n, v in trainer.model.state_dict().items()}
                trainer.model.eval()

    def _records(
        self, trained: list[list[float]], validated: list[list[float]] | None, rates: list[float]
    ) -> list[Record]:
        """Return the history of one fit, from the means of its terms in each epoch."""
        records = []
        for epoch, terms in enumerate(trained):
            record: Record = {"epoch": epoch + 1, **dict(zip(self.names, terms, strict=True))}
            record["per_pixel"] = record["reconstruction"] / self.values
            if validated is not None:
                held = zip(self.names, validated[epoch], strict=True)
                record |= {f"validation_{name}": value for name, value in held}
            record["learning_rate"] = rates[epoch]
            record["seconds"] = self.seconds[epoch]
            record["samples_per_second"] = len(self.batches) / self.seconds[epoch]
            records.append(record)
        return records
