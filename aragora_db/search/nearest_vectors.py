"""Find the embeddings with the greatest cosine: by pgvector where its extension is installed, else one by one."""

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

__all__ = ["nearest_embeddings", "norm"]

_FETCHED: Final = 500  # vectors in memory at once

# pgvector computes in float32. With n numbers, rounding adds at most n * 2 ** -24 to each of the three sums of a
# cosine, and as much again to those of the row which it is compared with.
_ROUNDING: Final = 2.0**-22

# The quoted schema of the extension's type and operators; no row if it is not installed.
_PGVECTOR_SCHEMA = sa.text(
    "SELECT quote_ident(nspname) FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace"
    " WHERE extname = 'vector'"
)

# Literals, because `Double` refuses to bind them.
_INFINITE = sa.literal_column("CAST('Infinity' AS double precision)", Double())
_NOT_A_NUMBER = sa.literal_column("CAST('NaN' AS double precision)", Double())

_dot: Callable[[Any, Any], float] = getattr(math, "sumprod", lambda one, other: sum(map(mul, one, other)))


def norm(vector: Floats) -> float:
    """Return the Euclidean norm of a vector."""
    return math.sqrt(_dot(vector, vector))


def _one_by_one(session: Session, conditions: Sequence[Any], vector: Floats, limit: int) -> list[tuple[str, float]]:
    rows = session.execute(_embeddings(conditions), execution_options={"yield_per": _FETCHED})
    return _rank(rows, vector, limit)


def _with_pgvector(session: Session, conditions: Sequence[Any], vector: Floats, limit: int) -> list[tuple[str, float]]:
    schema = session.scalar(_PGVECTOR_SCHEMA)
    if schema is None:
        return _one_by_one(session, conditions, vector, limit)
    # Scaled to norm 1: the squares of large numbers are infinite in float32.
    unit_vector = array("f", (number / norm(vector) for number in vector))
    distance = _CosineDistance(
        ContinuumEmbedding.embedding, sa.literal(unit_vector, Vector()), sa.literal_column(schema)
    )
    distances = _embeddings(conditions).add_columns(distance.label("distance")).cte("distances")
    by_distance = sa.select(distances.c.distance).order_by(distances.c.distance)
    # The distance of the last row within the limit, NULL if there are fewer rows.
    last_distance = by_distance.offset(limit - 1).limit(1).scalar_subquery()
    bound = sa.func.coalesce(last_distance, _INFINITE) + len(vector) * _ROUNDING
    # A distance that float32 cannot compute is NaN, which PostgreSQL sorts last; such a row is ranked in Python too.
    is_candidate = (distances.c.distance <= bound) | (distances.c.distance == _NOT_A_NUMBER)
    rows = session.execute(sa.select(distances.c.memory_id, distances.c.embedding).where(is_candidate))
    return _rank(rows, vector, limit)


def _embeddings(conditions: Sequence[Any]) -> Any:
    """Select embeddings; memories are joined only if there are conditions on them."""
    statement = sa.select(ContinuumEmbedding.memory_id, ContinuumEmbedding.embedding)
    if conditions:
        statement = statement.join(ContinuumMemory, ContinuumMemory.id == ContinuumEmbedding.memory_id)
    return statement.where(*conditions)


def _rank(rows: Iterable[Any], vector: Floats, limit: int) -> list[tuple[str, float]]:
    vector_norm = norm(vector)

    def cosine(other: Floats) -> float:
        return max(-1.0, min(1.0, _dot(vector, other) / (vector_norm * norm(other))))

    cosines = ((key, cosine(other)) for key, other in rows if len(other) == len(vector) and any(other))
    return heapq.nsmallest(limit, cosines, key=lambda each: (-each[1], each[0]))  # greatest cosine first, then by id


class _CosineDistance(FunctionElement[float]):
    """pgvector's cosine distance; NULL for embeddings of another length.

    Clauses: the embedding, the vector to compare with, the schema of pgvector.
    """

    type = Double()
    inherit_cache = True


@compiles(_CosineDistance, "postgresql")
def _cosine_distance_postgresql(element: _CosineDistance, compiler: SQLCompiler, **options: Any) -> str:
    column, query, schema = (compiler.process(each, **options) for each in element.clauses)
    # A CASE, because conditions are evaluated in any order and the operator fails on other lengths.
    return (
        f"(CASE WHEN cardinality({column}) = cardinality({query})"
        f" THEN {column}::{schema}.vector OPERATOR({schema}.<=>) {query}::{schema}.vector END)"
    )


nearest_embeddings = by_dialect(postgresql=_with_pgvector, sqlite=_one_by_one)
"""Return the nearest embeddings as (id of the memory, cosine), the greatest cosine first, then by id.

pgvector selects candidates, a few more than needed. Python computes their cosines and order in float64, so that the
result is the same everywhere.

Args:
    session: the transaction.
    conditions: on `ContinuumMemory`.
    vector: not all zeros; embeddings of another length are left out.
    limit: the most embeddings to return.
"""
