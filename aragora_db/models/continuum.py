"""The memory continuum: what agents remember, how it moves between tiers, and what was archived."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.sql.elements import Grouping

from aragora_db.models.base import Base, Count, CreatedAt, Flag, JsonObject, SerialId, index, key, references
from aragora_db.types import KEY_BYTES, EnumText, Json
from aragora_db.types.ddl import keyword_index
from aragora_db.types.vector import Floats, Vector

__all__ = [
    "ContinuumEmbedding",
    "ContinuumKeywords",
    "ContinuumMemory",
    "ContinuumMemoryArchive",
    "MetaLearningState",
    "Tier",
    "TierTransition",
    "weight",
]


class Tier(StrEnum):
    """How fast a memory fades: half-lives of 1 hour, 1 day, 1 week and 30 days."""

    FAST = "fast"
    MEDIUM = "medium"
    SLOW = "slow"
    GLACIAL = "glacial"


class MemoryMetadata(Json):
    """JSON whose ``tenant_id`` is indexed: text of at most `KEY_BYTES` bytes of UTF-8, or nothing.

    A number or a list in its place would be found by PostgreSQL as text, and by SQLite as what it is.
    """

    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Check the value, then its tenant."""
        checked: Any = super().process_bind_param(value, dialect)
        tenant = _tenant(checked)
        if tenant is not None and not (isinstance(tenant, str) and len(tenant.encode()) <= KEY_BYTES):
            raise self.refuse(value, f"a tenant_id that is text of at most {KEY_BYTES} bytes, because it is indexed")
        return checked


def _tenant(metadata: object) -> Any:
    return cast("dict[str, Any]", metadata).get("tenant_id") if isinstance(metadata, dict) else None


class ContinuumMemory(Base):
    """One memory. A red-lined one is protected from deletion, expiry and limits."""

    __tablename__ = "continuum_memory"

    id: Mapped[key] = mapped_column(primary_key=True)
    tier: Mapped[Tier] = mapped_column(EnumText(Tier), default=Tier.SLOW, server_default=sa.text("'slow'"))
    content: Mapped[str]
    importance: Mapped[float] = mapped_column(default=0.5, server_default=sa.text("0.5"))
    surprise_score: Mapped[float] = mapped_column(default=0.0, server_default=sa.text("0.0"))
    consolidation_score: Mapped[float] = mapped_column(default=0.0, server_default=sa.text("0.0"))
    update_count: Mapped[Count]
    success_count: Mapped[Count]
    failure_count: Mapped[Count]
    semantic_centroid: Mapped[bytes | None]
    last_promotion_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]
    metadata_: Mapped[JsonObject] = mapped_column("metadata", MemoryMetadata)
    expires_at: Mapped[datetime | None]
    red_line: Mapped[Flag]
    red_line_reason: Mapped[str] = mapped_column(default="", server_default=sa.text("''"))


# What retrieval ranks by before age comes in. Written out, because an index serves exactly the expression it holds;
# in parentheses, because PostgreSQL wants them there.
weight = Grouping(ContinuumMemory.importance * (sa.literal_column("1.0") + ContinuumMemory.surprise_score))


index(
    ContinuumMemory,
    "tier_importance",
    "retrieve and tier limits: a tier by importance",
    ContinuumMemory.tier,
    ContinuumMemory.importance.desc(),
    ContinuumMemory.id,
)
index(
    ContinuumMemory,
    "tier_surprise",
    "promotion: a tier's most surprising memories",
    ContinuumMemory.tier,
    ContinuumMemory.surprise_score.desc(),
    ContinuumMemory.id,
)
index(
    ContinuumMemory,
    "tier_updated_at",
    "demotion and expiry: a tier's stalest memories",
    ContinuumMemory.tier,
    ContinuumMemory.updated_at,
    ContinuumMemory.id,
)
index(
    ContinuumMemory,
    "importance",
    "retrieve across tiers by importance",
    ContinuumMemory.importance.desc(),
    ContinuumMemory.id,
)
index(
    ContinuumMemory,
    "surprise",
    "retrieve across tiers by surprise",
    ContinuumMemory.surprise_score.desc(),
    ContinuumMemory.id,
)
index(
    ContinuumMemory,
    "tier_weight",
    "retrieve by score: a tier by importance x (1 + surprise), fresh enough",
    ContinuumMemory.tier,
    weight.desc(),
    ContinuumMemory.updated_at.desc(),
    ContinuumMemory.id,
)
index(
    ContinuumMemory,
    "created_at",
    "timeline before and after an instant",
    ContinuumMemory.created_at,
    ContinuumMemory.id,
)
index(
    ContinuumMemory,
    "expires_at",
    "memories with a date of expiry",
    ContinuumMemory.expires_at,
    where=ContinuumMemory.expires_at.is_not(None),
)
index(
    ContinuumMemory,
    "red_line",
    "red-lined memories",
    ContinuumMemory.updated_at.desc(),
    ContinuumMemory.id,
    where=sa.text("red_line"),
)
index(ContinuumMemory, "tenant", "retrieve within one tenant", ContinuumMemory.metadata_["tenant_id"].as_string())


