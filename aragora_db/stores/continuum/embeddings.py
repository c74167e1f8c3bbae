"""Embeddings of memories, the memories of like meaning, and both searches in one."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from aragora_db.engine.dialects import insert
from aragora_db.errors import InvalidValue
from aragora_db.models import Base, ContinuumEmbedding, ContinuumMemory, Tier
from aragora_db.rules import retrieval
from aragora_db.search.nearest_vectors import length, nearest
from aragora_db.sql.memory_score import of_tenant
from aragora_db.stores import checks
from aragora_db.stores.continuum.base import clock, no_memory, tiers_of
from aragora_db.stores.continuum.retrieval import Retrieval, Retrieved
from aragora_db.stores.paging import MAX_LIMIT, check_limit
from aragora_db.types.vector import MAX_DIMENSIONS, Floats

__all__ = ["Embeddings"]

_TABLE = Base.metadata.tables["continuum_embeddings"]
_SHORTEST, _LONGEST = 1e-15, 1e15  # beyond, float32 cannot compute with the squares, and pgvector would fail


class Embeddings(Retrieval):
    """The part of `ContinuumStore` that finds by meaning."""

    def set_embedding(self, memory_id: str, embedding: Iterable[float], *, now: datetime | None = None) -> None:
        """Set, or replace, the vector of a memory's content. It stays when the content changes: set it again then.

        Args:
            memory_id: the memory.
            embedding: 1 to 16,000 numbers, kept as float32.
            now: the time; the clock's by default.

        Raises:
            InvalidValue: the vector has no direction, or float32 cannot hold it.
            NotFoundError: there is no such memory.
        """
        self.set_embeddings({memory_id: embedding}, now=now)

    def set_embeddings(self, embeddings: Mapping[str, Iterable[float]], *, now: datetime | None = None) -> None:
        """`set_embedding` for up to 10,000 memories, in two statements; all of them or none.

        Raises:
            InvalidValue: a vector has no direction, or float32 cannot hold it.
            NotFoundError: a memory is not there.
        """
        instant = clock(now)
        if len(embeddings) > MAX_LIMIT:
            raise InvalidValue(f"embeddings has {len(embeddings)} vectors; set at most {MAX_LIMIT} at a time")
        rows: list[dict[str, Any]] = [
            {"memory_id": checks.key("memory_id", key), "embedding": _vector(embeddings[key]), "updated_at": instant}
            for key in sorted(embeddings)
        ]
        if not rows:
            return
        self._session.flush()
        # Locked against removal, as the foreign key would do, and in key order.
        there = sa.select(ContinuumMemory.id).where(ContinuumMemory.id.in_(embeddings)).order_by(ContinuumMemory.id)
        found = set(self._session.scalars(there.with_for_update(read=True, key_share=True)))
        for row in rows:
            if row["memory_id"] not in found:
                raise no_memory(row["memory_id"])
        statement = insert(self._session, _TABLE)
        new = statement.excluded
        statement = statement.on_conflict_do_update(
            index_elements=["memory_id"], set_={"embedding": new.embedding, "updated_at": new.updated_at}
        )
        self._session.connection().execute(statement, rows)

    def get_embedding(self, memory_id: str) -> Floats | None:
        """A memory's vector as ``array('f')``, or None."""
        row = self._session.get(ContinuumEmbedding, checks.key("memory_id", memory_id), populate_existing=True)
        return None if row is None else row.embedding

    def similar(
        self,
        embedding: Iterable[float],
        *,
        limit: int = 10,
        tiers: Iterable[Tier | str] | None = None,
        tenant: str | None = None,
    ) -> list[Retrieved]:
        """The memories of most similar meaning: by the cosine of their vectors, -1 to 1, then by id.

        All vectors are compared, those of another length left out. Where the extension ``vector`` (pgvector) is
        installed in the database it does most of the work, elsewhere Python; the result is the same.

        Args:
            embedding: the vector to compare with, not all zeros.
            limit: how many.
            tiers: only these.
            tenant: only memories whose metadata have this ``tenant_id``.

        Raises:
            InvalidValue: an argument is out of range.
        """
        vector, among = _vector(embedding), tiers_of(tiers)
        check_limit(limit)
        conditions: list[Any] = []
        if len(among) < len(Tier):
            conditions.append(ContinuumMemory.tier.in_(among))
        if tenant is not None:
            conditions.append(of_tenant(checks.key("tenant", tenant)))
        return self._with_memories(dict(nearest(self._session, conditions, vector, limit)))

    def hybrid(
        self,
        keywords: Sequence[str],
        embedding: Iterable[float],
        *,
        limit: int = 10,
        tiers: Iterable[Tier | str] | None = None,
        tenant: str | None = None,
        now: datetime | None = None,
    ) -> list[Retrieved]:
        """The memories found by keywords and those found by meaning, ranks fused as `aragora_db.rules.retrieval.fuse`.

        Each search contributes its best ``3 * limit``. Keyword matches are ranked by `retrieve`, where Aragora ranks
        them by BM25.

        Args:
            keywords: see `retrieve`.
            embedding: see `similar`.
            limit: how many.
            tiers: only these.
            tenant: only memories whose metadata have this ``tenant_id``.
            now: when; the clock's time by default.

        Raises:
            InvalidValue: an argument is out of range.
        """
        each = min(MAX_LIMIT, 3 * check_limit(limit))
        among = tiers_of(tiers)
        by_meaning = self.similar(embedding, limit=each, tiers=among, tenant=tenant)
        by_keyword = self.retrieve(keywords=keywords, limit=each, tiers=among, tenant=tenant, now=now)
        fused = retrieval.fuse(
            (share, [found.memory.id for found in ranking])
            for share, ranking in ((retrieval.VECTOR_WEIGHT, by_meaning), (retrieval.KEYWORD_WEIGHT, by_keyword))
        )
        memories = {found.memory.id: found.memory for found in [*by_meaning, *by_keyword]}
        return [Retrieved(memories[key], score) for key, score in list(fused.items())[:limit]]

    def _with_memories(self, scores: Mapping[str, float]) -> list[Retrieved]:
        statement = sa.select(ContinuumMemory).where(ContinuumMemory.id.in_(scores))
        rows = self._session.scalars(statement, execution_options={"populate_existing": True})
        memories = {memory.id: memory for memory in rows}
        # Another transaction may have archived one in between.
        return [Retrieved(memories[key], score) for key, score in scores.items() if key in memories]


def _vector(embedding: Iterable[float]) -> Floats:
    """Checked and rounded to float32.

    Raises:
        InvalidValue: it has no direction, too many numbers, or such that float32 cannot hold.
    """
    try:
        vector = array("f", iter(embedding))
    except (TypeError, ValueError, OverflowError):
        raise InvalidValue("embedding must be a sequence of numbers that float32 can hold") from None
    if not 1 <= len(vector) <= MAX_DIMENSIONS or not all(map(math.isfinite, vector)):
        raise InvalidValue(f"embedding has {len(vector)} numbers; it must be 1 to {MAX_DIMENSIONS} finite ones")
    if not _SHORTEST <= length(vector) <= _LONGEST:
        raise InvalidValue("embedding is all zeros, or nearly so, or far too long; scale it to a length about 1")
    return vector
