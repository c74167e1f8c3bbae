"""Who the agents are. A mistake here forgets what an agent learned, or sends the wrong one to a debate."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db.errors import InvalidValue
from aragora_db.models import Persona, PersonaPerformance
from aragora_db.stores import Page, PersonaStore
from aragora_db.testing.engines import EngineDatabase

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)


def store(work: Callable[[PersonaStore], Any]) -> Callable[[Session], Any]:
    """A unit of work over a store."""
    return lambda session: work(PersonaStore(session))


def insert(model: Any, *rows: dict[str, Any]) -> Callable[[Session], Any]:
    """A unit of work that adds rows as they came from elsewhere."""
    return lambda session: session.execute(sa.insert(model), list(rows))


def everything(session: Session) -> list[tuple[Any, ...]]:
    """All rows of both tables, to see that nothing was written."""
    return [
        tuple(row) for model in (Persona, PersonaPerformance) for row in session.execute(sa.select(model.__table__))
    ]


def test_a_new_persona_is_well_formed(database: EngineDatabase):
    """What is not given is empty, not unknown."""
    database.run(store(lambda s: s.upsert("a", updated_at=NOON)))
    persona = database.run(store(lambda s: s.get("a")))
    assert (persona.description, persona.traits, persona.expertise) == ("", [], {})
    assert (persona.created_at, persona.updated_at) == (NOON, NOON)
    assert database.run(store(lambda s: s.get("b"))) is None


def test_only_what_is_given_changes(database: EngineDatabase):
    """Aragora empties what is not given: a new description would cost the agent its expertise."""
    database.run(
        store(lambda s: s.upsert("a", description="d", traits=["direct", "own"], expertise={"law": 1}, updated_at=NOON))
    )

    def change(session: Session) -> list[Any]:
        mine = PersonaStore(session)
        held = mine.get("a")
        assert held is not None
        mine.upsert("a", traits=[], updated_at=LATER)
        return [held.description, held.traits, held.expertise, held.created_at, held.updated_at]

    assert database.run(change) == ["d", [], {"law": 1.0}, NOON, LATER]
    database.run(store(lambda s: s.upsert("a", description="", updated_at=LATER)))
    database.run(store(lambda s: s.upsert("a", updated_at=LATER + timedelta(hours=1))))
    persona = database.run(store(lambda s: s.get("a")))
    assert (persona.description, persona.expertise, persona.updated_at) == ("", {"law": 1.0}, LATER)
    assert database.run(store(lambda s: s.upsert("a", expertise={"x": 0.5}).expertise)) == {"x": 0.5}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"agent_name": " "}, "agent_name"),
        ({"agent_name": "x" * 1025}, "agent_name"),
        ({"traits": ["a", ""]}, "traits"),
        ({"traits": ["a", "a"]}, "traits"),
        ({"traits": "direct"}, "traits"),
        ({"expertise": {"": 0.5}}, "expertise"),
        ({"expertise": {"law": 1.1}}, "expertise"),
        ({"expertise": {"law": float("nan")}}, "expertise"),
        ({"expertise": {"law": True}}, "expertise"),
        ({"description": "\x00"}, "description"),
        ({"updated_at": datetime(2026, 3, 1)}, "updated_at"),  # noqa: DTZ001 -- what is refused
    ],
)
def test_what_upsert_refuses(database: EngineDatabase, arguments: dict[str, Any], named: str):
    """Aragora drops or clamps in silence; a caller has to learn what was wrong."""
    with pytest.raises(InvalidValue, match=named):
        database.run(store(lambda s: s.upsert(**{"agent_name": "a"} | arguments)))
    assert database.run(everything) == []


def test_finding_several(database: EngineDatabase):
    """In the order asked for, page by page in code point order."""
    database.run(lambda session: [PersonaStore(session).upsert(name) for name in ("b", "a", "Z", "é")])
    found = database.run(store(lambda s: s.get_many(["é", "b", "é", "nobody"])))
    assert list(found) == ["é", "b"]
    page = database.run(store(lambda s: s.list(limit=3)))
    assert [persona.agent_name for persona in page.items] == ["Z", "a", "b"]
    rest = database.run(store(lambda s: s.list(limit=3, after=page.next)))
    assert ([persona.agent_name for persona in rest.items], rest.next) == (["é"], None)
    with pytest.raises(InvalidValue, match="one text"):
        database.run(store(lambda s: s.get_many("ab")))
    with pytest.raises(InvalidValue, match="agent_names holds 10001 keys"):
        database.run(store(lambda s: s.get_many(map(str, range(10_001)))))


def test_expertise_by_hand(database: EngineDatabase):
    """A success, then a failure: 0.85, then 0.7 * 0.95 / 1.95 + 0.3 * 0.85."""
    first = database.run(
        store(lambda s: s.record_performance("a", "law", success=True, debate_id="d1", action="vote", created_at=NOON))
    )
    second = database.run(store(lambda s: s.record_performance("a", "law", success=False, created_at=LATER)))
    assert first == pytest.approx(0.85)
    assert second == pytest.approx(0.7 * 0.95 / 1.95 + 0.3 * 0.85)
    persona = database.run(store(lambda s: s.get("a")))
    # Aragora leaves description and traits NULL when it creates a persona here.
    assert (persona.description, persona.traits, persona.expertise) == ("", [], {"law": second})
    assert (persona.created_at, persona.updated_at) == (NOON, LATER)
    rows = database.run(store(lambda s: s.history("a"))).items
    assert [(row.success, row.debate_id, row.action, row.created_at) for row in rows] == [
        (False, None, None, LATER),
        (True, "d1", "vote", NOON),
    ]


def test_other_fields_stay(database: EngineDatabase):
    """A performance must not undo what somebody said about the agent, nor its other domains."""
    database.run(
        store(lambda s: s.upsert("a", description="d", traits=["direct"], expertise={"x": 0.25}, updated_at=NOON))
    )
    database.run(store(lambda s: s.record_performance("a", "law", success=False)))
    persona = database.run(store(lambda s: s.get("a")))
    assert (persona.description, persona.traits, persona.created_at) == ("d", ["direct"], NOON)
    assert persona.expertise == {"x": 0.25, "law": pytest.approx(0.15)}


def test_which_rows_count(database: EngineDatabase):
    """Fifty judged actions of this agent in this domain; equal times go by the order of recording."""
    old = [{"agent_name": "a", "domain": "law", "success": True, "created_at": NOON} for _ in range(60)]
    others = [
        {"agent_name": "a", "domain": "law", "success": None, "created_at": LATER},
        {"agent_name": "a", "domain": "tax", "success": False, "created_at": LATER},
        {"agent_name": "a", "domain": None, "success": False, "created_at": LATER},
        {"agent_name": "b", "domain": "law", "success": False, "created_at": LATER},
    ]
    lost = [{"agent_name": "a", "domain": "law", "success": False, "created_at": NOON - timedelta(days=1)}]
    database.run(insert(PersonaPerformance, *old, *others, *lost))
    assert database.run(
        store(lambda s: s.record_performance("a", "law", success=True, created_at=NOON))
    ) == pytest.approx(0.85)
    weight = sum(0.95**place for place in range(50))
    # At the same instant as the 61 others, and counted as the newest of them.
    expected = 0.7 * (weight - 1) / weight + 0.3 * 0.85
    assert database.run(
        store(lambda s: s.record_performance("a", "law", success=False, created_at=NOON))
    ) == pytest.approx(expected)


@pytest.mark.parametrize("stored", [None, [], {"law": "high"}, {"law": True}, {"law": None}, "x"])
def test_what_old_rows_hold(database: EngineDatabase, stored: Any):
    """An imported persona with something else for an expertise begins at 0.5, and can be ranked."""
    database.run(insert(Persona, {"agent_name": "a", "expertise": stored}))
    assert database.run(store(lambda s: (s.expertise("a"), s.ranking("law").items))) == ((), ())
    assert database.run(store(lambda s: s.record_performance("a", "law", success=True))) == pytest.approx(0.85)
    assert [each.agent_name for each in database.run(store(lambda s: s.ranking("law")))] == ["a"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"agent_name": ""}, "agent_name"),
        ({"domain": "\x00"}, "domain"),
        ({"domain": None}, "domain"),
        ({"success": None}, "success"),
        ({"success": 0.5}, "success"),
        ({"debate_id": ""}, "debate_id"),
        ({"action": "\ud800"}, "action"),
        ({"created_at": datetime(2026, 3, 1)}, "created_at"),  # noqa: DTZ001 -- what is refused
    ],
)
def test_what_performances_refuse(database: EngineDatabase, arguments: dict[str, Any], named: str):
    """Refused before the first write: no persona is created for nothing."""
    with pytest.raises(InvalidValue, match=named):
        database.run(
            store(lambda s: s.record_performance(**{"agent_name": "a", "domain": "law", "success": True} | arguments))
        )
    assert database.run(everything) == []


def test_best_first(database: EngineDatabase):
    """Domains of an agent and agents of a domain; equal ones by name, others not at all."""
    names = ('a"b', "x.y", "$", "law")
    for agent, values in (("b", (0.5, 0.5, 1, 0)), ("a", (0.5, 0.75, 1, 0)), ("c", (1.0, 0.25, 0, 0))):
        expertise = dict(zip(names, values, strict=True))
        database.run(store(lambda s: s.upsert(agent, expertise=expertise)))  # noqa: B023
    database.run(store(lambda s: s.upsert("z")))
    assert [each[1:] for each in database.run(store(lambda s: s.expertise("a")))] == [
        ("$", 1.0),
        ("x.y", 0.75),
        ('a"b', 0.5),
        ("law", 0.0),
    ]
    assert database.run(store(lambda s: s.expertise("nobody"))) == ()
    ranked = {name: [tuple(each)[::2] for each in database.run(store(lambda s: s.ranking(name)))] for name in names}  # noqa: B023
    assert ranked == {
        'a"b': [("c", 1.0), ("a", 0.5), ("b", 0.5)],
        "x.y": [("a", 0.75), ("b", 0.5), ("c", 0.25)],
        "$": [("a", 1.0), ("b", 1.0), ("c", 0.0)],
        "law": [("a", 0.0), ("b", 0.0), ("c", 0.0)],
    }
    first = database.run(store(lambda s: s.ranking("law", limit=2)))
    rest = database.run(store(lambda s: s.ranking("law", limit=2, after=first.next)))
    assert [each.agent_name for each in (*first, *rest)] == ["a", "b", "c"]
    assert (len(first), rest.next) == (2, None)
    assert database.run(store(lambda s: s.ranking("tax"))) == Page((), None)
    with pytest.raises(InvalidValue, match="limit"):
        database.run(store(lambda s: s.ranking("law", limit=0)))


def test_records_and_traits(database: EngineDatabase):
    """Counts by domain; an action that nobody judged is no failure, and one without a domain is in none."""
    rows = [("law", True)] * 3 + [("law", None)] * 4 + [("tax", False), ("art", True), ("art", True), (None, None)]
    database.run(
        insert(PersonaPerformance, *({"agent_name": "a", "domain": domain, "success": ok} for domain, ok in rows))
    )
    records = database.run(store(lambda s: s.domain_records("a")))
    assert [(r.domain, r.actions, r.judged, r.successes, r.rate) for r in records] == [
        ("law", 7, 3, 3, 1.0),
        ("art", 2, 2, 2, 1.0),
        ("tax", 1, 1, 0, 0.0),
    ]
    first = database.run(store(lambda s: s.domain_records("a", limit=2)))
    rest = database.run(store(lambda s: s.domain_records("a", limit=2, after=first.next)))
    assert (*first, *rest) == records.items
    assert (len(first), rest.next) == (2, None)
    assert database.run(store(lambda s: s.infer_traits("a"))) == ("pragmatic",)
    assert database.run(store(lambda s: (s.infer_traits("b"), s.domain_records("b").items))) == ((), ())


def test_history_by_page(database: EngineDatabase):
    """Every action once, newest first, of one domain if asked."""
    for number in range(5):
        database.run(store(lambda s: s.record_performance("a", "ab"[number % 2], success=True, created_at=NOON)))  # noqa: B023
    first = database.run(store(lambda s: s.history("a", limit=3)))
    rest = database.run(store(lambda s: s.history("a", limit=3, after=first.next)))
    ids = [row.id for row in (*first.items, *rest.items)]
    assert ids == sorted(ids, reverse=True)
    assert (len(ids), rest.next) == (5, None)
    assert [row.domain for row in database.run(store(lambda s: s.history("a", domain="b"))).items] == ["b", "b"]
