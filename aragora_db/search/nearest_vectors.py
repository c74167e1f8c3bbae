"""The embeddings that point most nearly the same way: by pgvector where its extension is, else one by one."""

from __future__ import annotations

import heapq
import math
from array import array
from collections.abc import Callable, Iterable, Sequence
from operator import mul
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from aragora_db.engine.dialects import by_dialect
from aragora_db.models import ContinuumEmbedding, ContinuumMemory
from aragora_db.types import Double
from aragora_db.types.vector import Floats, Vector

__all__ = ["length", "nearest"]

_FETCHED: Final = 500  # vectors in memory at once

# pgvector computes in float32. With n numbers, rounding adds at most n units of 2 ** -24 to each of the three sums of a
# cosine, and as much again to that of another row which it is compared with.
_ROUNDING: Final = 2.0**-22

# Tells whether it can be used, and the schema that its type and operators are in.
_EXTENSION = sa.text(
    "SELECT quote_ident(nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace"
    " WHERE e.extname = 'vector'"
)

# Not through our type, which refuses them.
_INFINITE = sa.literal_column("CAST('Infinity' AS double precision)", Double())
_NOT_A_NUMBER = sa.literal_column("CAST('NaN' AS double precision)", Double())

_dot: Callable[[Any, Any], float] = getattr(math, "sumprod", lambda one, other: sum(map(mul, one, other)))


def length(vector: Floats) -> float:
    """How long a vector is."""
    return math.sqrt(_dot(vector, vector))


def _one_by_one(session: Session, conditions: Sequence[Any], vector: Floats, limit: int) -> list[tuple[str, float]]:
    rows = session.execute(_embeddings(conditions), execution_options={"yield_per": _FETCHED})
    return _rank(rows, vector, limit)


def _with_pgvector(session: Session, conditions: Sequence[Any], vector: Floats, limit: int) -> list[tuple[str, float]]:
    schema = session.scalar(_EXTENSION)
    if schema is None:
        return _one_by_one(session, conditions, vector, limit)
    # Of length 1: the squares of large numbers are infinite in float32.
    unit = array("f", (number / length(vector) for number in vector))
    distance = _Distance(ContinuumEmbedding.embedding, sa.literal(unit, Vector()), sa.literal_column(schema))
    distances = _embeddings(conditions).add_columns(distance.label("distance")).cte("distances")
    last = sa.select(distances.c.distance).order_by(distances.c.distance).offset(limit - 1).limit(1).scalar_subquery()
    bound = sa.func.coalesce(last, _INFINITE) + len(vector) * _ROUNDING
    # What float32 cannot compute is NaN, which is more than any bound, and is computed here.
    near = (distances.c.distance <= bound) | (distances.c.distance == _NOT_A_NUMBER)
    rows = session.execute(sa.select(distances.c.memory_id, distances.c.embedding).where(near))
    return _rank(rows, vector, limit)


def _embeddings(conditions: Sequence[Any]) -> Any:
    statement = sa.select(ContinuumEmbedding.memory_id, ContinuumEmbedding.embedding)
    if conditions:
        statement = statement.join(ContinuumMemory, ContinuumMemory.id == ContinuumEmbedding.memory_id)
    return statement.where(*conditions)


def _rank(rows: Iterable[Any], vector: Floats, limit: int) -> list[tuple[str, float]]:
    size = length(vector)

    def cosine(other: Floats) -> float:
        return max(-1.0, min(1.0, _dot(vector, other) / (size * length(other))))

    scored = ((key, cosine(other)) for key, other in rows if len(other) == len(vector) and any(other))
    return heapq.nsmallest(limit, scored, key=lambda each: (-each[1], each[0]))


class _Distance(FunctionElement[float]):
    """Embedding, query, and pgvector's schema; NULL for embeddings of another length."""

    type = Double()
    inherit_cache = True


@compiles(_Distance, "postgresql")
def _distance(element: _Distance, compiler: SQLCompiler, **options: Any) -> str:
    column, query, schema = (compiler.process(each, **options) for each in element.clauses)
    # A CASE, because conditions are evaluated in any order and the operator fails on other lengths.
    return (
        f"(CASE WHEN cardinality({column}) = cardinality({query})"
        f" THEN {column}::{schema}.vector OPERATOR({schema}.<=>) {query}::{schema}.vector END)"
    )


nearest = by_dialect(postgresql=_with_pgvector, sqlite=_one_by_one)
"""The nearest embeddings as (id of the memory, cosine), the greatest cosine first, then by id.

pgvector chooses candidates, a few more than needed; order and cosines are computed from these in float64, so that the
result is the same everywhere.

Args:
    session: where.
    conditions: on `ContinuumMemory`.
    vector: not all zeros; embeddings of another length are left out.
    limit: how many.
"""
