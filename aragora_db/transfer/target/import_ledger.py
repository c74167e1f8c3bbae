"""The import ledger: a row per source file and table, written in the transaction of the table's import.

It also holds a row for each table of ours whose rows have changed, until its search words and counts are computed. If
an import is killed in between, the next one computes them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from aragora_db.engine.dialects import insert_into
from aragora_db.models import ImportedTable
from aragora_db.transfer.report import TableReport
from aragora_db.transfer.target.proof import Checksum

__all__ = [
    "LedgerRow",
    "add_pending_reindex",
    "clear_pending_reindex",
    "earlier_report",
    "find_imported",
    "pending_reindex",
    "record",
]

_ledger: Any = ImportedTable.__table__
_PENDING = "owed"
"""The value of ``content_hash`` in rows of tables to reindex."""

LedgerRow = Mapping[str, Any]
"""A row of the import ledger."""


def find_imported(connection: Connection, content_hash: str) -> dict[str, LedgerRow]:
    """Return the ledger rows of a file's content, by the source table's name."""
    rows = connection.execute(sa.select(_ledger).where(_ledger.c.content_hash == content_hash)).mappings()
    return {row["table_name"]: dict(row) for row in rows}


def record(connection: Connection, content_hash: str, table: TableReport, timezone: str, rejects: str | None) -> None:
    """Insert the ledger row of a table."""
    connection.execute(
        sa.insert(_ledger).values(
            content_hash=content_hash,
            source_file=table.source_file,
            table_name=table.table,
            target=table.target,
            rows=table.rows,
            carried=table.carried,
            merged=table.merged,
            rejected=table.rejected,
            parked=table.parked,
            checksum=table.checksums[0].checksum if table.checksums else None,
            source_timezone=timezone,
            rejects_file=rejects,
        )
    )


def earlier_report(done: LedgerRow, source_file: str) -> TableReport:
    """Return the report of an earlier run."""
    kept = {name: done[name] for name in ("rows", "carried", "merged", "rejected", "parked", "target")}
    checksums = [] if done["checksum"] is None else [Checksum(done["target"], 0, done["checksum"])]
    table = TableReport(source_file, done["table_name"], checksums=checksums, already=True, **kept)
    if done["rejected"]:
        table.reasons[f"rejected in an earlier run: {done['rejects_file']}"] = done["rejected"]
    return table


def add_pending_reindex(connection: Connection, target: str) -> None:
    """Record that rows of a table of ours have changed and must be reindexed."""
    row = {
        "content_hash": _PENDING,
        "source_file": "",
        "table_name": target,
        "target": target,
        "source_timezone": "",
    }
    statement = insert_into(connection.dialect, _ledger).values(row)
    connection.execute(statement.on_conflict_do_nothing(index_elements=["content_hash", "table_name"]))


def pending_reindex(connection: Connection) -> set[str]:
    """Return the tables to reindex after this import or an earlier one."""
    return set(connection.scalars(sa.select(_ledger.c.table_name).where(_ledger.c.content_hash == _PENDING)))


def clear_pending_reindex(connection: Connection, targets: Collection[str]) -> None:
    """Record that these tables were reindexed."""
    connection.execute(sa.delete(_ledger).where(_ledger.c.content_hash == _PENDING, _ledger.c.table_name.in_(targets)))
