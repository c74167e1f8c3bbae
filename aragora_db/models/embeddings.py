"""Vectors of texts from debates, so that no text is embedded twice."""

from __future__ import annotations

from sqlalchemy.orm import Mapped, mapped_column

from aragora_db.models.base import Base, CreatedAt, key
from aragora_db.types.vector import Floats, Vector

__all__ = ["DebateEmbedding"]


class DebateEmbedding(Base):
    """The vector of a text, found by the text's hash (`embeddings` in Aragora)."""

    __tablename__ = "debate_embeddings"

    id: Mapped[key] = mapped_column(primary_key=True)
    text_hash: Mapped[key | None] = mapped_column(unique=True)
    text: Mapped[str | None]
    embedding: Mapped[Floats | None] = mapped_column(Vector)
    provider: Mapped[key | None]
    created_at: Mapped[CreatedAt]
