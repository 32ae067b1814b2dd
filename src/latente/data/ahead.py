"""Read-ahead: the next items of an iterator are made on a thread of their own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")

WAIT = 0.1
"""Seconds after which the thread looks whether anyone still wants its items."""


def read_ahead(items: Iterable[T], depth: int = 2) -> Generator[T]:
    """Yield the items of an iterable in their order, made while earlier ones are worked on.

    What is raised in making them is raised here. The thread ends when the generator is closed.

    Parameters
    ----------
    items
        Is gone through on a thread of its own.
    depth
        How many items wait at most.
    """
    reader = ReadingThread(items, depth)
    reader.start()
    try:
        while True:
            kind, item = reader.waiting.get()
            if kind == "error":
                raise item
            if kind == "end":
                break
            yield item
    finally:
        reader.closed.set()
        reader.join()


class ReadingThread(threading.Thread):
    """The thread that makes the items.

    Parameters
    ----------
    items, depth
        As for `read_ahead`.
    """

    def __init__(self, items: Iterable[Any], depth: int) -> None:
        super().__init__(name="latente read-ahead", daemon=True)
        self.items = items
        self.waiting: queue.Queue[tuple[str, Any]] = queue.Queue(depth)
        self.closed = threading.Event()

    def run(self) -> None:
        """Make the items, until there are no more or nobody wants them."""
        try:
            for item in self.items:
                self.put("item", item)
                if self.closed.is_set():
                    return
            self.put("end", None)
        except BaseException as error:  # whatever it is, it belongs to who waits for the items
            self.put("error", error)

    def put(self, kind: str, item: Any) -> None:
        """Leave an item where it is waited for."""
        while not self.closed.is_set():
            with suppress(queue.Full):
                self.waiting.put((kind, item), timeout=WAIT)
                return
