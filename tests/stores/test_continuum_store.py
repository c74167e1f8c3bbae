"""Memories added, learned from, protected and counted, on every engine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from aragora_db import Database
from aragora_db.errors import ConflictError, InvalidValue, NotFoundError
from aragora_db.models import ContinuumMemory, Tier
from aragora_db.rules import continuum
from aragora_db.stores import ContinuumStore
from aragora_db.stores.continuum import NewMemory, TierStats
from aragora_db.testing.engines import EngineDatabase

NOW = datetime(2026, 1, 15, 9, 30, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def test_a_new_memory(database: EngineDatabase):
    """Every column as documented; a memory that begins with other numbers moves at another time."""

    def work(session: Session) -> ContinuumMemory:
        return ContinuumStore(session).add(NewMemory("m", "Votes need a quorum", metadata={"tenant_id": "t"}), now=NOW)

    memory = database.run(work)
    assert (memory.tier, memory.importance, memory.surprise_score, memory.consolidation_score) == ("slow", 0.5, 0, 0)
    assert (memory.update_count, memory.success_count, memory.failure_count) == (1, 0, 0)
    assert (memory.created_at, memory.updated_at, memory.expires_at) == (NOW, NOW, None)
    assert (memory.metadata_, memory.red_line, memory.last_promotion_at) == ({"tenant_id": "t"}, False, None)


def test_added_again(database: EngineDatabase):
    """What was learned must survive a new wording. Aragora forgets it, and when a memory was promoted."""

    def work(session: Session) -> ContinuumMemory:
        store = ContinuumStore(session)
        store.add(NewMemory("m", "old words", "medium", surprise_score=0.9), now=NOW)
        assert store.promote("m", now=NOW) == Tier.FAST
        store.update_outcome("m", success=True, now=NOW)
        return store.add(NewMemory("m", "new words", "glacial", 0.25, {"a": 1}), now=LATER)

    memory = database.run(work)
    assert (memory.content, memory.tier, memory.importance, memory.metadata_) == (
        "new words",
        "glacial",
        0.25,
        {"a": 1},
    )
    assert (memory.update_count, memory.success_count, memory.last_promotion_at) == (2, 1, NOW)
    assert (memory.created_at, memory.updated_at) == (NOW, LATER)
    assert memory.surprise_score == pytest.approx(0.7 * 0.9 + 0.3 * 0.5)
    again = database.run(lambda session: ContinuumStore(session).add(NewMemory("m", "new words", surprise_score=0.0)))
    assert again.surprise_score == 0.0


def test_added_again_its_words_are_the_new_ones(database: EngineDatabase):
    """A search for words that a memory no longer has would return it for ever."""

    def work(session: Session) -> list[list[str]]:
        store = ContinuumStore(session)
        store.add(NewMemory("m", "old words"))
        store.add(NewMemory("m", "new phrase"))
        searches = [store.retrieve(keywords=[word]) for word in ("words", "phrase")]
        return [[found.memory.id for found in search] for search in searches]

    assert database.run(work) == [[], ["m"]]


def test_a_red_line_cannot_be_overwritten(database: EngineDatabase):
    """In Aragora, adding a protected memory again removes the protection, and the next clean-up the memory."""

    def work(session: Session) -> ContinuumMemory:
        store = ContinuumStore(session)
        store.add(NewMemory("m", "never delete the audit log"))
        store.mark_red_line("m", "the law")
        return store.add(NewMemory("m", "never ever", "fast", 0.1))

    memory = database.run(work)
    assert (memory.red_line, memory.red_line_reason, memory.importance, memory.tier) == (
        True,
        "the law",
        1.0,
        "glacial",
    )
    assert memory.content == "never ever"
    with pytest.raises(ConflictError, match="force=True"):
        database.run(lambda session: ContinuumStore(session).delete("m"))


def test_a_red_line_in_its_tier(database: EngineDatabase):
    """Protection without the move, for memories that have to stay fresh."""

    def work(session: Session) -> ContinuumMemory:
        store = ContinuumStore(session)
        store.add(NewMemory("m", "x", "fast"))
        return store.mark_red_line("m", "why", promote_to_glacial=False, now=NOW)

    memory = database.run(work)
    assert (memory.tier, memory.red_line, memory.importance) == (Tier.FAST, True, 1.0)


def test_many_at_once(database: EngineDatabase):
    """Three statements for a thousand; one bad row, and nothing is written."""

    def work(session: Session) -> list[str]:
        store = ContinuumStore(session)
        assert store.add_many([]) == 0
        assert store.add_many([NewMemory(f"m{number:04}", f"text {number}") for number in range(2_500)]) == 2_500
        found = store.get_many(["m0003", "none", "m0001", "m0003"])
        assert [memory.content for memory in found.values()] == ["text 3", "text 1"]
        return [each.memory.id for each in store.retrieve(keywords=["2499"])]

    assert database.run(work) == ["m2499"]
    for bad in (NewMemory("b", "x", importance=2.0), NewMemory("a", "y"), NewMemory("c", "nul \x00")):
        with pytest.raises(InvalidValue):
            database.run(lambda session: ContinuumStore(session).add_many([NewMemory("a", "x"), bad]))  # noqa: B023
    assert database.run(lambda session: ContinuumStore(session).get("a")) is None


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("error", [None, 0.0, 0.75])
def test_outcomes(database: EngineDatabase, normalised: bool, error: float | None):
    """The rules, step by step; a memory that learns otherwise moves when it should stay."""

    def work(session: Session) -> ContinuumMemory:
        store = ContinuumStore(session)
        store.add(NewMemory("m", "x", surprise_score=0.5), now=NOW)
        store.update_outcome("m", success=True, prediction_error=error, normalised=normalised, now=NOW)
        return store.update_outcome("m", success=False, prediction_error=error, normalised=normalised, now=LATER)

    options: dict[str, Any] = {"prediction_error": error, "normalised": normalised}
    first = continuum.after_outcome(0.5, 0, 0, succeeded=True, **options)
    expected = continuum.after_outcome(first.surprise, 1, 0, succeeded=False, **options)
    memory = database.run(work)
    assert (memory.surprise_score, memory.consolidation_score) == expected
    assert (memory.success_count, memory.failure_count, memory.update_count, memory.updated_at) == (1, 1, 3, LATER)


def test_an_outcome_from_a_slow_clock(database: EngineDatabase):
    """A host whose clock is behind must not make a memory look stale."""

    def work(session: Session) -> ContinuumMemory:
        ContinuumStore(session).add(NewMemory("m", "x"), now=LATER)
        return ContinuumStore(session).update_outcome("m", success=True, now=NOW)

    assert database.run(work).updated_at == LATER


@pytest.mark.parametrize(
    "verb",
    [
        lambda store: store.update_outcome("none", success=True),
        lambda store: store.mark_red_line("none", "why"),
        lambda store: store.delete("none"),
        lambda store: store.promote("none"),
        lambda store: store.demote("none"),
        lambda store: store.set_embedding("none", [1.0]),
        lambda store: store.restore(17),
    ],
)
def test_what_is_not_there(plain_database: Database, verb: Any):
    """A typing error in an id is told, with what to do."""
    with pytest.raises(NotFoundError):
        plain_database.transact(lambda session: verb(ContinuumStore(session)))


@pytest.mark.parametrize(
    "verb",
    [
        lambda store: store.add(NewMemory("", "x")),
        lambda store: store.add(NewMemory("m" * 1025, "x")),
        lambda store: store.add(NewMemory("m", " ")),
        lambda store: store.add(NewMemory("m", "x", "warm")),
        lambda store: store.add(NewMemory("m", "x", importance=1.5)),
        lambda store: store.add(NewMemory("m", "x", surprise_score=float("nan"))),
        lambda store: store.add(NewMemory("m", "x", metadata={"tenant_id": 7})),
        lambda store: store.add(NewMemory("m", "x", metadata={"a": float("inf")})),
        lambda store: store.add(NewMemory("m", "x", expires_at=datetime(2026, 1, 1))),  # noqa: DTZ001
        lambda store: store.get_many(str(number) for number in range(10_001)),
        lambda store: store.update_outcome("m", success=1),
        lambda store: store.update_outcome("m", success=True, prediction_error=1.5),
        lambda store: store.mark_red_line("m", " "),
        lambda store: store.timeline(since=datetime(2026, 1, 1)),  # noqa: DTZ001
        lambda store: store.timeline(after="nonsense"),
        lambda store: store.timeline(after=5),
        lambda store: store.restore(True),  # noqa: FBT003
    ],
)
def test_what_is_refused(plain_database: Database, verb: Any):
    """Before anything is written, on both databases alike."""
    with pytest.raises(InvalidValue):
        plain_database.transact(lambda session: verb(ContinuumStore(session)))


def test_timeline_pages(database: EngineDatabase):
    """No memory twice and none left out, also among those of one instant."""
    times = [NOW + timedelta(minutes=number // 3) for number in range(10)]

    def work(session: Session) -> None:
        store = ContinuumStore(session)
        for number, time in enumerate(times):
            store.add(NewMemory(f"m{number}", "x", metadata={"tenant_id": f"t{number % 2}"}), now=time)

    def read(session: Session, **arguments: Any) -> list[str]:
        ids: list[str] = []
        after = None
        while True:
            page = ContinuumStore(session).timeline(limit=2, after=after, **arguments)
            ids += [memory.id for memory in page.items]
            after = page.next
            if after is None:
                return ids

    database.run(work)
    forward = [f"m{number}" for number in range(10)]
    assert database.run(lambda session: read(session, oldest_first=True)) == forward
    assert database.run(read) == forward[::-1]
    span = {"since": times[3], "before": times[9], "tenant_id": "t1"}
    assert database.run(lambda session: read(session, **span)) == ["m7", "m5", "m3"]


def test_stats(database: EngineDatabase):
    """Every tier, also the empty ones; averages by hand."""

    def work(session: Session) -> dict[Tier, TierStats]:
        store = ContinuumStore(session)
        store.add(NewMemory("a", "x", "slow", 0.25, {"tenant_id": "t"}, surprise_score=0.5))
        store.add(NewMemory("b", "x", "slow", 0.75))
        store.add(NewMemory("c", "x", "fast"))
        store.mark_red_line("c", "why")
        assert [memory.id for memory in store.red_lined().items] == ["c"]
        assert store.stats(tenant_id="t")[Tier.SLOW] == TierStats(1, 0, 0.25, 0.5, 0.0)
        return store.stats()

    stats = database.run(work)
    assert stats == {
        Tier.FAST: TierStats(),
        Tier.MEDIUM: TierStats(),
        Tier.SLOW: TierStats(2, 0, 0.5, 0.25, 0.0),
        Tier.GLACIAL: TierStats(1, 1, 1.0, 0.0, 0.0),
    }
