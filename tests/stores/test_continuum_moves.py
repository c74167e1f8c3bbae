"""Memories that move between tiers, expire, exceed limits, and come back."""

from __future__ import annotations

from array import array
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db.errors import ConflictError
from aragora_db.models import ContinuumKeywords, ContinuumMemory, Tier
from aragora_db.rules import continuum
from aragora_db.stores import ContinuumStore, NewMemory
from aragora_db.testing.engines import EngineDatabase

NOW = datetime(2026, 1, 15, 9, 30, tzinfo=UTC)
FAST, MEDIUM, SLOW, GLACIAL = Tier
DAY = timedelta(days=1)


def put(session: Session, key: str, tier: Tier, surprise: float = 0.0, updates: int = 1, **columns: Any) -> None:
    """A memory in a certain state."""
    values = {"content": "x", "updated_at": NOW, "created_at": NOW} | columns
    session.add(ContinuumMemory(id=key, tier=tier, surprise_score=surprise, update_count=updates, **values))
    session.flush()


def tiers(session: Session) -> dict[str, Tier]:
    """Where every memory is."""
    rows = session.execute(sa.select(ContinuumMemory.id, ContinuumMemory.tier).order_by(ContinuumMemory.id))
    return dict(rows.all())


def test_one_promotion_a_day(database: EngineDatabase):
    """Thresholds are exceeded, not met, and a memory does not jump to the fast tier within a minute."""

    def work(session: Session) -> None:
        store = ContinuumStore(session)
        put(session, "m", SLOW, 0.8)
        put(session, "n", SLOW, 0.6)
        assert store.promote("n", now=NOW) is None
        assert store.demote("m", now=NOW) is None
        assert store.promote("m", now=NOW) == MEDIUM
        assert store.promote("m", now=NOW + DAY - timedelta(microseconds=1)) is None
        assert store.promote("m", now=NOW + DAY) == FAST
        assert store.promote("m", now=NOW + 2 * DAY) is None
        memory = store.get("m")
        assert memory is not None
        assert (memory.last_promotion_at, memory.updated_at) == (NOW + DAY, NOW + DAY)
        first, second = store.transitions("m").items
        assert (second.from_tier, second.to_tier, second.reason) == (SLOW, MEDIUM, "high_surprise")
        assert (second.created_at, first.created_at) == (NOW, NOW + DAY)
        assert (first.from_tier, first.to_tier, first.surprise_score) == (MEDIUM, FAST, 0.8)
        page = store.transitions("m", limit=1)
        assert [move.to_tier for move in store.transitions("m", limit=1, after=page.next).items] == [MEDIUM]

    database.run(work)


def test_demotion_after_ten_updates(database: EngineDatabase):
    """A new memory is not put away before anybody could use it."""

    def work(session: Session) -> None:
        store = ContinuumStore(session)
        put(session, "m", FAST, 0.1, 9)
        assert store.demote("m", now=NOW) is None
        store.update_outcome("m", success=True, now=NOW)
        assert store.demote("m", now=NOW) == MEDIUM
        assert [move.reason for move in store.transitions("m").items] == ["high_stability"]
        store.mark_red_line("m", "why", promote_to_glacial=False)
        assert store.demote("m") is None

    database.run(work)


