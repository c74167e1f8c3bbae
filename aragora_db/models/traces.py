"""Debates step by step, for replay."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from aragora_db.models.base import Base, index, key, references
from aragora_db.types.ddl import newest_first

__all__ = ["DebateTrace", "TraceEvent"]


class DebateTrace(Base):
    """A recorded debate (`traces` in Aragora): `trace_json` is the whole recording, `checksum` the recorder's own."""

    __tablename__ = "traces"

    trace_id: Mapped[key] = mapped_column(primary_key=True)
    debate_id: Mapped[key | None]
    task: Mapped[str | None]
    agents: Mapped[list[Any] | None]
    random_seed: Mapped[int | None]
    started_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    checksum: Mapped[str | None]
    trace_json: Mapped[dict[str, Any] | None]


index(DebateTrace, "debate", "the recordings of a debate", DebateTrace.debate_id, newest_first(DebateTrace.started_at))


class TraceEvent(Base):
    """One step of a recorded debate."""

    __tablename__ = "trace_events"

    event_id: Mapped[key] = mapped_column(primary_key=True)
    trace_id: Mapped[key | None] = references("traces.trace_id", ondelete="CASCADE")
    event_type: Mapped[key | None]
    timestamp: Mapped[datetime | None]
    round_num: Mapped[int | None]
    agent: Mapped[key | None]
    content: Mapped[dict[str, Any] | None]


index(TraceEvent, "trace", "a recording's steps in order", TraceEvent.trace_id, TraceEvent.timestamp)
