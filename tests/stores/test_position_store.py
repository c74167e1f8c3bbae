"""What agents claim and how they flip. A mistake here calls an honest agent fickle, or a fickle one honest."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db.errors import ConflictError, InvalidValue, NotFoundError
from aragora_db.models import DetectedFlip, Position, PositionOutcome
from aragora_db.stores import PositionStore
from aragora_db.stores.positions import NewPosition
from aragora_db.testing.engines import EngineDatabase

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)


def store(work: Callable[[PositionStore], Any]) -> Callable[[Session], Any]:
    """A unit of work over a store."""
    return lambda session: work(PositionStore(session))


def count(model: Any) -> Callable[[Session], Any]:
    """How many rows there are."""
    return lambda session: session.scalar(sa.select(sa.func.count()).select_from(model))


def position(id_: str, agent: str, debate: str, claim: str = "c", **more: Any) -> Position:
    """A position as it came from elsewhere."""
    return Position(id=id_, agent_name=agent, claim=claim, confidence=0.5, debate_id=debate, round_num=0, **more)


def test_a_position_is_recorded(database: EngineDatabase):
    """Every field, and a whole UUID: 8 digits of one collide."""
    recorded = database.run(
        store(lambda s: s.record(NewPosition("a", "We need a lock", 0.75, "d1", 2, "law"), created_at=NOON))
    )
    assert str(UUID(recorded.id)) == recorded.id
    found = database.run(store(lambda s: s.get(recorded.id)))
    assert (found.agent_name, found.claim, found.confidence, found.debate_id) == ("a", "We need a lock", 0.75, "d1")
    assert (found.round_num, found.domain, found.outcome, found.reversed) == (2, "law", "pending", False)
    assert (found.reversal_debate_id, found.created_at, found.resolved_at) == (None, NOON, None)
    assert database.run(store(lambda s: s.get("nothing"))) is None
    assert list(database.run(store(lambda s: s.get_many(["nothing", recorded.id])))) == [recorded.id]
    with pytest.raises(InvalidValue, match="position_ids is one text"):
        database.run(store(lambda s: s.get_many(recorded.id)))


def test_several_are_recorded_in_order(database: EngineDatabase):
    """Ids belong to the claims as they were given."""
    claims = [f"claim {number}" for number in range(20)]
    recorded = database.run(store(lambda s: s.record_many(NewPosition("a", claim, 0.5, "d", 0) for claim in claims)))
    assert [each.claim for each in recorded] == claims
    for each in recorded:
        assert database.run(store(lambda s: s.get(each.id))).claim == each.claim  # noqa: B023
    assert database.run(store(lambda s: s.record_many([]))) == ()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"agent_name": ""}, "agent_name"),
        ({"claim": " "}, "claim"),
        ({"claim": "\x00"}, "claim"),
        ({"confidence": 1.01}, "confidence"),
        ({"confidence": -0.01}, "confidence"),
        ({"confidence": 95}, "confidence"),
        ({"confidence": float("nan")}, "confidence"),
        ({"debate_id": "d" * 1025}, "debate_id"),
        ({"round_num": -1}, "round_num"),
        ({"round_num": 2**63}, "round_num"),
        ({"domain": ""}, "domain"),
    ],
)
def test_what_is_refused(database: EngineDatabase, changes: dict[str, Any], named: str):
    """Nothing of a batch is written when one of it is wrong."""
    good = {"agent_name": "a", "claim": "c", "confidence": 0.5, "debate_id": "d", "round_num": 0}
    with pytest.raises(InvalidValue, match=named):
        database.run(store(lambda s: s.record_many([NewPosition(**good), NewPosition(**good | changes)])))
    assert database.run(count(Position)) == 0


def test_resolved_once(database: EngineDatabase):
    """A repeated message changes nothing, another outcome is told to who sent it."""
    id_ = database.run(store(lambda s: s.record(NewPosition("a", "c", 0.5, "d", 0)))).id
    for now in (NOON, LATER):
        resolved = database.run(store(lambda s: s.resolve(id_, "correct", resolved_at=now)))  # noqa: B023
        assert (resolved.outcome, resolved.resolved_at) == (PositionOutcome.CORRECT, NOON)
    with pytest.raises(ConflictError, match="was resolved as correct"):
        database.run(store(lambda s: s.resolve(id_, "incorrect")))
    for outcome in ("pending", "unknown"):
        with pytest.raises(InvalidValue, match="outcome"):
            database.run(store(lambda s: s.resolve(id_, outcome)))  # noqa: B023
    with pytest.raises(InvalidValue, match="resolved_at"):
        database.run(store(lambda s: s.resolve(id_, "correct", resolved_at=datetime(2026, 3, 1))))  # noqa: DTZ001
    with pytest.raises(NotFoundError, match="nothing"):
        database.run(store(lambda s: s.resolve("nothing", "correct")))


def test_reversed_once(database: EngineDatabase):
    """As above; the debate stays the one in which the agent first changed its mind."""
    id_ = database.run(store(lambda s: s.record(NewPosition("a", "c", 0.5, "d", 0)))).id
    for _ in range(2):
        turned = database.run(store(lambda s: s.reverse(id_, "d2")))
        assert (turned.reversed, turned.reversal_debate_id) == (True, "d2")
    with pytest.raises(ConflictError, match="d2"):
        database.run(store(lambda s: s.reverse(id_, "d3")))
    with pytest.raises(InvalidValue, match="reversal_debate_id"):
        database.run(store(lambda s: s.reverse(id_, "")))
    with pytest.raises(NotFoundError, match="nothing"):
        database.run(store(lambda s: s.reverse("nothing", "d2")))
    database.run(lambda session: session.add(position("old", "a", "d", reversed=True)))
    assert database.run(store(lambda s: s.reverse("old", "d9"))).reversal_debate_id == "d9"


def test_listings(database: EngineDatabase):
    """Every position once, in the order that is promised, page by page."""

    def fill(session: Session) -> None:
        for number in range(6):
            each = position(f"p{number}", "ab"[number % 2], "de"[number % 3 == 0], created_at=NOON)
            each.round_num = number // 3
            session.add(each)
        session.add(position("p9", "a", "e", created_at=LATER, outcome="correct"))

    def pages(listing: Callable[..., Any]) -> list[str]:
        found: list[str] = []
        after = None
        while True:
            page = database.run(store(lambda s: listing(s, limit=2, after=after)))  # noqa: B023
            found += [each.id for each in page.items]
            after = page.next
            if after is None:
                return found

    database.run(fill)
    assert pages(lambda s, **page: s.of_agent("a", **page)) == ["p9", "p0", "p2", "p4"]
    assert pages(lambda s, **page: s.of_agent("a", outcome="pending", **page)) == ["p0", "p2", "p4"]
    assert pages(lambda s, **page: s.of_debate("d", **page)) == ["p2", "p1", "p4", "p5"]
    assert pages(lambda s, **page: s.with_outcome("pending", **page)) == [f"p{number}" for number in range(6)]
    assert pages(lambda s, **page: s.with_outcome("correct", **page)) == ["p9"]
    with pytest.raises(InvalidValue, match="outcome"):
        database.run(store(lambda s: s.with_outcome("right")))


def debates(session: Session) -> None:
    """An agent that takes three claims back, in a debate where it claims two things, and others around it."""
    session.add_all(
        [
            position("p1", "a", "d1", "The plan is safe", reversed=True, reversal_debate_id="d2", domain="law"),
            position("p2", "a", "d1", "Use one lock", reversed=True, reversal_debate_id="d2"),
            position("p3", "a", "d2", "The plan is not safe"),
            position("p4", "a", "d2", "Use one lock!", reversed=True, reversal_debate_id="d2"),
            position("p5", "b", "d2", "Another agent's claim"),
            position("p6", "a", "d3", "Not reversed", reversal_debate_id="d2"),
            position("p7", "b", "d1", "Nothing claimed there", reversed=True, reversal_debate_id="d9"),
        ]
    )


EXPECTED = {
    ("p1", "p3", "contradiction"),
    ("p1", "p4", "contradiction"),
    ("p2", "p3", "contradiction"),
    ("p2", "p4", "refinement"),
    ("p4", "p3", "contradiction"),
}


def test_every_pair_is_a_flip(database: EngineDatabase):
    """Aragora keeps one flip per old claim: 38 of 176 are lost in its real file."""
    database.run(debates)
    found = database.run(store(lambda s: s.detect_flips("a", detected_at=NOON)))
    assert {(f.original_position_id, f.new_position_id, f.flip_type) for f in found.flips} == EXPECTED
    assert found.new == 5
    flip = next(flip for flip in found.flips if flip.id == "flip-p1-p3")
    assert (flip.original_claim, flip.new_claim) == ("The plan is safe", "The plan is not safe")
    assert (flip.original_confidence, flip.new_confidence, flip.similarity_score) == (0.5, 0.5, 0.8)
    assert (flip.original_debate_id, flip.new_debate_id, flip.domain, flip.detected_at) == ("d1", "d2", "law", NOON)
    assert database.run(store(lambda s: s.detect_flips("b"))).flips == ()


def test_detecting_again(database: EngineDatabase):
    """Nothing is stored twice, also not beside a flip that was imported under its old id."""
    database.run(debates)
    database.run(
        lambda session: session.add(
            DetectedFlip(
                id="flip-p1", agent_name="a", original_claim="x", new_claim="y", original_position_id="p1",
                new_position_id="p4", detected_at=LATER,
            )
        )
    )  # fmt: skip
    assert database.run(store(lambda s: s.detect_flips("a", detected_at=NOON))).new == 4
    again = database.run(store(lambda s: s.detect_flips("a", detected_at=LATER)))
    assert again.new == 0
    assert [flip.id for flip in again.flips] == ["flip-p1", "flip-p1-p3", "flip-p2-p3", "flip-p2-p4", "flip-p4-p3"]
    assert [flip.detected_at for flip in again.flips] == [LATER, NOON, NOON, NOON, NOON]
    database.run(store(lambda s: s.record(NewPosition("a", "One more", 0.5, "d2", 1))))
    assert database.run(store(lambda s: s.detect_flips("a", detected_at=LATER))).new == 3


def test_flips_are_listed(database: EngineDatabase):
    """Of an agent, of a type, of both, of all; newest first."""
    database.run(debates)
    database.run(store(lambda s: s.detect_flips("a", detected_at=NOON)))
    first = database.run(store(lambda s: s.flips(agent_name="a", limit=3)))
    rest = database.run(store(lambda s: s.flips(agent_name="a", limit=3, after=first.next)))
    assert [flip.id for flip in (*first.items, *rest.items)] == sorted(f"flip-{old}-{new}" for old, new, _ in EXPECTED)
    listed = {
        key: len(database.run(store(lambda s: s.flips(agent_name=key[0], flip_type=key[1]))).items)  # noqa: B023
        for key in ((None, None), (None, "refinement"), ("a", "contradiction"), ("b", None))
    }
    assert list(listed.values()) == [5, 1, 4, 0]
    with pytest.raises(InvalidValue, match="flip_type"):
        database.run(store(lambda s: s.flips(flip_type="flip")))


def test_consistency(database: EngineDatabase):
    """5 positions, 4 contradictions and a refinement: 1 - 4.1 / 5."""
    database.run(debates)
    database.run(lambda session: session.add(position("p8", "c", "d1")))
    database.run(store(lambda s: s.detect_flips("a")))
    database.run(lambda session: session.add(DetectedFlip(id="x", agent_name="b", original_claim="x", new_claim="y")))
    database.run(lambda session: session.add(DetectedFlip(id="y", agent_name="z", original_claim="x", new_claim="y")))
    mine = database.run(store(lambda s: s.consistency("a")))
    assert (mine.positions, mine.contradictions, mine.refinements, mine.flips) == (5, 4, 1, 5)
    assert mine.score == pytest.approx(0.18)
    unknown = database.run(store(lambda s: s.consistency("nobody")))
    assert (unknown.positions, unknown.score) == (0, 1.0)
    ranking = database.run(store(lambda s: s.consistency_ranking()))
    assert [(each.agent_name, each.positions, each.other) for each in ranking] == [
        ("b", 2, 1),
        ("c", 1, 0),
        ("a", 5, 0),
    ]
    assert (ranking.items[2], ranking.next) == (mine, None)
    few = database.run(store(lambda s: s.consistency_ranking(min_positions=2, limit=1)))
    assert [each.agent_name for each in few] == ["b"]
    for wrong in ({"min_positions": 0}, {"limit": 0}):
        with pytest.raises(InvalidValue, match=next(iter(wrong))):
            database.run(store(lambda s: s.consistency_ranking(**wrong)))  # noqa: B023
