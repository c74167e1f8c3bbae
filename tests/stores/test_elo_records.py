"""What happened. A mistake here mixes up agents whose names look alike, or shows matches in any order."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from aragora_db import Database
from aragora_db.errors import InvalidValue
from aragora_db.models import EloHeadToHead, EloHistory, EloMatch, EloMatchParticipant, EloRating
from aragora_db.stores import EloStore, HeadToHead, HistoryEntry
from aragora_db.testing.engines import EngineDatabase

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def store(work: Callable[[EloStore], Any]) -> Callable[[Session], Any]:
    """A unit of work over a store."""
    return lambda session: work(EloStore(session))


def all_pages(database: EngineDatabase, work: Callable[..., Any], limit: int = 2) -> list[Any]:
    """A listing, page by page, each in a transaction of its own."""
    found: list[Any] = []
    after = None
    while True:
        page = database.run(store(lambda s: work(s, limit=limit, after=after)))  # noqa: B023
        found.extend(page.items)
        after = page.next
        if after is None:
            return found


def add_match(session: Session, number: int, names: str, domain: str | None = None, minutes: int | None = None) -> None:
    """A match whose id is its number."""
    instant = NOON + timedelta(minutes=number if minutes is None else minutes)
    match = EloMatch(id=number, debate_id=f"d{number}", domain=domain, winner=names[0], created_at=instant)
    session.add(match)
    session.flush()
    for position, name in enumerate(names):
        match.participants[name] = EloMatchParticipant(agent_name=name, position=position, score=1.0 - position)


@pytest.fixture
def played(database: EngineDatabase) -> EngineDatabase:
    """Seven matches of a, b and c; two at the same time, one recorded late."""

    def fill(session: Session) -> None:
        add_match(session, 1, "ab", "law")
        add_match(session, 2, "bc")
        add_match(session, 3, "ca", "law")
        add_match(session, 4, "abc", minutes=3)
        add_match(session, 5, "ba", "law")
        add_match(session, 6, "bca")
        add_match(session, 7, "ab", "art", minutes=-5)

    database.run(fill)
    return database


def ids(matches: Any) -> list[int]:
    """The ids of matches, with a look at who took part: nothing may be left to load."""
    return [match.id for match in matches if match.participants]


def test_recent_matches(played: EngineDatabase):
    """Latest first, matches of one instant by id; a match that was recorded late takes its place in time."""
    assert ids(all_pages(played, EloStore.recent_matches)) == [6, 5, 4, 3, 2, 1, 7]
    law = lambda s, **page: s.recent_matches(domain="law", **page)  # noqa: E731
    assert ids(all_pages(played, law)) == [5, 3, 1]
    match = played.run(store(lambda s: s.recent_matches(limit=1))).items[0]
    assert (match.winner, list(match.participants), match.scores["b"]) == ("b", ["b", "c", "a"], 1.0)


def test_matches_of_one_agent(played: EngineDatabase):
    """An agent's matches come in the order in which they were recorded, for which there is an index."""
    assert ids(all_pages(played, lambda s, **page: s.recent_matches(agent_name="a", **page))) == [7, 6, 5, 4, 3, 1]
    of_domain = lambda s, **page: s.recent_matches(agent_name="a", domain="law", **page)  # noqa: E731
    assert ids(all_pages(played, of_domain, limit=1)) == [5, 3, 1]
    assert played.run(store(lambda s: s.recent_matches(agent_name="nobody"))).items == ()


def test_matches_of_two_agents(played: EngineDatabase):
    """The same matches, whoever is named first."""
    for two in ("ab", "ba"):
        both = lambda s, **page: s.head_to_head_matches(*two, **page)  # noqa: B023, E731
        assert ids(all_pages(played, both)) == [7, 6, 5, 4, 1]
    assert len(played.run(store(lambda s: s.head_to_head_matches("a", "b"))).items[1].participants) == 3
    assert played.run(store(lambda s: s.head_to_head_matches("a", "nobody"))).items == ()


