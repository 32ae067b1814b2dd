"""Many small fits of one shape at once: their weights stacked, one step for all.

::

    weights of K models ──stack──▶ (K, ...) ──vmap(grad(objective))──▶ gradients (K, ...)
                                      ▲                                     │
                                      └── torch's optimisers, one for each setting of theirs

A small network's step is dozens of kernels of a few microseconds; what it costs is to launch them,
and that is paid once for all models. https://docs.pytorch.org/functorch/stable/notebooks/ensembling.html
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap

from ..bottlenecks.base import Moment
from ..data.batches import Batches
from ..model import Model
from .loop import EXPLODED, RECENT, VALIDATION_STREAM, Trainer
from .state import Record

MOST_WORK = 2**22
"""Weights times rows of a step up to which a step is launching rather than computing."""
MOST_VALUES = 2**18
"""Values in a batch, of which every model of a stack may have a copy of its own."""
CLOSE = 1e-3
"""How near to a model's own loss the stacked one must be, relative to it."""
State = dict[str, Tensor]


class NotStackable(RuntimeError):
    """Models that cannot be trained at once: they draw numbers, or differ in more than weights."""


class _Objective(nn.Module):
    """A model whose forward pass gives its loss terms."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, target: Tensor, moment: Moment) -> dict[str, Tensor]:
        return self.model.objective(x, target, moment)


def is_stackable(trainer: Trainer, batches: Batches) -> bool:
    """Whether a fit is of the kind that can be trained beside others, and gains by it.

    Parameters
    ----------
    trainer
        Of a fit that has not begun.
    batches
        What it is trained on.
    """
    plan, groups = trainer.plan, trainer.model.groups()
    learned = {id(p) for p in trainer.model.parameters() if p.requires_grad}
    weights = sum(p.numel() for p in trainer.model.parameters())
    rows = min(plan.batch_size, len(batches))
    values = batches.take(torch.zeros(1, dtype=torch.long, device=batches.device))[0].numel()
    return (
        trainer.device.type == "cpu"
        and plan.optimizer.elementwise
        and plan.precision == "float32"
        and plan.patience is None
        and plan.gradient_clip is None
        and plan.schedule.build(trainer.optimizers[0], 1) is None
        and not plan.callbacks
        and not plan.verbose
        and len(groups) == 1
        and groups[0].learning_rate is None
        and {id(p) for p in groups[0].parameters} == learned
        and batches.weights is None
        and weights * rows <= MOST_WORK
        and values * rows <= MOST_VALUES
    )


class Together:
    """Fits of one shape, trained step by step at once.

    Parameters
    ----------
    trainers
        Of the fits; the same but for seeds, learning rates, weight decays and optimisers. Sorted
        so that those with equal optimisers follow one another.
    batches, validation
        What all are trained and validated on.

    Raises
    ------
    NotStackable
        If they cannot be trained at once.
    """

    def __init__(self, trainers: Sequence[Trainer], batches: Batches, validation: Batches) -> None:
        self.trainers, self.batches, self.validation = trainers, batches, validation
        first = trainers[0]
        self.size = min(first.plan.batch_size, len(batches))
        for trainer in trainers:
            if trainer._begin([batches]):
                raise NotStackable("they begin at a solution")
        models = [trainer.model for trainer in trainers]
        params, self.buffers = stack_module_state(models)
        self.params = {name: value.detach() for name, value in params.items()}
        self.objective = _Objective(first.model)
        self.optimizers = self._build()
        self.seeds = list(dict.fromkeys(trainer.plan.seed for trainer in trainers))
        self.seed_of = torch.tensor([self.seeds.index(t.plan.seed) for t in trainers])
        self.best = torch.full((len(trainers),), float("inf"), dtype=torch.float64)
        self.best_epoch = torch.zeros(len(trainers), dtype=torch.long)
        self.best_params = {name: value.clone() for name, value in self.params.items()}
        self.bad = torch.zeros(len(trainers), dtype=torch.bool)
        self.first: Tensor | None = None
        self.names: tuple[str, ...] = ()
        self.trained: list[Tensor] = []
        self.validated: list[Tensor] = []
        self.seconds: list[float] = []

    def _build(self) -> list[tuple[slice, list[nn.Parameter], torch.optim.Optimizer]]:
        """Return an optimiser for each run of fits with equal settings, over views of the stack."""
        built = []
        begin = 0
        settings = [(t.plan.optimizer, t.plan.learning_rate, t.plan.weight_decay)
                    for t in self.trainers]  # fmt: skip
        for end in range(1, len(settings) + 1):
            if end < len(settings) and settings[end] == settings[begin]:
                continue
            where = slice(begin, end)
            views = [nn.Parameter(value[where]) for value in self.params.values()]
            part, rate, decay = settings[begin]
            built.append((where, views, part.build(views, rate, decay, torch.device("cpu"))))
            begin = end
        return built

    def fit(self, stops: Sequence[int]) -> Iterator[int]:
        """Train, and yield the number of epochs at each stop.

        The trainers are then as those of single fits of so many epochs, but for those in `bad`.
        """
        self.check()
        for epoch in range(max(stops)):
            begun = time.perf_counter()
            self._train(epoch)
            self._validate(epoch)
            self.seconds.append((time.perf_counter() - begun) / len(self.trainers))
            if epoch + 1 in stops or bool(self.bad.all()):
                self._leave(epoch + 1)
                yield epoch + 1
            if bool(self.bad.all()):
                return

    def _call(self, params: State, buffers: State, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        state = {f"model.{name}": value for name, value in {**params, **buffers}.items()}
        found: dict[str, Tensor] = functional_call(self.objective, state, (x, y, self.moment))
        return found

    def _means(
        self, params: State, buffers: State, x: Tensor, y: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        means = {name: term.mean() for name, term in self._call(params, buffers, x, y).items()}
        return next(iter(means.values())), means

    def check(self) -> None:
        """Refuse models whose loss is not that of the stack, or which change beside weights."""
        trainer = self.trainers[0]
        generator = trainer._seeded(0)
        self.moment = Moment(generator, trainer.clock)
        x, y = self.batches.take(torch.arange(min(self.size, 64)))
        trainer.model.network.seed(generator)
        trainer.model.train()
        before = {name: value.clone() for name, value in self.buffers.items()}
        try:
            with torch.no_grad():
                own = trainer.model.objective(x, y, self.moment)["total"].mean()
                stacked, _ = vmap(self._means, (0, 0, None, None))(self.params, self.buffers, x, y)
        except RuntimeError as error:  # what vmap cannot do: random numbers, shapes by values
            raise NotStackable(str(error)) from error
        same = all(torch.equal(before[name], self.buffers[name]) for name in before)
        if not same or not torch.isclose(own, stacked[0], rtol=CLOSE):
            raise NotStackable("they are not functions of their weights")

    def _orders(self, epoch: int) -> list[Tensor | None]:
        """Return the rows of each step for each seed, (seeds, rows); None for all, in any order."""
        n = len(self.batches)
        if self.size >= n:
            return [None]
        firsts = [next(t for t in self.trainers if t.plan.seed == seed) for seed in self.seeds]
        orders = [torch.randperm(n, generator=each._seeded(epoch)) for each in firsts]
        return list(torch.split(torch.stack(orders), self.size, dim=1))

    def _train(self, epoch: int) -> None:
        """Take the steps of an epoch."""
        self.objective.train()
        clock = self.trainers[0].clock
        clock.fill_(epoch)
        n, rows, sizes = len(self.batches), [], []
        orders = self._orders(epoch)
        step = grad(self._means, has_aux=True)
        for index in orders:
            if index is None:
                x, y = self.batches.take(torch.arange(n))
                found, terms = vmap(step, (0, 0, None, None))(self.params, self.buffers, x, y)
            else:
                x, y = self._rows(index)
                found, terms = vmap(step)(self.params, self.buffers, x, y)
            self._step(list(found.values()))
            self.names = tuple(terms)
            rows.append(torch.stack(list(terms.values()), dim=1))
            sizes.append(n if index is None else index.shape[1])
            clock += 1 / len(orders)
        losses = torch.stack(rows)  # (steps, K, terms)
        if self.first is None:
            self.first = losses[0, :, 0]
        self._look(losses[:, :, 0])
        share = torch.tensor(sizes, dtype=torch.float64) / n
        self.trained.append((losses.double() * share[:, None, None]).sum(0))

    def _rows(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rows that each model sees in a step, (K, rows, ...)."""
        taken = self.batches.take(index.flatten())
        x, y = (each.view(*index.shape, *each.shape[1:])[self.seed_of] for each in taken)
        return x, y

    def _step(self, gradients: Sequence[Tensor]) -> None:
        for where, views, optimizer in self.optimizers:
            for view, gradient in zip(views, gradients, strict=True):
                view.grad = gradient[where]
            optimizer.step()

    def _look(self, losses: Tensor) -> None:
        """Mark fits whose loss is not finite, or has exploded, as the loop of one fit finds it."""
        assert self.first is not None
        values = float(self.trainers[0]._values(self.batches))
        limit = EXPLODED * self.first.abs().clamp(min=values)
        self.bad |= ~losses.isfinite().all(0)
        self.bad |= losses[-RECENT:].abs().median(0).values > limit

    def _validate(self, epoch: int) -> None:
        """Measure the held-out rows, and keep the weights of fits that are at their best."""
        self.objective.eval()
        held = len(self.validation)
        moment = self.moment
        self.moment = Moment(self.trainers[0]._seeded(VALIDATION_STREAM))
        parts = []
        with torch.no_grad():
            for index in torch.split(torch.arange(held), max(self.size, 512)):
                x, y = self.validation.take(index)
                terms = vmap(self._call, (0, 0, None, None))(self.params, self.buffers, x, y)
                parts.append(torch.stack(list(terms.values()), dim=1).double().sum(2))
        self.moment = moment
        means = torch.stack(parts).sum(0) / held
        watched = means[:, self.names.index(self.trainers[0].model.bottleneck.watched())]
        self.validated.append(means)
        for value in self.params.values():
            self.bad |= ~value.flatten(1).isfinite().all(1)
        self.bad |= ~watched.isfinite()
        better = watched < self.best
        self.best = torch.where(better, watched, self.best)
        self.best_epoch[better] = epoch + 1
        for name, value in self.params.items():
            shape = (-1, *[1] * (value.dim() - 1))
            kept = self.best_params[name]
            torch.where(better.view(shape), value, kept, out=kept)

    def _leave(self, epochs: int) -> None:
        """Bring each trainer into the state that a fit of its own would leave."""
        trained, validated = (torch.stack(each).tolist() for each in (self.trained, self.validated))
        values = self.trainers[0]._values(self.batches)
        for i, trainer in enumerate(self.trainers):
            with torch.no_grad():
                for name, parameter in trainer.model.named_parameters():
                    parameter.copy_(self.best_params[name][i])
            records = [
                self._record(epoch, trained[epoch][i], validated[epoch][i], values, trainer)
                for epoch in range(epochs)
            ]
            state = trainer.state
            state.history, state.epoch, state.epochs = records, epochs, epochs
            state.best_loss, state.best_epoch = float(self.best[i]), int(self.best_epoch[i])
            state.best_weights = {n: v.clone() for n, v in trainer.model.state_dict().items()}
            trainer.model.eval()

    def _record(
        self, epoch: int, trained: list[float], validated: list[float], values: int, trainer: Any
    ) -> Record:
        record: Record = {"epoch": epoch + 1, **dict(zip(self.names, trained, strict=True))}
        record["per_pixel"] = record["reconstruction"] / values
        record |= {f"validation_{n}": v for n, v in zip(self.names, validated, strict=True)}
        record["learning_rate"] = trainer.plan.learning_rate
        record["seconds"] = self.seconds[epoch]
        record["samples_per_second"] = len(self.batches) / self.seconds[epoch]
        return record
