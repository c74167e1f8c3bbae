"""Who is best. A mistake here shows another order every time, or an agent twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.orm import Session

from aragora_db.errors import InvalidValue
from aragora_db.models import EloDomainRating, EloMatch, EloRating
from aragora_db.stores import EloStats, EloStore, Neighbours, Standing
from aragora_db.testing.engines import EngineDatabase

# Two share a rating, and two names begin alike: the order must be by name, code point by code point.
RATED = {"claude": 1600.0, "gpt-4": 1550.0, "gpt-4o": 1550.0, "Zeno": 1550.0, "grok": 1500.0, "mistral": 99.5}
ORDER = ["claude", "Zeno", "gpt-4", "gpt-4o", "grok", "mistral"]


def store(work: Callable[[EloStore], Any]) -> Callable[[Session], Any]:
    """A unit of work over a store."""
    return lambda session: work(EloStore(session))


@pytest.fixture
def rated(database: EngineDatabase) -> EngineDatabase:
    """Six agents, three of them rated in a domain, and a match."""

    def fill(session: Session) -> None:
        session.add_all(EloRating(agent_name=name, elo=elo, wins=2, losses=1) for name, elo in RATED.items())
        session.flush()
        for name, domain, elo in (("grok", "law", 1700), ("Zeno", "law", 1400), ("gpt-4", "law", 1400)):
            session.add(EloDomainRating(agent_name=name, domain=domain, elo=elo))
        session.add_all([EloDomainRating(agent_name="grok", domain="art"), EloMatch(debate_id="d")])

    database.run(fill)
    return database


def all_pages(database: EngineDatabase, name: str, *arguments: Any, limit: int = 2) -> list[Standing]:
    """A leaderboard, page by page, each in a transaction of its own."""
    found: list[Standing] = []
    after = None
    while True:
        page = database.run(store(lambda s: getattr(s, name)(*arguments, limit=limit, after=after)))  # noqa: B023
        found.extend(page.items)
        after = page.next
        if after is None:
            return found


def test_leaderboard(rated: EngineDatabase):
    """Equal ratings are ordered by name, so that two pages never show one agent twice or leave one out."""
    page = rated.run(store(lambda s: s.leaderboard()))
    assert page.next is None
    assert [standing.agent_name for standing in page.items] == ORDER
    assert page.items[0] == Standing("claude", 1600.0, 2, 1, 0, 0)
    for limit in (1, 2, 5):
        assert tuple(all_pages(rated, "leaderboard", limit=limit)) == page.items


def test_domain_leaderboard(rated: EngineDatabase):
    """Only who was rated in the domain: Aragora fills the list up with overall ratings, which mean something else."""
    standings = all_pages(rated, "domain_leaderboard", "law", limit=1)
    assert [(each.agent_name, each.elo) for each in standings] == [("grok", 1700), ("Zeno", 1400), ("gpt-4", 1400)]
    assert standings[0].wins == 2
    assert rated.run(store(lambda s: s.domain_leaderboard("chess"))).items == ()


def test_ranks(rated: EngineDatabase):
    """An agent's rank is its place in the list, also among equals."""
    assert [rated.run(store(lambda s: s.rank(name))) for name in ORDER] == [1, 2, 3, 4, 5, 6]  # noqa: B023
    assert rated.run(store(lambda s: s.rank("nobody"))) is None


@pytest.mark.parametrize("above", [0, 1, 3])
@pytest.mark.parametrize("below", [0, 2, 3])
def test_neighbours(rated: EngineDatabase, above: int, below: int):
    """Who stands next to an agent is what the leaderboard says, at its ends too."""
    board = rated.run(store(lambda s: s.leaderboard())).items
    for place, standing in enumerate(board):
        found = rated.run(store(lambda s: s.neighbours(standing.agent_name, above=above, below=below)))  # noqa: B023
        before, after = board[max(0, place - above) : place], board[place + 1 : place + 1 + below]
        assert found == Neighbours(before, standing, after)
    assert rated.run(store(lambda s: s.neighbours("nobody"))) is None


def test_ratings(rated: EngineDatabase):
    """A look must not create an agent, and must come with the domains: they cannot be loaded after the session."""
    found = rated.run(store(lambda s: s.get_ratings(["grok", "nobody", "Zeno", "grok"])))
    assert list(found) == ["grok", "Zeno"]
    assert found["grok"].domain_elos == {"law": 1700.0, "art": 1500.0}
    assert rated.run(store(lambda s: s.rating("Zeno"))).domain_elos == {"law": 1400.0}
    assert rated.run(store(lambda s: s.rating("claude"))).domain_elos == {}
    assert rated.run(store(lambda s: s.rating("nobody"))) is None
    assert rated.run(store(lambda s: s.get_ratings([]))) == {}


def test_what_the_session_holds_is_read_again(rated: EngineDatabase):
    """Matches change ratings past the session's objects: a unit of work that looks twice must see its own work."""

    def work(session: Session) -> tuple[float, dict[str, float]]:
        ratings = EloStore(session)
        held = ratings.rating("grok")
        held.wins = 9
        table: Any = EloRating.__table__
        session.execute(table.update().where(table.c.agent_name == "grok").values(elo=1.0))
        assert ratings.rating("grok") is held
        return held.elo, held.wins, dict(held.domain_elos)

    assert rated.run(work) == (1.0, 9, {"law": 1700.0, "art": 1500.0})


def test_stats(rated: EngineDatabase):
    """One look at everything; numbers, not the database's decimals."""
    stats = rated.run(store(lambda s: s.stats()))
    assert stats == EloStats(6, pytest.approx(sum(RATED.values()) / 6), 1600.0, 99.5, 1)
    assert [type(number) for number in stats] == [int, float, float, float, int]


def test_nobody_is_rated(database: EngineDatabase):
    """A new installation has no best agent, and no invented numbers."""
    assert database.run(store(lambda s: s.stats())) == EloStats(0, None, None, None, 0)
    assert database.run(store(lambda s: s.leaderboard())).items == ()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda s: s.leaderboard(limit=0),
        lambda s: s.leaderboard(after="bm90aGluZw=="),
        lambda s: s.domain_leaderboard("law", limit=10_001),
        lambda s: s.neighbours("a", above=-1),
        lambda s: s.neighbours("a", below=10_001),
        lambda s: s.get_ratings(f"a{number}" for number in range(10_001)),
        lambda s: s.rating("x" * 1025),
        lambda s: s.rank("x\x00"),
    ],
)
def test_wrong_arguments(database: EngineDatabase, wrong: Callable[[EloStore], Any]):
    """A limit that nobody checked reads the table whole; a name that no row can have is a mistake of the caller."""
    with pytest.raises(InvalidValue):
        database.run(store(wrong))


def test_a_page_is_stable(rated: EngineDatabase):
    """Agents that are rated while somebody pages neither appear twice nor push others out."""
    first = rated.run(store(lambda s: s.leaderboard(limit=3)))
    rated.run(
        lambda session: session.add_all([EloRating(agent_name="new", elo=1900), EloRating(agent_name="n", elo=1)])
    )
    rest = rated.run(store(lambda s: s.leaderboard(after=first.next)))
    assert [each.agent_name for each in rest.items] == [*ORDER[3:], "n"]