def test_head_to_head(database: EngineDatabase):
    """Wins belong to whoever is asked about; a name that only begins alike is somebody else."""
    row = EloHeadToHead(agent_a="gpt-4", agent_b="grok", matches=10, a_wins=5, b_wins=2, draws=1)
    database.run(lambda session: session.add(row))
    assert database.run(store(lambda s: s.head_to_head("gpt-4", "grok"))) == HeadToHead(10, 5, 2, 1)
    assert database.run(store(lambda s: s.head_to_head("grok", "gpt-4"))) == HeadToHead(10, 2, 5, 1)
    assert database.run(store(lambda s: s.head_to_head("gpt-4o", "grok"))) == HeadToHead(0, 0, 0, 0)


def test_history(database: EngineDatabase):
    """Newest first; entries of one second, which Aragora shows in any order, by id."""
    rows = [("a", 1510.0, "d1", 0), ("b", 1490.0, "d1", 0), ("a", 1520.0, None, 1), ("a", 1515.0, "redteam_x", 1)]
    for name, elo, tag, minutes in rows:
        row = EloHistory(agent_name=name, elo=elo, debate_id=tag, created_at=NOON + timedelta(minutes=minutes))
        database.run(lambda session: session.add(row))  # noqa: B023
    found = all_pages(database, lambda s, **page: s.history("a", **page))
    assert [(entry.elo, entry.debate_id) for entry in found] == [(1515.0, "redteam_x"), (1520.0, None), (1510.0, "d1")]
    assert found[2] == HistoryEntry(found[2].id, "a", 1510.0, "d1", NOON)
    assert database.run(store(lambda s: s.history("nobody"))).items == ()


def test_events(database: EngineDatabase):
    """A prefix is text: case counts, and neither % nor _ finds anything else."""
    tags = ["verification:law:1v0d", "Verification:law:1v0d", "voting:d:correct", "redteam_s", "redteamXs", None]
    for minute, tag in enumerate(tags):
        for name in "ab":
            row = EloHistory(agent_name=name, elo=1500, debate_id=tag, created_at=NOON + timedelta(minutes=minute))
            database.run(lambda session: session.add(row))  # noqa: B023

    def found(prefix: str, agent: str | None = None) -> list[Any]:
        entries = all_pages(database, lambda s, **page: s.events(prefix, agent_name=agent, **page), limit=1)
        return [(entry.agent_name, entry.debate_id) for entry in entries]

    assert found("verification:") == [("b", tags[0]), ("a", tags[0])]
    assert found("redteam_", "a") == [("a", "redteam_s")]
    assert found("redteam", "b") == [("b", "redteamXs"), ("b", "redteam_s")]
    assert found("v%") == []


@pytest.mark.parametrize(
    "wrong",
    [
        lambda s: s.history("a", limit=0),
        lambda s: s.history("a", after="x"),
        lambda s: s.events(" "),
        lambda s: s.head_to_head("a", "a"),
        lambda s: s.head_to_head("a", "x" * 1025),
        lambda s: s.head_to_head_matches("a", "a"),
        lambda s: s.recent_matches(limit=10_001),
        # A token of another order would begin anywhere.
        lambda s: s.recent_matches(agent_name="a", after=s.recent_matches(limit=1).next),
    ],
)
def test_wrong_arguments(played: EngineDatabase, wrong: Callable[[EloStore], Any]):
    """What cannot be answered is refused, not answered with something else."""
    with pytest.raises(InvalidValue):
        played.run(store(wrong))


def test_statements_do_not_grow_with_the_page(
    plain_database: Database, count_statements: Callable[[Database], AbstractContextManager[list[Any]]]
):
    """A statement for each match would make a page of a hundred matches a hundred times slower on a network."""

    def fill(session: Session) -> None:
        session.add(EloRating(agent_name="a"))
        for number in range(1, 30):
            add_match(session, number, "abc")

    plain_database.transact(fill)
    for work, statements in (
        (lambda s: ids(s.recent_matches(limit=25).items), 2),
        (lambda s: ids(s.recent_matches(limit=25, agent_name="a").items), 2),
        (lambda s: ids(s.head_to_head_matches("a", "b", limit=25).items), 2),
        (lambda s: s.history("a"), 1),
        (lambda s: s.events("v"), 1),
        (lambda s: s.head_to_head("a", "b"), 1),
    ):
        with count_statements(plain_database) as sent:
            plain_database.transact(store(work))
        assert len(sent) == statements, [each.text for each in sent]
