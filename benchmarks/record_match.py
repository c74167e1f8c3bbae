"""One match of two agents: `EloStore.record_match` in `Database.transact` against the driver by hand."""

from __future__ import annotations

import itertools
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import psycopg
from measure import Result, Row, against, in_turns

from aragora_db import Database
from aragora_db.rules import elo
from aragora_db.stores import EloStore
from aragora_db.testing.client import OwnKeeper, ask
from aragora_db.testing.databases import create_database

MATCHES = 100  # of each run
AGENTS = [f"agent-{number}" for number in range(12)]

Record = Callable[[str, str, str], None]


def measure(runs: int) -> Result:
    """Both dialects, ours and the bare driver in turns, in this process, on one connection each."""
    rows: list[Row] = []
    notes = [
        f"Each run records {MATCHES} matches of two agents out of {len(AGENTS)}, in a domain. The ratio is of times,",
        "the rate is its inverse. The peer writes the same rows one statement after the other: match, participants,",
        "ratings, history, domain ratings, head to head. Bars: at least 0.9 of the rate on PostgreSQL (a ratio of 1.11",
        "or less), with pre-ping on our side; at least 0.4 on SQLite (2.5 or less).",
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "matches.db"
        rows += _against("sqlite3", f"sqlite:///{path}", lambda: _sqlite(path), runs)
    with closing(OwnKeeper()) as keeper:
        server = ask(keeper.control, "postgresql")
        if isinstance(server, str):
            notes.append(f"Without PostgreSQL: {server}")
        else:
            url = create_database(server["admin_url"], "bench_record_match")
            rows += _against("psycopg", url, lambda: _postgresql(url), runs)
    return Result("record_match", "record_match, 2 agents", tuple(rows), notes=tuple(notes))


def _against(driver: str, url: str, connect: Callable[[], Record], runs: int) -> tuple[Row, ...]:
    database = Database(url)
    database.migrate()
    numbers = itertools.count()
    by_hand = connect()

    def ours(debate_id: str, a: str, b: str) -> None:
        database.transact(lambda session: EloStore(session).record_match(debate_id, [a, b], {a: 1.0, b: 0.4}, "x"))

    def run(record: Record) -> Callable[[], float]:
        def timed() -> float:
            pairs = list(_pairs(next(numbers)))
            start = perf_counter()
            for debate_id, a, b in pairs:
                record(debate_id, a, b)
            return perf_counter() - start

        return timed

    seconds = in_turns({f"{driver}: by hand": run(by_hand), f"{driver}: record_match": run(ours)}, runs)
    database.close()
    return against(f"{driver}: by hand", seconds)


def _pairs(run: int) -> Iterator[tuple[str, str, str]]:
    for number in range(MATCHES):
        a = AGENTS[number % len(AGENTS)]
        b = AGENTS[(number * 5 + 1 + number // len(AGENTS)) % len(AGENTS)]
        yield f"debate-{run}-{number}", a, b if a != b else AGENTS[(number + 1) % len(AGENTS)]


def _changes(ratings: dict[str, float], a: str, b: str) -> dict[str, float]:
    return elo.pairwise_changes(ratings, {a: 1.0, b: 0.4})


def _sqlite(path: Path) -> Record:
    connection = sqlite3.connect(path, isolation_level=None)
    # As the engine sets them.
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON", "busy_timeout = 30000"):
        connection.execute(f"PRAGMA {pragma}")

    def record(debate_id: str, a: str, b: str) -> None:
        now = datetime.now(UTC).isoformat(" ", "microseconds")
        execute = connection.execute
        execute("BEGIN IMMEDIATE")
        if execute("SELECT 1 FROM elo_matches WHERE debate_id = ?", (debate_id,)).fetchone():
            execute("ROLLBACK")
            return
        ratings: dict[str, float] = {}
        for name in sorted((a, b)):
            execute(
                "INSERT INTO elo_ratings (agent_name, updated_at) VALUES (?, ?) ON CONFLICT DO NOTHING", (name, now)
            )
            ratings[name] = execute("SELECT elo FROM elo_ratings WHERE agent_name = ?", (name,)).fetchone()[0]
        changes = _changes(ratings, a, b)
        (match_id,) = execute(
            "INSERT INTO elo_matches (debate_id, winner, domain, confidence_weight, created_at) "
            "VALUES (?, ?, 'x', 1.0, ?) RETURNING id",
            (debate_id, a, now),
        ).fetchone()
        for position, name in enumerate((a, b)):
            change = changes[name]
            execute(
                "UPDATE elo_ratings SET elo = elo + ?, debates_count = debates_count + 1, wins = wins + ?, "
                "losses = losses + ?, updated_at = ? WHERE agent_name = ?",
                (change, position == 0, position == 1, now, name),
            )
            execute(
                "INSERT INTO elo_match_participants (match_id, agent_name, position, score, elo_change, k_multiplier) "
                "VALUES (?, ?, ?, ?, ?, 1.0)",
                (match_id, name, position, 1.0 - 0.6 * position, change),
            )
            execute(
                "INSERT INTO elo_history (agent_name, elo, debate_id, created_at) VALUES (?, ?, ?, ?)",
                (name, ratings[name] + change, debate_id, now),
            )
            execute(
                "INSERT INTO elo_domain_ratings (agent_name, domain, elo) VALUES (?, 'x', ?) "
                "ON CONFLICT (agent_name, domain) DO UPDATE SET elo = elo + ?",
                (name, 1500 + change, change),
            )
        execute(
            "INSERT INTO elo_head_to_head (agent_a, agent_b, matches, a_wins, b_wins) VALUES (?, ?, 1, ?, ?) "
            "ON CONFLICT (agent_a, agent_b) DO UPDATE SET matches = matches + 1, a_wins = a_wins + excluded.a_wins, "
            "b_wins = b_wins + excluded.b_wins",
            (min(a, b), max(a, b), a < b, b < a),
        )
        execute("COMMIT")

    return record


def _postgresql(url: str) -> Record:
    connection = psycopg.connect(url)

    def record(debate_id: str, a: str, b: str) -> None:
        now = datetime.now(UTC)
        execute = connection.execute
        if execute("SELECT 1 FROM elo_matches WHERE debate_id = %s", (debate_id,)).fetchone():
            connection.rollback()
            return
        ratings = dict(
            execute(
                "SELECT agent_name, elo FROM elo_ratings WHERE agent_name = ANY (%s) ORDER BY agent_name FOR UPDATE",
                ([a, b],),
            ).fetchall()
        )
        for name in sorted({a, b} - ratings.keys()):
            execute("INSERT INTO elo_ratings (agent_name) VALUES (%s)", (name,))
            ratings[name] = 1500.0
        changes = _changes(ratings, a, b)
        (match_id,) = execute(
            "INSERT INTO elo_matches (debate_id, winner, domain, confidence_weight, created_at) "
            "VALUES (%s, %s, 'x', 1.0, %s) RETURNING id",
            (debate_id, a, now),
        ).fetchone()
        for position, name in enumerate((a, b)):
            change = changes[name]
            execute(
                "UPDATE elo_ratings SET elo = elo + %s, debates_count = debates_count + 1, wins = wins + %s, "
                "losses = losses + %s, updated_at = %s WHERE agent_name = %s",
                (change, 1 - position, position, now, name),
            )
            execute(
                "INSERT INTO elo_match_participants (match_id, agent_name, position, score, elo_change, k_multiplier) "
                "VALUES (%s, %s, %s, %s, %s, 1.0)",
                (match_id, name, position, 1.0 - 0.6 * position, change),
            )
            execute(
                "INSERT INTO elo_history (agent_name, elo, debate_id, created_at) VALUES (%s, %s, %s, %s)",
                (name, ratings[name] + change, debate_id, now),
            )
            execute(
                "INSERT INTO elo_domain_ratings AS t (agent_name, domain, elo) VALUES (%s, 'x', %s) "
                "ON CONFLICT (agent_name, domain) DO UPDATE SET elo = t.elo + %s",
                (name, 1500 + change, change),
            )
        execute(
            "INSERT INTO elo_head_to_head AS t (agent_a, agent_b, matches, a_wins, b_wins) VALUES (%s, %s, 1, %s, %s) "
            "ON CONFLICT (agent_a, agent_b) DO UPDATE SET matches = t.matches + 1, "
            "a_wins = t.a_wins + excluded.a_wins, b_wins = t.b_wins + excluded.b_wins",
            (min(a, b), max(a, b), int(a < b), int(b < a)),
        )
        connection.commit()

    return record
