"""Decoding under a pointer that moves faster than the model: batched, and the latest wins.

::

    requests ──waiting──▶ all of one model together ──thread──▶ one decode ──▶ each its part
             ╰─ an earlier one of the same pointer is answered with nothing
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Group = TypeVar("Group")
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(eq=False)
class Waiting(Generic[Group, Item, Result]):
    """A request that waits.

    Parameters
    ----------
    group
        Requests of one group are worked on together.
    item
        What is asked for.
    pointer
        Whose it is; a later one of the same replaces it.
    result
        What will be answered; None where a later one replaced it.
    """

    group: Group
    item: Item
    pointer: str | None
    result: asyncio.Future[Result | None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def settle(self, result: Result | None) -> None:
        """Answer, unless it was answered before."""
        if not self.result.done():
            self.result.set_result(result)


class LatestWins(Generic[Group, Item, Result]):
    """A queue that works on all waiting items of a group at once, off the event loop.

    Parameters
    ----------
    work
        From the items of a group to their results, in order; called in a thread.
    executor
        Where.
    """

    def __init__(
        self, work: Callable[[Group, list[Item]], list[Result]], executor: Executor
    ) -> None:
        self.work, self.executor = work, executor
        self.waiting: list[Waiting[Group, Item, Result]] = []
        self.running: list[Waiting[Group, Item, Result]] = []
        self.task: asyncio.Task[None] | None = None

    async def ask(self, group: Group, item: Item, pointer: str | None = None) -> Result | None:
        """Return the result of an item, or None where a later one of its pointer replaced it.

        Parameters
        ----------
        group
            What it may be worked on together with.
        item
            What is asked for.
        pointer
            Whose it is; None for one that nothing replaces.
        """
        if pointer is not None:
            for earlier in (*self.waiting, *self.running):
                if earlier.pointer == pointer:
                    earlier.settle(None)
            self.waiting = [each for each in self.waiting if not each.result.done()]
        asked: Waiting[Group, Item, Result] = Waiting(group, item, pointer)
        self.waiting.append(asked)
        if self.task is None or self.task.done():
            self.task = asyncio.create_task(self._run())
        return await asked.result

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self.waiting:
            group = self.waiting[0].group
            self.running = [each for each in self.waiting if each.group == group]
            self.waiting = [each for each in self.waiting if each.group != group]
            items = [each.item for each in self.running]
            try:
                results = await loop.run_in_executor(self.executor, self.work, group, items)
            except Exception as error:
                for each in self.running:
                    if not each.result.done():
                        each.result.set_exception(error)
            else:
                for each, result in zip(self.running, results, strict=True):
                    each.settle(result)
            self.running = []
