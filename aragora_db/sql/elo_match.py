"""One match written in as few round trips as each database allows, behind `write_match`.

PostgreSQL gets one statement, where a person writes a dozen; SQLite has no network to save, and gets one batch of short
ones. Measured in ``benchmarks/results/record_match.md``; why, in ``docs/decisions/0018-one-match.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from aragora_db.engine.batch import run_batch
from aragora_db.engine.dialects import by_dialect
from aragora_db.rules import elo
from aragora_db.types import Double, Integer, Key, UtcDateTime

__all__ = ["Match", "write_match"]


@dataclass(frozen=True)
class Match:
    """A match that was checked: finite scores, names that a key column takes.

    Attributes:
        names: the participants in the order given.
        multipliers: by name, all of them.
        weight: within 0.1 to 1.
    """

    debate_id: str
    names: tuple[str, ...]
    scores: Mapping[str, float]
    multipliers: Mapping[str, float]
    winner: str | None
    domain: str | None
    weight: float
    now: datetime


# -- PostgreSQL -------------------------------------------------------------------------------------------------------

# `p` are the participants. `r` locks their ratings, in name order, or nothing when one is missing: a row inserted by
# this statement would be invisible to its own lock (https://www.postgresql.org/docs/current/queries-with.html, "Data-
# Modifying Statements in WITH"). `m` is the match, unless it is there already. `pair` and `c` are
# `rules.elo.pairwise_changes`, in the same order of operations. Nothing below `m` happens without it.
_MATCH = sa.text(
    """
    WITH p AS MATERIALIZED (
        SELECT * FROM unnest(:names, :positions, :scores, :multipliers) AS p (name, position, score, multiplier)
    ), r AS MATERIALIZED (
        SELECT agent_name AS name, elo FROM elo_ratings
        WHERE agent_name = ANY (:names)
            AND (SELECT count(*) FROM elo_ratings WHERE agent_name = ANY (:names)) = (SELECT count(*) FROM p)
        ORDER BY agent_name FOR UPDATE
    ), m AS (
        INSERT INTO elo_matches (debate_id, winner, domain, confidence_weight, created_at)
        SELECT :debate_id, :winner, :domain, :weight, :now WHERE EXISTS (SELECT FROM r)
        ON CONFLICT (debate_id) DO NOTHING RETURNING id
    ), pair AS MATERIALIZED (
        SELECT a.name AS a, b.name AS b,
            :k * (
                CASE WHEN a.score / 2 + b.score / 2 > 0 THEN (a.score / 2) / (a.score / 2 + b.score / 2) ELSE 0.5 END
                - 1 / (1 + power(10::float8, least(300, greatest(-300, (rb.elo - ra.elo) / 400))))
            ) AS change
        FROM p a JOIN p b ON a.name COLLATE "C" < b.name COLLATE "C"
        JOIN r ra ON ra.name = a.name JOIN r rb ON rb.name = b.name
    ), c AS MATERIALIZED (
        SELECT p.*, r.elo + d.change AS elo, d.change
        FROM p JOIN r ON r.name = p.name JOIN (
            SELECT name, sum(part * multiplier ORDER BY other COLLATE "C") AS change
            FROM (SELECT a AS name, b AS other, change AS part FROM pair
                  UNION ALL SELECT b, a, -change FROM pair) parts JOIN p USING (name)
            GROUP BY name
        ) d ON d.name = p.name
    ), ratings AS (
        UPDATE elo_ratings t SET elo = t.elo + c.change, debates_count = t.debates_count + 1,
            wins = t.wins + CASE WHEN c.name = :winner THEN 1 ELSE 0 END,
            losses = t.losses + CASE WHEN c.name <> :winner THEN 1 ELSE 0 END,
            draws = t.draws + CASE WHEN :winner IS NULL THEN 1 ELSE 0 END,
            updated_at = greatest(t.updated_at, :now)
        FROM c, m WHERE t.agent_name = c.name
    ), participants AS (
        INSERT INTO elo_match_participants (match_id, agent_name, position, score, elo_change, k_multiplier)
        SELECT m.id, c.name, c.position, c.score, c.change, c.multiplier FROM c, m
    ), history AS (
        INSERT INTO elo_history (agent_name, elo, debate_id, created_at)
        SELECT c.name, c.elo, :debate_id, :now FROM c, m ORDER BY c.position
    ), domains AS (
        INSERT INTO elo_domain_ratings AS t (agent_name, domain, elo)
        SELECT c.name, :domain, :initial + c.change FROM c, m WHERE :domain IS NOT NULL
        ON CONFLICT (agent_name, domain) DO UPDATE
            SET elo = t.elo + (SELECT c.change FROM c WHERE c.name = excluded.agent_name)
    ), pairs AS (
        INSERT INTO elo_head_to_head AS t (agent_a, agent_b, matches, a_wins, b_wins, draws)
        SELECT pair.a, pair.b, 1, CASE WHEN pair.a = :winner THEN 1 ELSE 0 END,
            CASE WHEN pair.b = :winner THEN 1 ELSE 0 END, CASE WHEN :winner IS NULL THEN 1 ELSE 0 END
        FROM pair, m
        ON CONFLICT (agent_a, agent_b) DO UPDATE
            SET matches = t.matches + 1, a_wins = t.a_wins + excluded.a_wins,
                b_wins = t.b_wins + excluded.b_wins, draws = t.draws + excluded.draws
    )
    SELECT c.name, c.change, (SELECT id FROM m) FROM c ORDER BY c.position
    """
).bindparams(
    sa.bindparam("names", type_=ARRAY(Key())),
    sa.bindparam("positions", type_=ARRAY(Integer())),
    sa.bindparam("scores", type_=ARRAY(Double())),
    sa.bindparam("multipliers", type_=ARRAY(Double())),
    *(sa.bindparam(name, type_=Key()) for name in ("debate_id", "winner", "domain")),
    *(sa.bindparam(name, type_=Double()) for name in ("weight", "k", "initial")),
    sa.bindparam("now", type_=UtcDateTime()),
)

_MISSING = sa.text(
    """
    INSERT INTO elo_ratings (agent_name, elo, updated_at)
    SELECT name, :initial, :now FROM unnest(:names) AS p (name) ORDER BY name COLLATE "C"
    ON CONFLICT DO NOTHING
    """
).bindparams(
    sa.bindparam("names", type_=ARRAY(Key())),
    sa.bindparam("initial", type_=Double()),
    sa.bindparam("now", type_=UtcDateTime()),
)


def _one_statement(session: Session, match: Match) -> dict[str, float] | None:
    connection = session.connection()
    values: dict[str, Any] = {
        "names": list(match.names),
        "positions": list(range(len(match.names))),
        "scores": [match.scores[name] for name in match.names],
        "multipliers": [match.multipliers[name] for name in match.names],
        "debate_id": match.debate_id,
        "winner": match.winner,
        "domain": match.domain,
        "weight": match.weight,
        "k": elo.K_FACTOR * match.weight,
        "initial": elo.INITIAL_RATING,
        "now": match.now,
    }
    rows = connection.execute(_MATCH, values).all()
    if not rows:
        # Nobody was locked, so that waiting for another's new row here cannot close a circle.
        missing = {name: values[name] for name in ("names", "initial", "now")}
        connection.execute(_MISSING, missing)
        rows = connection.execute(_MATCH, values).all()
    return None if rows[0][2] is None else {name: change for name, change, _ in rows}


# -- SQLite -----------------------------------------------------------------------------------------------------------

_INSERT_MATCH = (
    "INSERT INTO elo_matches (debate_id, winner, domain, confidence_weight, created_at) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (debate_id) DO NOTHING RETURNING id"
)
_INSERT_RATING = "INSERT INTO elo_ratings (agent_name, elo, updated_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_UPDATE_RATING = (
    "UPDATE elo_ratings SET elo = elo + ?, debates_count = debates_count + 1, wins = wins + ?, losses = losses + ?, "
    "draws = draws + ?, updated_at = max(updated_at, ?) WHERE agent_name = ?"
)
_INSERT_PARTICIPANT = (
    "INSERT INTO elo_match_participants (match_id, agent_name, position, score, elo_change, k_multiplier) "
    "VALUES (?, ?, ?, ?, ?, ?)"
)
_INSERT_HISTORY = "INSERT INTO elo_history (agent_name, elo, debate_id, created_at) VALUES (?, ?, ?, ?)"
_UPSERT_DOMAIN = (
    "INSERT INTO elo_domain_ratings (agent_name, domain, elo) VALUES (?, ?, ?) "
    "ON CONFLICT (agent_name, domain) DO UPDATE SET elo = elo + ?"
)
_UPSERT_PAIR = (
    "INSERT INTO elo_head_to_head (agent_a, agent_b, matches, a_wins, b_wins, draws) VALUES (?, ?, 1, ?, ?, ?) "
    "ON CONFLICT (agent_a, agent_b) DO UPDATE SET matches = matches + 1, a_wins = a_wins + excluded.a_wins, "
    "b_wins = b_wins + excluded.b_wins, draws = draws + excluded.draws"
)
_WRITES = (
    "elo_matches",
    "elo_ratings",
    "elo_match_participants",
    "elo_history",
    "elo_domain_ratings",
    "elo_head_to_head",
)


def _short_statements(session: Session, match: Match) -> dict[str, float] | None:
    connection = session.connection()
    now = UtcDateTime().process_bind_param(match.now, connection.dialect)
    changes: dict[str, float] = {}

    def write(cursor: Any) -> None:
        cursor.execute(_INSERT_MATCH, (match.debate_id, match.winner, match.domain, match.weight, now))
        inserted = cursor.fetchone()
        if inserted is not None:
            ratings = _ratings(cursor, match.names, now)
            changes.update(
                elo.pairwise_changes(
                    ratings, match.scores, confidence_weight=match.weight, multipliers=match.multipliers
                )
            )
            _write_rows(cursor, match, inserted[0], ratings, changes, now)

    run_batch(connection, "record_match", _WRITES, write)
    return changes or None


def _ratings(cursor: Any, names: tuple[str, ...], now: Any) -> dict[str, float]:
    """The participants' ratings; those of new agents are created."""
    marks = ", ".join("?" * len(names))
    cursor.execute(f"SELECT agent_name, elo FROM elo_ratings WHERE agent_name IN ({marks})", names)
    ratings: dict[str, float] = dict(cursor.fetchall())
    missing = [name for name in names if name not in ratings]
    if missing:
        cursor.executemany(_INSERT_RATING, [(name, elo.INITIAL_RATING, now) for name in missing])
    return ratings | dict.fromkeys(missing, elo.INITIAL_RATING)


