"""Threads and forked children of a test, each awaited with a bound: one that hangs fails the test and ends with it."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import traceback
import warnings
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from support import HANG_SECONDS, eventually

__all__ = ["Job", "forked", "line_of", "together"]

Result = TypeVar("Result")


class Job(Generic[Result]):
    """Run ``work()`` in a daemon thread: one that hangs does not keep the interpreter from its end.

    Args:
        work: what to run; its error is raised again by `result`.
    """

    def __init__(self, work: Callable[[], Result]) -> None:
        self._work = work
        self._value: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._value = self._work()
        except BaseException as error:  # noqa: BLE001 -- raised again where the result is asked for
            self._error = error

    @property
    def done(self) -> bool:
        """Whether the work has ended, with a value or an error."""
        return not self._thread.is_alive()

    def result(self, seconds: float = HANG_SECONDS) -> Result:
        """Wait for the work's end and return its value, or raise its error; fail after ``seconds``."""
        self._thread.join(seconds)
        assert not self._thread.is_alive(), f"{self._work} did not end within {seconds:g} s"
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[no-any-return]


def together(*works: Callable[[], Result], seconds: float = HANG_SECONDS) -> list[Result]:
    """Run several functions, each in a thread of its own that starts when all are there; return their values."""
    barrier = threading.Barrier(len(works))

    def waits(work: Callable[[], Result]) -> Callable[[], Result]:
        def run() -> Result:
            barrier.wait(seconds)
            return work()

        return run

    return [job.result(seconds) for job in [Job(waits(work)) for work in works]]


def forked(work: Callable[[], Any], *, seconds: float = HANG_SECONDS) -> Any:
    """Run ``work()`` in a forked child and return whether it ended with a true value; kill a child that hangs."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        child = os.fork()
    if child == 0:
        code = 2
        try:
            code = 0 if work() else 1
        except BaseException:  # noqa: BLE001 -- pytest must not go on in the child
            traceback.print_exc()
        finally:
            os._exit(code)
    status: list[int] = []

    def ended() -> bool:
        pid, raw = os.waitpid(child, os.WNOHANG)
        status.append(raw)
        return pid != 0

    try:
        eventually(ended, "the forked child has ended", seconds=seconds)
    except BaseException:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    return os.waitstatus_to_exitcode(status[-1]) == 0


def line_of(process: subprocess.Popen[str], *, seconds: float = HANG_SECONDS) -> str:
    """Read one line of a child's stdout; kill a child that writes none within ``seconds``, and return what came."""
    assert process.stdout is not None
    killer = threading.Timer(seconds, process.kill)
    killer.daemon = True
    killer.start()
    try:
        return process.stdout.readline()
    finally:
        killer.cancel()
