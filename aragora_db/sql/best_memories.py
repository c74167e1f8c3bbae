"""Find the memories with the highest scores among any number, without reading most of them.

A score is a weight divided by a factor that grows with age, so no index has scores in order. The heaviest and the
newest memories of each tier (the seeds) give a lower bound of the best scores. A memory that reaches this bound has a
minimum weight, and is not older than the heaviest memory of its tier could be: both are ranges of an index. This is the
threshold algorithm of Fagin, Lotem and Naor (https://doi.org/10.1016/S0022-0000(03)00026-6) with its second phase read
in one piece.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db.engine.dialects import by_dialect
from aragora_db.models import ContinuumKeywords, ContinuumMemory, Tier
from aragora_db.models.continuum import weight
from aragora_db.rules import retrieval
from aragora_db.search.keywords import with_words
from aragora_db.sql.memory_score import NOW, TENANT_ID, age_at, instant, of_tenant, score, unindexed
from aragora_db.types import Double

__all__ = ["MemoryQuery", "best_by_keywords", "best_memories"]

SEEDS: Final = 256
"""Rows per tier and order that the lower bound is taken from, or four times as many as are asked for."""

_COUNTED: Final = 20_000  # rows of a range beyond which counting them costs more than it tells
_SLACK: Final = 1e-9  # relative; more than rounding can add to a score
_LEAST: Final = 1e-290  # below it, doubles lose their precision
_LONGEST: Final = 4_000_000.0  # days, more than the calendar has
_BEGIN: Final = datetime(1, 1, 2, tzinfo=UTC)  # a day late, for zones west of Greenwich

Row = tuple[ContinuumMemory, float]


@dataclass(frozen=True)
class MemoryQuery:
    """Which memories to rank, and how many to return.

    Attributes:
        tiers: only these.
        min_importance: only memories at least this important.
        tenant_id: only memories whose metadata have this ``tenant_id``.
        limit: the most memories to return.
        now: the time that ages are computed at.
    """

    tiers: tuple[Tier, ...]
    min_importance: float | None
    tenant_id: str | None
    limit: int
    now: datetime

    @property
    def filters(self) -> tuple[bool, bool]:
        """Whether there is a minimum importance, and a tenant."""
        return self.min_importance is not None, self.tenant_id is not None

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of statements made of `_conditions` and `score`."""
        given = {"min_importance": self.min_importance, TENANT_ID: self.tenant_id}
        return {NOW: instant(self.now)} | {name: value for name, value in given.items() if value is not None}


class _Range(NamedTuple):
    """Where a tier's best memories are.

    Attributes:
        tier: the tier.
        min_weight: they weigh at least this.
        since: they were updated then or later; None is no bound.
        lightest_seed: the smallest weight among the heaviest seeds; None if the seeds are the whole tier.
        oldest_seed: the earliest update among the newest seeds; None if the seeds are the whole tier.
    """

    tier: Tier
    min_weight: float
    since: datetime | None
    lightest_seed: float | None
    oldest_seed: datetime | None


def best_memories(session: Session, query: MemoryQuery) -> list[Row]:
    """Return the best memories, each with its score, best first, then by id; fast for any number of memories."""
    ranges = _ranges(session, query)
    if ranges is None:
        return _best_by_scan(session, query, None)
    by_time = _tiers_by_time(session, ranges)
    shape = tuple((each.tier, each.since is not None, each.tier in by_time) for each in ranges)
    bounds: dict[str, Any] = {f"min_weight_{each.tier}": each.min_weight for each in ranges}
    bounds |= {f"since_{each.tier}": each.since for each in ranges if each.since is not None}
    return _load(session, _within(shape, query.filters), query, bounds)


def best_by_keywords(session: Session, query: MemoryQuery, keywords: Sequence[str]) -> list[Row]:
    """Return the best of the memories that have any of the keywords; every match is scored.

    Args:
        session: the transaction.
        query: which memories.
        keywords: see `aragora_db.search.keywords.matches`.
    """
    return _best_by_scan(session, query, keywords)


