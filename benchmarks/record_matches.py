"""10,000 matches at once: `EloStore.record_matches` against COPY and set-based SQL for the driver."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from time import perf_counter

import psycopg
from measure import Result, against, in_turns

from aragora_db import Database
from aragora_db.rules import elo
from aragora_db.stores import EloStore, NewMatch
from aragora_db.testing.client import OwnKeeper, ask
from aragora_db.testing.databases import create_database

MATCHES = 10_000
AGENTS = [f"agent-{number:03}" for number in range(100)]
TABLES = "elo_match_participants, elo_matches, elo_history, elo_domain_ratings, elo_head_to_head, elo_ratings"


def measure(runs: int) -> Result:
    """PostgreSQL, one connection each, every run into empty tables."""
    notes = (
        f"{MATCHES:,} matches of two agents out of {len(AGENTS)}, a third in no domain, into empty tables. The peer",
        "computes the changes with the same function, sends matches, participants and history with COPY, and the sums",
        "by agent, domain and pair through temporary tables; it does not look for repeats. Bar: at least 0.5 of its",
        "rate, a ratio of 2 or less.",
    )
    with closing(OwnKeeper()) as keeper:
        server = ask(keeper.control, "postgresql")
        if isinstance(server, str):
            return Result("record_matches", "record_matches, 10,000", (), notes=(f"Without PostgreSQL: {server}",))
        url = create_database(server["admin_url"], "bench_record_matches")
        database = Database(url)
        database.migrate()
        matches = _matches()
        with psycopg.connect(url) as connection:
            actions = {
                "psycopg: COPY and set-based SQL": lambda: _timed(connection, lambda: _by_hand(connection, matches)),
                "psycopg: record_matches": lambda: _timed(connection, lambda: _ours(database, matches)),
            }
            seconds = in_turns(actions, min(runs, 7))
        database.close()
    return Result(
        "record_matches", "record_matches, 10,000", against("psycopg: COPY and set-based SQL", seconds), notes=notes
    )


def _timed(connection: psycopg.Connection, action: Callable[[], None]) -> float:
    connection.execute(f"TRUNCATE {TABLES}")
    connection.commit()
    start = perf_counter()
    action()
    return perf_counter() - start


def _matches() -> list[NewMatch]:
    numbers = random.Random(1)  # noqa: S311 -- no cryptography here
    made = []
    for number in range(MATCHES):
        a, b = numbers.sample(AGENTS, 2)
        scores = {a: numbers.random(), b: numbers.random()}
        made.append(NewMatch(f"debate-{number}", [a, b], scores, numbers.choice(["security", "testing", None])))
    return made


def _ours(database: Database, matches: list[NewMatch]) -> None:
    database.transact(lambda session: EloStore(session).record_matches(matches))


def _by_hand(connection: psycopg.Connection, matches: list[NewMatch]) -> None:
    execute, now = connection.execute, datetime.now(UTC)
    cursor = connection.cursor()
    cursor.executemany(
        "INSERT INTO elo_ratings (agent_name) VALUES (%s) ON CONFLICT DO NOTHING", [(a,) for a in AGENTS]
    )
    ratings = dict(execute("SELECT agent_name, elo FROM elo_ratings ORDER BY agent_name FOR UPDATE").fetchall())
    (first,) = execute("SELECT coalesce(max(id), 0) + 1 FROM elo_matches").fetchone()
    rows, participants, history = [], [], []
    records, domains, pairs = defaultdict(lambda: [0, 0, 0]), defaultdict(float), defaultdict(lambda: [0, 0, 0, 0])
    for match_id, match in enumerate(matches, first):
        changes = elo.pairwise_changes(ratings, match.scores)
        winner = elo.winner(match.scores)
        rows.append((match_id, match.debate_id, winner, match.domain, 1.0, now))
        for position, name in enumerate(match.participants):
            ratings[name] += changes[name]
            participants.append((match_id, name, position, match.scores[name], changes[name], 1.0))
            history.append((name, ratings[name], match.debate_id, now))
            records[name][2 if winner is None else 0 if winner == name else 1] += 1
            if match.domain:
                domains[name, match.domain] += changes[name]
        a, b = sorted(match.participants)
        pair = pairs[a, b]
        pair[0] += 1
        pair[1 if winner == a else 2 if winner == b else 3] += 1
    _copy(cursor, "elo_matches (id, debate_id, winner, domain, confidence_weight, created_at)", rows)
    _copy(
        cursor,
        "elo_match_participants (match_id, agent_name, position, score, elo_change, k_multiplier)",
        participants,
    )
    _copy(cursor, "elo_history (agent_name, elo, debate_id, created_at)", history)
    execute("CREATE TEMPORARY TABLE r (name text, elo float8, w int, l int, d int) ON COMMIT DROP")
    execute("CREATE TEMPORARY TABLE dr (name text, domain text, change float8) ON COMMIT DROP")
    execute("CREATE TEMPORARY TABLE pr (a text, b text, n int, aw int, bw int, d int) ON COMMIT DROP")
    _copy(cursor, "r", [(name, ratings[name], *counts) for name, counts in records.items()])
    _copy(cursor, "dr", [(*key, change) for key, change in domains.items()])
    _copy(cursor, "pr", [(*key, *counts) for key, counts in pairs.items()])
    execute(
        "UPDATE elo_ratings t SET elo = r.elo, wins = wins + w, losses = losses + l, draws = draws + d, "
        "debates_count = debates_count + w + l + d, updated_at = now() FROM r WHERE t.agent_name = r.name"
    )
    execute(
        "INSERT INTO elo_domain_ratings AS t (agent_name, domain, elo) SELECT name, domain, 1500 + change FROM dr "
        "ON CONFLICT (agent_name, domain) DO UPDATE SET elo = t.elo + excluded.elo - 1500"
    )
    execute(
        "INSERT INTO elo_head_to_head AS t SELECT * FROM pr ON CONFLICT (agent_a, agent_b) DO UPDATE SET "
        "matches = t.matches + excluded.matches, a_wins = t.a_wins + excluded.a_wins, "
        "b_wins = t.b_wins + excluded.b_wins, draws = t.draws + excluded.draws"
    )
    execute("SELECT setval(pg_get_serial_sequence('elo_matches', 'id'), (SELECT max(id) FROM elo_matches))")
    connection.commit()


def _copy(cursor: psycopg.Cursor, target: str, rows: list) -> None:
    with cursor.copy(f"COPY {target} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
