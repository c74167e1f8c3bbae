"""Leaderboards, rank, history and head to head: with a million agents or matches as with a thousand or ten."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import sqlalchemy as sa
from grown import CALLS, both_dialects, compare, instant, numbers, run_sql
from measure import Result, Row, against, in_turns
from sqlalchemy.orm import Session

from aragora_db import Database
from aragora_db.stores import EloStore

AGENTS, MANY_AGENTS = 1_000, 1_000_000
MATCHES, MANY_MATCHES = 10_000, 1_000_000
NOTES = (
    f"Each run makes {CALLS} calls, each in a read-only unit of work. Small: {AGENTS:,} agents, {MATCHES:,} matches.",
    f"Large: {MANY_AGENTS:,} agents for leaderboard and rank, {MANY_MATCHES:,} matches of the same agents else.",
    "Bars: leaderboard at most 1.5, the other lists at most 2, rank at most 1.2 times a count(*) by hand.",
)


def measure(runs: int) -> Result:
    """Every verb on both dialects."""
    rows: list[Row] = []
    with both_dialects("elo") as dialects:
        for dialect, make in dialects.items():
            small, agents, matches = make("small"), make("agents"), make("matches")
            _fill(small, AGENTS, MATCHES)
            _fill(agents, MANY_AGENTS, 0)
            _fill(matches, AGENTS, MANY_MATCHES)
            leaders = _verb(lambda store, _number: store.leaderboard(limit=50))
            rows += compare(f"{dialect}: leaderboard top 50", small, agents, leaders, runs)
            for label, verb in VERBS.items():
                rows += compare(f"{dialect}: {label}", small, matches, _verb(verb), runs)
            rows += _rank(dialect, agents, runs)
    return Result("elo_reads", "Reading ratings and matches", tuple(rows), NOTES)


VERBS: dict[str, Callable[[EloStore, int], object]] = {
    "domain leaderboard top 50": lambda store, _number: store.domain_leaderboard("domain-1", limit=50),
    "history, 50": lambda store, number: store.history(f"agent-{number * 41}", limit=50),
    "head to head": lambda store, number: store.head_to_head(f"agent-{number * 41}", f"agent-{number * 41 + 3}"),
    "recent matches, 50": lambda store, _number: store.recent_matches(limit=50),
}


def _verb(verb: Callable[[EloStore, int], object]) -> Callable[[Database, int], object]:
    return lambda database, number: database.transact(lambda session: verb(EloStore(session), number), read_only=True)


def _rank(dialect: str, database: Database, runs: int) -> tuple[Row, ...]:
    by_hand = sa.text("SELECT count(*) + 1 FROM elo_ratings WHERE elo >= :elo AND (elo > :elo OR agent_name < :name)")
    own = sa.text("SELECT elo FROM elo_ratings WHERE agent_name = :name")

    def count(session: Session, name: str) -> int:
        rating = session.execute(own, {"name": name}).scalar_one()
        return int(session.execute(by_hand, {"elo": rating, "name": name}).scalar_one())

    def timed(verb: Callable[[Session, str], object]) -> Callable[[], float]:
        def run() -> float:
            start = perf_counter()
            for number in range(5):
                name = f"agent-{number * 199_999}"
                database.transact(lambda session, name=name: verb(session, name), read_only=True)
            return perf_counter() - start

        return run

    names = f"{dialect}: count(*) by hand among {MANY_AGENTS:,}", f"{dialect}: rank"
    actions = {names[0]: timed(count), names[1]: timed(lambda session, name: EloStore(session).rank(name))}
    return against(names[0], in_turns(actions, runs))


def _fill(database: Database, agents: int, matches: int) -> None:
    ratings = f"""{numbers(agents)} INSERT INTO elo_ratings (agent_name, elo)
        SELECT 'agent-' || (i - 1), 1000 + (i * CAST(7919 AS bigint)) % 1000003 / 1000.0 FROM n"""
    domains = """INSERT INTO elo_domain_ratings (agent_name, domain, elo)
        SELECT agent_name, domain, elo FROM elo_ratings,
        (SELECT 'domain-0' AS domain UNION SELECT 'domain-1' UNION SELECT 'domain-2') d"""
    run_sql(database, [ratings, domains, *(_matches(database, agents, matches) if matches else ())])


def _matches(database: Database, agents: int, matches: int) -> list[str]:
    pair = f"'agent-' || ((i * 7) % {agents})", f"'agent-' || ((i * 7 + 1 + i % 7) % {agents})"
    return [
        f"""{numbers(matches)} INSERT INTO elo_matches (debate_id, winner, domain, created_at)
            SELECT 'debate-' || i, {pair[0]}, 'domain-' || (i % 3), {instant(database, "i * 2")} FROM n ORDER BY i""",
        *(
            f"""{numbers(matches)}
                INSERT INTO elo_match_participants (match_id, agent_name, position, score, elo_change)
                SELECT m.id, {agent}, {position}, {1 - position}, {8 - 16 * position}
                FROM n JOIN elo_matches m ON m.debate_id = 'debate-' || i"""
            for position, agent in enumerate(pair)
        ),
        """INSERT INTO elo_history (agent_name, elo, debate_id, created_at)
            SELECT p.agent_name, 1500 + p.elo_change, m.debate_id, m.created_at
            FROM elo_match_participants p JOIN elo_matches m ON m.id = p.match_id""",
        """INSERT INTO elo_head_to_head (agent_a, agent_b, matches, a_wins, b_wins, draws)
            SELECT a.agent_name, b.agent_name, count(*), count(*), 0, 0 FROM elo_match_participants a
            JOIN elo_match_participants b ON b.match_id = a.match_id AND a.agent_name < b.agent_name GROUP BY 1, 2""",
    ]
