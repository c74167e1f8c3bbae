"""Read-your-own-writes: remember the last write of each thread and asyncio task."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["CommittedWrite", "OwnLastWrite"]


@dataclass(frozen=True)
class CommittedWrite:
    """A write that was committed on the primary.

    Attributes:
        at: `time.monotonic()` after the commit.
        lsn: an LSN at or after the commit; None while the primary has not been queried since.
    """

    at: float
    lsn: int | None = None


# One variable for all databases: a context keeps its variables alive for good, and databases are opened and closed.
_last_writes: ContextVar[Mapping[int, CommittedWrite]] = ContextVar(
    "aragora_db_last_writes", default=MappingProxyType({})
)
_keys = itertools.count()


class OwnLastWrite:
    """Keeps the last write of the current thread or task to one database.

    A new task, and a function run by ``asyncio.to_thread``, starts with its creator's last write. Its own writes are
    not visible to the creator.
    """

    def __init__(self) -> None:
        self._key = next(_keys)

    def get(self) -> CommittedWrite | None:
        """Return the last write, or None if this thread or task has written nothing."""
        return _last_writes.get().get(self._key)

    def set(self, write: CommittedWrite) -> None:
        """Record the last write."""
        _last_writes.set({**_last_writes.get(), self._key: write})
