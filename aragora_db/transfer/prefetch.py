"""An iterator that runs in its own thread, a few items ahead of its consumer."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Generic, TypeVar

__all__ = ["prefetch"]

T = TypeVar("T")

_DEPTH = 2  # blocks; reading and writing overlap, and memory stays bounded


class _End:
    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class _Prefetcher(Generic[T]):
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

    def items(self) -> Generator[T]:
        """Yield the items in their order."""
        while True:
            item = self._waiting.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item


@contextmanager
def prefetch(items: Iterable[T]) -> Generator[Iterable[T]]:
    """Iterate in another thread, a few items ahead; leaving the block stops the thread.

    An exception of the iterable is raised in place of its item.
    """
    running = _Prefetcher(items)
    running.thread.start()
    try:
        yield running.items()
    finally:
        running.stopped.set()
        running.thread.join()
