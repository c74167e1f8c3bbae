"""An iterator that runs in a thread of its own, a few items ahead of who takes them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Generic, TypeVar

__all__ = ["ahead"]

T = TypeVar("T")

_DEPTH = 2  # blocks; reading and writing overlap, and memory stays bounded


class _End(Generic[T]):
    def __init__(self, error: BaseException | None) -> None:
        self.error = error


@contextmanager
def ahead(items: Iterable[T]) -> Generator[Iterable[T]]:
    """Take items from an iterable that runs ahead in another thread; leaving the block stops it.

    An error of the iterable is raised where its item would have come.
    """
    waiting: queue.Queue[T | _End[T]] = queue.Queue(_DEPTH)
    stopped = threading.Event()

    def put(item: T | _End[T]) -> bool:
        while not stopped.is_set():
            try:
                waiting.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def produce() -> None:
        error: BaseException | None = None
        try:
            for item in items:
                if not put(item):
                    return
        except BaseException as problem:  # noqa: BLE001 -- raised in the other thread
            error = problem
        put(_End(error))

    def take() -> Generator[T]:
        while True:
            item = waiting.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item

    thread = threading.Thread(target=produce, daemon=True, name="aragora-import-reader")
    thread.start()
    try:
        yield take()
    finally:
        stopped.set()
        thread.join()
