"""What moves a rating besides matches. A mistake here counts a vote twice, or loses one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db import Database
from aragora_db.errors import ConflictError, InvalidValue
from aragora_db.models import EloHistory, EloRating
from aragora_db.rules.elo_events import Learning, LearningCategory
from aragora_db.rules.installation import Rules
from aragora_db.stores import CalibrationStore, EloStore, NewMatch, RatingEvent
from aragora_db.testing.engines import EngineDatabase

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def store(work: Callable[[EloStore], Any]) -> Callable[[Session], Any]:
    """A unit of work over a store."""
    return lambda session: work(EloStore(session))


def rating(session: Session, agent: str = "a") -> Any:
    """An agent's rating, with its domains."""
    return EloStore(session).rating(agent)


def tags(session: Session) -> list[tuple[str, str | None, float]]:
    """The history: agent, tag and rating, oldest first."""
    entries = session.execute(sa.select(EloHistory).order_by(EloHistory.id)).scalars()
    return [(entry.agent_name, entry.debate_id, entry.elo) for entry in entries]


def risen(session: Session, agent: str, *elos: float) -> None:
    """A rating that went through these values."""
    session.add(EloRating(agent_name=agent, elo=elos[-1]))
    for minute, elo in enumerate(elos):
        instant = NOON + timedelta(minutes=minute)
        session.add(EloHistory(agent_name=agent, elo=elo, debate_id=f"m{minute}", created_at=instant))


def test_critiques(database: EngineDatabase):
    """Critiques are counted, of agents nobody has rated too; they move nothing."""
    for accepted in (True, False, True):
        database.run(store(lambda s: s.record_critique("a", accepted=accepted, updated_at=NOON)))  # noqa: B023
    database.run(store(lambda s: s.record_critique("a", accepted=False, updated_at=NOON - timedelta(days=1))))
    found = database.run(rating)
    assert (found.critiques_total, found.critiques_accepted, found.elo) == (4, 2, 1500.0)
    assert found.updated_at == NOON
    assert database.run(tags) == []


def test_votes(database: EngineDatabase):
    """Nothing moves before the fifth vote, and then only the rating in the domain."""
    outcomes = [True, True, False, True, True, False]
    events = [
        database.run(store(lambda s: s.record_vote("a", f"d{number}", correct=correct, domain="law", created_at=NOON)))  # noqa: B023
        for number, correct in enumerate(outcomes)
    ]
    assert [event.change for event in events] == [0, 0, 0, 0, pytest.approx(4 * 0.3 * 2), -1.0]
    assert events[5] == RatingEvent("a", "voting:d5:incorrect", 1500.0, -1.0, NOON)
    found = database.run(rating)
    assert (found.elo, found.calibration_total, found.calibration_correct) == (1500.0, 6, 4)
    assert found.domain_elos == {"law": pytest.approx(1500 + 2.4 - 1)}
    assert database.run(tags)[2:4] == [("a", "voting:d2:incorrect", 1500.0), ("a", "voting:d3:correct", 1500.0)]


def test_votes_without_a_domain(database: EngineDatabase):
    """As in Aragora, they count in ``general``."""
    for number in range(5):
        database.run(store(lambda s: s.record_vote("a", f"d{number}", correct=True)))  # noqa: B023
    assert database.run(rating).domain_elos == {"general": 1504.0}


def test_the_same_vote_again(database: EngineDatabase):
    """A call that is repeated after a timeout must not count; one that says the opposite must not pass."""
    first = database.run(store(lambda s: s.record_vote("a", "d", correct=True, created_at=NOON)))
    again = database.run(store(lambda s: s.record_vote("a", "d", correct=True)))
    assert again == RatingEvent("a", first.tag, 1500.0, None, NOON)
    with pytest.raises(ConflictError, match="as correct"):
        database.run(store(lambda s: s.record_vote("a", "d", correct=False)))
    database.run(store(lambda s: s.record_vote("b", "d", correct=False)))
    found = database.run(rating)
    assert (found.calibration_total, found.calibration_correct) == (1, 1)
    assert len(database.run(tags)) == 2


def test_learning(database: EngineDatabase):
    """Who rises gets a bonus once for each debate; votes do not hide that an agent rises."""
    database.run(lambda session: risen(session, "a", 1500, 1510, 1520, 1530, 1540))
    for number in range(4):
        later = NOON + timedelta(hours=number)
        database.run(store(lambda s: s.record_vote("a", f"v{number}", correct=True, created_at=later)))  # noqa: B023
    found = database.run(store(lambda s: s.learning("a")))
    assert found == Learning(10.0, 1.0, LearningCategory.RAPID, 5)
    event = database.run(store(lambda s: s.record_learning("a", "d", domain="law", created_at=NOON)))
    assert event == RatingEvent("a", "learning:d:rapid", 1540.0, 1.5, NOON)
    again = database.run(store(lambda s: s.record_learning("a", "d", domain="law")))
    assert (again.tag, again.change) == (event.tag, None)
    assert database.run(rating).domain_elos == {"law": 1501.5}
    assert database.run(store(lambda s: s.learning("a"))) == found
    assert database.run(store(lambda s: s.learning("a", window=3))).ratings == 3


