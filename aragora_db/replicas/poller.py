"""A thread that queries one server at an interval."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from sqlalchemy import Connection, Engine

from aragora_db.engine import Target, create_engine

__all__ = ["SHORTEST_PAUSE", "Poller"]

# Seconds. A server that needs longer to answer a poll is of no use to a reader.
_ANSWER_SECONDS = 1
_CONNECT_SECONDS = 2  # what libpq makes of 1
_OVERDUE_SECONDS = 3.0
_JOIN_SECONDS = 5.0

# A replica nearby has replayed a commit after 0.2 ms (median of 300), and a poll costs it and us about as much.
SHORTEST_PAUSE = 0.001


class Poller:
    """One thread, one connection. A server that hangs delays its own poller only.

    Args:
        name: of the thread.
        target: the server.
        poll: called with a connection in autocommit mode; its exceptions are passed to ``failed``.
        failed: called with the exception.
        pause: returns the seconds until the next poll; called after each.
    """

    def __init__(
        self,
        name: str,
        target: Target,
        poll: Callable[[Connection], None],
        failed: Callable[[Exception], None],
        pause: Callable[[], float],
    ) -> None:
        self._name, self._poll, self._failed, self._pause = name, poll, failed, pause
        self._target = target.with_settings(
            connect_timeout=_CONNECT_SECONDS, statement_timeout=_ANSWER_SECONDS, command_timeout=float(_ANSWER_SECONDS)
        )
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._poll_started: float | None = None

    @property
    def overdue(self) -> bool:
        """Whether the running poll takes too long. The cause may also be a name server that does not answer."""
        since = self._poll_started
        return since is not None and time.monotonic() - since > _OVERDUE_SECONDS

    def start(self) -> None:
        """Start the thread; it polls at once."""
        self._wake, self._stopping, self._poll_started = threading.Event(), threading.Event(), None
        self._thread = threading.Thread(target=self._run, args=(self._wake, self._stopping), name=self._name)
        self._thread.daemon = True
        self._thread.start()

    def poll_now(self) -> None:
        """Poll without a pause; if a poll is running, once more after it."""
        self._wake.set()

    def stop(self) -> None:
        """Tell the thread to end, without waiting for it."""
        self._stopping.set()
        self._wake.set()

    def join(self) -> None:
        """Wait until the thread has closed its connection, at most 5 seconds: the server may hang."""
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(_JOIN_SECONDS)

    def reset_after_fork(self) -> None:
        """Drop the thread, which does not exist in a forked child."""
        self._thread = None

    def _run(self, wake: threading.Event, stopping: threading.Event) -> None:
        engine = create_engine(self._target, pool_size=1, max_overflow=0)
        autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")
        try:
            while not stopping.is_set():
                wake.clear()
                self._once(autocommit)
                wake.wait(self._pause())
        finally:
            engine.dispose()

    def _once(self, engine: Engine) -> None:
        self._poll_started = time.monotonic()
        try:
            with engine.connect() as connection:
                self._poll(connection)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the next poll may succeed
            self._failed(error)
        finally:
            self._poll_started = None
