"""Who turned out to be right. A mistake here grounds an agent's reputation in what never happened."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db.errors import ConflictError, InvalidValue, NotFoundError
from aragora_db.models import DebateOutcome, PositionHistory
from aragora_db.stores import PositionStore
from aragora_db.stores.positions import NewStatement
from aragora_db.testing.engines import EngineDatabase

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)


def store(work: Callable[[PositionStore], Any]) -> Callable[[Session], Any]:
    """A unit of work over a store."""
    return lambda session: work(PositionStore(session))


def speak(*statements: tuple[str, str]) -> Callable[[Session], Any]:
    """A unit of work in which agents vote in debates."""
    new = [NewStatement(debate_id, agent_name, "vote", "v") for debate_id, agent_name in statements]
    return lambda session: [PositionStore(session).record_statement(each, created_at=NOON) for each in new]


def marks(database: EngineDatabase, debate: str) -> dict[str, tuple[bool | None, bool | None]]:
    """What is known about each agent's statement."""
    rows = database.run(store(lambda s: s.statements_of_debate(debate))).items
    return {row.agent_name: (row.was_winning_position, row.verified_correct) for row in rows}


def test_a_statement_is_recorded(database: EngineDatabase):
    """Every field."""
    said = NewStatement("d", "a", "proposal", "text", 3, 0.75)
    database.run(store(lambda s: s.record_statement(said, created_at=NOON)))
    (row,) = database.run(store(lambda s: s.statements_of_debate("d"))).items
    assert (row.debate_id, row.agent_name, row.position_type, row.position_text) == ("d", "a", "proposal", "text")
    assert (row.round_num, row.confidence, row.created_at) == (3, 0.75, NOON)
    assert (row.was_winning_position, row.verified_correct) == (None, None)


def test_saying_it_otherwise_keeps_the_row(database: EngineDatabase):
    """Aragora makes a new row: its id changes, and what is known about it is forgotten."""
    database.run(speak(("d", "a")))
    database.run(store(lambda s: s.finalize_debate("d", "a")))

    def change(session: Session) -> list[Any]:
        mine = PositionStore(session)
        (held,) = mine.statements_of_debate("d").items
        before = held.id
        other = NewStatement("d", "a", "vote", "other", confidence=0.25)
        changed = mine.record_statement(other, created_at=LATER)
        return [changed is held, changed.id == before, held.position_text, held.confidence, held.created_at]

    assert database.run(change) == [True, True, "other", 0.25, NOON]
    assert marks(database, "d") == {"a": (True, None)}
    for other in ({"round_num": 1}, {"position_type": "critique"}, {"agent_name": "b"}, {"debate_id": "e"}):
        key = {"debate_id": "d", "agent_name": "a", "position_type": "vote", "round_num": 0} | other
        database.run(store(lambda s: s.record_statement(NewStatement(**key, position_text="v"))))  # noqa: B023
    assert database.run(lambda session: session.scalar(sa.select(sa.func.count()).select_from(PositionHistory))) == 5


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"debate_id": ""}, "debate_id"),
        ({"agent_name": " "}, "agent_name"),
        ({"position_type": ""}, "position_type"),
        ({"position_type": "x" * 65}, "position_type"),
        ({"position_text": "\x00"}, "position_text"),
        ({"round_num": -1}, "round_num"),
        ({"confidence": 2}, "confidence"),
    ],
)
def test_what_statements_refuse(database: EngineDatabase, changes: dict[str, Any], named: str):
    """Refused with the argument's name, not with a constraint's."""
    good = {"debate_id": "d", "agent_name": "a", "position_type": "x" * 64, "position_text": "v"}
    with pytest.raises(InvalidValue, match=named):
        database.run(store(lambda s: s.record_statement(NewStatement(**good | changes))))
    with pytest.raises(InvalidValue, match="created_at"):
        database.run(store(lambda s: s.record_statement(NewStatement(**good), created_at=datetime(2026, 3, 1))))  # noqa: DTZ001 -- what is refused
    assert marks(database, "d") == {}
    database.run(store(lambda s: s.record_statement(NewStatement(**good))))


