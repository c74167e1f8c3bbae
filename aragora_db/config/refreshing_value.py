"""A value that lives elsewhere: asked for again when it is old, and kept when nobody answers."""

from __future__ import annotations

import copy
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from aragora_db.errors import AragoraDBError

__all__ = ["LastGood"]

T = TypeVar("T")

# Seconds. After a failure nobody asks again for this long (or for the time to live, if that is shorter).
_BACK_OFF: Final = 5.0

# Seconds between the starts of two forced refreshes: a hundred connections that fail together ask once.
_INTERVAL: Final = 1.0

log = logging.getLogger("aragora_db.config")


@dataclass(frozen=True)
class _Good(Generic[T]):
    value: T = field(repr=False)
    at: float


class LastGood(Generic[T]):
    """Keeps the last good answer of a function. Thread-safe; after a fork call `reset_after_fork`.

    The first `get` waits for an answer, and all threads wait for the same one. Later ones never wait: an answer that is
    too old is given once more, while a thread asks for the next one.

    Args:
        what: what this is, for the log.
        load: asks. An `AragoraDBError` means that there is no answer; its message must hold no secret.
        ttl: age, in seconds, at which an answer is too old.
    """

    def __init__(self, what: str, load: Callable[[], T], ttl: float) -> None:
        self._what, self._load, self._ttl = what, load, ttl
        self._good: _Good[T] | None = None
        self._error: AragoraDBError | None = None
        self._started = self._due = float("-inf")
        self._asking = threading.Lock()

    @property
    def last(self) -> T | None:
        """The last good answer, or None before the first one. Asks nobody."""
        return self._good.value if self._good is not None else None

    @property
    def age(self) -> float | None:
        """Seconds since the last good answer, or None before the first one."""
        return time.monotonic() - self._good.at if self._good is not None else None

    @property
    def error(self) -> AragoraDBError | None:
        """Why the last question got no answer, or None if it did."""
        return self._error

    def get(self) -> T:
        """The last good answer.

        Raises:
            AragoraDBError: there is none yet.
        """
        good = self._good or self._first()
        self.touch()
        return good.value

    def touch(self) -> None:
        """Have another thread ask again if the answer is too old."""
        if self._good is None or time.monotonic() < self._due or not self._asking.acquire(blocking=False):
            return
        try:
            threading.Thread(target=self._ask_and_let_go, name="aragora_db-secrets", daemon=True).start()
        except RuntimeError:  # no thread can be started: the interpreter is about to end, or a limit is reached
            self._asking.release()

    def refresh(self) -> None:
        """Ask again now, at most once a second, and not at all for a while after a failure.

        When this returns somebody has asked since it was called, unless the last question failed.
        """
        wanted = time.monotonic()
        with self._asking:
            now = time.monotonic()
            if self._started > wanted or (self._error is not None and now < self._due):
                return
            time.sleep(max(0.0, self._started + _INTERVAL - now))
            self._ask()

    def reset_after_fork(self) -> None:
        """What a forked child does first: the thread that was asking stayed behind."""
        self._asking = threading.Lock()

    def _first(self) -> _Good[T]:
        with self._asking:
            while self._good is None:
                if self._error is not None and time.monotonic() < self._due:
                    raise copy.copy(self._error)  # the threads that waited for it must not share a traceback
                self._ask()
            return self._good

    def _ask_and_let_go(self) -> None:
        asking = self._asking
        try:
            self._ask()
        finally:
            asking.release()

    def _ask(self) -> None:
        """Ask; the caller holds the lock."""
        self._started = time.monotonic()
        self._due = self._started + min(_BACK_OFF, self._ttl)  # also if an error comes that nobody thought of
        try:
            value = self._load()
        except AragoraDBError as error:
            if self._good is not None and self._error is None:
                log.warning("%s: going on with the last good answer, because %s", self._what, error)
            self._error = error.with_traceback(None)  # its frames hold the secret
            self._due = time.monotonic() + min(_BACK_OFF, self._ttl)
        else:
            if self._error is not None:
                log.info("%s: answered again", self._what)
            now = time.monotonic()
            self._good, self._error, self._due = _Good(value, now), None, now + self._ttl