class ContinuumKeywords(Base):
    """The words of a memory's content, folded (`aragora_db.rules.words`); `aragora_db.search.index` writes them.

    Apart from the memory, so that its many updates do not touch the full-text index.
    """

    __tablename__ = "continuum_keywords"

    id: Mapped[SerialId]
    owner_id: Mapped[key] = references("continuum_memory.id", ondelete="CASCADE", unique=True)
    words: Mapped[str]


keyword_index(Base.metadata.tables["continuum_keywords"])


class ContinuumEmbedding(Base):
    """The vector of a memory's content, by which memories of like meaning are found."""

    __tablename__ = "continuum_embeddings"

    memory_id: Mapped[key] = references("continuum_memory.id", ondelete="CASCADE", primary_key=True)
    embedding: Mapped[Floats] = mapped_column(Vector)
    updated_at: Mapped[CreatedAt]


class TierTransition(Base):
    """A memory's move from one tier to another, and why."""

    __tablename__ = "tier_transitions"

    id: Mapped[SerialId]
    memory_id: Mapped[key] = references("continuum_memory.id", ondelete="CASCADE")
    from_tier: Mapped[Tier] = mapped_column(EnumText(Tier))
    to_tier: Mapped[Tier] = mapped_column(EnumText(Tier))
    reason: Mapped[str | None]
    surprise_score: Mapped[float | None]
    created_at: Mapped[CreatedAt]


index(
    TierTransition,
    "memory",
    "a memory's moves",
    TierTransition.memory_id,
    TierTransition.created_at.desc(),
    TierTransition.id.desc(),
)
index(TierTransition, "created_at", "moves within a span of time", TierTransition.created_at)


class ContinuumMemoryArchive(Base):
    """A memory that expired, fell over a tier's limit or was deleted. An id may be archived more than once."""

    __tablename__ = "continuum_memory_archive"

    archive_id: Mapped[SerialId]
    id: Mapped[key]
    tier: Mapped[Tier] = mapped_column(EnumText(Tier))
    content: Mapped[str]
    importance: Mapped[float | None]
    surprise_score: Mapped[float | None]
    consolidation_score: Mapped[float | None]
    update_count: Mapped[int | None]
    success_count: Mapped[int | None]
    failure_count: Mapped[int | None]
    semantic_centroid: Mapped[bytes | None]
    created_at: Mapped[datetime | None]
    updated_at: Mapped[datetime | None]
    archived_at: Mapped[CreatedAt]
    archive_reason: Mapped[str | None]
    metadata_: Mapped[dict[str, Any] | None] = mapped_column("metadata")
    last_promotion_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    red_line: Mapped[bool | None]
    red_line_reason: Mapped[str | None]
    embedding: Mapped[Floats | None] = mapped_column(Vector)


index(
    ContinuumMemoryArchive,
    "memory",
    "an archived memory by its id",
    ContinuumMemoryArchive.id,
    ContinuumMemoryArchive.archived_at.desc(),
)
index(ContinuumMemoryArchive, "archived_at", "archive by age", ContinuumMemoryArchive.archived_at)
index(
    ContinuumMemoryArchive,
    "tier",
    "archive of one tier",
    ContinuumMemoryArchive.tier,
    ContinuumMemoryArchive.archived_at,
)


class MetaLearningState(Base):
    """The hyperparameters that one evaluation cycle of the continuum arrived at."""

    __tablename__ = "meta_learning_state"

    id: Mapped[SerialId]
    hyperparams: Mapped[dict[str, Any]]
    learning_efficiency: Mapped[float | None]
    pattern_retention_rate: Mapped[float | None]
    forgetting_rate: Mapped[float | None]
    cycles_evaluated: Mapped[Count]
    created_at: Mapped[CreatedAt]


index(
    MetaLearningState,
    "created_at",
    "the newest state",
    MetaLearningState.created_at.desc(),
    MetaLearningState.id.desc(),
)
