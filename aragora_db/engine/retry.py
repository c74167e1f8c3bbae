"""When a unit of work may run again, how often, and how long to wait before it does."""

from __future__ import annotations

import random
from collections.abc import Generator
from types import TracebackType

from aragora_db.errors import DatabaseUnavailable, LockTimeout

__all__ = ["ATTEMPTS", "RETRYABLE", "Attempt", "delay", "tries"]

# 40001, 40P01, 55P03, SQLITE_BUSY, and a connection that was lost before COMMIT was sent. CommitUnknown is not here,
# and never may be: the work could be applied twice.
RETRYABLE = (LockTimeout, DatabaseUnavailable)

ATTEMPTS = 8
_BASE, _CAP = 0.05, 2.0  # seconds; eight attempts wait 2.6 s on average, enough for a PostgreSQL restart


class Attempt:
    """One attempt, a context manager: swallows a retryable error unless it is the last attempt.

    Attributes:
        number: counted from 1.
        error: what went wrong, for a log, until the next attempt begins.
    """

    __slots__ = ("_swallows", "error", "number")

    def __init__(self, number: int, swallows: tuple[type[Exception], ...]) -> None:
        self.number, self._swallows = number, swallows
        self.error: BaseException | None = None

    @property
    def pause(self) -> float:
        """Seconds to wait before the next attempt; another value at each call."""
        return delay(self.number)

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> bool:
        """Swallow the error if there is another attempt."""
        if isinstance(error, self._swallows):
            self.error = error
            return True
        return False


def tries(attempts: int = ATTEMPTS, retryable: tuple[type[Exception], ...] = RETRYABLE) -> Generator[Attempt]:
    """Yield the attempts of a unit of work, for sync and async code.

    The caller waits, in its own way, and leaves the loop when an attempt succeeds::

        for attempt in tries():
            with attempt:
                return work()
            time.sleep(attempt.pause)

    Args:
        attempts: how many there are at most; fewer than one yields none.
        retryable: the errors after which there is another attempt. The last attempt lets them through.
    """
    for number in range(1, attempts + 1):
        attempt = Attempt(number, retryable if number < attempts else ())
        yield attempt
        attempt.error = None  # its traceback refers to the caller's frame, which refers to the attempt


def delay(attempt: int) -> float:
    """Seconds to wait after this attempt (counted from 1): exponential, with full jitter.

    Full jitter spreads the competitors best (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    """
    return random.uniform(0.0, min(_CAP, _BASE * 2 ** (attempt - 1)))  # noqa: S311 -- no cryptography here