def test_who_won(database: EngineDatabase):
    """The winner's statements won, the others did not; other debates are not touched."""
    database.run(speak(("d", "a"), ("d", "b"), ("e", "a"), ("f", "a")))
    outcome = database.run(
        store(
            lambda s: s.finalize_debate("d", "a", winning_position="text", consensus_confidence=0.75, created_at=NOON)
        )
    )
    assert (outcome.winning_agent, outcome.winning_position, outcome.consensus_confidence) == ("a", "text", 0.75)
    assert (outcome.created_at, outcome.verification_result, outcome.verified_at) == (NOON, None, None)
    database.run(store(lambda s: s.finalize_debate("e", None)))
    assert marks(database, "d") == {"a": (True, None), "b": (False, None)}
    assert marks(database, "e") == marks(database, "f") == {"a": (None, None)}
    assert database.run(store(lambda s: (s.outcome("e").winning_agent, s.outcome("f")))) == (None, None)


def test_decided_once(database: EngineDatabase):
    """Aragora's second call forgets the verification; here it changes nothing, or says what differs."""
    told = {"winning_agent": "a", "winning_position": "text", "consensus_confidence": 0.75}
    database.run(speak(("d", "a"), ("d", "b")))
    database.run(store(lambda s: s.finalize_debate("d", **told, created_at=NOON)))
    database.run(store(lambda s: s.verify_debate("d", verification_result=True)))
    again = database.run(store(lambda s: s.finalize_debate("d", **told, created_at=LATER)))
    assert (again.created_at, again.verification_result) == (NOON, True)
    for other in (
        {"winning_agent": "b"},
        {"winning_agent": None},
        {"winning_position": None},
        {"consensus_confidence": 0.5},
        {"consensus_confidence": None},
    ):
        with pytest.raises(ConflictError, match="debate d was decided with another"):
            database.run(store(lambda s: s.finalize_debate("d", **told | other)))  # noqa: B023
    assert marks(database, "d") == {"a": (True, True), "b": (False, False)}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"debate_id": ""}, "debate_id"),
        ({"winning_agent": ""}, "winning_agent"),
        ({"winning_position": "\x00"}, "winning_position"),
        ({"consensus_confidence": 1.5}, "consensus_confidence"),
        ({"created_at": datetime(2026, 3, 1)}, "created_at"),  # noqa: DTZ001 -- what is refused
    ],
)
def test_what_deciding_refuses(database: EngineDatabase, arguments: dict[str, Any], named: str):
    """Nothing is written when an argument is wrong."""
    with pytest.raises(InvalidValue, match=named):
        database.run(store(lambda s: s.finalize_debate(**{"debate_id": "d", "winning_agent": "a"} | arguments)))
    assert database.run(lambda session: session.scalars(sa.select(DebateOutcome)).all()) == []


@pytest.mark.parametrize(
    ("winner", "result", "expected"),
    [
        ("a", True, {"a": (True, True), "b": (False, False)}),
        ("a", False, {"a": (True, False), "b": (False, False)}),
        (None, True, {"a": (None, False), "b": (None, False)}),
        ("z", True, {"a": (False, False), "b": (False, False)}),
    ],
)
def test_verified(database: EngineDatabase, winner: str | None, result: bool, expected: dict[str, Any]):
    """The winner's statements get the result, all others are not correct; other debates stay open."""
    database.run(speak(("d", "a"), ("d", "b"), ("e", "a")))
    database.run(store(lambda s: (s.finalize_debate("d", winner), s.finalize_debate("e", "a"))))
    outcome = database.run(
        store(lambda s: s.verify_debate("d", verification_result=result, verification_source="z3", verified_at=NOON))
    )
    assert (outcome.verification_result, outcome.verification_source, outcome.verified_at) == (result, "z3", NOON)
    assert marks(database, "d") == expected
    assert marks(database, "e") == {"a": (True, None)}


def test_verified_once(database: EngineDatabase):
    """A repeated message changes nothing, another result or source is told to who sent it."""
    database.run(store(lambda s: s.finalize_debate("d", "a")))
    for now in (NOON, LATER):
        outcome = database.run(store(lambda s: s.verify_debate("d", verification_result=True, verified_at=now)))  # noqa: B023
        assert (outcome.verified_at, outcome.verification_source) == (NOON, "manual")
    same = {"debate_id": "d", "verification_result": True}
    for other in ({"verification_result": False}, {"verification_source": "z3"}):
        with pytest.raises(ConflictError, match="verified once"):
            database.run(store(lambda s: s.verify_debate(**same | other)))  # noqa: B023
    for wrong, named in (
        ({"verification_result": None}, "verification_result"),
        ({"verification_result": "yes"}, "verification_result"),
        ({"verification_source": ""}, "verification_source"),
        ({"verified_at": datetime(2026, 3, 1)}, "verified_at"),  # noqa: DTZ001 -- what is refused
    ):
        with pytest.raises(InvalidValue, match=named):
            database.run(store(lambda s: s.verify_debate(**same | wrong)))  # noqa: B023


