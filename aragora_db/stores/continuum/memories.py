"""Memories one by one: added, read, learned from, and protected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from aragora_db.engine.dialects import insert
from aragora_db.errors import InvalidValue
from aragora_db.models import Base, ContinuumMemory, Tier
from aragora_db.rules import continuum
from aragora_db.search.index import follow
from aragora_db.stores import checks
from aragora_db.stores.continuum.base import FRESH, Part, clock
from aragora_db.stores.paging import MAX_LIMIT
from aragora_db.stores.rows import check_rows

__all__ = ["Memories", "NewMemory"]

_SLICE = 1_000
_TABLE = Base.metadata.tables["continuum_memory"]


@dataclass(frozen=True)
class NewMemory:
    """A memory to add.

    Attributes:
        id: its key.
        content: its text.
        tier: where it begins.
        importance: 0 to 1.
        metadata: anything; ``tenant_id`` is what searches filter tenants by.
        surprise_score: 0 to 1; None is 0 for a new memory, and leaves that of another as it is.
        expires_at: when it expires at the latest, whatever its tier says.
    """

    id: str
    content: str
    tier: Tier | str = Tier.SLOW
    importance: float = 0.5
    metadata: Mapping[str, Any] | None = field(default=None, repr=False)
    surprise_score: float | None = None
    expires_at: datetime | None = None

    def row(self, now: datetime) -> dict[str, Any]:
        """Its values by attribute.

        Raises:
            InvalidValue: one is out of range.
        """
        return {
            "id": checks.key("id", self.id),
            "content": checks.name("content", self.content),
            "tier": checks.member("tier", Tier, self.tier),
            "importance": checks.share("importance", self.importance),
            "surprise_score": checks.share(
                "surprise_score", 0.0 if self.surprise_score is None else self.surprise_score
            ),
            "metadata_": dict(self.metadata or {}),
            "expires_at": None if self.expires_at is None else checks.instant("expires_at", self.expires_at),
            "update_count": 1,
            "created_at": now,
            "updated_at": now,
        }


class Memories(Part):
    """The part of `ContinuumStore` about single memories."""

    def add(
        self,
        memory_id: str,
        content: str,
        tier: Tier | str = Tier.SLOW,
        importance: float = 0.5,
        metadata: Mapping[str, Any] | None = None,
        *,
        surprise_score: float | None = None,
        expires_at: datetime | None = None,
        now: datetime | None = None,
    ) -> ContinuumMemory:
        """Add a memory, or replace what one says.

        Of a memory that is there, content, tier, importance, metadata and date of expiry are replaced, the surprise
        if it is given, and it counts as updated now. Its counters, consolidation, creation, last promotion,
        transitions and embedding stay; of a red-lined one also tier, importance and the red line itself. Aragora
        replaces the whole row, and with it the protection (2.8.0, memory/continuum/crud.py:71).

        Args:
            memory_id: its key.
            content: its text.
            tier: where it begins.
            importance: 0 to 1.
            metadata: anything; ``tenant_id`` is what searches filter tenants by.
            surprise_score: 0 to 1; None is 0 for a new memory, and leaves that of another as it is.
            expires_at: when it expires at the latest, whatever its tier says.
            now: the time; the clock's by default.

        Returns:
            The memory as it is now.

        Raises:
            InvalidValue: an argument is out of range; nothing is written.
        """
        new = NewMemory(memory_id, content, tier, importance, metadata, surprise_score, expires_at)
        self.add_many([new], now=now)
        return self._session.get_one(ContinuumMemory, memory_id, populate_existing=True)

    def add_many(self, memories: Iterable[NewMemory], *, now: datetime | None = None) -> int:
        """Add several memories, each as `add` does, in three statements for a thousand.

        Returns:
            How many.

        Raises:
            InvalidValue: an argument of one of them is out of range, or an id is there twice; nothing is written.
        """
        instant, given = clock(now), list(memories)
        checks.names("memories", [memory.id for memory in given])
        # In key order, so that callers that add the same memories never wait for each other in a circle.
        rows = [memory.row(instant) for memory in sorted(given, key=lambda memory: memory.id)]
        check_rows(self._session, ContinuumMemory, rows)
        surprising = {memory.id for memory in given if memory.surprise_score is not None}
        self._session.flush()
        for begin in range(0, len(rows), _SLICE):
            self._write(rows[begin : begin + _SLICE], surprising)
        return len(rows)

    def get(self, memory_id: str) -> ContinuumMemory | None:
        """A memory by its id, or None."""
        return self._session.get(ContinuumMemory, checks.key("memory_id", memory_id), populate_existing=True)

    def get_many(self, memory_ids: Iterable[str]) -> dict[str, ContinuumMemory]:
        """Several by id, in the order asked for; those that are not there are left out.

        Raises:
            InvalidValue: more than 10,000 ids (Aragora takes 200), or one that is none.
        """
        wanted = list(dict.fromkeys(checks.key("memory_ids", memory_id) for memory_id in memory_ids))
        if len(wanted) > MAX_LIMIT:
            raise InvalidValue(f"memory_ids has {len(wanted)} ids; ask for at most {MAX_LIMIT} at a time")
        statement = sa.select(ContinuumMemory).where(ContinuumMemory.id.in_(wanted))
        found = {memory.id: memory for memory in self._session.scalars(statement, execution_options=FRESH)}
        return {memory_id: found[memory_id] for memory_id in wanted if memory_id in found}

    def update_outcome(
        self,
        memory_id: str,
        success: bool,
        prediction_error: float | None = None,
        *,
        normalised: bool = True,
        now: datetime | None = None,
    ) -> ContinuumMemory:
        """Learn from a use of a memory; scores are those of `aragora_db.rules.continuum.after_outcome`.

        Args:
            memory_id: the memory, which is locked: no outcome is lost.
            success: whether it helped.
            prediction_error: how far off the prediction was that it gave rise to, 0 to 1; None when there was none.
            normalised: False computes what Aragora does, by which nothing is ever promoted.
            now: the time; the clock's by default.

        Returns:
            The memory as it is now.

        Raises:
            InvalidValue: an argument is out of range.
            NotFoundError: there is no such memory.
        """
        instant = clock(now)
        given: Any = success
        if not isinstance(given, bool):
            raise InvalidValue(f"success is {given!r}; it must be True or False")
        error = None if prediction_error is None else checks.share("prediction_error", prediction_error)
        memory = self._locked(memory_id)
        memory.surprise_score, memory.consolidation_score = continuum.after_outcome(
            memory.surprise_score,
            memory.success_count,
            memory.failure_count,
            succeeded=success,
            prediction_error=error,
            normalised=normalised,
        )
        memory.success_count += success
        memory.failure_count += not success
        memory.update_count += 1
        memory.updated_at = max(memory.updated_at, instant)
        self._session.flush()
        return memory

    def mark_red_line(
        self, memory_id: str, reason: str, *, promote_to_glacial: bool = True, now: datetime | None = None
    ) -> ContinuumMemory:
        """Protect a memory from deletion, expiry, limits and moves. Its importance becomes 1.

        Args:
            memory_id: the memory.
            reason: why; a second call replaces it.
            promote_to_glacial: put it into the glacial tier. This is no transition.
            now: the time; the clock's by default.

        Raises:
            InvalidValue: there is no reason.
            NotFoundError: there is no such memory.
        """
        instant = clock(now)
        check_rows(self._session, ContinuumMemory, [{"red_line_reason": checks.name("reason", reason)}])
        memory = self._locked(memory_id)
        memory.red_line, memory.red_line_reason, memory.importance = True, reason, 1.0
        if promote_to_glacial:
            memory.tier = Tier.GLACIAL
        memory.updated_at = max(memory.updated_at, instant)
        self._session.flush()
        return memory

    def _write(self, rows: list[dict[str, Any]], surprising: set[str]) -> None:
        statement = insert(self._session, _TABLE)
        old, new = _TABLE.c, statement.excluded
        kept = {name: sa.case((old.red_line, old[name]), else_=new[name]) for name in ("tier", "importance")}
        statement = statement.on_conflict_do_update(
            index_elements=["id"],
            set_={
                **kept,
                "content": new.content,
                "surprise_score": sa.case(
                    (sa.bindparam("surprising", type_=sa.Boolean()), new.surprise_score), else_=old.surprise_score
                ),
                "metadata": new.metadata,
                "expires_at": new.expires_at,
                "updated_at": new.updated_at,
            },
        )
        columns = [
            {("metadata" if name == "metadata_" else name): value for name, value in row.items()}
            | {"surprising": row["id"] in surprising}
            for row in rows
        ]
        self._session.connection().execute(statement, columns)
        follow(self._session, ContinuumMemory, {row["id"]: (row["content"],) for row in rows}, new=False)
