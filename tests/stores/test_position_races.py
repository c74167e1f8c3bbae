"""Positions and outcomes, written by several at the same time, and read when there are many."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db import Database
from aragora_db.errors import ConflictError
from aragora_db.models import DebateOutcome, DetectedFlip, Position, PositionHistory
from aragora_db.stores import PositionStore
from aragora_db.stores.positions import NewPosition, NewStatement

pytestmark = pytest.mark.slow

Race = Callable[[Sequence[Callable[[Session], Any]]], list[Any]]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def attempt(work: Callable[[PositionStore], Any]) -> Callable[[Session], str]:
    """A unit of work that says whether it contradicted another."""

    def run(session: Session) -> str:
        try:
            work(PositionStore(session))
        except ConflictError:
            return "conflict"
        # The others look meanwhile, before this is committed: without a lock they would all see what was before.
        time.sleep(0.03)
        return "done"

    return run


def test_one_position_is_resolved_by_many(plain_database: Database, race: Race):
    """One outcome stays; who says the same is fine, who says otherwise is told."""
    id_ = plain_database.transact(lambda session: PositionStore(session).record(NewPosition("a", "c", 0.5, "d", 0))).id
    outcomes = ["correct", "incorrect"] * 3
    said = race([attempt(lambda s, outcome=outcome: s.resolve(id_, outcome)) for outcome in outcomes])
    position = plain_database.transact(lambda session: PositionStore(session).get(id_))
    assert position is not None
    assert said == ["done" if outcome == position.outcome else "conflict" for outcome in outcomes]


def test_one_position_is_reversed_by_many(plain_database: Database, race: Race):
    """As above."""
    id_ = plain_database.transact(lambda session: PositionStore(session).record(NewPosition("a", "c", 0.5, "d", 0))).id
    debates = ["d1", "d2"] * 3
    said = race([attempt(lambda s, debate=debate: s.reverse(id_, debate)) for debate in debates])
    position = plain_database.transact(lambda session: PositionStore(session).get(id_))
    assert position is not None
    assert said == ["done" if debate == position.reversal_debate_id else "conflict" for debate in debates]


def test_flips_are_detected_once(plain_database: Database, race: Race):
    """Together the detectors store each flip once; each of them sees all."""

    def fill(session: Session) -> None:
        store = PositionStore(session)
        for old in store.record_many(NewPosition("a", f"old {number}", 0.5, "d1", 0) for number in range(8)):
            store.reverse(old.id, "d2")
        store.record_many(NewPosition("a", f"new {number}", 0.5, "d2", 0) for number in range(8))

    plain_database.transact(fill)
    found = race([lambda session: PositionStore(session).detect_flips("a")] * 4)
    assert [len(each.flips) for each in found] == [64] * 4
    assert sum(each.new for each in found) == 64


def test_a_debate_is_decided_by_many(plain_database: Database, race: Race):
    """One winner stays, and the marks of the statements are that winner's."""
    plain_database.transact(
        lambda session: [
            PositionStore(session).record_statement(NewStatement("d", agent, "vote", "v")) for agent in "ab"
        ]
    )
    winners = ["a", "b"] * 3
    said = race([attempt(lambda s, winner=winner: s.finalize_debate("d", winner)) for winner in winners])
    outcome = plain_database.transact(lambda session: PositionStore(session).outcome("d"))
    assert outcome is not None
    assert said == ["done" if winner == outcome.winning_agent else "conflict" for winner in winners]
    rows = plain_database.transact(lambda session: PositionStore(session).statements_of_debate("d")).items
    assert {row.agent_name: row.was_winning_position for row in rows} == {
        agent: agent == outcome.winning_agent for agent in "ab"
    }


@pytest.mark.parametrize("winner", ["a", None])
def test_statements_while_the_debate_is_decided(plain_database: Database, race: Race, winner: str | None):
    """A vote that is not committed yet must not miss the outcome, whichever comes first."""

    def vote(number: int) -> Callable[[Session], Any]:
        return lambda session: PositionStore(session).record_statement(
            NewStatement("d", "ab"[number % 2], "vote", "v", number)
        )

    def decide(session: Session) -> Any:
        store = PositionStore(session)
        return store.finalize_debate("d", winner), store.verify_debate("d", verification_result=True)

    race([vote(0), vote(1), decide, vote(2), vote(3), decide, vote(4), vote(5)])
    rows = plain_database.transact(lambda session: PositionStore(session).statements_of_debate("d")).items
    expected = {(agent, None if winner is None else agent == winner, agent == winner) for agent in "ab"}
    assert {(row.agent_name, row.was_winning_position, row.verified_correct) for row in rows} == expected
    assert len(rows) == 6


def test_statements_while_the_debate_is_verified(plain_database: Database, race: Race):
    """As above, when the debate was decided long ago."""
    plain_database.transact(lambda session: PositionStore(session).finalize_debate("d", "a"))

    def vote(number: int) -> Callable[[Session], Any]:
        return attempt(lambda s: s.record_statement(NewStatement("d", "ab"[number % 2], "vote", "v", number)))

    verify = attempt(lambda s: s.verify_debate("d", verification_result=True))
    assert set(race([vote(0), vote(1), verify, vote(2), vote(3), verify])) == {"done"}
    rows = plain_database.transact(lambda session: PositionStore(session).statements_of_debate("d")).items
    assert {(row.agent_name, row.verified_correct) for row in rows} == {("a", True), ("b", False)}


