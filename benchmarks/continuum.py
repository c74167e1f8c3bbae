"""Retrieval and consolidation of a million memories, as of ten thousand and as by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from time import perf_counter

import sqlalchemy as sa
from grown import CALLS, both_dialects, compare, instant, numbers, run_sql
from measure import Result, Row, against
from sqlalchemy.orm import Session

from aragora_db import Database
from aragora_db.stores import ContinuumStore

FEW, MANY = 10_000, 1_000_000
NOW = datetime(2026, 12, 31, tzinfo=UTC)
YEAR = 364 * 86_400
NOTES = (
    f"Small: {FEW:,} memories, large: {MANY:,}, of four tiers, updated over a year. Each run of a retrieval makes",
    f"{CALLS} calls; the keywords are in about 200 memories of either. Consolidation moves about half of a million",
    "memories in a transaction that is rolled back; by hand it is one statement on PostgreSQL, an INSERT and an UPDATE",
    "on SQLite. Bars: by keywords at most 3, by score at most 5, consolidation at most 1.5.",
)


def measure(runs: int) -> Result:
    """Both dialects."""
    rows: list[Row] = []
    with both_dialects("continuum") as dialects:
        for dialect, make in dialects.items():
            small, large = make("small"), make("large")
            _fill(small, FEW)
            _fill(large, MANY)
            for label, search in (("keywords", {"keywords": ["rare", "seldom"]}), ("score alone", {})):
                rows += compare(f"{dialect}: retrieve 10 by {label}", small, large, _retrieve(search), runs)
            rows += _consolidation(dialect, large)
    return Result("continuum", "The continuum", tuple(rows), NOTES)


def _retrieve(search: dict[str, list[str]]) -> Callable[[Database, int], object]:
    return lambda database, _number: database.transact(
        lambda session: ContinuumStore(session).retrieve(limit=10, now=NOW, **search), read_only=True
    )


def _fill(database: Database, count: int) -> None:
    rare = count // 100
    memories = f"""{numbers(count)} INSERT INTO continuum_memory
        (id, tier, content, importance, surprise_score, update_count, created_at, updated_at)
        SELECT 'memory-' || i,
            CASE i % 4 WHEN 0 THEN 'fast' WHEN 1 THEN 'medium' WHEN 2 THEN 'slow' ELSE 'glacial' END,
            'What was said about topic ' || (i % 977) || ' and word ' || (i % 50021),
            ((i * CAST(7919 AS bigint)) % 10007) / 10007.0, ((i * CAST(104729 AS bigint)) % 10009) / 10009.0,
            i % 20, {instant(database, "0")}, {instant(database, f"(i * CAST(48271 AS bigint)) % {YEAR}")} FROM n"""
    words = f"""INSERT INTO continuum_keywords (owner_id, words)
        SELECT id, lower(content) || CASE WHEN number % {rare} = 7 THEN ' rare' WHEN number % {rare} = 9 THEN ' seldom'
        ELSE '' END FROM (SELECT id, content, CAST(substr(id, 8) AS int) AS number FROM continuum_memory) m"""
    run_sql(database, [memories, words])


def _consolidation(dialect: str, database: Database) -> tuple[Row, ...]:
    """Once each, for it takes up to a minute; ours last, which has the dead rows of the other to step over."""

    def timed(work: Callable[[Session], object]) -> tuple[float]:
        with Session(database.engine) as session:
            start = perf_counter()
            work(session)
            seconds = perf_counter() - start
            session.rollback()
        return (seconds,)

    def by_hand(session: Session) -> None:
        for statement in _BY_HAND[dialect]:
            session.execute(sa.text(statement))

    peer, ours = f"{dialect}: consolidate by hand", f"{dialect}: consolidate"
    return against(
        peer, {peer: timed(by_hand), ours: timed(lambda session: ContinuumStore(session).consolidate(now=NOW))}
    )


_UP = """(NOT red_line AND (last_promotion_at IS NULL) AND (tier = 'medium' AND surprise_score > 0.7
    OR tier = 'slow' AND surprise_score > 0.6 OR tier = 'glacial' AND surprise_score > 0.5))"""
_DOWN = """(NOT red_line AND update_count >= 10 AND (tier = 'fast' AND 1 - surprise_score > 0.2
    OR tier = 'medium' AND 1 - surprise_score > 0.3 OR tier = 'slow' AND 1 - surprise_score > 0.4))"""
_TARGET = f"""CASE WHEN {_UP} THEN CASE tier WHEN 'medium' THEN 'fast' WHEN 'slow' THEN 'medium' ELSE 'slow' END
    ELSE CASE tier WHEN 'fast' THEN 'medium' WHEN 'medium' THEN 'slow' ELSE 'glacial' END END"""
_COLUMNS = "memory_id, from_tier, to_tier, reason, surprise_score"
_BY_HAND = {
    "postgresql": [
        f"""WITH old AS MATERIALIZED (SELECT id, tier, {_TARGET} AS target, {_UP} AS up FROM continuum_memory
            WHERE {_UP} OR {_DOWN}),
        moved AS (UPDATE continuum_memory m SET tier = old.target,
            last_promotion_at = CASE WHEN old.up THEN now() ELSE last_promotion_at END
            FROM old WHERE m.id = old.id RETURNING m.id, old.tier, old.target, old.up, m.surprise_score)
        INSERT INTO tier_transitions ({_COLUMNS})
        SELECT id, tier, target, CASE WHEN up THEN 'high_surprise' ELSE 'high_stability' END, surprise_score
        FROM moved"""
    ],
    "sqlite": [
        f"""INSERT INTO tier_transitions ({_COLUMNS}) SELECT id, tier, {_TARGET},
            CASE WHEN {_UP} THEN 'high_surprise' ELSE 'high_stability' END, surprise_score
            FROM continuum_memory WHERE {_UP} OR {_DOWN}""",
        f"""UPDATE continuum_memory SET tier = {_TARGET}, last_promotion_at = CASE WHEN {_UP}
            THEN strftime('%Y-%m-%d %H:%M:%f000+00:00', 'now') ELSE last_promotion_at END WHERE {_UP} OR {_DOWN}""",
    ],
}