def test_verifying_what_is_not_decided(database: EngineDatabase):
    """Aragora marks every statement as wrong then."""
    database.run(speak(("d", "a")))
    with pytest.raises(NotFoundError, match="finalize_debate first"):
        database.run(store(lambda s: s.verify_debate("d", verification_result=True)))
    assert marks(database, "d") == {"a": (None, None)}


@pytest.mark.parametrize(("winner", "won"), [("a", (True, False)), (None, (None, None))])
def test_statements_that_come_late(database: EngineDatabase, winner: str | None, won: tuple[Any, ...]):
    """It must not matter whether the last vote or the outcome was recorded first."""
    database.run(store(lambda s: s.finalize_debate("d", winner)))
    database.run(speak(("d", "a"), ("d", "b")))
    assert marks(database, "d") == {"a": (won[0], None), "b": (won[1], None)}
    database.run(store(lambda s: s.verify_debate("d", verification_result=True)))
    database.run(store(lambda s: [s.record_statement(NewStatement("d", agent, "critique", "c", 9)) for agent in "ab"]))
    rows = database.run(store(lambda s: s.statements_of_debate("d"))).items
    assert {(r.agent_name, r.was_winning_position, r.verified_correct) for r in rows if r.round_num == 9} == {
        ("a", won[0], winner == "a"),
        ("b", won[1], False),
    }


def test_held_objects_are_fresh(database: EngineDatabase):
    """What a unit of work holds from before must show what its own verbs changed, also after it ended."""

    def work(session: Session) -> list[PositionHistory]:
        mine = PositionStore(session)
        held = [mine.record_statement(NewStatement("d", agent, "vote", "v")) for agent in "ab"]
        mine.finalize_debate("d", "a")
        mine.verify_debate("d", verification_result=True)
        return held

    held = database.run(work)
    assert [(row.was_winning_position, row.verified_correct) for row in held] == [(True, True), (False, False)]


def test_accuracy(database: EngineDatabase):
    """Verified and correct among verified, of all statements or of one type."""
    database.run(speak(("d", "a"), ("e", "a"), ("f", "a"), ("f", "b")))
    database.run(store(lambda s: s.record_statement(NewStatement("d", "a", "critique", "c"))))
    database.run(store(lambda s: [s.finalize_debate(debate, "a") for debate in "def"]))
    database.run(
        store(
            lambda s: (s.verify_debate("d", verification_result=True), s.verify_debate("e", verification_result=False))
        )
    )
    mine = database.run(store(lambda s: s.accuracy("a")))
    assert (mine.statements, mine.winning, mine.verified, mine.correct) == (4, 4, 3, 2)
    votes = database.run(store(lambda s: s.accuracy("a", position_type="vote")))
    assert (votes.statements, votes.verified, votes.accuracy) == (3, 2, 0.5)
    nobody = database.run(store(lambda s: s.accuracy("nobody")))
    assert (nobody.statements, nobody.accuracy) == (0, None)


def test_an_agents_statements(database: EngineDatabase):
    """Newest first, page by page; only the verified ones if asked."""
    database.run(speak(*((f"d{number}", "a") for number in range(5)), ("d0", "b")))
    database.run(store(lambda s: (s.finalize_debate("d2", "a"), s.verify_debate("d2", verification_result=False))))
    first = database.run(store(lambda s: s.statements_of_agent("a", limit=3)))
    rest = database.run(store(lambda s: s.statements_of_agent("a", limit=3, after=first.next)))
    assert [row.debate_id for row in (*first.items, *rest.items)] == ["d4", "d3", "d2", "d1", "d0"]
    verified = database.run(store(lambda s: s.statements_of_agent("a", verified_only=True))).items
    assert [row.debate_id for row in verified] == ["d2"]
