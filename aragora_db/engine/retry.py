"""When a unit of work may run again, and how long to wait before it does."""

from __future__ import annotations

import random

from aragora_db.errors import DatabaseUnavailable, LockTimeout

__all__ = ["ATTEMPTS", "RETRYABLE", "delay"]

# 40001, 40P01, 55P03, SQLITE_BUSY, and a connection that was lost before COMMIT was sent. CommitUnknown is not here,
# and never may be: the work could be applied twice.
RETRYABLE = (LockTimeout, DatabaseUnavailable)

ATTEMPTS = 8
_BASE, _CAP = 0.05, 2.0  # seconds; eight attempts wait 2.6 s on average, enough for a PostgreSQL restart


def delay(attempt: int) -> float:
    """Seconds to wait after this attempt (counted from 1): exponential, with full jitter.

    Full jitter spreads the competitors best (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    """
    return random.uniform(0.0, min(_CAP, _BASE * 2 ** (attempt - 1)))  # noqa: S311 -- no cryptography here
