"""The record of what was imported, and the rows that had no other place."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from aragora_db.models.base import Base, Count, CreatedAt, SerialId, index, key

__all__ = ["ImportedTable", "LegacyRow"]


class LegacyRow(Base):
    """A row of an imported file that has no place in our tables, whole, and why.

    `row_key` is its primary key in the source, or its number. What JSON has no word for is an object of one member:
    ``{"base64": ...}`` for bytes, ``{"text_base64": ...}`` for text that is not UTF-8, ``{"real": "inf"}``.
    """

    __tablename__ = "legacy_rows"

    id: Mapped[SerialId]
    source_file: Mapped[key]
    table_name: Mapped[key]
    row_key: Mapped[str]
    reason: Mapped[str]
    row: Mapped[dict[str, Any]]
    fingerprint: Mapped[key] = mapped_column(unique=True)


index(
    LegacyRow,
    "table",
    "rows of one table that wait for their parents",
    LegacyRow.table_name,
    LegacyRow.source_file,
    LegacyRow.id,
)


class ImportedTable(Base):
    """One table of one imported file: how many rows it had and what became of each. An import skips what stands here.

    `content_hash` is the XXH3-128 of the file and its WAL. `checksum` is that of the rows which are in our table.
    """

    __tablename__ = "import_ledger"

    id: Mapped[SerialId]
    content_hash: Mapped[key]
    source_file: Mapped[key]
    table_name: Mapped[key]
    target: Mapped[key]
    rows: Mapped[Count]
    carried: Mapped[Count]
    merged: Mapped[Count]
    rejected: Mapped[Count]
    parked: Mapped[Count]
    checksum: Mapped[str | None]
    source_timezone: Mapped[str]
    rejects_file: Mapped[str | None]
    imported_at: Mapped[CreatedAt]

    __table_args__ = (sa.UniqueConstraint("content_hash", "table_name"),)


index(ImportedTable, "imported_at", "imports, newest first", ImportedTable.imported_at.desc(), ImportedTable.id.desc())
