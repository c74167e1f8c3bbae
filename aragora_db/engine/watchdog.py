"""The client's own timer: one thread that cuts connections on which nobody answers.

The server's ``statement_timeout`` cancels a slow statement and leaves the connection usable. It cannot help when the
server, or the network, stopped answering; then the client has to give up, sync and async alike. psycopg has no such
timer, so each statement leaves a deadline here.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from aragora_db.at_fork import call_in_children

__all__ = ["GRACE", "Deadline", "cancel", "watch"]

_TICK = 0.25  # seconds between looks at the deadlines; a deadline is met late by this much at the most

# Seconds that a deadline adds to the limit: with equal limits the server cancels first, and its connection lives on.
GRACE = 1.0


@dataclass(slots=True, eq=False)
class Deadline:
    """When to abort, and how."""

    at: float
    abort: Callable[[], None]


log = logging.getLogger("aragora_db.engine")

# Not a plain lock: the garbage collector runs whenever it likes, also in a thread that holds it, and gives forgotten
# connections back, whose ROLLBACK is watched.
_lock = threading.RLock()
_deadlines: set[Deadline] = set()
_thread: threading.Thread | None = None


def watch(seconds: float, abort: Callable[[], None]) -> Deadline:
    """Call ``abort`` from another thread in that many seconds, unless `cancel` comes first.

    The thread that would call it has nobody to watch over it: what the garbage collector begins there is aborted at
    once.
    """
    global _thread  # noqa: PLW0603 -- one thread per process is the point
    if threading.current_thread() is _thread:
        abort()
        return Deadline(0.0, abort)
    deadline = Deadline(time.monotonic() + seconds, abort)
    with _lock:
        _deadlines.add(deadline)
        if _thread is None or not _thread.is_alive():
            _thread = threading.Thread(target=_run, name="aragora_db-watchdog", daemon=True)
            _thread.start()
    return deadline


def cancel(deadline: Deadline) -> None:
    """The statement is done. After this returns, ``abort`` is not running and will not run."""
    with _lock:
        _deadlines.discard(deadline)


def _run() -> None:
    while True:
        time.sleep(_TICK)
        now = time.monotonic()
        # abort() runs under the lock: the connection cannot go back to the pool, and on to another user, meanwhile.
        with _lock:
            for deadline in [each for each in list(_deadlines) if each.at <= now]:
                _deadlines.discard(deadline)
                try:
                    deadline.abort()
                except Exception:
                    # Whoever waits goes on waiting for TCP; the others must not lose their timer with it.
                    log.exception("a connection that does not answer could not be cut")


@call_in_children
def _reset_after_fork() -> None:
    """Threads do not survive a fork, and the lock may have been held by one."""
    global _lock, _thread
    _lock, _thread = threading.RLock(), None
    _deadlines.clear()
