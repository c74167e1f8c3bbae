"""The words of memories, debates and insights, in tables of their own with a full-text index.

They follow from other rows: `aragora_db.derived` writes them when an ORM session writes what they belong to. Apart
from it, so that a memory's many updates do not touch the index.
"""

from __future__ import annotations

from sqlalchemy.orm import Mapped

from aragora_db.ddl import keyword_index
from aragora_db.models.base import Base, SerialId, references

__all__ = ["ContinuumKeywords", "DebateKeywords", "InsightKeywords"]


class ContinuumKeywords(Base):
    """The words of a memory's content, folded and separated by spaces (`aragora_db.rules.words`)."""

    __tablename__ = "continuum_keywords"

    id: Mapped[SerialId]
    owner_id: Mapped[str] = references("continuum_memory.id", ondelete="CASCADE", unique=True)
    words: Mapped[str]


class DebateKeywords(Base):
    """The words of a debate's task, as above."""

    __tablename__ = "debate_keywords"

    id: Mapped[SerialId]
    owner_id: Mapped[str] = references("debates.id", ondelete="CASCADE", unique=True)
    words: Mapped[str]


class InsightKeywords(Base):
    """The words of an insight's title, description and agents, as above."""

    __tablename__ = "insight_keywords"

    id: Mapped[SerialId]
    owner_id: Mapped[str] = references("insights.id", ondelete="CASCADE", unique=True)
    words: Mapped[str]


for _model in (ContinuumKeywords, DebateKeywords, InsightKeywords):
    keyword_index(Base.metadata.tables[_model.__tablename__])
