"""Expertise, learned by several processes at the same time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db import Database
from aragora_db.models import PersonaPerformance
from aragora_db.stores import PersonaStore

Race = Callable[[Sequence[Callable[[Session], Any]]], list[Any]]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_first_performances_at_the_same_time(plain_database: Database, race: Race):
    """Eight successes of an agent without a persona: as after eight in a row, none is lost."""

    def record(session: Session) -> float:
        return PersonaStore(session).record_performance("a", "law", success=True)

    expected = [0.5]
    for _ in range(8):
        expected.append(0.7 + 0.3 * expected[-1])
    assert sorted(race([record] * 8)) == pytest.approx(expected[1:])
    persona = plain_database.transact(lambda session: PersonaStore(session).get("a"))
    assert persona is not None
    assert persona.expertise == {"law": pytest.approx(expected[-1])}
    assert (persona.description, persona.traits) == ("", [])


def test_different_domains_at_the_same_time(plain_database: Database, race: Race):
    """They share one JSON value: a lost update would forget a domain."""

    def record(number: int) -> Callable[[Session], Any]:
        return lambda session: PersonaStore(session).record_performance("a", f"d{number}", success=number % 2 == 0)

    race([record(number) for number in range(8)])
    expertise = plain_database.transact(lambda session: PersonaStore(session).expertise("a"))
    assert {each.domain: each.expertise for each in expertise} == pytest.approx(
        {f"d{number}": 0.15 if number % 2 else 0.85 for number in range(8)}
    )


def test_order_is_the_order_of_the_lock(plain_database: Database, race: Race):
    """Times are taken behind the lock: what was recorded later is newer, so the last state can be recomputed."""

    def record(number: int) -> Callable[[Session], Any]:
        return lambda session: PersonaStore(session).record_performance("a", "law", success=number % 3 == 0)

    race([record(number) for number in range(8)])
    rows = plain_database.transact(lambda session: PersonaStore(session).history("a")).items[::-1]
    expected = 0.5
    for last in range(1, 9):
        window = [bool(row.success) for row in rows[:last]][::-1]
        weights = [0.95**place for place in range(last)]
        score = sum(weight for weight, success in zip(weights, window, strict=True) if success) / sum(weights)
        expected = 0.7 * score + 0.3 * expected
    (found,) = plain_database.transact(lambda session: PersonaStore(session).expertise("a"))
    assert found.expertise == pytest.approx(expected)


def test_upsert_and_performance_at_the_same_time(plain_database: Database, race: Race):
    """A new description does not cost the agent what it learned a moment ago."""

    def describe(session: Session) -> Any:
        return PersonaStore(session).upsert("a", description="d")

    def record(session: Session) -> Any:
        return PersonaStore(session).record_performance("a", "law", success=True)

    race([describe, record, describe, record])
    persona = plain_database.transact(lambda session: PersonaStore(session).get("a"))
    assert persona is not None
    assert persona.description == "d"
    assert persona.expertise == {"law": pytest.approx(0.955)}


def test_the_window_is_read_from_its_index(
    plain_database: Database,
    count_statements: Callable[[Database], AbstractContextManager[list[Any]]],
    plan_of: Callable[[Session, Any], Any],
):
    """Four statements, and none of them reads the whole history: it grows with every debate."""
    rows = [
        {
            # Half of it one busy agent's: sorting all of that for fifty rows would be the mistake.
            "agent_name": "a3" if number % 2 else f"a{number % 40}",
            "domain": "d3" if number % 2 else f"d{number % 7}",
            "success": True,
            "created_at": NOON + timedelta(seconds=number),
        }
        for number in range(8000)
    ]

    def fill(session: Session) -> None:
        session.execute(sa.insert(PersonaPerformance), rows)
        session.execute(sa.text("ANALYZE"))

    def record(session: Session) -> float:
        return PersonaStore(session).record_performance("a3", "d3", success=True)

    plain_database.transact(fill)
    plain_database.transact(record)
    with count_statements(plain_database) as sent:
        plain_database.transact(record)
    assert len(sent) == 4
    window = next(each for each in sent if "performance_history" in each.text and each.text.startswith("SELECT"))
    plan = plain_database.transact(lambda session: plan_of(session, window))
    assert not plan.scanned
    assert "ix_performance_history_window" in "\n".join(plan.lines)
    assert "sort" not in "\n".join(plan.lines).lower()
    assert "temp b-tree" not in "\n".join(plan.lines).lower()
