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
from aragora_db.rules.installation import Rules
from aragora_db.types import Double, Integer, Key, UtcDateTime

__all__ = ["Match", "match_changes", "write_match"]


@dataclass(frozen=True)
class Match:
    """A match whose arguments were checked: finite scores, names that a key column takes.

    Attributes:
        participants: names, in the order given.
        scores: by name, all of them.
        k_multipliers: by name, all of them.
        winner: the participant with strictly the highest score; None is a draw.
        confidence_weight: within 0.1 to 1.
    """

    debate_id: str
    participants: tuple[str, ...]
    scores: Mapping[str, float]
    k_multipliers: Mapping[str, float]
    winner: str | None
    domain: str | None
    confidence_weight: float
    created_at: datetime


# -- PostgreSQL -------------------------------------------------------------------------------------------------------

# All parts of a WITH see the tables as they were before the statement, and nothing of each other's writes but what
# RETURNING hands on (https://www.postgresql.org/docs/current/queries-with.html, "Data-Modifying Statements in WITH"). A
# rating inserted here would therefore be invisible to the lock here: when a participant has no rating yet, nothing is
# locked and nothing written, `_INSERT_MISSING_RATINGS` makes one, and the statement runs again.
# `pair_change` and `rating_change` are `rules.elo.pairwise_changes`, in the same order of operations.
_RECORD_MATCH = sa.text(
    """
    WITH participant AS MATERIALIZED (
        -- one row per participant, in the order given
        SELECT * FROM unnest(:participants, :positions, :scores, :k_multipliers)
            AS given (agent_name, position, score, k_multiplier)
    ), locked_rating AS MATERIALIZED (
        -- the ratings before the match, locked in name order; none if a participant has none yet
        SELECT agent_name, elo FROM elo_ratings
        WHERE agent_name = ANY (:participants) AND (SELECT count(*) FROM participant)
            = (SELECT count(*) FROM elo_ratings WHERE agent_name = ANY (:participants))
        ORDER BY agent_name FOR UPDATE
    ), new_match AS (
        -- the id of the match; none if its debate has a match already, and then nothing below is written
        INSERT INTO elo_matches (debate_id, winner, domain, confidence_weight, created_at)
        SELECT :debate_id, :winner, :domain, :confidence_weight, :created_at WHERE EXISTS (SELECT FROM locked_rating)
        ON CONFLICT (debate_id) DO NOTHING RETURNING id
    ), pair AS (
        -- every two participants, agent_a being the smaller name
        SELECT one.agent_name AS agent_a, one.score / 2 AS half_a, rating_one.elo AS elo_a,
            other.agent_name AS agent_b, other.score / 2 AS half_b, rating_other.elo AS elo_b
        FROM participant one JOIN participant other ON one.agent_name COLLATE "C" < other.agent_name COLLATE "C"
            JOIN locked_rating rating_one ON rating_one.agent_name = one.agent_name
            JOIN locked_rating rating_other ON rating_other.agent_name = other.agent_name
    ), pair_change AS MATERIALIZED (
        -- by how many points a pair moves agent_a up and agent_b down, K times (share of the scores - expected share)
        SELECT agent_a, agent_b, :weighted_k * (
                CASE WHEN half_a + half_b > 0 THEN half_a / (half_a + half_b) ELSE 0.5 END
                - 1 / (1 + power(10::float8, least(300, greatest(-300, (elo_b - elo_a) / 400))))
            ) AS change
        FROM pair
    ), rating_change AS MATERIALIZED (
        -- one row per participant, with the sum of its pairs in the order of the opponents, and the rating after it
        SELECT participant.*, locked_rating.elo + total.change AS new_elo, total.change
        FROM participant JOIN locked_rating USING (agent_name) JOIN (
            SELECT agent_name, sum(change * k_multiplier ORDER BY opponent COLLATE "C") AS change
            FROM (SELECT agent_a AS agent_name, agent_b AS opponent, change FROM pair_change
                  UNION ALL SELECT agent_b, agent_a, -change FROM pair_change) directed
                JOIN participant USING (agent_name)
            GROUP BY agent_name
        ) total USING (agent_name)
    ), written_ratings AS (
        -- overall ratings and the record of wins, losses and draws
        UPDATE elo_ratings SET elo = elo + change, debates_count = debates_count + 1,
            wins = wins + CASE WHEN rating_change.agent_name = :winner THEN 1 ELSE 0 END,
            losses = losses + CASE WHEN rating_change.agent_name <> :winner THEN 1 ELSE 0 END,
            draws = draws + CASE WHEN :winner IS NULL THEN 1 ELSE 0 END,
            updated_at = greatest(updated_at, :created_at)
        FROM rating_change, new_match WHERE elo_ratings.agent_name = rating_change.agent_name
    ), written_participants AS (
        INSERT INTO elo_match_participants (match_id, agent_name, position, score, elo_change, k_multiplier)
        SELECT id, agent_name, position, score, change, k_multiplier FROM rating_change, new_match
    ), written_history AS (
        -- overall ratings after the match, in the order of the participants, because it decides the ids
        INSERT INTO elo_history (agent_name, elo, debate_id, created_at)
        SELECT agent_name, new_elo, :debate_id, :created_at FROM rating_change, new_match ORDER BY position
    ), written_domain_ratings AS (
        -- ratings in the domain of the match, if it has one
        INSERT INTO elo_domain_ratings (agent_name, domain, elo)
        SELECT agent_name, :domain, :initial_rating + change FROM rating_change, new_match WHERE :domain IS NOT NULL
        ON CONFLICT (agent_name, domain) DO UPDATE SET elo = elo_domain_ratings.elo
            + (SELECT change FROM rating_change WHERE rating_change.agent_name = excluded.agent_name)
    ), written_head_to_head AS (
        -- how often two agents met, and with what result
        INSERT INTO elo_head_to_head (agent_a, agent_b, matches, a_wins, b_wins, draws)
        SELECT agent_a, agent_b, 1, CASE WHEN agent_a = :winner THEN 1 ELSE 0 END,
            CASE WHEN agent_b = :winner THEN 1 ELSE 0 END, CASE WHEN :winner IS NULL THEN 1 ELSE 0 END
        FROM pair_change, new_match
        ON CONFLICT (agent_a, agent_b) DO UPDATE SET matches = elo_head_to_head.matches + 1,
            a_wins = elo_head_to_head.a_wins + excluded.a_wins, b_wins = elo_head_to_head.b_wins + excluded.b_wins,
            draws = elo_head_to_head.draws + excluded.draws
    )
    -- the changes; the id is NULL if the debate has a match already
    SELECT agent_name, change, (SELECT id FROM new_match) FROM rating_change ORDER BY position
    """
).bindparams(
    sa.bindparam("participants", type_=ARRAY(Key())),
    sa.bindparam("positions", type_=ARRAY(Integer())),
    sa.bindparam("scores", type_=ARRAY(Double())),
    sa.bindparam("k_multipliers", type_=ARRAY(Double())),
    *(sa.bindparam(name, type_=Key()) for name in ("debate_id", "winner", "domain")),
    *(sa.bindparam(name, type_=Double()) for name in ("confidence_weight", "weighted_k", "initial_rating")),
    sa.bindparam("created_at", type_=UtcDateTime()),
)

