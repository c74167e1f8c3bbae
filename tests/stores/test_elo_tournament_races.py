"""Tournaments that several change at the same time; what they refuse, and what they cost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db import Database
from aragora_db.errors import ConflictError, InvalidValue
from aragora_db.models import Tournament, TournamentEvent, TournamentMatch
from aragora_db.stores import EloStore, TournamentStore

Race = Callable[..., list[Any]]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
REFUSED: list[tuple[str, Callable[[TournamentStore], Any]]] = [
    ("participants", lambda s: s.create("Cup", ["a"])),
    ("participants", lambda s: s.create("Cup", ["a", "a"])),
    ("participants", lambda s: s.create("Cup", "ab")),
    ("participants", lambda s: s.create("Cup", ["a", " "])),
    ("participants", lambda s: s.create("Cup", ["a", "b" * 2000])),
    ("participants names 129", lambda s: s.create("Cup", [str(number) for number in range(129)])),
    ("one of round_robin, single_elimination", lambda s: s.create("Cup", ["a", "b"], "double_elimination")),
    ("name", lambda s: s.create("", ["a", "b"])),
    ("name", lambda s: s.create("\x00", ["a", "b"])),
    ("tournament_id", lambda s: s.create("Cup", ["a", "b"], tournament_id="")),
    ("created_at", lambda s: s.create("Cup", ["a", "b"], created_at=NOON.replace(tzinfo=None))),
    ("match_id", lambda s: s.record_result("", 1, 0)),
    ("score1", lambda s: s.record_result("m", -1, 0)),
    ("score2", lambda s: s.record_result("m", 1, float("inf"))),
    ("score2", lambda s: s.record_result("m", 1, score2=True)),
    ("debate_id", lambda s: s.record_result("m", 1, 0, " ")),
    ("tournament_id", lambda s: s.cancel(" ")),
    ("status", lambda s: s.list(status="over")),
    ("limit", lambda s: s.events("t", limit=0)),
    ("after", lambda s: s.agent_matches("a", after="x")),
]


def on(database: Database, work: Callable[[TournamentStore], Any]) -> Any:
    """One unit of work."""
    return database.transact(lambda session: work(TournamentStore(session)))


def created(database: Database, agents: str, kind: str = "round_robin") -> list[str]:
    """The matches of a new tournament."""
    on(database, lambda s: s.create("Cup", list(agents), kind, "t"))
    return [match.match_id for match in on(database, lambda s: s.matches("t")).items]


def result(match_id: str, score1: float, score2: float) -> Callable[[Session], str]:
    """A unit of work that says what became of a result."""

    def work(session: Session) -> str:
        try:
            return str(TournamentStore(session).record_result(match_id, score1, score2).winner)
        except ConflictError:
            return "conflict"

    return work


def events(database: Database) -> list[str]:
    """What happened."""
    return sorted(event.event_type for event in on(database, lambda s: s.events("t")).items)


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_refused(plain_database: Database, number: int):
    """The argument is named, and nothing was written."""
    argument, work = REFUSED[number]
    with pytest.raises(InvalidValue, match=argument):
        on(plain_database, work)
    for model in (Tournament, TournamentMatch, TournamentEvent):
        assert not plain_database.transact(lambda session: session.scalars(sa.select(model)).all())  # noqa: B023


def test_two_results_of_one_match(plain_database: Database, race: Race):
    """One wins, the other is told; the tournament ends once."""
    (match,) = created(plain_database, "ab")
    said = race([result(match, 1, 0), result(match, 0, 1)])
    assert sorted(said) in (["a", "conflict"], ["b", "conflict"])
    assert events(plain_database) == ["completed", "created", "match_completed"]


def test_the_same_result_from_two(plain_database: Database, race: Race):
    """A retried message is handled by four workers: recorded once."""
    (match,) = created(plain_database, "ab")
    assert race([result(match, 1, 0)] * 4) == ["a"] * 4
    assert events(plain_database) == ["completed", "created", "match_completed"]


def test_all_results_at_once(plain_database: Database, race: Race):
    """Whoever comes last ends the tournament: exactly one does, and no round is lost."""
    matches = created(plain_database, "abcd")
    race([result(match, 1, 0) for match in matches])
    found = on(plain_database, lambda s: s.get("t"))
    assert (found.status.value, found.rounds_completed) == ("completed", 3)
    assert events(plain_database) == ["completed", "created", *["match_completed"] * 6]


def test_the_last_results_of_a_round(plain_database: Database, race: Race):
    """Both end the first round, as far as each can see: the next one is made exactly once."""
    matches = created(plain_database, "abcd", "single_elimination")
    race([result(match, 1, 0) for match in matches])
    left = on(plain_database, lambda s: s.matches("t", completed=False)).items
    assert [(match.round_num, match.agent1 + match.agent2) for match in left] == [(2, "ac")]
    found = on(plain_database, lambda s: s.get("t"))
    assert (found.status.value, found.rounds_completed) == ("in_progress", 1)
    assert events(plain_database) == ["created", "match_completed", "match_completed", "round_advanced"]


def test_created_by_two(plain_database: Database, race: Race):
    """The same tournament from four workers: one, with its matches once."""
    race([lambda session: TournamentStore(session).create("Cup", ["a", "b"], tournament_id="t").name] * 4)
    assert len(on(plain_database, lambda s: s.matches("t")).items) == 1
    assert events(plain_database) == ["created"]


def test_cancelled_by_two(plain_database: Database, race: Race):
    """Exactly one is told that it was the one; a result comes before it or not at all."""
    match = created(plain_database, "abc")[0]
    cancel: list[Callable[[Session], Any]] = [lambda session: TournamentStore(session).cancel("t")] * 2
    first, second, said = race([*cancel, result(match, 1, 0)])
    assert sorted([first, second]) == [False, True]
    assert events(plain_database) == sorted(
        ["cancelled", "created", *(["match_completed"] if said != "conflict" else [])]
    )


def test_a_session_sees_what_it_did(plain_database: Database):
    """Rows that were read before a verb are fresh after it, and what is pending is written first."""

    def work(session: Session) -> tuple[Any, ...]:
        store = TournamentStore(session)
        tournament = store.create("Cup", ["a", "b", "c"], tournament_id="t")
        matches = store.matches("t").items
        for match in matches:
            store.record_result(match.match_id, 1, 0)
        ended = tournament.status.value, tournament.rounds_completed, [match.winner for match in matches]
        session.add(Tournament(tournament_id="u", name="Cup", participants=["a", "b"]))
        assert store.cancel("u")
        return ended

    assert plain_database.transact(work) == ("completed", 3, ["b", "a", "a"])


def test_a_result_and_its_ratings(plain_database: Database):
    """The example of the documentation: both in one unit of work, linked by the debate."""
    (match,) = created(plain_database, "ab")

    def work(session: Session) -> dict[str, float]:
        factors = {"a": 1.5, "b": 1.5}
        changes = EloStore(session).record_match("d1", ["a", "b"], {"a": 1.0, "b": 0.4}, k_multipliers=factors)
        TournamentStore(session).record_result(match, 1.0, 0.4, debate_id="d1")
        return changes

    change = 1.5 * 32 * (1 / 1.4 - 0.5)
    assert plain_database.transact(work) == {"a": pytest.approx(change), "b": pytest.approx(-change)}
    assert on(plain_database, lambda s: s.matches("t")).items[0].debate_id == "d1"


def test_the_largest_tournament(plain_database: Database, count_statements: Callable[..., Any]):
    """All 8,128 matches of 128 agents are written at once, and a result costs as much as in a small one."""
    plain_database.ensure_ready()
    agents = [f"agent-{number}" for number in range(128)]
    with count_statements(plain_database) as sent:
        on(plain_database, lambda s: s.create("Cup", agents, tournament_id="t"))
    assert len(sent) == 3
    page = on(plain_database, lambda s: s.matches("t", limit=10_000))
    assert (len(page.items), page.next) == (8128, None)
    with count_statements(plain_database) as sent:
        on(plain_database, lambda s: s.record_result(page.items[0].match_id, 1, 0))
    assert len(sent) <= 5
    assert len(on(plain_database, lambda s: s.standings("t"))) == 128