def _write_rows(
    cursor: Any, match: Match, match_id: int, ratings: dict[str, float], changes: dict[str, float], now: Any
) -> None:
    write, names, won, draw = cursor.executemany, match.names, match.winner, match.winner is None
    write(_UPDATE_RATING, [(changes[name], name == won, not draw and name != won, draw, now, name) for name in names])
    write(
        _INSERT_PARTICIPANT,
        [
            (match_id, name, position, match.scores[name], changes[name], match.multipliers[name])
            for position, name in enumerate(names)
        ],
    )
    write(_INSERT_HISTORY, [(name, ratings[name] + changes[name], match.debate_id, now) for name in names])
    if match.domain is not None:
        initial = elo.INITIAL_RATING
        write(_UPSERT_DOMAIN, [(name, match.domain, initial + changes[name], changes[name]) for name in names])
    write(_UPSERT_PAIR, [(a, b, a == won, b == won, draw) for a, b in elo.pairs(names)])


write_match = by_dialect(postgresql=_one_statement, sqlite=_short_statements)
"""Write a match and everything that follows from it; the changes by name, or None when its debate has a match already.

New agents begin at 1500. On PostgreSQL the participants' ratings are locked in name order before anything is written,
so matches of the same agents wait for each other and never in a circle.
"""