_INSERT_MISSING_RATINGS = sa.text(
    """
    INSERT INTO elo_ratings (agent_name, elo, updated_at)
    SELECT agent_name, :initial_rating, :created_at
    FROM unnest(:participants) AS participant (agent_name) ORDER BY agent_name COLLATE "C"
    ON CONFLICT DO NOTHING
    """
).bindparams(
    sa.bindparam("participants", type_=ARRAY(Key())),
    sa.bindparam("initial_rating", type_=Double()),
    sa.bindparam("created_at", type_=UtcDateTime()),
)


def _one_statement(session: Session, match: Match, rules: Rules) -> dict[str, float] | None:
    connection = session.connection()
    names = list(match.participants)
    values: dict[str, Any] = {
        "participants": names,
        "positions": list(range(len(names))),
        "scores": [match.scores[name] for name in names],
        "k_multipliers": [match.k_multipliers[name] for name in names],
        "debate_id": match.debate_id,
        "winner": match.winner,
        "domain": match.domain,
        "confidence_weight": match.confidence_weight,
        "weighted_k": rules.k_factor * match.confidence_weight,
        "initial_rating": rules.initial_rating,
        "created_at": match.created_at,
    }
    rows = connection.execute(_RECORD_MATCH, values).all()
    if not rows:
        # No rating is locked yet, so that waiting for another transaction's new row cannot deadlock.
        missing = {name: values[name] for name in ("participants", "initial_rating", "created_at")}
        connection.execute(_INSERT_MISSING_RATINGS, missing)
        rows = connection.execute(_RECORD_MATCH, values).all()
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


