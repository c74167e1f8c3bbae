"""Run work again after an error that the next attempt may not meet: which errors, how often, and how long to wait."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from aragora_db.errors import DatabaseUnavailable, LockTimeout, UsageError

__all__ = ["ATTEMPTS", "RETRYABLE", "retry", "retry_async"]

T = TypeVar("T")

# 40001, 40P01, 55P03, SQLITE_BUSY, and a connection that was lost before COMMIT was sent. CommitUnknown is not here,
# and never may be: the work could be applied twice.
RETRYABLE: tuple[type[Exception], ...] = (LockTimeout, DatabaseUnavailable)

ATTEMPTS = 8
_BASE, _CAP = 0.05, 2.0  # seconds; eight attempts wait 2.6 s on average, enough for a PostgreSQL restart


def retry(
    work: Callable[[], T],
    *,
    attempts: int = ATTEMPTS,
    errors: tuple[type[Exception], ...] = RETRYABLE,
    on_retry: Callable[[int, Exception], None] | None = None,
) -> T:
    """Run work until it succeeds, and return its value.

    Args:
        work: each attempt is whole: a transaction of its own.
        attempts: how often to try, at least once.
        errors: what may be tried again; any other error is raised at once.
        on_retry: called with the number of the attempt that failed, from 1, and its error, before the wait.

    Raises:
        UsageError: attempts is below 1.
        Exception: that of the last attempt.
    """
    for attempt in _attempts(attempts):
        try:
            return work()
        except errors as error:
            if attempt == attempts:
                raise
            if on_retry is not None:
                on_retry(attempt, error)
        time.sleep(_delay(attempt))
    raise AssertionError("unreachable")


async def retry_async(work: Callable[[], Awaitable[T]], *, attempts: int = ATTEMPTS) -> T:
    """`retry` for async code: waits without blocking the event loop."""
    for attempt in _attempts(attempts):
        try:
            return await work()
        except RETRYABLE:
            if attempt == attempts:
                raise
        await asyncio.sleep(_delay(attempt))
    raise AssertionError("unreachable")


def _attempts(attempts: Any) -> range:
    if not isinstance(attempts, int) or attempts < 1:
        raise UsageError(f"attempts is {attempts!r}; it must be a whole number, at least 1")
    return range(1, attempts + 1)


def _delay(attempt: int) -> float:
    """Return the seconds to wait after this attempt (counted from 1): exponential, with full jitter.

    Full jitter spreads the competitors best (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    """
    return random.uniform(0.0, min(_CAP, _BASE * 2 ** min(attempt - 1, 10)))  # noqa: S311 -- no cryptography here
