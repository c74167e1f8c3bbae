"""How agents treat each other. A mistake here takes one agent's critiques for the other's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db import Database
from aragora_db.errors import InvalidValue
from aragora_db.models import EloAgentRelationship
from aragora_db.stores import NewInteraction, Relationship, RelationshipStore
from aragora_db.testing.engines import EngineDatabase

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
COUNTS = (10, 4, 7, 5, 3, 2, 1, 6, 8, 9)


def store(work: Callable[[RelationshipStore], Any]) -> Callable[[Session], Any]:
    """A unit of work over a store."""
    return lambda session: work(RelationshipStore(session))


def rows(session: Session) -> int:
    """How many pairs are stored."""
    return session.scalar(sa.select(sa.func.count()).select_from(EloAgentRelationship))


@pytest.mark.parametrize(("a", "b"), [("a", "b"), ("b", "a"), ("Zeno", "a"), ("gpt-4o", "gpt-4")])
def test_each_side_sees_its_own(database: EngineDatabase, a: str, b: str):
    """Whoever is named first: what one gave the other received."""
    database.run(store(lambda s: s.record(NewInteraction(a, b, *COUNTS), updated_at=NOON)))
    mine = database.run(store(lambda s: s.get(a, b)))
    assert mine == Relationship(a, b, *COUNTS, NOON)
    yours = database.run(store(lambda s: s.get(b, a)))
    assert yours == Relationship(b, a, 10, 4, 5, 7, 2, 3, 6, 1, 9, 8, NOON)
    assert (mine.metrics, mine.metrics.agreement_rate) == (yours.metrics, 0.4)
    assert database.run(rows) == 1


def test_counts_add_up(database: EngineDatabase):
    """Additions, in either order of the names, end in one row; time does not run backward."""
    database.run(store(lambda s: s.record(NewInteraction("a", "b", debate_count=1, a_wins_over_b=1), updated_at=NOON)))
    earlier = NOON - timedelta(days=1)
    database.run(
        store(lambda s: s.record(NewInteraction("b", "a", debate_count=2, a_wins_over_b=5), updated_at=earlier))
    )
    found = database.run(store(lambda s: s.get("a", "b")))
    assert (found.debates, found.wins, found.losses, found.updated_at) == (3, 1, 5, NOON)
    assert database.run(store(lambda s: s.get("a", "c"))) is None
    assert database.run(store(lambda s: s.get("a", "a"))) is None


def test_many_at_once(database: EngineDatabase):
    """A debate's pairs are written together; a pair that comes twice, or turned around, counts each time."""
    once = [
        NewInteraction("b", "a", *COUNTS),
        NewInteraction("a", "b", *COUNTS),
        NewInteraction("c", "a", debate_count=3),
    ]
    database.run(store(lambda s: s.record_many(once)))
    database.run(store(lambda s: s.record_many(iter(once))))
    database.run(store(lambda s: s.record_many([])))
    found = database.run(store(lambda s: s.get("a", "b")))
    given, received = 2 * (COUNTS[2] + COUNTS[3]), 2 * (COUNTS[3] + COUNTS[2])
    assert (found.debates, found.critiques_given, found.critiques_received) == (40, given, received)
    assert database.run(store(lambda s: s.get("a", "c"))).debates == 6
    assert database.run(rows) == 2


def test_relationships(database: EngineDatabase):
    """All of an agent's, most debates first, ties by name, whichever name is stored first."""
    given = [("m", "z", 2), ("m", "a", 5), ("b", "m", 2), ("m", "y", 0), ("a", "z", 9)]
    database.run(store(lambda s: s.record_many([NewInteraction(a, b, debate_count=n) for a, b, n in given])))
    found: list[Relationship] = []
    after = None
    while True:
        page = database.run(store(lambda s: s.list("m", limit=2, after=after)))  # noqa: B023
        found.extend(page.items)
        after = page.next
        if after is None:
            break
    assert [(each.agent_name, each.other_name, each.debates) for each in found] == [
        ("m", "a", 5),
        ("m", "b", 2),
        ("m", "z", 2),
        ("m", "y", 0),
    ]
    assert found[1] == database.run(store(lambda s: s.get("m", "b")))
    assert database.run(store(lambda s: s.list("nobody"))).items == ()