def _short_statements(session: Session, match: Match, rules: Rules) -> dict[str, float] | None:
    connection = session.connection()
    created_at = UtcDateTime().process_bind_param(match.created_at, connection.dialect)
    changes: dict[str, float] = {}

    def write(cursor: Any) -> None:
        cursor.execute(
            _INSERT_MATCH, (match.debate_id, match.winner, match.domain, match.confidence_weight, created_at)
        )
        inserted = cursor.fetchone()
        if inserted is not None:
            ratings = _ratings(cursor, match.participants, rules.initial_rating, created_at)
            changes.update(match_changes(match, ratings, rules))
            _write_rows(cursor, match, inserted[0], ratings, changes, rules.initial_rating, created_at)

    run_batch(connection, "record_match", _WRITES, write)
    return changes or None


def _ratings(cursor: Any, names: tuple[str, ...], initial_rating: float, created_at: Any) -> dict[str, float]:
    """Return the participants' ratings; those of new agents are created."""
    placeholders = ", ".join("?" * len(names))
    cursor.execute(f"SELECT agent_name, elo FROM elo_ratings WHERE agent_name IN ({placeholders})", names)
    ratings: dict[str, float] = dict(cursor.fetchall())
    missing = [name for name in names if name not in ratings]
    if missing:
        cursor.executemany(_INSERT_RATING, [(name, initial_rating, created_at) for name in missing])
    return ratings | dict.fromkeys(missing, initial_rating)


def _write_rows(
    cursor: Any,
    match: Match,
    match_id: int,
    ratings: dict[str, float],
    changes: dict[str, float],
    initial_rating: float,
    created_at: Any,
) -> None:
    write, names, winner, draw = cursor.executemany, match.participants, match.winner, match.winner is None
    write(
        _UPDATE_RATING,
        [(changes[name], name == winner, not draw and name != winner, draw, created_at, name) for name in names],
    )
    write(
        _INSERT_PARTICIPANT,
        [
            (match_id, name, position, match.scores[name], changes[name], match.k_multipliers[name])
            for position, name in enumerate(names)
        ],
    )
    write(_INSERT_HISTORY, [(name, ratings[name] + changes[name], match.debate_id, created_at) for name in names])
    if match.domain is not None:
        write(
            _UPSERT_DOMAIN,
            [(name, match.domain, initial_rating + changes[name], changes[name]) for name in names],
        )
    write(_UPSERT_PAIR, [(a, b, a == winner, b == winner, draw) for a, b in elo.pairs(names)])


write_match = by_dialect(postgresql=_one_statement, sqlite=_short_statements)
"""Write a match and everything that follows from it; ``write_match(session, match, rules)``.

New agents begin at the rules' initial rating. On PostgreSQL the participants' ratings are locked in name order before
anything is written, so that matches of the same agents wait for each other and cannot deadlock.

Returns:
    The changes by name, or None if the debate has a match already.
"""


def match_changes(match: Match, ratings: Mapping[str, float], rules: Rules) -> dict[str, float]:
    """Compute by how much a match moves each participant's rating.

    Args:
        match: the match.
        ratings: the participants' ratings before it; others may be in it too.
        rules: the installation's constants.
    """
    return elo.pairwise_changes(
        ratings,
        match.scores,
        k=rules.k_factor,
        confidence_weight=match.confidence_weight,
        multipliers=match.k_multipliers,
    )
