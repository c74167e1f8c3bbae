"""Blocking work for an event loop, in threads that hold up neither each other nor the process's end.

Not `asyncio.to_thread`: the interpreter joins its threads at the end, and `asyncio.run` waits for them before, so one
connection on which nobody answers would keep a process that was told to stop.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

__all__ = ["outcome", "start"]

T = TypeVar("T")


def start(work: Callable[[], T], name: str) -> Future[T]:
    """Run blocking work in a daemon thread of its own.

    Args:
        work: what to do.
        name: the thread's name, for whoever looks at a stuck process.
    """
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()  # from now on it cannot be cancelled, so the thread can always deliver

    def run() -> None:
        try:
            value = work()
        except BaseException as error:  # noqa: BLE001 -- handed on to whoever waits
            future.set_exception(error)
        else:
            future.set_result(value)

    threading.Thread(target=run, name=f"aragora_db-{name}", daemon=True).start()
    return future


async def outcome(future: Future[T], seconds: float | None = None) -> T:
    """Wait for it without blocking the event loop. The work goes on when nobody waits any more.

    Args:
        future: what `start` returned; any number of tasks and event loops may wait for it.
        seconds: how long to wait; None is as long as it takes.

    Raises:
        TimeoutError: it took longer.
    """
    loop = asyncio.get_running_loop()
    done = asyncio.Event()

    def wake(_future: Future[Any]) -> None:
        with suppress(RuntimeError):  # that event loop is closed, and nobody waits
            loop.call_soon_threadsafe(done.set)

    future.add_done_callback(wake)
    await asyncio.wait_for(done.wait(), seconds)
    return future.result()