def test_rivals_and_allies(database: EngineDatabase):
    """The strongest come first; a score that is too low makes no rival, and equal ones are ordered by name."""
    fight = NewInteraction("m", "rival", debate_count=20, a_wins_over_b=5, b_wins_over_a=5)
    love = NewInteraction(
        "ally", "m", debate_count=10, agreement_count=10, critique_count_a_to_b=4, critique_accepted_a_to_b=4
    )
    known = [
        fight,
        replace(fight, agent_b="also-rival"),
        replace(fight, agent_b="weaker", debate_count=10),
        love,
        NewInteraction("m", "never", a_wins_over_b=3, b_wins_over_a=3),
    ]
    database.run(store(lambda s: s.record_many(known)))
    rivals = database.run(store(lambda s: s.rivals("m")))
    assert [each.other_name for each in rivals] == ["also-rival", "rival", "weaker"]
    assert [each.metrics.kind for each in rivals] == ["rival"] * 3
    assert [each.metrics.rivalry for each in rivals] == pytest.approx([1, 1, 0.85])
    assert [each.other_name for each in database.run(store(lambda s: s.rivals("m", limit=1)))] == ["also-rival"]
    assert len(database.run(store(lambda s: s.rivals("m", min_score=0.9)))) == 2
    allies = database.run(store(lambda s: s.allies("m")))
    assert [(each.other_name, each.metrics.kind, each.metrics.alliance) for each in allies] == [("ally", "ally", 1.0)]
    assert database.run(store(lambda s: s.allies("nobody"))).items == ()


@pytest.mark.parametrize(
    "wrong",
    [
        NewInteraction("a", "a"),
        NewInteraction("a", " "),
        NewInteraction("x" * 1025, "a"),
        NewInteraction("a", "b", debate_count=-1),
        NewInteraction("a", "b", b_wins_over_a=True),
        NewInteraction("a", "b", agreement_count=2**63),
    ],
)
def test_what_is_refused_is_refused_before_anything_is_written(database: EngineDatabase, wrong: NewInteraction):
    """One bad pair among many: a caller that catches the error must not have written the others."""

    def work(session: Session) -> int:
        with pytest.raises(InvalidValue):
            RelationshipStore(session).record_many([NewInteraction("a", "b", debate_count=1), wrong])
        return rows(session)

    assert database.run(work) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        lambda s: s.rivals("a", limit=0),
        lambda s: s.allies("a", min_score=1.5),
        lambda s: s.list("a", after="!"),
        lambda s: s.get("a", ""),
        lambda s: s.record(NewInteraction("a", "b"), updated_at=datetime(2026, 3, 1)),  # noqa: DTZ001
    ],
)
def test_wrong_arguments(database: EngineDatabase, wrong: Callable[[RelationshipStore], Any]):
    """What cannot be answered is refused."""
    with pytest.raises(InvalidValue):
        database.run(store(wrong))


def test_objects_of_the_session_are_fresh(database: EngineDatabase):
    """A unit of work that holds a row sees what it added to it, and its own changes count."""

    def work(session: Session) -> int:
        held = EloAgentRelationship(agent_a="a", agent_b="b", debate_count=5)
        session.add(held)
        RelationshipStore(session).record(NewInteraction("b", "a", debate_count=2))
        return held.debate_count

    assert database.run(work) == 7


def test_many_processes_count(plain_database: Database, race: Callable[..., list[Any]]):
    """Nothing is lost, and pairs that come in another order everywhere lead to no deadlock."""
    names = [f"agent{number:02}" for number in range(20)]
    pairs = [NewInteraction(a, b, debate_count=1) for a in names for b in names if a != b]
    begun: list[int] = []

    def count(session: Session, turn: int) -> None:
        begun.append(turn)  # a deadlock would be retried, and nobody would see it
        RelationshipStore(session).record_many((pairs[turn:] + pairs[:turn])[:: (-1) ** turn])

    race([partial(count, turn=40 * turn + turn % 2) for turn in range(8)])
    found = plain_database.transact(store(lambda s: s.list(names[3]))).items
    assert [each.debates for each in found] == [16] * 19
    assert len(begun) == 8