def _best_by_scan(session: Session, query: MemoryQuery, keywords: Sequence[str] | None) -> list[Row]:
    """Score every memory, or every match of the keywords if they are given."""
    memory: Any = ContinuumMemory
    rows = sa.select(memory.id, score().label("score")).where(*_conditions(query.filters, indexed=keywords is None))
    tier = memory.tier
    if keywords is not None:
        tier = unindexed(tier)
        rows = with_words(session, rows, memory.id, ContinuumKeywords, keywords)
    if len(query.tiers) < len(Tier):
        rows = rows.where(tier.in_(query.tiers))
    return _load(session, _top(rows), query, {})


def _load(session: Session, statement: Any, query: MemoryQuery, bounds: dict[str, Any]) -> list[Row]:
    parameters = query.parameters | bounds | {"best": query.limit}
    rows: Any = session.execute(statement, parameters, execution_options={"populate_existing": True})
    return [(memory, found) for memory, found in rows]


def _conditions(filters: tuple[bool, bool], *, indexed: bool = False) -> list[Any]:
    """Return the filters; with `indexed`, SQLite may use an index for them."""
    importance, tenant_id = filters
    conditions: list[Any] = []
    if importance:
        column: Any = ContinuumMemory.importance
        bound = sa.bindparam("min_importance", type_=Double())
        conditions.append((column if indexed else unindexed(column)) >= bound)
    if tenant_id:
        conditions.append(of_tenant(indexed=indexed))
    return conditions


def _top(rows: Any) -> Any:
    scored = rows.subquery()
    best_rows = sa.select(scored.c.id, scored.c.score).order_by(scored.c.score.desc(), scored.c.id)
    top = best_rows.limit(sa.bindparam("best", type_=sa.Integer())).subquery()
    return (
        sa.select(ContinuumMemory, top.c.score)
        .join(top, ContinuumMemory.id == top.c.id)
        .order_by(top.c.score.desc(), top.c.id)
    )


# -- the lower bound --------------------------------------------------------------------------------------------------


def _ranges(session: Session, query: MemoryQuery) -> list[_Range] | None:
    """Return a range for each tier that can have one of the best memories; None if the seeds give no bound."""
    count = max(SEEDS, 4 * query.limit)
    statement = _seed_statement(query.tiers, query.filters, count)
    rows: Any = session.execute(statement, query.parameters | {"others": query.limit - 1}).all()
    if not rows or rows[0][1] is None or rows[0][1] < _LEAST:
        return None
    ranges: list[_Range] = []
    for tier, bound, found, heaviest, lightest_seed, newest, oldest_seed in rows:
        age = age_at(query.now, newest) / retrieval.DAY
        min_weight = bound * (1.0 + age * retrieval.FADING_PER_DAY[tier]) * (1.0 - _SLACK)
        if heaviest >= min_weight:
            since = _since(tier, heaviest, bound, query.now)
            is_whole_tier = found < 2 * count
            ends = (None, None) if is_whole_tier else (lightest_seed, oldest_seed)
            ranges.append(_Range(tier, min_weight, since, *ends))
    return ranges


@lru_cache(maxsize=64)
def _seed_statement(tiers: tuple[Tier, ...], filters: tuple[bool, bool], count: int) -> Any:
    parts = [_seeds(tier, filters, count, heavy) for tier in tiers for heavy in (True, False)]
    seeds = sa.union_all(*parts).cte("seeds")
    once = sa.select(sa.func.max(seeds.c.score).label("score")).where(seeds.c.meets).group_by(seeds.c.id).subquery()
    bounds = sa.select(once.c.score).order_by(once.c.score.desc()).limit(sa.literal_column("1"))
    bound = bounds.offset(sa.bindparam("others", type_=sa.Integer())).scalar_subquery()
    heavy = sa.case((seeds.c.heavy, seeds.c.weight))
    new = sa.case((~seeds.c.heavy, seeds.c.updated_at))
    time = ContinuumMemory.updated_at.type
    return sa.select(
        seeds.c.tier,
        bound,
        sa.func.count(),
        sa.func.max(heavy),
        sa.func.min(heavy),
        sa.func.max(new, type_=time),
        sa.func.min(new, type_=time),
    ).group_by(seeds.c.tier)


