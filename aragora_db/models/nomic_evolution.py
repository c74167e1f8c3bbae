"""How the nomic loop changes its own code: cycles, the files each touched, and what was rolled back."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from aragora_db.models.base import Base, Count, CreatedAt, index, key, references

__all__ = ["CycleEvolution", "CycleFileChange", "NomicRollback"]


class NomicRollback(Base):
    """A cycle that was undone, and why."""

    __tablename__ = "nomic_rollbacks"

    id: Mapped[key] = mapped_column(primary_key=True)
    loop_id: Mapped[key]
    cycle_number: Mapped[int]
    phase: Mapped[key]
    reason: Mapped[str]
    severity: Mapped[key]
    rolled_back_commit: Mapped[str | None]
    preserved_branch: Mapped[str | None]
    files_affected: Mapped[list[Any] | None]
    diff_summary: Mapped[str | None]
    error_message: Mapped[str | None]
    created_at: Mapped[CreatedAt]


index(NomicRollback, "loop", "a loop's rollbacks in order", NomicRollback.loop_id, NomicRollback.cycle_number)
index(
    NomicRollback,
    "severity",
    "rollbacks of one severity, newest first",
    NomicRollback.severity,
    NomicRollback.created_at.desc(),
)


class CycleEvolution(Base):
    """One cycle of a loop: the proposal that won and the commit it became."""

    __tablename__ = "cycle_evolutions"

    id: Mapped[key] = mapped_column(primary_key=True)
    loop_id: Mapped[key]
    cycle_number: Mapped[int]
    debate_artifact_id: Mapped[key | None]
    winning_proposal_summary: Mapped[str | None]
    files_changed: Mapped[list[Any] | None]
    git_commit: Mapped[str | None]
    rollback_id: Mapped[key | None] = references("nomic_rollbacks.id")
    created_at: Mapped[CreatedAt]

    __table_args__ = (sa.UniqueConstraint("loop_id", "cycle_number"),)


index(CycleEvolution, "rollback", "the cycle that a rollback undid", CycleEvolution.rollback_id)


class CycleFileChange(Base):
    """How many lines one cycle changed in one file."""

    __tablename__ = "cycle_file_changes"

    loop_id: Mapped[key] = mapped_column(primary_key=True)
    cycle_number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    file_path: Mapped[key] = mapped_column(primary_key=True)
    change_type: Mapped[key]
    insertions: Mapped[Count]
    deletions: Mapped[Count]


index(CycleFileChange, "path", "the cycles that touched a file", CycleFileChange.file_path)
