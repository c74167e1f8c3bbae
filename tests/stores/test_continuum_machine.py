"""The continuum against a model in plain Python, compared after every step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from aragora_db import Database
from aragora_db.errors import ConflictError, NotFoundError
from aragora_db.models import ContinuumMemory, Tier, TierTransition
from aragora_db.rules import continuum, retrieval
from aragora_db.stores import ContinuumStore, NewMemory

pytestmark = pytest.mark.slow

IDS = st.sampled_from(["a", "b", "c", "d", "e"])
TIERS = st.sampled_from(list(Tier))
SHARES = st.sampled_from([0.0, 0.25, 0.5, 0.65, 0.9, 1.0])
WORDS = st.sampled_from(["quorum", "Straße", "vote quorum", "東京"])
ORDER = list(Tier)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Memory:
    """What a memory should be."""

    content: str
    tier: Tier
    importance: float
    surprise: float
    now: datetime
    updates: int = 1
    consolidation: float = 0.0
    wins: int = 0
    losses: int = 0
    promoted: datetime | None = None
    red: bool = False
    moves: list[tuple[Tier, Tier]] = field(default_factory=list)


class ContinuumMachine(RuleBasedStateMachine):
    """The store and what it should hold."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        self.now = BEGIN
        self.memories: dict[str, Memory] = {}
        self.archive: list[tuple[str, str]] = []

    def run(self, work: Callable[[ContinuumStore], Any]) -> Any:
        """One verb in one transaction; None when the memory is not there."""
        try:
            return self.database.transact(lambda session: work(ContinuumStore(session)))
        except NotFoundError:
            return None

    @rule(hours=st.sampled_from([1, 3, 25, 24 * 15]))
    def wait(self, hours: int) -> None:
        """Time passes."""
        self.now += timedelta(hours=hours)

    @rule(key=IDS, content=WORDS, tier=TIERS, importance=SHARES, surprise=st.none() | SHARES)
    def add(self, key: str, content: str, tier: Tier, importance: float, surprise: float | None) -> None:
        """A new memory, or new words for one."""
        self.run(lambda s: s.add(NewMemory(key, content, tier, importance, surprise_score=surprise), now=self.now))
        old = self.memories.get(key)
        if old is None:
            self.memories[key] = Memory(content, tier, importance, surprise or 0.0, self.now)
            return
        old.content, old.now = content, self.now
        old.surprise = old.surprise if surprise is None else surprise
        if not old.red:
            old.tier, old.importance = tier, importance

    @rule(key=IDS, success=st.booleans(), error=st.none() | SHARES, times=st.sampled_from([1, 5]))
    def learn(self, key: str, success: bool, error: float | None, times: int) -> None:
        """It was used, once or a few times."""
        for _ in range(times):
            found = self.run(lambda s: s.update_outcome(key, success=success, prediction_error=error, now=self.now))
            memory = self.memories.get(key)
            assert (found is None) == (memory is None)
            if memory is None:
                return
            memory.surprise, memory.consolidation = continuum.after_outcome(
                memory.surprise, memory.wins, memory.losses, succeeded=success, prediction_error=error
            )
            memory.wins += success
            memory.losses += not success
            memory.updates += 1
            memory.now = self.now

    @rule(key=IDS, glacial=st.booleans())
    def protect(self, key: str, glacial: bool) -> None:
        """A red line."""
        self.run(lambda s: s.mark_red_line(key, "why", promote_to_glacial=glacial, now=self.now))
        if key in self.memories:
            memory = self.memories[key]
            memory.red, memory.importance, memory.now = True, 1.0, self.now
            memory.tier = Tier.GLACIAL if glacial else memory.tier

    @rule(key=IDS, faster=st.booleans())
    def move(self, key: str, faster: bool) -> None:
        """One memory, one way."""
        found = self.run(lambda s: (s.promote if faster else s.demote)(key, now=self.now))
        expected = self.target(key, faster=faster)
        assert found == expected
        if expected is not None:
            self.moved(key, expected)

    @rule()
    def consolidate(self) -> None:
        """All that are due."""
        found = self.run(lambda s: s.consolidate(now=self.now))
        expected: dict[tuple[Tier, Tier], int] = {}
        for key, memory in self.memories.items():
            target = self.target(key, faster=True) or self.target(key, faster=False)
            if target is not None:
                pair = (memory.tier, target)
                expected[pair] = expected.get(pair, 0) + 1
                self.moved(key, target)
        assert found == expected

    @rule(key=IDS, force=st.booleans())
    def delete(self, key: str, force: bool) -> None:
        """To the archive."""
        memory = self.memories.get(key)
        try:
            self.run(lambda s: s.delete(key, force=force, now=self.now))
        except ConflictError:
            assert memory is not None
            assert memory.red
            assert not force
            return
        if memory is not None:
            del self.memories[key]
            self.archive.append((key, "user_deleted"))

    @rule()
    def expire(self) -> None:
        """What is too old."""
        found = self.run(lambda s: s.expire(now=self.now))
        for key, memory in sorted(self.memories.items()):
            if not memory.red and self.now - memory.now > timedelta(hours=continuum.TTL_HOURS[memory.tier]):
                del self.memories[key]
                self.archive.append((key, "expired"))
                found[memory.tier] -= 1
        assert not any(found.values())

    def target(self, key: str, *, faster: bool) -> Tier | None:
        """Where a memory is due to move in one direction."""
        memory = self.memories.get(key)
        if memory is None or memory.red:
            return None
        target = Tier(continuum.next_tier(memory.tier, memory.surprise, memory.updates))
        place = ORDER.index(target) - ORDER.index(memory.tier)
        rested = memory.promoted is None or self.now - memory.promoted >= timedelta(hours=24)
        return target if (place < 0 and faster and rested) or (place > 0 and not faster) else None

    def moved(self, key: str, target: Tier) -> None:
        """Note a move."""
        memory = self.memories[key]
        memory.moves.append((memory.tier, target))
        if ORDER.index(target) < ORDER.index(memory.tier):
            memory.promoted = self.now
        memory.tier, memory.now = target, self.now

    @invariant()
    def everything_is_the_same(self) -> None:
        """Rows, transitions, archive, retrieval by score and by words."""

        def read(store: ContinuumStore) -> Any:
            session = store.session
            rows = session.scalars(sa.select(ContinuumMemory)).all()
            moves = session.scalars(sa.select(TierTransition).order_by(TierTransition.id)).all()
            return (
                {row.id: row for row in rows},
                [(move.memory_id, (move.from_tier, move.to_tier)) for move in moves],
                [(row.id, row.archive_reason) for row in store.archived().items],
                [(found.memory.id, found.score) for found in store.retrieve(now=self.now, limit=3)],
                {found.memory.id for found in store.retrieve(keywords=["QUORUM", "strasse"], now=self.now)},
            )

        rows, moves, archived, best, with_words = self.run(read)
        assert sorted(rows) == sorted(self.memories)
        for key, expected in self.memories.items():
            row = rows[key]
            state = (row.content, row.tier, row.importance, row.surprise_score, row.updated_at)
            assert state == (expected.content, expected.tier, expected.importance, expected.surprise, expected.now)
            counts = (row.update_count, row.success_count, row.failure_count, row.consolidation_score)
            assert counts == (expected.updates, expected.wins, expected.losses, expected.consolidation)
            assert (row.last_promotion_at, row.red_line) == (expected.promoted, expected.red)
            assert [pair for owner, pair in moves if owner == key] == expected.moves
        assert sorted(archived) == sorted(self.archive)
        scores = {
            key: retrieval.score(
                retrieval.weight(memory.importance, memory.surprise),
                memory.tier,
                (self.now - memory.now) // timedelta(microseconds=1),
            )
            for key, memory in self.memories.items()
        }
        assert best == sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:3]
        assert with_words == {key for key, memory in self.memories.items() if memory.content != "東京"}


def test_continuum_machine(play: Callable[..., None]):
    """Any sequence of verbs: a difference is a memory lost, kept for ever, or in the wrong tier."""
    play(ContinuumMachine, examples=20, steps=25)
