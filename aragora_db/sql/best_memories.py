"""The memories with the highest scores among any number, without looking at most of them.

A score is a weight divided by what age makes of it, so no index has it in order. The heaviest and the newest memories
of each tier give a score that the best ones reach at least. Who reaches it weighs enough, and is not older than the
heaviest of its tier could be: both are ranges of an index. This is the threshold algorithm of Fagin, Lotem and Naor
(https://doi.org/10.1016/S0022-0000(03)00026-6) with its second phase read in one piece.
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
from aragora_db.sql.memory_score import NOW, TENANT, age_at, instant, of_tenant, score, unindexed
from aragora_db.types import Double

__all__ = ["Wanted", "best", "best_of_all"]

SEEDS: Final = 256
"""Rows per tier and order that the lower bound is taken from, or four times as many as are asked for."""

_COUNTED: Final = 20_000  # rows of a range beyond which counting them costs more than it tells
_SLACK: Final = 1e-9  # relative; more than rounding can add to a score
_LEAST: Final = 1e-290  # below it, doubles lose their precision
_LONGEST: Final = 4_000_000.0  # days, more than the calendar has
_BEGIN: Final = datetime(1, 1, 2, tzinfo=UTC)  # a day late, for zones west of Greenwich

Row = tuple[ContinuumMemory, float]


@dataclass(frozen=True)
class Wanted:
    """Which memories are asked for, and how many.

    Attributes:
        tiers: only these.
        min_importance: only memories at least this important.
        tenant: only this one's.
        limit: how many.
        now: when ages are taken.
    """

    tiers: tuple[Tier, ...]
    min_importance: float | None
    tenant: str | None
    limit: int
    now: datetime

    @property
    def filters(self) -> tuple[bool, bool]:
        """Whether there is a least importance, and a tenant."""
        return self.min_importance is not None, self.tenant is not None

    @property
    def parameters(self) -> dict[str, Any]:
        """What statements made of `_conditions` and `score` are executed with."""
        given = {"min_importance": self.min_importance, TENANT: self.tenant}
        return {NOW: instant(self.now)} | {name: value for name, value in given.items() if value is not None}


class _Range(NamedTuple):
    """Where a tier's best memories are: of at least this weight, and updated since then, or whenever.

    `light` and `old` are the ends of its seeds, None when these were all.
    """

    tier: Tier
    least: float
    since: datetime | None
    light: float | None
    old: datetime | None


def best_of_all(session: Session, wanted: Wanted, keywords: Sequence[str] | None = None) -> list[Row]:
    """The best memories, each with its score, found by scoring every one; with keywords those that have any of them.

    Args:
        session: where.
        wanted: which.
        keywords: see `aragora_db.search.keywords.matches`.
    """
    memory: Any = ContinuumMemory
    rows = sa.select(memory.id, score().label("score")).where(*_conditions(wanted.filters, indexed=keywords is None))
    tier = memory.tier
    if keywords is not None:
        tier = unindexed(tier)
        rows = with_words(session, rows, memory.id, ContinuumKeywords, keywords)
    if len(wanted.tiers) < len(Tier):
        rows = rows.where(tier.in_(wanted.tiers))
    return _load(session, _top(rows), wanted, {})


def best(session: Session, wanted: Wanted) -> list[Row]:
    """The same rows as `best_of_all`, from any number of memories."""
    ranges = _ranges(session, wanted)
    if ranges is None:
        return best_of_all(session, wanted)
    by_time = _by_time(session, ranges)
    shape = tuple((each.tier, each.since is not None, each.tier in by_time) for each in ranges)
    bounds: dict[str, Any] = {f"least_{each.tier}": each.least for each in ranges}
    bounds |= {f"since_{each.tier}": each.since for each in ranges if each.since is not None}
    return _load(session, _within(shape, wanted.filters), wanted, bounds)


def _load(session: Session, statement: Any, wanted: Wanted, bounds: dict[str, Any]) -> list[Row]:
    parameters = wanted.parameters | bounds | {"best": wanted.limit}
    rows: Any = session.execute(statement, parameters, execution_options={"populate_existing": True})
    return [(memory, found) for memory, found in rows]


def _conditions(filters: tuple[bool, bool], *, indexed: bool = False) -> list[Any]:
    """The filters; with `indexed` such that SQLite may look for rows by them."""
    importance, tenant = filters
    conditions: list[Any] = []
    if importance:
        column: Any = ContinuumMemory.importance
        least = sa.bindparam("min_importance", type_=Double())
        conditions.append((column if indexed else unindexed(column)) >= least)
    if tenant:
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


def _ranges(session: Session, wanted: Wanted) -> list[_Range] | None:
    """A range for each tier that can have one of the best; None when the seeds give no bound."""
    count = max(SEEDS, 4 * wanted.limit)
    statement = _seed_statement(wanted.tiers, wanted.filters, count)
    rows: Any = session.execute(statement, wanted.parameters | {"others": wanted.limit - 1}).all()
    if not rows or rows[0][1] is None or rows[0][1] < _LEAST:
        return None
    ranges: list[_Range] = []
    for tier, bound, found, heaviest, light, newest, old in rows:
        age = age_at(wanted.now, newest) / retrieval.DAY
        least = bound * (1.0 + age * retrieval.FADING_PER_DAY[tier]) * (1.0 - _SLACK)
        if heaviest >= least:
            more = found == 2 * count
            since = _since(tier, heaviest, bound, wanted.now)
            ranges.append(_Range(tier, least, since, light if more else None, old if more else None))
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
    """The heaviest or the newest memories of a tier. Conditions come after the limit: they could leave few."""
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
    """The best within ranges; of each tier: whether it has a range of times, and whether that is the index to use."""
    parts: list[Any] = []
    for tier, has_since, by_time in shape:
        rows = sa.select(ContinuumMemory.id, score().label("score")).where(ContinuumMemory.tier == tier)
        rows = rows.where(_at_least(tier, unindexed(weight) if by_time else weight))
        if has_since:
            updated: Any = ContinuumMemory.updated_at
            rows = rows.where(_since_then(tier, updated if by_time else unindexed(updated)))
        parts.append(rows.where(*_conditions(filters)))
    return _top(sa.union_all(*parts))


# Bounds are written out: PostgreSQL has to see them to choose an index, and in a plan for any bounds it does not.
def _at_least(tier: Tier, weighed: Any) -> Any:
    return weighed >= sa.bindparam(f"least_{tier}", type_=Double(), literal_execute=True)


def _since_then(tier: Tier, updated: Any) -> Any:
    return updated >= sa.bindparam(f"since_{tier}", type_=ContinuumMemory.updated_at.type, literal_execute=True)


def _left_to_the_planner(session: Session, ranges: Sequence[_Range]) -> set[Tier]:  # noqa: ARG001 -- as below
    return set()


def _counted(session: Session, ranges: Sequence[_Range]) -> set[Tier]:
    by_time: set[Tier] = set()
    unknown: list[_Range] = []
    for each in ranges:
        if each.light is None or each.light < each.least or each.since is None:
            continue
        if each.old is not None and each.old < each.since:
            by_time.add(each.tier)
        else:
            unknown.append(each)
    if unknown:
        bounds: dict[str, Any] = {f"least_{each.tier}": each.least for each in unknown}
        bounds |= {f"since_{each.tier}": each.since for each in unknown}
        numbers: Any = session.execute(_count_statement(tuple(each.tier for each in unknown)), bounds).one()
        counts = zip(unknown, numbers[::2], numbers[1::2], strict=True)
        by_time |= {each.tier for each, heavy, new in counts if new < heavy}
    return by_time


@lru_cache(maxsize=64)
def _count_statement(tiers: tuple[Tier, ...]) -> Any:
    counts: list[Any] = []
    for tier in tiers:
        for condition in (_at_least(tier, weight), _since_then(tier, ContinuumMemory.updated_at)):
            rows = sa.select(ContinuumMemory.tier).where(ContinuumMemory.tier == tier, condition).limit(_COUNTED)
            counts.append(sa.select(sa.func.count()).select_from(rows.subquery()).scalar_subquery())
    return sa.select(*counts)


_by_time = by_dialect(postgresql=_left_to_the_planner, sqlite=_counted)
"""The tiers in which SQLite had better use the range of times than that of weights."""
