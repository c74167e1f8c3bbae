"""A thread that looks at one server again and again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from sqlalchemy import Connection, Engine

from aragora_db.engine import Target, create_engine

__all__ = ["SHORTEST_PAUSE", "Watch"]

# Seconds. A server that needs longer for a look is of no use to a reader.
_ANSWER_SECONDS = 1
_CONNECT_SECONDS = 2  # what libpq makes of 1
_OVERDUE_SECONDS = 3.0
_JOIN_SECONDS = 5.0

# A replica nearby has replayed a commit after 0.2 ms (median of 300), and a look costs it and us about as much.
SHORTEST_PAUSE = 0.001


class Watch:
    """One thread, one connection. A server that hangs delays nobody but its own watch.

    Args:
        name: of the thread.
        target: the server.
        look: called with a connection in autocommit mode; what it raises goes to ``failed``.
        failed: called with the error.
        pause: seconds until the next look; asked after each.
    """

    def __init__(
        self,
        name: str,
        target: Target,
        look: Callable[[Connection], None],
        failed: Callable[[Exception], None],
        pause: Callable[[], float],
    ) -> None:
        self._name, self._look, self._failed, self._pause = name, look, failed, pause
        self._target = target.with_settings(
            connect_timeout=_CONNECT_SECONDS, statement_timeout=_ANSWER_SECONDS, command_timeout=float(_ANSWER_SECONDS)
        )
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._looking_since: float | None = None

    @property
    def overdue(self) -> bool:
        """Whether the look that is under way takes too long: the name server, too, may be what does not answer."""
        since = self._looking_since
        return since is not None and time.monotonic() - since > _OVERDUE_SECONDS

    def start(self) -> None:
        """Look now, and go on looking."""
        self._wake, self._stopping, self._looking_since = threading.Event(), threading.Event(), None
        self._thread = threading.Thread(target=self._run, args=(self._wake, self._stopping), name=self._name)
        self._thread.daemon = True
        self._thread.start()

    def hurry(self) -> None:
        """Look again at once; if a look is under way, once more after it."""
        self._wake.set()

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()
        self._wake.set()

    def join(self) -> None:
        """Wait until its connection is closed; not for ever, since the server may be hanging."""
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(_JOIN_SECONDS)

    def reset_after_fork(self) -> None:
        """In a forked child there is no thread."""
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
        self._looking_since = time.monotonic()
        try:
            with engine.connect() as connection:
                self._look(connection)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the next look may go better
            self._failed(error)
        finally:
            self._looking_since = None
