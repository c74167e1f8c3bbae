"""Move all memories that are due to the tier next to their own, in one pass."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db.engine.dialects import by_dialect
from aragora_db.models import ContinuumMemory, Tier
from aragora_db.rules import continuum
from aragora_db.types import Integer, UtcDateTime

__all__ = ["consolidate"]

# `rules.continuum.next_tier` in SQL; its conditions exclude each other. The thresholds are written as they are there: a
# rounded one would move other memories than the rule does.
_UP: Final = {
    slower: (faster, f"tier = '{slower}' AND surprise_score > {continuum.PROMOTE_ABOVE_SURPRISE[slower]}")
    for faster, slower in pairwise(Tier)
}
_DOWN: Final = {
    faster: (slower, f"tier = '{faster}' AND 1.0 - surprise_score > {continuum.DEMOTE_ABOVE_STABILITY[faster]}")
    for faster, slower in pairwise(Tier)
}
_IS_SURPRISING = " OR ".join(f"({condition})" for _, condition in _UP.values())
_IS_STABLE = " OR ".join(f"({condition})" for _, condition in _DOWN.values())
_PROMOTED = f"(last_promotion_at IS NULL OR last_promotion_at <= :rested) AND ({_IS_SURPRISING})"
_DUE = f"NOT red_line AND (({_PROMOTED}) OR (update_count >= {continuum.DEMOTION_UPDATES} AND ({_IS_STABLE})))"
_TARGET = (
    f"CASE WHEN {_IS_SURPRISING} THEN CASE tier "
    + " ".join(f"WHEN '{tier}' THEN '{target}'" for tier, (target, _) in _UP.items())
    + " END ELSE CASE tier "
    + " ".join(f"WHEN '{tier}' THEN '{target}'" for tier, (target, _) in _DOWN.items())
    + " END END"
)
_REASON = f"CASE WHEN {_IS_SURPRISING} THEN '{continuum.PROMOTION_REASON}' ELSE '{continuum.DEMOTION_REASON}' END"

_PARAMETERS = (sa.bindparam("now", type_=UtcDateTime()), sa.bindparam("rested", type_=UtcDateTime()))

Moves = dict[tuple[Tier, Tier], int]


# -- PostgreSQL -------------------------------------------------------------------------------------------------------

# `due` locks in key order, and evaluates its conditions again on rows that others changed meanwhile.
_PASS = sa.text(
    f"""
    WITH due AS MATERIALIZED (
        SELECT id, tier, {_TARGET} AS target, {_REASON} AS reason, surprise_score
        FROM continuum_memory WHERE {_DUE} ORDER BY id FOR NO KEY UPDATE
    ), moved AS (
        UPDATE continuum_memory AS memory SET tier = due.target, updated_at = greatest(memory.updated_at, :now),
            last_promotion_at = CASE due.reason WHEN '{continuum.PROMOTION_REASON}' THEN :now
                ELSE memory.last_promotion_at END
        FROM due WHERE memory.id = due.id
        RETURNING due.id, due.tier, due.target, due.reason, due.surprise_score
    ), noted AS (
        INSERT INTO tier_transitions (memory_id, from_tier, to_tier, reason, surprise_score, created_at)
        SELECT id, tier, target, reason, surprise_score, :now FROM moved
    )
    SELECT tier, target, count(*) FROM moved GROUP BY tier, target
    """
).bindparams(*_PARAMETERS)


def _one_statement(session: Session, now: datetime, rested: datetime) -> Moves:
    rows = session.connection().execute(_PASS, {"now": now, "rested": rested})
    return {(Tier(origin), Tier(target)): count for origin, target, count in rows}


# -- SQLite -----------------------------------------------------------------------------------------------------------

_LAST = sa.text("SELECT coalesce(max(id), 0) FROM tier_transitions")
_NOTE = sa.text(
    f"""
    INSERT INTO tier_transitions (memory_id, from_tier, to_tier, reason, surprise_score, created_at)
    SELECT id, tier, {_TARGET}, {_REASON}, surprise_score, :now FROM continuum_memory WHERE {_DUE} ORDER BY id
    """
).bindparams(*_PARAMETERS)
_MOVE = sa.text(
    f"""
    UPDATE continuum_memory SET tier = {_TARGET}, updated_at = max(updated_at, :now),
        last_promotion_at = CASE WHEN {_IS_SURPRISING} THEN :now ELSE last_promotion_at END
    WHERE {_DUE}
    """
).bindparams(*_PARAMETERS)
_COUNT = sa.text(
    "SELECT from_tier, to_tier, count(*) FROM tier_transitions WHERE id > :last GROUP BY from_tier, to_tier"
).bindparams(sa.bindparam("last", type_=Integer()))


def _note_and_move(session: Session, now: datetime, rested: datetime) -> Moves:
    connection = session.connection()
    last = connection.scalar(_LAST)
    values = {"now": now, "rested": rested}
    if connection.execute(_NOTE, values).rowcount:
        connection.execute(_MOVE, values)
    return {(Tier(origin), Tier(target)): count for origin, target, count in connection.execute(_COUNT, {"last": last})}


_pass = by_dialect(postgresql=_one_statement, sqlite=_note_and_move)


def consolidate(session: Session, now: datetime) -> Moves:
    """Move every memory that is due one tier, and write its transition.

    A move counts as an update: otherwise a memory promoted into a tier of a shorter life would expire at once.

    Args:
        session: the transaction.
        now: the time of the moves.

    Returns:
        How many moved, by (from, to), fastest tier first.
    """
    session.flush()
    moves = _pass(session, now, now - timedelta(hours=continuum.PROMOTION_COOLDOWN_HOURS))
    if moves:
        for instance in session.identity_map.values():
            if isinstance(instance, ContinuumMemory):
                session.expire(instance)
    order = list(Tier)
    return {pair: moves[pair] for pair in sorted(moves, key=lambda pair: tuple(map(order.index, pair)))}