def test_one_pass(database: EngineDatabase):
    """Everything that is due moves by one tier, once, with one transition; nothing else is touched."""
    second = timedelta(seconds=1)

    def work(session: Session) -> None:
        store = ContinuumStore(session)
        put(session, "a", GLACIAL, 0.51)
        put(session, "b", SLOW, 0.65, 50)  # medium would send it back at once
        put(session, "c", MEDIUM, 0.71, last_promotion_at=NOW + second - DAY)
        put(session, "d", MEDIUM, 0.71, last_promotion_at=NOW + second - DAY + timedelta(microseconds=1))
        put(session, "e", FAST, 0.0, 10)  # every slower tier would send it on
        put(session, "f", FAST, 0.0, 9)
        put(session, "g", SLOW, 0.2, 10, consolidation_score=0.8)
        put(session, "h", MEDIUM, 0.7, 10)  # 1 - 0.7 is a little more than 0.3
        put(session, "i", SLOW, 0.9, 10, red_line=True)
        before = {key: memory.updated_at for key, memory in store.get_many(["d", "f"]).items()}
        moves = store.consolidate(now=NOW + second)
        assert moves == {
            (FAST, MEDIUM): 1,
            (MEDIUM, FAST): 1,
            (MEDIUM, SLOW): 1,
            (SLOW, MEDIUM): 1,
            (SLOW, GLACIAL): 1,
            (GLACIAL, SLOW): 1,
        }
        expected = [SLOW, MEDIUM, FAST, MEDIUM, MEDIUM, FAST, GLACIAL, SLOW, SLOW]
        assert tiers(session) == dict(zip("abcdefghi", expected, strict=True))
        assert {key: memory.updated_at for key, memory in store.get_many(["d", "f"]).items()} == before
        for key in "abcdefghi":
            assert len(store.transitions(key).items) == (key not in "dfi")
        move = store.transitions("c").items[0]
        assert (move.from_tier, move.to_tier, move.reason, move.surprise_score) == (MEDIUM, FAST, "high_surprise", 0.71)
        loaded = session.get_one(ContinuumMemory, "c")
        assert loaded.tier == FAST
        assert loaded.last_promotion_at == loaded.updated_at == NOW + second

    database.run(work)


def test_a_pass_moves_more_than_a_thousand(database: EngineDatabase):
    """Aragora stops at 1,000 for each pair of tiers, so that a large memory never settles."""

    def work(session: Session) -> None:
        rows = [{"id": str(number), "content": "x", "tier": FAST, "update_count": 20} for number in range(2_500)]
        session.execute(sa.insert(ContinuumMemory), rows)
        store = ContinuumStore(session)
        assert store.consolidate() == {(FAST, MEDIUM): 2_500}
        assert store.consolidate() == {(MEDIUM, SLOW): 2_500}
        assert store.consolidate() == {(SLOW, GLACIAL): 2_500}
        assert store.consolidate() == {}

    database.run(work)


def test_a_promoted_memory_does_not_expire_at_once(database: EngineDatabase):
    """Idle for a week is nothing to a slow memory, and too long for a medium one."""

    def work(session: Session) -> None:
        put(session, "m", SLOW, 0.9, updated_at=NOW - 7 * DAY)
        store = ContinuumStore(session)
        assert store.consolidate(now=NOW) == {(SLOW, MEDIUM): 1}
        assert store.expire(now=NOW) == {}

    database.run(work)


def test_expiry(database: EngineDatabase):
    """Two half-lives of each tier, to the microsecond, or the date that a memory carries."""
    moment = timedelta(microseconds=1)

    def work(session: Session) -> None:
        store = ContinuumStore(session)
        for tier, hours in continuum.TTL_HOURS.items():
            put(session, f"{tier}-stays", Tier(tier), updated_at=NOW - timedelta(hours=hours))
            put(session, f"{tier}-goes", Tier(tier), updated_at=NOW - timedelta(hours=hours) - moment)
            put(session, f"{tier}-red", Tier(tier), updated_at=NOW - 999 * DAY, red_line=True)
        put(session, "dated", GLACIAL, expires_at=NOW)
        put(session, "dated-later", GLACIAL, expires_at=NOW + moment)
        put(session, "dated-red", GLACIAL, expires_at=NOW, red_line=True)
        assert store.expire(now=NOW) == {FAST: 1, MEDIUM: 1, SLOW: 1, GLACIAL: 2}
        assert store.expire(now=NOW) == {}
        gone = {f"{tier}-goes" for tier in Tier} | {"dated"}
        archived = store.archived().items
        assert {(row.id, row.archive_reason, row.archived_at) for row in archived} == {
            (key, "expired", NOW) for key in gone
        }
        assert not gone & set(tiers(session))
        assert len(tiers(session)) == 10

    database.run(work)


