"""Read-ahead: the next items of an iterator are made on a thread of their own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from typing import TypeVar

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
    waiting: queue.Queue[tuple[str, T | BaseException | None]] = queue.Queue(depth)
    closed = threading.Event()

    def put(item: tuple[str, T | BaseException | None]) -> None:
        while not closed.is_set():
            try:
                return waiting.put(item, timeout=WAIT)
            except queue.Full:
                continue

    def work() -> None:
        try:
            for item in items:
                put(("item", item))
                if closed.is_set():
                    return
            put(("end", None))
        except BaseException as error:
            put(("error", error))

    thread = threading.Thread(target=work, name="latente read-ahead", daemon=True)
    thread.start()
    try:
        while True:
            kind, item = waiting.get()
            if kind == "error":
                assert isinstance(item, BaseException)
                raise item
            if kind == "end":
                return
            yield item  # type: ignore[misc]
    finally:
        closed.set()
        thread.join()
