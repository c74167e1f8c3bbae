"""The append-only record of every revision that was applied."""

from __future__ import annotations

from sqlalchemy.orm import Mapped, mapped_column

from aragora_db.models.base import Base, CreatedAt, SerialId, key

__all__ = ["SchemaHistory"]


class SchemaHistory(Base):
    """A revision, the checksum (SHA-256) its file had, when, by whom and by which version of the package.

    Triggers refuse UPDATE, DELETE and TRUNCATE, and let `aragora_schema_version` move only to the newest row here.
    """

    __tablename__ = "schema_history"

    id: Mapped[SerialId]
    revision: Mapped[key] = mapped_column(unique=True)
    predecessor: Mapped[key | None]
    checksum: Mapped[str]
    applied_at: Mapped[CreatedAt]
    applied_by: Mapped[str]
    duration_ms: Mapped[float | None]
    package_version: Mapped[str]