def test_a_debate_is_verified_by_many(plain_database: Database, race: Race):
    """One result stays, and the marks of the statements are that result's."""
    plain_database.transact(lambda session: PositionStore(session).finalize_debate("d", "a"))
    plain_database.transact(
        lambda session: PositionStore(session).record_statement(NewStatement("d", "a", "vote", "v"))
    )
    results = [True, False] * 3
    said = race(
        [attempt(lambda s, result=result: s.verify_debate("d", verification_result=result)) for result in results]
    )
    outcome = plain_database.transact(lambda session: PositionStore(session).outcome("d"))
    assert outcome is not None
    assert said == ["done" if result == outcome.verification_result else "conflict" for result in results]
    (row,) = plain_database.transact(lambda session: PositionStore(session).statements_of_debate("d")).items
    assert row.verified_correct is outcome.verification_result


def test_one_statement_by_many(race: Race):
    """One row, of whoever came last."""

    def say(number: int) -> Callable[[Session], int]:
        return lambda session: PositionStore(session).record_statement(NewStatement("d", "a", "vote", str(number))).id

    assert len(set(race([say(number) for number in range(6)]))) == 1


def many(session: Session) -> None:
    """Tables as after some years."""
    numbers = range(20_000)
    positions = [
        {
            "id": f"p{number}",
            "agent_name": f"a{number % 50}",
            "claim": f"claim {number}",
            "confidence": 0.5,
            "debate_id": f"d{number // 10}",
            "round_num": number % 3,
            "outcome": "correct" if number % 10 else "pending",
            "reversed": number % 100 == 7,
            "reversal_debate_id": f"d{number // 10 + 5}" if number % 100 == 7 else None,
            "created_at": NOON + timedelta(seconds=number),
        }
        for number in numbers
    ]
    statements = [
        {
            "debate_id": f"d{number // 10}",
            "agent_name": f"a{number % 50}",
            "position_type": "vote",
            "position_text": "v",
        }
        for number in numbers
    ]
    session.execute(sa.insert(Position), positions)
    session.execute(sa.insert(PositionHistory), statements)
    outcomes = [{"debate_id": f"d{number}", "winning_agent": "a1"} for number in range(1000)]
    session.execute(sa.insert(DebateOutcome), outcomes)
    flips = [
        {"id": f"f{number}", "agent_name": f"a{number % 50}", "original_claim": "c", "new_claim": "n",
         "original_position_id": f"p{number}", "new_position_id": "q", "flip_type": "refinement"}
        for number in range(8000)
    ]  # fmt: skip
    session.execute(sa.insert(DetectedFlip), flips)
    session.execute(sa.text("ANALYZE"))


def test_no_table_is_read_whole(
    plain_database: Database,
    count_statements: Callable[[Database], AbstractContextManager[list[Any]]],
    plan_of: Callable[[Session, Any], Any],
):
    """Every verb about one agent, debate or position finds its rows by an index, in a few statements."""
    plain_database.transact(many)
    verbs: dict[str, tuple[int, Callable[[PositionStore], Any]]] = {
        "record_many": (1, lambda s: s.record_many(NewPosition("a1", "c", 0.5, "d1", 0) for _ in range(50))),
        "resolve": (2, lambda s: s.resolve("p10", "correct")),
        "reverse": (2, lambda s: s.reverse("p10", "d9")),
        "of_agent": (1, lambda s: s.of_agent("a1", limit=10)),
        "of_debate": (1, lambda s: s.of_debate("d7")),
        "with_outcome": (1, lambda s: s.with_outcome("pending", limit=10)),
        "detect_flips": (3, lambda s: s.detect_flips("a7")),
        "flips of an agent": (1, lambda s: s.flips(agent_name="a1", limit=10)),
        "flips of a type": (1, lambda s: s.flips(flip_type="contradiction", limit=10)),
        "consistency": (1, lambda s: s.consistency("a1")),
        "record_statement": (3, lambda s: s.record_statement(NewStatement("d7", "a7", "vote", "v"))),
        "finalize_debate": (3, lambda s: s.finalize_debate("d1500", "a1")),
        "verify_debate": (4, lambda s: s.verify_debate("d8", verification_result=True)),
        "statements_of_debate": (1, lambda s: s.statements_of_debate("d7")),
        "statements_of_agent": (1, lambda s: s.statements_of_agent("a7", limit=10)),
        "accuracy": (1, lambda s: s.accuracy("a7")),
    }
    for name, (most, verb) in verbs.items():
        with count_statements(plain_database) as sent:
            plain_database.transact(lambda session: verb(PositionStore(session)))  # noqa: B023
        assert len(sent) <= most, (name, [each.text for each in sent])
        for statement in sent:
            if statement.text.startswith(("SELECT", "UPDATE")):
                plan = plain_database.transact(lambda session: plan_of(session, statement))  # noqa: B023
                assert not plan.scanned, (name, plan)
