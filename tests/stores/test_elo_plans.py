"""How ratings are read when there are many. A failure here is a page that gets slower with every agent and match."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db import Database
from aragora_db.models import (
    EloAgentRelationship,
    EloDomainRating,
    EloHeadToHead,
    EloHistory,
    EloMatch,
    EloMatchParticipant,
    EloRating,
)
from aragora_db.stores import EloStore, NewInteraction, RelationshipStore

pytestmark = pytest.mark.slow

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
AGENTS, EVENTS, MATCHES, PAIRS = 20_000, 20_000, 8_000, 8_000

Collect = Callable[[Database], AbstractContextManager[list[Any]]]


def agent(number: int) -> str:
    """The name of an agent; the numbers of agents go round."""
    return f"agent-{number % AGENTS:05}"


def rows() -> Iterator[tuple[Any, list[dict[str, Any]]]]:
    """Tables as after some years: many agents, few of whom are in everything."""
    names = range(AGENTS)
    yield EloRating, [{"agent_name": agent(i), "elo": 1000.0 + (i * 7919 % AGENTS) / 10} for i in names]
    # Every second agent, so that a domain is not the whole table.
    domains = [{"agent_name": agent(i), "domain": f"d{i % 10}", "elo": 1400.0 + i * 7919 % 300} for i in names]
    yield EloDomainRating, domains[::2]
    times = [NOON + timedelta(seconds=i) for i in range(EVENTS)]
    yield (
        EloHistory,
        [
            {
                "agent_name": agent(i % 400 * 31),
                "elo": 1500.0,
                "debate_id": f"verification:law:{i}v0d" if i % 200 == 0 else f"m{i}",
                "created_at": now,
            }
            for i, now in enumerate(times)
        ],
    )
    yield (
        EloMatch,
        [
            {"id": i + 1, "debate_id": f"m{i}", "domain": f"d{i % 10}", "created_at": now}
            for i, now in enumerate(times[:MATCHES])
        ],
    )
    parts = [(i + 1, agent(i * 13 + place * 7), place) for i in range(MATCHES) for place in (0, 1)]
    # Two agents meet again and again.
    parts = [(i, agent(place) if i % 20 == 0 else name, place) for i, name, place in parts]
    yield EloMatchParticipant, [{"match_id": i, "agent_name": name, "position": place} for i, name, place in parts]
    pairs = [(agent(i), agent(i + 1 + i % 7)) for i in range(PAIRS)]
    yield EloHeadToHead, [{"agent_a": a, "agent_b": b, "matches": 1} for a, b in pairs]
    yield EloAgentRelationship, [{"agent_a": a, "agent_b": b, "debate_count": 1} for a, b in pairs]


@pytest.fixture
def large(plain_database: Database) -> Database:
    """A database with tables of thousands of rows, and statistics about them."""

    def fill(session: Session) -> None:
        for model, values in rows():
            session.connection().execute(sa.insert(model.__table__), values)
        session.execute(sa.text("ANALYZE"))

    plain_database.transact(fill)
    return plain_database


READS: dict[str, Callable[[Session], Any]] = {
    "leaderboard": lambda session: EloStore(session).leaderboard(),
    "a later page": lambda session: EloStore(session).leaderboard(after=EloStore(session).leaderboard(limit=500).next),
    "domain leaderboard": lambda session: EloStore(session).domain_leaderboard("d4"),
    "a later page of a domain": lambda session: EloStore(session).domain_leaderboard(
        "d4", after=EloStore(session).domain_leaderboard("d4", limit=20).next
    ),
    "rating": lambda session: EloStore(session).rating(agent(77)),
    "ratings": lambda session: EloStore(session).get_ratings([agent(i) for i in range(5)]),
    "rank": lambda session: EloStore(session).rank(EloStore(session).leaderboard(limit=300).items[-1][0]),
    "neighbours": lambda session: EloStore(session).neighbours(agent(10_000)),
    "history": lambda session: EloStore(session).history(agent(31)),
    "events": lambda session: EloStore(session).events("verification:"),
    "events of an agent": lambda session: EloStore(session).events("verification:", agent_name=agent(0)),
    "head to head": lambda session: EloStore(session).head_to_head(agent(9), agent(4)),
    "head to head matches": lambda session: EloStore(session).head_to_head_matches(agent(0), agent(1)),
    "recent matches": lambda session: EloStore(session).recent_matches(),
    "a later page of matches": lambda session: EloStore(session).recent_matches(
        after=EloStore(session).recent_matches(limit=10).next
    ),
    "recent matches of a domain": lambda session: EloStore(session).recent_matches(domain="d3"),
    "recent matches of an agent": lambda session: EloStore(session).recent_matches(agent_name=agent(1)),
    "learning": lambda session: EloStore(session).learning(agent(31)),
    "relationship": lambda session: RelationshipStore(session).get(agent(9), agent(4)),
    "relationships": lambda session: RelationshipStore(session).list(agent(500)),
    "rivals": lambda session: RelationshipStore(session).rivals(agent(500), min_score=0),
}

# PostgreSQL reads an index from end to end rather than the table, and only its name gives that away.
INDEXES = {
    "leaderboard": "ix_elo_ratings_leaderboard",
    "a later page": "ix_elo_ratings_leaderboard",
    "domain leaderboard": "ix_elo_domain_ratings_leaderboard",
    "a later page of a domain": "ix_elo_domain_ratings_leaderboard",
    "rank": "ix_elo_ratings_leaderboard",
    "neighbours": "ix_elo_ratings_leaderboard",
    "history": "ix_elo_history_agent",
    "events": "ix_elo_history_debate",
    "learning": "ix_elo_history_agent",
    "head to head matches": "ix_elo_match_participants_agent",
    "recent matches": "ix_elo_matches_recent",
    "a later page of matches": "ix_elo_matches_recent",
    "recent matches of a domain": "ix_elo_matches_domain",
    "recent matches of an agent": "ix_elo_match_participants_agent",
}

WRITES: dict[str, tuple[int, Callable[[Session], Any]]] = {
    "critique": (1, lambda session: EloStore(session).record_critique(agent(5), accepted=True)),
    "vote": (4, lambda session: EloStore(session).record_vote(agent(5), "d", correct=True)),
    "repeated vote": (2, lambda session: EloStore(session).record_vote(agent(5), "d", correct=True)),
    "verification": (5, lambda session: EloStore(session).record_verification(agent(5), "d5", 1, event_id="e")),
    "red team": (4, lambda session: EloStore(session).record_redteam(agent(5), 1.0, 0, 1, session_id="s")),
    "relationships": (
        1,
        lambda session: RelationshipStore(session).record_many([NewInteraction(agent(5), agent(i)) for i in (1, 2)]),
    ),
}


@pytest.mark.slow
def test_no_table_is_read_whole(
    large: Database, count_statements: Collect, plan_of: Callable[[Session, Any], Any]
) -> None:
    """Every read, and every step of a write, goes through an index on both databases."""
    works = READS | {name: work for name, (_, work) in WRITES.items()}
    for name, work in works.items():
        with large.session() as session:
            with count_statements(large) as sent:
                result = work(session)
            plans = [plan_of(session, statement) for statement in sent]
        assert getattr(result, "items", result) or name in WRITES, f"{name} found nothing, which proves nothing"
        for plan in plans:
            assert not plan.scanned, (name, plan.lines)
        lines = "\n".join(line for plan in plans for line in plan.lines)
        assert INDEXES.get(name, "") in lines, (name, lines)


def test_how_many_statements(plain_database: Database, count_statements: Collect) -> None:
    """Round trips are what a network charges for: none may creep in."""
    plain_database.transact(lambda session: session.add(EloRating(agent_name=agent(5))))
    expected = dict.fromkeys(READS, 1) | {"rank": 3, "learning": 1}
    expected |= {name: count for name, (count, _) in WRITES.items()}
    empty = {"a later page", "a later page of a domain", "a later page of matches", "rank"}
    works = READS | {name: work for name, (_, work) in WRITES.items()}
    for name, work in works.items():
        if name in empty:
            continue
        with count_statements(plain_database) as sent:
            plain_database.transact(work)
        assert len(sent) == expected[name], (name, [statement.text for statement in sent])
