"""Memories changed by several at the same time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db import Database
from aragora_db.errors import NotFoundError
from aragora_db.models import ContinuumMemory, ContinuumMemoryArchive, Tier, TierTransition
from aragora_db.stores import ContinuumStore
from aragora_db.stores.continuum import NewMemory

Race = Callable[[Sequence[Callable[[Session], Any]]], list[Any]]
NOW = datetime(2026, 1, 15, 9, 30, tzinfo=UTC)


def count(session: Session, model: Any) -> int:
    """Rows of a table."""
    return session.scalars(sa.select(sa.func.count()).select_from(model)).one()


def test_no_outcome_is_lost(plain_database: Database, race: Race):
    """Eight agents use a memory at once: what they learned must all be counted."""
    plain_database.transact(lambda session: ContinuumStore(session).add(NewMemory("m", "x")))

    def work(number: int) -> Callable[[Session], Any]:
        return lambda session: ContinuumStore(session).update_outcome("m", success=number % 2 == 0)

    race([work(number) for number in range(8)])
    memory = plain_database.transact(lambda session: ContinuumStore(session).get("m"))
    assert memory is not None
    assert (memory.update_count, memory.success_count, memory.failure_count) == (9, 4, 4)


def test_passes_at_the_same_time(plain_database: Database, race: Race):
    """Two schedulers: every memory moves once and has one transition, and the counts add up."""

    def fill(session: Session) -> None:
        same = {"content": "x", "tier": "slow", "update_count": 20}
        rows = [same | {"id": f"{number:04}", "surprise_score": number % 2 * 0.9} for number in range(600)]
        session.execute(sa.insert(ContinuumMemory), rows)

    plain_database.transact(fill)
    passes = race([lambda session: ContinuumStore(session).consolidate(now=NOW)] * 4)
    total = {key: sum(moves.get(key, 0) for moves in passes) for moves in passes for key in moves}
    assert total == {(Tier.SLOW, Tier.MEDIUM): 300, (Tier.SLOW, Tier.GLACIAL): 300}
    moved = plain_database.transact(lambda session: session.scalars(sa.select(TierTransition.memory_id)).all())
    assert sorted(moved) == [f"{number:04}" for number in range(600)]


def test_passes_outcomes_and_additions(plain_database: Database, race: Race):
    """What locks many rows and what locks one must not wait for each other in a circle."""
    memories = [NewMemory(f"{number:04}", "x", surprise_score=0.9) for number in range(200)]
    plain_database.transact(lambda session: ContinuumStore(session).add_many(memories, now=NOW))

    def learn(session: Session) -> None:
        for number in range(0, 200, 20):
            ContinuumStore(session).update_outcome(f"{number:04}", success=True)

    works: list[Callable[[Session], Any]] = [
        lambda session: ContinuumStore(session).consolidate(),
        lambda session: ContinuumStore(session).add_many(memories[::-1]),
        lambda session: ContinuumStore(session).set_embeddings({memory.id: [1.0] for memory in memories}),
        learn,
    ]
    race(works * 2)
    memory = plain_database.transact(lambda session: ContinuumStore(session).get("0020"))
    assert memory is not None
    assert memory.success_count == 2


def test_the_same_memory_added_by_all(plain_database: Database, race: Race):
    """One row, and the words of the text that won."""

    def work(number: int) -> Callable[[Session], Any]:
        return lambda session: ContinuumStore(session).add(NewMemory("m", f"text{number}"))

    race([work(number) for number in range(6)])

    def read(session: Session) -> list[str]:
        store = ContinuumStore(session)
        keywords = [f"text{number}" for number in range(6)]
        return [found.memory.content for found in store.retrieve(keywords=keywords)] + [
            found.memory.content for keyword in keywords for found in store.retrieve(keywords=[keyword])
        ]

    first, second = plain_database.transact(read)
    assert first == second


def test_archived_once(plain_database: Database, race: Race):
    """Clean-ups, limits and a deletion at once: each memory leaves once, with its embedding."""

    def fill(session: Session) -> None:
        store = ContinuumStore(session)
        store.add_many([NewMemory(f"{number:04}", "x", "fast") for number in range(300)], now=NOW - timedelta(days=9))
        store.set_embeddings({f"{number:04}": [1.0, number] for number in range(300)})

    def delete(session: Session) -> bool:
        try:
            ContinuumStore(session).delete("0007", now=NOW)
        except NotFoundError:
            return False
        return True

    plain_database.transact(fill)
    clean: Callable[[Session], Any] = lambda session: ContinuumStore(session).expire(now=NOW)  # noqa: E731
    found = race([clean, clean, delete, clean, delete])
    assert sum(sum(each.values()) if isinstance(each, dict) else each for each in found) == 300

    def read(session: Session) -> tuple[int, int, int]:
        bare = sa.select(ContinuumMemoryArchive).where(ContinuumMemoryArchive.embedding.is_(None))
        return count(session, ContinuumMemory), count(session, ContinuumMemoryArchive), len(session.scalars(bare).all())

    assert plain_database.transact(read) == (0, 300, 0)
