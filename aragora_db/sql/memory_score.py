"""What retrieval ranks memories by, in SQL that gives the same bits on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import ColumnElement
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from aragora_db.models import ContinuumMemory
from aragora_db.rules.retrieval import DAY, FADING_PER_DAY, NOTHING
from aragora_db.types import Double, Integer, Key, Text

__all__ = ["NOW", "TENANT_ID", "age_at", "instant", "of_tenant", "score", "unindexed"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


NOW: Final = "now_microseconds"
TENANT_ID: Final = "tenant_id"
"""Parameters of the expressions below. They are bound at execution, so that a statement is built once."""


def score() -> ColumnElement[float]:
    """`aragora_db.rules.retrieval.score` of a `ContinuumMemory` at the parameter `NOW`, an `instant`."""
    memory = ContinuumMemory
    now = sa.bindparam(NOW, type_=Integer())
    return _Score(memory.importance, memory.surprise_score, memory.tier, memory.updated_at, now)


def instant(now: datetime) -> int:
    """Return a time as microseconds since 1970."""
    return (now - _EPOCH) // _MICROSECOND


def age_at(now: datetime, updated_at: datetime) -> int:
    """Return the age that `score` computes with, in microseconds; 0 for a time after now."""
    return max(0, (now - updated_at) // _MICROSECOND)


def of_tenant(tenant_id: str | None = None, *, indexed: bool = True) -> ColumnElement[bool]:
    """Return whether a `ContinuumMemory` belongs to a tenant.

    The path into the metadata is written into the SQL as in its index; a bound path would not use the index.

    Args:
        tenant_id: the tenant; None is that of the parameter `TENANT_ID`.
        indexed: False keeps SQLite from using the index.
    """
    wanted = sa.bindparam(TENANT_ID, type_=Key()) if tenant_id is None else sa.literal(tenant_id, Key())
    found: ColumnElement[str] = _Tenant(ContinuumMemory.metadata_)
    return (found if indexed else unindexed(found)) == wanted


def unindexed(expression: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return an expression for which SQLite uses no index, where it would choose the wrong one of two.

    SQLite ignores indexes for a column with a unary plus (https://www.sqlite.org/optoverview.html).
    """
    return _Unindexed(expression)


class _Score(FunctionElement[float]):
    """Importance, surprise, tier, time of the last update, and now in microseconds since 1970."""

    type = Double()
    inherit_cache = True


class _Tenant(FunctionElement[str]):
    type = Text()
    inherit_cache = True


class _Unindexed(FunctionElement[Any]):
    inherit_cache = True


_FADING = " ".join(f"WHEN '{tier}' THEN {fading}" for tier, fading in FADING_PER_DAY.items())


def _divide(weight: str, age: str, tier: str) -> str:
    days = f"{age} / {DAY}.0"
    fading = f"CASE {tier} {_FADING} END"
    return (
        f"(CASE WHEN {weight} BETWEEN -{NOTHING} AND {NOTHING} THEN 0.0 ELSE {weight} / (1.0 + {days} * {fading}) END)"
    )


@compiles(_Score, "postgresql")
def _score_postgresql(element: _Score, compiler: SQLCompiler, **options: Any) -> str:
    importance, surprise, tier, updated, now = (compiler.process(each, **options) for each in element.clauses)
    micros = f"CAST(extract(epoch FROM {updated}) * 1000000 AS bigint)"
    age = f"CAST(greatest(0, CAST({now} AS bigint) - {micros}) AS double precision)"
    return _divide(f"({importance} * (1.0 + {surprise}))", age, tier)


@compiles(_Score, "sqlite")
def _score_sqlite(element: _Score, compiler: SQLCompiler, **options: Any) -> str:
    importance, surprise, tier, updated, now = (compiler.process(each, **options) for each in element.clauses)
    # Seconds and fraction apart: SQLite rounds times to milliseconds.
    seconds = f"CAST(strftime('%s', substr({updated}, 1, 19)) AS INTEGER)"
    micros = f"({seconds} * 1000000 + CAST(substr({updated}, 21, 6) AS INTEGER))"
    age = f"max(0, {now} - {micros})"
    return _divide(f"({importance} * (1.0 + {surprise}))", age, tier)


@compiles(_Tenant, "postgresql")
def _tenant_postgresql(element: _Tenant, compiler: SQLCompiler, **options: Any) -> str:
    (metadata,) = (compiler.process(each, **options) for each in element.clauses)
    return f"CAST({metadata} ->> 'tenant_id' AS VARCHAR)"


@compiles(_Tenant, "sqlite")
def _tenant_sqlite(element: _Tenant, compiler: SQLCompiler, **options: Any) -> str:
    (metadata,) = (compiler.process(each, **options) for each in element.clauses)
    return f"CAST(JSON_EXTRACT({metadata}, '$.\"tenant_id\"') AS VARCHAR)"


@compiles(_Unindexed, "postgresql")
def _unindexed_postgresql(element: _Unindexed, compiler: SQLCompiler, **options: Any) -> str:
    (expression,) = (compiler.process(each, **options) for each in element.clauses)
    return expression


@compiles(_Unindexed, "sqlite")
def _unindexed_sqlite(element: _Unindexed, compiler: SQLCompiler, **options: Any) -> str:
    (expression,) = (compiler.process(each, **options) for each in element.clauses)
    return f"+{expression}"