def _seeds(tier: Tier, filters: tuple[bool, bool], count: int, heavy: bool) -> Any:
    """Select the heaviest or the newest memories of a tier. Filters are computed, not applied: they could leave few."""
    memory: Any = ContinuumMemory
    rows = (
        sa.select(
            memory.id,
            memory.tier,
            weight.label("weight"),
            memory.updated_at,
            score().label("score"),
            (sa.true() if heavy else sa.false()).label("heavy"),
            sa.and_(sa.true(), *_conditions(filters)).label("meets"),
        )
        .where(memory.tier == tier)
        .order_by(weight.desc() if heavy else memory.updated_at.desc())
        # Written out: a plan made for any limit would sort.
        .limit(sa.literal_column(str(count)))
    )
    return sa.select(rows.subquery())


def _since(tier: Tier, heaviest: float, bound: float, now: datetime) -> datetime | None:
    days = retrieval.oldest_age(heaviest, tier, bound * (1.0 - _SLACK))
    if days > _LONGEST:
        return None
    age = timedelta(microseconds=math.ceil(max(0.0, days) * (1.0 + _SLACK) * retrieval.DAY) + 1)
    return now - age if now - _BEGIN > age else None


# -- all above it -----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def _within(shape: tuple[tuple[Tier, bool, bool], ...], filters: tuple[bool, bool]) -> Any:
    """Select the best memories within ranges.

    Args:
        shape: for each tier whether its range has a `since`, and whether SQLite should use the index of times.
        filters: see `MemoryQuery.filters`.
    """
    parts: list[Any] = []
    for tier, has_since, by_time in shape:
        rows = sa.select(ContinuumMemory.id, score().label("score")).where(ContinuumMemory.tier == tier)
        rows = rows.where(_weighs_enough(tier, unindexed(weight) if by_time else weight))
        if has_since:
            updated: Any = ContinuumMemory.updated_at
            rows = rows.where(_is_recent_enough(tier, updated if by_time else unindexed(updated)))
        parts.append(rows.where(*_conditions(filters)))
    return _top(sa.union_all(*parts))


# Bounds are literals in the SQL: PostgreSQL needs their values to choose an index, and a generic plan has none.
def _weighs_enough(tier: Tier, weighed: Any) -> Any:
    return weighed >= sa.bindparam(f"min_weight_{tier}", type_=Double(), literal_execute=True)


def _is_recent_enough(tier: Tier, updated: Any) -> Any:
    return updated >= sa.bindparam(f"since_{tier}", type_=ContinuumMemory.updated_at.type, literal_execute=True)


def _left_to_the_planner(session: Session, ranges: Sequence[_Range]) -> set[Tier]:  # noqa: ARG001 -- one signature
    return set()


def _by_counting(session: Session, ranges: Sequence[_Range]) -> set[Tier]:
    by_time: set[Tier] = set()
    uncertain: list[_Range] = []
    for each in ranges:
        if each.lightest_seed is None or each.lightest_seed < each.min_weight or each.since is None:
            continue  # the seeds reach below the bound: the range of weights is no longer than they are
        if each.oldest_seed is not None and each.oldest_seed < each.since:
            by_time.add(each.tier)
        else:
            uncertain.append(each)
    if uncertain:
        bounds: dict[str, Any] = {f"min_weight_{each.tier}": each.min_weight for each in uncertain}
        bounds |= {f"since_{each.tier}": each.since for each in uncertain}
        numbers: Any = session.execute(_count_statement(tuple(each.tier for each in uncertain)), bounds).one()
        # The row alternates: the heavy ones of a tier, the recent ones of it, the heavy ones of the next tier.
        counts = zip(uncertain, numbers[::2], numbers[1::2], strict=True)
        by_time |= {each.tier for each, heavy, recent in counts if recent < heavy}
    return by_time


@lru_cache(maxsize=64)
def _count_statement(tiers: tuple[Tier, ...]) -> Any:
    counts: list[Any] = []
    for tier in tiers:
        for condition in (_weighs_enough(tier, weight), _is_recent_enough(tier, ContinuumMemory.updated_at)):
            rows = sa.select(ContinuumMemory.tier).where(ContinuumMemory.tier == tier, condition).limit(_COUNTED)
            counts.append(sa.select(sa.func.count()).select_from(rows.subquery()).scalar_subquery())
    return sa.select(*counts)


_tiers_by_time = by_dialect(postgresql=_left_to_the_planner, sqlite=_by_counting)
"""Return the tiers in which SQLite should use the index of times, because it has fewer rows in range than that of
weights. SQLite cannot tell; PostgreSQL can."""
