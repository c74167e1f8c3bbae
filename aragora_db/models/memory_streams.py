"""An agent's stream of memories, and when it is due to reflect on them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from aragora_db.models.base import Base, Count, CreatedAt, index, key

__all__ = ["AgentMemory", "ReflectionSchedule"]


class AgentMemory(Base):
    """Something an agent observed or concluded (`memories` in Aragora); importance 0..1."""

    __tablename__ = "agent_memories"

    id: Mapped[key] = mapped_column(primary_key=True)
    agent_name: Mapped[key]
    memory_type: Mapped[key]
    content: Mapped[str]
    importance: Mapped[float] = mapped_column(default=0.5, server_default=sa.text("0.5"))
    debate_id: Mapped[key | None]
    metadata_: Mapped[dict[str, Any] | None] = mapped_column("metadata")
    created_at: Mapped[CreatedAt]


index(
    AgentMemory,
    "agent",
    "an agent's memories, newest first",
    AgentMemory.agent_name,
    AgentMemory.created_at.desc(),
    AgentMemory.id,
)
index(
    AgentMemory,
    "agent_type",
    "an agent's memories of one type, newest first",
    AgentMemory.agent_name,
    AgentMemory.memory_type,
    AgentMemory.created_at.desc(),
)


class ReflectionSchedule(Base):
    """When an agent reflected last, and how many memories it made since."""

    __tablename__ = "reflection_schedule"

    agent_name: Mapped[key] = mapped_column(primary_key=True)
    last_reflection: Mapped[datetime | None]
    memories_since_reflection: Mapped[Count]
