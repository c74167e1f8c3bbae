"""Insights, patterns and wisdom, written by several at the same time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from sqlalchemy.orm import Session

from aragora_db import Database
from aragora_db.errors import ConflictError
from aragora_db.stores import InsightStore
from aragora_db.stores.insights import NewInsight, NewPattern, NewPerformance, NewSummary

pytestmark = pytest.mark.slow

Race = Callable[[Sequence[Callable[[Session], Any]]], list[Any]]


def test_the_same_debate_at_the_same_time(plain_database: Database, race: Race):
    """A retried message is handled by two workers: one records, the other finds it recorded."""

    def record(session: Session) -> int:
        insights = [NewInsight("pattern", "p"), NewInsight("decision", "t")]
        return InsightStore(session).record_debate(NewSummary("d"), insights, [NewPerformance("a")]).total_insights

    assert race([record] * 4) == [2] * 4
    store = plain_database.transact(lambda session: InsightStore(session).agent_stats("a"))
    patterns = plain_database.transact(lambda session: InsightStore(session).patterns()).items
    assert store.debates == 1
    assert [pattern.occurrence_count for pattern in patterns] == [1]


def test_patterns_of_many_debates(plain_database: Database, race: Race):
    """Eight debates show the same patterns, named in any order: all count, nobody deadlocks."""
    severities = [number / 8 for number in range(8)]

    def record(number: int) -> Callable[[Session], Any]:
        patterns = [NewPattern(text, "c", severities[number]) for text in "abcdef"]
        given = patterns[::-1] if number % 2 else patterns
        return lambda session: InsightStore(session).record_debate(NewSummary(f"d{number}"), patterns=given)

    race([record(number) for number in range(8)])
    patterns = plain_database.transact(lambda session: InsightStore(session).patterns()).items
    assert [pattern.occurrence_count for pattern in patterns] == [8] * 6
    for pattern in patterns:
        assert pattern.avg_severity == pytest.approx(sum(severities) / 8)
        assert sorted(pattern.debate_ids or ()) == [f"d{number}" for number in range(8)]


def test_takers_of_wisdom(plain_database: Database, race: Race):
    """Two loops' workers must not follow the same advice twice."""

    def submit(session: Session) -> None:
        for number in range(5):
            InsightStore(session).submit_wisdom("a", str(number))

    def take(session: Session) -> str | None:
        taken = InsightStore(session).take_wisdom("a")
        return None if taken is None else taken.text

    plain_database.transact(submit)
    taken = [text for text in race([take] * 8) if text is not None]
    while (text := plain_database.transact(take)) is not None:
        taken.append(text)
    assert sorted(taken) == ["0", "1", "2", "3", "4"]


def test_marking_at_the_same_time(plain_database: Database, race: Race):
    """Exactly one is told that it was the one."""
    wisdom = plain_database.transact(lambda session: InsightStore(session).submit_wisdom("a", "text"))
    assert sorted(race([lambda session: InsightStore(session).mark_wisdom_used(wisdom.id)] * 4)) == [0, 0, 0, 1]


def test_one_use_is_recorded_by_two(plain_database: Database, race: Race):
    """The first outcome stays; who says otherwise is told."""
    plain_database.transact(
        lambda session: InsightStore(session).record_debate(NewSummary("d"), [NewInsight("decision", "t", id="x")])
    )

    def use(number: int) -> Callable[[Session], str]:
        def work(session: Session) -> str:
            try:
                InsightStore(session).record_usage("x", "d2", was_successful=number % 2 == 0)
            except ConflictError:
                return "conflict"
            return "recorded"

        return work

    assert sorted(race([use(number) for number in range(4)])) == ["conflict", "conflict", "recorded", "recorded"]
    assert plain_database.transact(lambda session: InsightStore(session).usage("x")).uses == 1