def test_everything_is_kept(database: EngineDatabase):
    """What the archive leaves out is lost: Aragora's forgets the red line, dates and the embedding."""
    columns = {
        "importance": 0.3,
        "consolidation_score": 0.4,
        "success_count": 2,
        "failure_count": 3,
        "semantic_centroid": b"\x00\xff",
        "last_promotion_at": NOW - DAY,
        "expires_at": NOW + DAY,
        "red_line": True,
        "red_line_reason": "why",
        "metadata_": {"tenant_id": "t", "a": [1, None]},
        "content": "the quorum",
    }

    def work(session: Session) -> None:
        store = ContinuumStore(session)
        put(session, "m", SLOW, 0.2, 7, **columns)
        store.set_embedding("m", [1.0, 0.25])
        store.delete("m", force=True, now=NOW)
        assert store.get("m") is None
        assert session.scalars(sa.select(ContinuumKeywords)).all() == []
        (row,) = store.archived(memory_id="m").items
        for name, value in (columns | {"tier": SLOW, "surprise_score": 0.2, "update_count": 7}).items():
            assert getattr(row, name) == value
        assert (row.embedding, row.archive_reason) == (array("f", [1.0, 0.25]), "user_deleted")
        back = store.restore(row.archive_id, now=NOW + timedelta(hours=1))
        for name, value in columns.items():
            assert getattr(back, name) == value
        assert back.updated_at == NOW + timedelta(hours=1)
        assert store.get_embedding("m") == array("f", [1.0, 0.25])
        assert [found.memory.id for found in store.retrieve(keywords=["QUORUM"])] == ["m"]
        with pytest.raises(ConflictError):
            store.restore(row.archive_id)

    database.run(work)


def test_the_same_id_twice(database: EngineDatabase):
    """In Aragora the second time makes every clean-up fail from then on."""

    def work(session: Session) -> None:
        store = ContinuumStore(session)
        for text in ("first", "second"):
            store.add(NewMemory("m", text, "fast"), now=NOW - DAY)
            assert store.expire(now=NOW) == {FAST: 1}
        page = store.archived(memory_id="m", limit=1)
        older = store.archived(memory_id="m", limit=1, after=page.next)
        assert [row.content for row in (*page.items, *older.items)] == ["second", "first"]
        assert older.next is None

    database.run(work)


def test_limits(database: EngineDatabase, monkeypatch: pytest.MonkeyPatch):
    """The least important go, of these the stalest, of these by id; protected ones count and stay."""
    monkeypatch.setitem(continuum.MAX_ENTRIES, "fast", 4)
    monkeypatch.setitem(continuum.MAX_ENTRIES, "slow", 2)

    def work(session: Session) -> None:
        store = ContinuumStore(session)
        put(session, "f-red", FAST, importance=0.0, red_line=True)
        put(session, "f1", FAST, importance=0.5)
        put(session, "f2", FAST, importance=0.2)
        put(session, "f3", FAST, importance=0.2, updated_at=NOW - DAY)
        put(session, "f4", FAST, importance=0.2)
        put(session, "f5", FAST, importance=0.9)
        for key in ("s1", "s2", "s3"):
            put(session, key, SLOW)
        assert store.enforce_limits(now=NOW) == {FAST: 2, SLOW: 1}
        assert sorted(tiers(session)) == ["f-red", "f1", "f4", "f5", "s2", "s3"]
        assert {(row.id, row.archive_reason) for row in store.archived().items} == {
            (key, "tier_limit") for key in ("f2", "f3", "s1")
        }
        assert store.enforce_limits(now=NOW) == {}

    database.run(work)
