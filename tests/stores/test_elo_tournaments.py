"""Tournaments from the first match to the last. A mistake here ends one too early, or never."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from aragora_db.errors import ConflictError, InvalidValue, NotFoundError
from aragora_db.models import Tournament, TournamentMatch
from aragora_db.rules.tournaments import TournamentStanding
from aragora_db.stores import TournamentStore
from aragora_db.testing.engines import EngineDatabase

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)


def store(work: Callable[[TournamentStore], Any]) -> Callable[[Session], Any]:
    """A unit of work over a store."""
    return lambda session: work(TournamentStore(session))


def create(agents: str, kind: str = "round_robin", id_: str = "t") -> Callable[[Session], Any]:
    """A unit of work that creates a tournament of agents with names of one letter."""
    return store(lambda s: s.create("Cup", list(agents), kind, id_, created_at=NOON))


def open_matches(database: EngineDatabase, id_: str = "t") -> list[TournamentMatch]:
    """What is left to play."""
    return list(database.run(store(lambda s: s.matches(id_, completed=False))).items)


def play_first(database: EngineDatabase, score1: float, score2: float, id_: str = "t") -> TournamentMatch:
    """Record a result of the first match that is left."""
    match_id = open_matches(database, id_)[0].match_id
    return database.run(store(lambda s: s.record_result(match_id, score1, score2)))


def state(database: EngineDatabase, id_: str = "t") -> tuple[str, int, int]:
    """How far a tournament has come."""
    found = database.run(store(lambda s: s.get(id_)))
    return found.status.value, found.rounds_completed, found.total_rounds


def happened(database: EngineDatabase, id_: str = "t") -> list[str]:
    """The events of a tournament."""
    return [event.event_type for event in database.run(store(lambda s: s.events(id_))).items]


def test_created(database: EngineDatabase):
    """All matches of all rounds, and the event that tells of it."""
    created = database.run(create("abcd"))
    assert (created.tournament_id, created.name, created.participants) == ("t", "Cup", list("abcd"))
    assert (created.bracket_type, created.created_at) == ("round_robin", NOON)
    assert state(database) == ("pending", 0, 3)
    assert [(m.round_num, m.bracket_position, m.agent1 + m.agent2) for m in open_matches(database)] == [
        *((1, 0, "ad"), (1, 1, "bc"), (2, 0, "ac"), (2, 1, "bd"), (3, 0, "ab"), (3, 1, "cd")),
    ]
    (event,) = database.run(store(lambda s: s.events("t"))).items
    assert (event.event_type, event.timestamp) == ("created", NOON)
    assert event.details == {"name": "Cup", "participants": list("abcd"), "bracket_type": "round_robin"}
    named = database.run(store(lambda s: s.create("Cup", ["a", "b"]))).tournament_id
    assert len(named) == len("tournament_") + 32


def test_created_again(database: EngineDatabase):
    """A retry finds the tournament, also when it has begun; another one with its id is refused."""
    database.run(create("abc"))
    play_first(database, 1, 0)
    assert database.run(create("abc")).status.value == "in_progress"
    for agents, kind in (("acb", "round_robin"), ("abc", "single_elimination"), ("abcd", "round_robin")):
        with pytest.raises(ConflictError, match="choose another id"):
            database.run(create(agents, kind))
    assert (len(open_matches(database)), happened(database)) == (2, ["created", "match_completed"])


def test_round_robin_to_the_end(database: EngineDatabase):
    """In any order: a round counts when its last match is over, the tournament ends with the last one of all."""
    database.run(create("abc"))
    first, second, third = open_matches(database)
    assert [match.agent1 + match.agent2 for match in (first, second, third)] == ["bc", "ac", "ab"]
    done = database.run(store(lambda s: s.record_result(third.match_id, 0.5, 0.5, "d3", completed_at=LATER)))
    assert (done.winner, done.score1, done.score2, done.debate_id, done.completed_at) == (None, 0.5, 0.5, "d3", LATER)
    assert state(database) == ("in_progress", 1, 3)
    assert database.run(store(lambda s: s.record_result(first.match_id, 0.4, 1))).winner == "c"
    assert state(database) == ("in_progress", 2, 3)
    assert database.run(store(lambda s: s.record_result(second.match_id, 3, 0, completed_at=LATER))).winner == "a"
    assert state(database) == ("completed", 3, 3)
    assert sorted(happened(database)) == sorted(["created", *["match_completed"] * 3, "completed"])
    assert database.run(store(lambda s: s.standings("t"))).items == (
        TournamentStanding("a", 1.5, 1, 0, 1, 3.5),
        TournamentStanding("c", 1.0, 1, 1, 0, 1.0),
        TournamentStanding("b", 0.5, 0, 1, 1, 0.9),
    )


def test_events_of_one_time_are_in_order(database: EngineDatabase):
    """What was recorded with one time is listed as it happened, page by page."""
    database.run(create("abc"))
    for match in open_matches(database):
        database.run(store(lambda s: s.record_result(match.match_id, 1, 0, completed_at=NOON)))  # noqa: B023
    assert happened(database) == ["created", *["match_completed"] * 3, "completed"]
    page = database.run(store(lambda s: s.events("t", limit=4)))
    rest = database.run(store(lambda s: s.events("t", after=page.next))).items
    assert [event.event_type for event in rest] == ["completed"]


def test_results_are_recorded_once(database: EngineDatabase):
    """The same again changes nothing; another result is refused, as is another debate."""
    database.run(create("ab"))
    id_ = open_matches(database)[0].match_id
    for _ in range(3):
        match = database.run(store(lambda s: s.record_result(id_, 1, 0.4, "d", completed_at=NOON)))
        assert (match.winner, match.completed_at) == ("a", NOON)
    assert state(database) == ("completed", 1, 1)
    for arguments in ((0.4, 1, "d"), (1, 0.4, "e"), (1, 0.4)):
        with pytest.raises(ConflictError, match=r"ended 1\.0 to 0\.4"):
            database.run(store(lambda s: s.record_result(id_, *arguments)))  # noqa: B023
    assert happened(database) == ["created", "match_completed", "completed"]


@pytest.mark.parametrize(
    ("agents", "matches"), [("ab", [1]), ("abc", [1, 1]), ("abcdef", [2, 2, 1]), ("abcdefgh", [4, 2, 1])]
)
def test_single_elimination_to_the_end(database: EngineDatabase, agents: str, matches: list[int]):
    """Each round follows from the one before; the one who is left has won."""
    database.run(create(agents, "single_elimination"))
    for number, count in enumerate(matches, 1):
        left = open_matches(database)
        assert [match.round_num for match in left] == [number] * count
        for match in reversed(left):
            # The later letter wins.
            database.run(store(lambda s: s.record_result(match.match_id, 0, 1, completed_at=LATER)))  # noqa: B023
        ended = number == len(matches)
        assert state(database) == ("completed" if ended else "in_progress", number, len(matches))
    events = database.run(store(lambda s: s.events("t"))).items
    assert [event.details for event in events if event.event_type == "round_advanced"] == [
        {"from_round": number, "to_round": number + 1, "matches_created": count}
        for number, count in enumerate(matches[1:], 1)
    ]
    assert (events[-1].event_type, events[-1].details) == ("completed", {"final_winner": agents[-1]})
    assert len(database.run(store(lambda s: s.matches("t"))).items) == len(agents) - 1


def test_who_goes_through(database: EngineDatabase):
    """Six agents: the last two do not play in the first round, and meet in the second."""
    database.run(create("abcdef", "single_elimination"))
    assert [match.agent1 + match.agent2 for match in open_matches(database)] == ["ab", "cd"]
    for match in open_matches(database):
        database.run(store(lambda s: s.record_result(match.match_id, 2, 1)))  # noqa: B023
    found = [(match.bracket_position, match.agent1 + match.agent2) for match in open_matches(database)]
    assert found == [(0, "ac"), (1, "ef")]


def test_no_draw_in_an_elimination(database: EngineDatabase):
    """Somebody has to go through: a draw is refused, and nothing was written."""
    database.run(create("ab", "single_elimination"))
    with pytest.raises(InvalidValue, match="no draws"):
        play_first(database, 1, 1)
    assert (state(database), happened(database)) == (("pending", 0, 1), ["created"])


def test_cancelled(database: EngineDatabase):
    """Results stay, no more are taken; a completed tournament is not cancelled."""
    database.run(create("abc"))
    first, second, _ = open_matches(database)
    database.run(store(lambda s: s.record_result(first.match_id, 1, 0)))
    assert database.run(store(lambda s: s.cancel("t"))) is True
    assert database.run(store(lambda s: s.cancel("t"))) is False
    assert database.run(store(lambda s: s.record_result(first.match_id, 1, 0))).winner == "b"
    with pytest.raises(ConflictError, match="is cancelled"):
        database.run(store(lambda s: s.record_result(second.match_id, 1, 0)))
    assert happened(database) == ["created", "match_completed", "cancelled"]
    database.run(create("ab", id_="u"))
    play_first(database, 1, 0, "u")
    with pytest.raises(ConflictError, match="is completed"):
        database.run(store(lambda s: s.cancel("u")))


def test_nothing_there(database: EngineDatabase):
    """What is not there is not changed, and the message says where to look."""
    for work in (
        lambda s: s.record_result("m", 1, 0),
        lambda s: s.cancel("t"),
        lambda s: s.standings("t"),
    ):
        with pytest.raises(NotFoundError, match="look for its id"):
            database.run(store(work))
    assert database.run(store(lambda s: s.get("t"))) is None
    assert database.run(store(lambda s: s.matches("t"))).items == ()


def test_lists(database: EngineDatabase):
    """Newest first, by status, and an agent's matches over all tournaments, page by page."""
    for number, agents in enumerate(("abc", "ab", "bc", "ad")):
        instant = NOON + timedelta(minutes=number // 2)
        database.run(store(lambda s: s.create("C", list(agents), tournament_id=f"t{number}", created_at=instant)))  # noqa: B023
    page = database.run(store(lambda s: s.list(limit=3)))
    rest = database.run(store(lambda s: s.list(after=page.next)))
    assert [found.tournament_id for found in (*page.items, *rest.items)] == ["t3", "t2", "t1", "t0"]
    database.run(store(lambda s: s.cancel("t2")))
    pending = database.run(store(lambda s: s.list(status="pending"))).items
    assert [found.tournament_id for found in pending] == ["t3", "t1", "t0"]
    play_first(database, 1, 0, "t1")

    def of_a(limit: int, after: str | None = None, completed: bool | None = None) -> Any:
        page = database.run(store(lambda s: s.agent_matches("a", limit=limit, after=after, completed=completed)))
        return [(match.tournament_id, match.agent1 + match.agent2) for match in page.items], page.next

    first, after = of_a(2)
    second, last = of_a(10, after)
    assert (first + second, last) == ([("t3", "ad"), ("t0", "ac"), ("t0", "ab"), ("t1", "ab")], None)
    assert of_a(10, completed=True)[0] == [("t1", "ab")]
    assert of_a(10, completed=False)[0] == [("t3", "ad"), ("t0", "ac"), ("t0", "ab")]
    page = database.run(store(lambda s: s.matches("t0", limit=2)))
    rest = database.run(store(lambda s: s.matches("t0", after=page.next)))
    assert [match.round_num for match in (*page.items, *rest.items)] == [1, 2, 3]


def test_tournaments_of_others(database: EngineDatabase):
    """Those that were moved here: all matches in round 1 of four, or a bracket type that cannot be played."""

    def move(session: Session) -> None:
        session.add(Tournament(tournament_id="t", name="Cup", participants=list("abc"), total_rounds=2))
        doubles = {"bracket_type": "double_elimination", "participants": ["a", "b"], "total_rounds": 2}
        session.add(Tournament(tournament_id="u", name="Cup", **doubles))
        session.flush()
        for number, pair in enumerate(("ab", "ac", "bc")):
            agents = {"agent1": pair[0], "agent2": pair[1]}
            row = TournamentMatch(match_id=pair, tournament_id="t", round_num=1, bracket_position=number, **agents)
            session.add(row)
        session.add(TournamentMatch(match_id="m", tournament_id="u", round_num=1, agent1="a", agent2="b"))

    database.run(move)
    for match in open_matches(database):
        database.run(store(lambda s: s.record_result(match.match_id, 1, 0)))  # noqa: B023
    assert state(database) == ("completed", 2, 2)
    with pytest.raises(ConflictError, match="is a double_elimination"):
        database.run(store(lambda s: s.record_result("m", 1, 0)))