def test_no_bonus(database: EngineDatabase):
    """Who falls, or has hardly begun, gets nothing, and nothing is written about it."""
    database.run(lambda session: risen(session, "falls", 1540, 1530, 1520, 1510, 1500))
    database.run(lambda session: risen(session, "new", 1500, 1600))
    for agent in ("falls", "new", "nobody"):
        assert database.run(store(lambda s: s.record_learning(agent, "d"))) is None  # noqa: B023
    assert len(database.run(tags)) == 7
    assert database.run(lambda session: rating(session, "nobody")) is None
    assert database.run(store(lambda s: s.learning("nobody"))).category == "insufficient_data"


def test_verification(database: EngineDatabase):
    """Overall and domain move alike; what cancels out is recorded, nothing at all is not."""
    event = database.run(store(lambda s: s.record_verification("a", "law", 3, 1, created_at=NOON)))
    assert event == RatingEvent("a", "verification:law:3v1d", 1516.0, 16.0, NOON)
    assert database.run(store(lambda s: s.record_verification("a", "law", 3, 1))).elo == 1532.0
    assert database.run(store(lambda s: s.record_verification("a", "art", 2, 2))).change == 0
    assert database.run(store(lambda s: s.record_verification("a", "law", 0))) is None
    found = database.run(rating)
    assert (found.elo, found.domain_elos) == (1532.0, {"law": 1532.0})
    assert [tag for _, tag, _ in database.run(tags)] == ["verification:law:3v1d"] * 2 + ["verification:art:2v2d"]


def test_verification_has_a_floor(database: EngineDatabase):
    """No rating falls below 100, neither one that was there nor one that begins with this."""
    database.run(lambda session: session.add(EloRating(agent_name="a", elo=104.0)))
    assert database.run(store(lambda s: s.record_verification("a", "law", 0, 1))).elo == 100.0
    for disproven in (200, 1):
        database.run(store(lambda s: s.record_verification("a", "art", 0, disproven)))  # noqa: B023
    found = database.run(rating)
    assert (found.elo, found.domain_elos) == (100.0, {"law": 1492.0, "art": 100.0})


def test_a_verification_with_an_id_counts_once(database: EngineDatabase):
    """The tag of the guide has no identity; with one, a retry is harmless and another result is a contradiction."""
    for _ in range(2):
        event = database.run(store(lambda s: s.record_verification("a", "law", 1, event_id="e1")))
        assert (event.tag, event.elo) == ("verification:law:e1:1v0d", 1508.0)
    with pytest.raises(ConflictError, match="1v0d"):
        database.run(store(lambda s: s.record_verification("a", "law", 2, event_id="e1")))
    database.run(store(lambda s: s.record_verification("a", "law", 1, event_id="e2")))
    database.run(store(lambda s: s.record_verification("a", "law", 1, event_id="e")))
    assert database.run(rating).elo == 1524.0


def test_redteam(database: EngineDatabase):
    """A session counts once; one that moves nothing is remembered too."""
    event = database.run(store(lambda s: s.record_redteam("a", 0.2, 5, 10, 3, session_id="s1", created_at=NOON)))
    assert event == RatingEvent("a", "redteam_s1", 1486.0, -14.0, NOON)
    assert database.run(store(lambda s: s.record_redteam("a", 0.2, 5, 10, 3, session_id="s1"))).change is None
    assert database.run(store(lambda s: s.record_redteam("a", 0.6, 5, 10, session_id="s2"))).change == 0
    assert database.run(store(lambda s: s.record_redteam("a", 1.0, 0, 10))).change == pytest.approx(9.6)
    assert database.run(store(lambda s: s.record_redteam("a", 1.0, 0, 10))).tag == "redteam"
    found = database.run(rating)
    assert (found.elo, found.domain_elos) == (pytest.approx(1486 + 19.2), {})
    assert len(database.run(tags)) == 4


