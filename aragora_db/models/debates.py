"""Debates as they are published, their results, and the critiques agents gave each other."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from aragora_db.models.base import Base, Count, CreatedAt, Flag, SerialId, index, key, references
from aragora_db.types.ddl import keyword_index

__all__ = ["Critique", "Debate", "DebateKeywords", "DebateResult"]


class Debate(Base):
    """A debate with its whole artifact. `is_public` NULL means that nobody decided."""

    __tablename__ = "debates"

    id: Mapped[key] = mapped_column(primary_key=True)
    slug: Mapped[key] = mapped_column(unique=True)
    task: Mapped[str]
    agents: Mapped[list[Any]]
    artifact_json: Mapped[dict[str, Any]]
    consensus_reached: Mapped[bool | None]
    confidence: Mapped[float | None]
    created_at: Mapped[CreatedAt]
    view_count: Mapped[Count]
    audio_path: Mapped[str | None]
    audio_generated_at: Mapped[datetime | None]
    audio_duration_seconds: Mapped[int | None]
    org_id: Mapped[key | None]
    is_public: Mapped[bool | None]
    workspace_id: Mapped[key | None]


index(Debate, "created_at", "debates, newest first (keyset)", Debate.created_at.desc(), Debate.id.desc())
index(
    Debate,
    "org",
    "debates of one organisation, newest first",
    Debate.org_id,
    Debate.created_at.desc(),
    Debate.id.desc(),
)
index(
    Debate,
    "workspace",
    "debates of one workspace, newest first",
    Debate.workspace_id,
    Debate.created_at.desc(),
    Debate.id.desc(),
)


class DebateKeywords(Base):
    """The words of a debate's task, folded; `aragora_db.search.index` writes them."""

    __tablename__ = "debate_keywords"

    id: Mapped[SerialId]
    owner_id: Mapped[key] = references("debates.id", ondelete="CASCADE", unique=True)
    words: Mapped[str]


keyword_index(Base.metadata.tables["debate_keywords"])


class DebateResult(Base):
    """How a debate ended, for learning from its critiques (Aragora's critique store calls this table `debates` too)."""

    __tablename__ = "debate_results"

    id: Mapped[key] = mapped_column(primary_key=True)
    task: Mapped[str]
    final_answer: Mapped[str | None]
    consensus_reached: Mapped[bool | None]
    confidence: Mapped[float | None]
    rounds_used: Mapped[int | None]
    duration_seconds: Mapped[float | None]
    grounded_verdict: Mapped[dict[str, Any] | None]
    created_at: Mapped[CreatedAt]


index(DebateResult, "created_at", "recent results", DebateResult.created_at.desc(), DebateResult.id.desc())


class Critique(Base):
    """What one agent said about another's proposal, how severe it was (0..1) and whether it helped."""

    __tablename__ = "critiques"

    id: Mapped[SerialId]
    debate_id: Mapped[key | None] = references("debate_results.id", ondelete="CASCADE")
    agent: Mapped[key]
    target_agent: Mapped[key | None]
    issues: Mapped[list[Any] | None]
    suggestions: Mapped[list[Any] | None]
    severity: Mapped[float | None]
    reasoning: Mapped[str | None]
    led_to_improvement: Mapped[Flag]
    expected_usefulness: Mapped[float] = mapped_column(default=0.5, server_default=sa.text("0.5"))
    actual_usefulness: Mapped[float | None]
    prediction_error: Mapped[float | None]
    created_at: Mapped[CreatedAt]


index(Critique, "debate", "critiques of one debate in order", Critique.debate_id, Critique.created_at)
index(Critique, "agent", "critiques an agent gave", Critique.agent, Critique.created_at.desc(), Critique.id.desc())
index(
    Critique,
    "target",
    "critiques an agent received",
    Critique.target_agent,
    Critique.created_at.desc(),
    Critique.id.desc(),
)
