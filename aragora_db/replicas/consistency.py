"""What a thread or an asyncio task has written last, so that its own reads see it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["Mark", "OwnMark"]


@dataclass(frozen=True)
class Mark:
    """A write.

    Attributes:
        at: `time.monotonic()` after the commit.
        position: where the primary's log was after it; None when that was not asked yet.
    """

    at: float
    position: int | None = None


# For every database at once: contexts keep a variable alive for good, and databases come and go.
_marks: ContextVar[Mapping[int, Mark]] = ContextVar("aragora_db_marks", default=MappingProxyType({}))
_keys = itertools.count()


class OwnMark:
    """The last write of the current thread or task to one database.

    A new task, and what ``asyncio.to_thread`` runs, begins with its creator's mark; its own writes do not reach back.
    """

    def __init__(self) -> None:
        self._key = next(_keys)

    def get(self) -> Mark | None:
        """The mark, or None when nothing was written."""
        return _marks.get().get(self._key)

    def set(self, mark: Mark) -> None:
        """Leave a mark."""
        _marks.set({**_marks.get(), self._key: mark})