@pytest.mark.parametrize(
    "wrong",
    [
        lambda s: s.record_critique(" ", accepted=True),
        lambda s: s.record_critique("a", accepted=1),
        lambda s: s.record_vote("a", "d", correct=None),
        lambda s: s.record_vote("a", "x" * 1010, correct=True),
        lambda s: s.record_vote("a", "d", correct=True, domain=""),
        lambda s: s.record_vote("a", "d", correct=True, created_at=datetime(2026, 3, 1)),  # noqa: DTZ001
        lambda s: s.record_learning("a", "x\x00"),
        lambda s: s.record_learning("a", "x" * 1012),
        lambda s: s.record_verification("a", "law", -1),
        lambda s: s.record_verification("a", "law:1", 1),
        lambda s: s.record_verification("a", "law", 1, event_id="e:1"),
        lambda s: s.record_verification("a", "law", 2**40),
        lambda s: s.record_redteam("a", 1.1, 0, 1),
        lambda s: s.record_redteam("a", 0.1, 2, 1),
        lambda s: s.record_redteam("a", 0.1, 1, 1, session_id="x" * 1020),
        lambda s: s.learning("a", window=0),
    ],
)
def test_what_is_refused_is_refused_before_anything_is_written(database: EngineDatabase, wrong: Any):
    """A caller that catches the error and commits must not leave half an event."""

    def work(session: Session) -> Any:
        with pytest.raises(InvalidValue):
            wrong(EloStore(session))
        return rating(session), tags(session)

    assert database.run(work) == (None, [])


def test_objects_of_the_session_are_fresh(database: EngineDatabase):
    """A unit of work that holds a rating sees what it did to it, and its own changes are not lost."""

    def work(session: Session) -> tuple[float, float, int]:
        held = EloRating(agent_name="a", elo=1600.0)
        held.domain_elos["law"] = 1600.0
        session.add(held)
        with session.no_autoflush:
            EloStore(session).record_verification("a", "law", 1)
        EloStore(session).record_critique("a", accepted=True)
        return held.elo, held.domain_elos["law"], held.critiques_total

    assert database.run(work) == (1608.0, 1608.0, 1)


def test_votes_at_the_same_time(plain_database: Database, race: Callable[..., list[Any]]):
    """Many processes at once: each vote counts, each repetition does not, and no rating is made twice."""
    works = [store(lambda s, n=number: s.record_vote("a", f"d{n % 4}", correct=True)) for number in range(8)]
    events = race(works + [store(lambda s: s.record_critique("a", accepted=False))] * 3)
    assert sorted(event.change is None for event in events[:8]) == [False] * 4 + [True] * 4
    found = plain_database.transact(rating)
    assert (found.calibration_total, found.calibration_correct, found.critiques_total) == (4, 4, 3)
    assert len(plain_database.transact(tags)) == 4


def test_verifications_at_the_same_time(plain_database: Database, race: Callable[..., list[Any]]):
    """Aragora writes absolute ratings: of two changes at once, one is lost."""
    race([store(lambda s: s.record_verification("a", "law", 1, event_id=None))] * 6)
    race([store(lambda s: s.record_verification("a", "law", 1, event_id="e"))] * 4)
    found = plain_database.transact(rating)
    assert (found.elo, found.domain_elos) == (1556.0, {"law": 1556.0})


def test_rules_of_an_installation(database: EngineDatabase):
    """Every verb that makes a rating, or knows K, takes both from the rules; one that forgets mixes two scales."""
    rules = Rules(initial_rating=1000.0, k_factor=10.0)

    def work(session: Session) -> dict[str, tuple[float, dict[str, float]]]:
        elo = EloStore(session, rules=rules)
        match = elo.record_match("m", ["a", "b"], {"a": 1.0, "b": 0.0}, "law")
        assert (match, elo.record_redteam("a", 1.0, 0, 1).change) == ({"a": 5.0, "b": -5.0}, 3.0)
        elo.record_matches([NewMatch("n", ["c", "d"], {"c": 1.0, "d": 0.0}, "law")])
        elo.record_critique("e", accepted=True)
        for number in range(5):
            elo.record_vote("f", f"m{number}", correct=True)
        elo.record_verification("g", "law", 1)
        CalibrationStore(session, rules=rules).record_domain_prediction("h", "law", 0.5, correct=True)
        risen(session, "i", 1, 2, 3, 4, 5)
        elo.record_learning("i", "m")
        found = elo.get_ratings(list("abcdefghi"))
        return {name: (rating.elo, dict(rating.domain_elos)) for name, rating in found.items()}

    assert database.run(work) == {
        "a": (1008.0, {"law": 1005.0}),
        "b": (995.0, {"law": 995.0}),
        "c": (1005.0, {"law": 1005.0}),
        "d": (995.0, {"law": 995.0}),
        "e": (1000.0, {}),
        "f": (1000.0, {"general": 1004.0}),
        "g": (1008.0, {"law": 1008.0}),
        "h": (1000.0, {}),
        "i": (5.0, {"general": 1000.25}),
    }


@pytest.mark.parametrize("wrong", [{"k_factor": -1.0}, {"k_factor": float("inf")}, {"initial_rating": float("nan")}])
def test_rules_that_cannot_be(wrong: dict[str, float]):
    """A rating that is no number would be refused by the database, in the middle of a match."""
    with pytest.raises(InvalidValue, match=next(iter(wrong))):
        Rules(**wrong)
