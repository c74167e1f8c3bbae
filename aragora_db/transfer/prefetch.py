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


class _End:
    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class _Ahead(Generic[T]):
    def __init__(self, items: Iterable[T]) -> None:
        self._items = items
        self._waiting: queue.Queue[T | _End] = queue.Queue(_DEPTH)
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._produce, daemon=True, name="aragora-import-reader")

    def _produce(self) -> None:
        error: BaseException | None = None
        try:
            for item in self._items:
                if not self._put(item):
                    return
        except BaseException as problem:  # noqa: BLE001 -- raised in the other thread
            error = problem
        self._put(_End(error))

    def _put(self, item: T | _End) -> bool:
        while not self.stopped.is_set():
            try:
                self._waiting.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def take(self) -> Generator[T]:
        """The items, as they come."""
        while True:
            item = self._waiting.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item


@contextmanager
def ahead(items: Iterable[T]) -> Generator[Iterable[T]]:
    """Take items from an iterable that runs ahead in another thread; leaving the block stops it.

    An error of the iterable is raised where its item would have come.
    """
    running = _Ahead(items)
    running.thread.start()
    try:
        yield running.take()
    finally:
        running.stopped.set()
        running.thread.join()
