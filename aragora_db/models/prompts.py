"""How agents' prompts evolve: versions, patterns taken from debates, and weaknesses that were found."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from aragora_db.models.base import Base, Count, CreatedAt, SerialId, index, key

__all__ = ["ExtractedPattern", "PromptEvolution", "PromptVersion", "VulnerabilityPattern"]


class PromptVersion(Base):
    """One version of an agent's prompt, and how debates with it went."""

    __tablename__ = "prompt_versions"

    id: Mapped[SerialId]
    agent_name: Mapped[key]
    version: Mapped[int]
    prompt: Mapped[str]
    performance_score: Mapped[float] = mapped_column(default=0.0, server_default=sa.text("0.0"))
    debates_count: Mapped[Count]
    consensus_rate: Mapped[float] = mapped_column(default=0.0, server_default=sa.text("0.0"))
    metadata_: Mapped[dict[str, Any] | None] = mapped_column("metadata")
    created_at: Mapped[CreatedAt]

    __table_args__ = (sa.UniqueConstraint("agent_name", "version"),)


class ExtractedPattern(Base):
    """A pattern taken from a debate, for use in prompts."""

    __tablename__ = "extracted_patterns"

    id: Mapped[SerialId]
    pattern_type: Mapped[key]
    pattern_text: Mapped[str]
    source_debate_id: Mapped[key | None]
    effectiveness_score: Mapped[float] = mapped_column(default=0.5, server_default=sa.text("0.5"))
    usage_count: Mapped[Count]
    created_at: Mapped[CreatedAt]


index(
    ExtractedPattern,
    "type",
    "patterns of one type, most effective first",
    ExtractedPattern.pattern_type,
    ExtractedPattern.effectiveness_score.desc(),
    ExtractedPattern.id,
)


class PromptEvolution(Base):
    """A step from one version of a prompt to another (`evolution_history` of Aragora's prompt evolver)."""

    __tablename__ = "prompt_evolution_history"

    id: Mapped[SerialId]
    agent_name: Mapped[key]
    from_version: Mapped[int | None]
    to_version: Mapped[int | None]
    strategy: Mapped[str | None]
    patterns_applied: Mapped[list[Any] | None]
    created_at: Mapped[CreatedAt]


index(
    PromptEvolution,
    "agent",
    "an agent's steps, newest first",
    PromptEvolution.agent_name,
    PromptEvolution.created_at.desc(),
    PromptEvolution.id.desc(),
)


class VulnerabilityPattern(Base):
    """A weakness of an agent that a gauntlet found."""

    __tablename__ = "vulnerability_patterns"

    id: Mapped[SerialId]
    agent_name: Mapped[key]
    vulnerability_type: Mapped[key]
    severity: Mapped[key]
    category: Mapped[key]
    trigger_prompt: Mapped[str | None]
    agent_response: Mapped[str | None]
    mitigation_strategy: Mapped[str | None]
    gauntlet_id: Mapped[key | None]
    occurrence_count: Mapped[int] = mapped_column(default=1, server_default=sa.text("1"))
    last_seen: Mapped[CreatedAt]
    created_at: Mapped[CreatedAt]


index(
    VulnerabilityPattern,
    "agent",
    "an agent's weaknesses, latest first",
    VulnerabilityPattern.agent_name,
    VulnerabilityPattern.last_seen.desc(),
    VulnerabilityPattern.id.desc(),
)
