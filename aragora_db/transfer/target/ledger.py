"""The record of what was imported: a row per file and table, written in the transaction of the table's move.

Beside them stands a row for each table of ours whose rows have changed, until what follows from them was computed: an
import that was killed in between owes it to the next one.
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

__all__ = ["Done", "owe", "owed", "pay", "recall", "record", "reported"]

_ledger: Any = ImportedTable.__table__
_OWED = "owed"
"""Stands where other rows have a file's hash."""

Done = Mapping[str, Any]
"""A row of the ledger."""


def recall(connection: Connection, content_hash: str) -> dict[str, Done]:
    """What was imported of a file's content, by the name of the source's table."""
    rows = connection.execute(sa.select(_ledger).where(_ledger.c.content_hash == content_hash)).mappings()
    return {row["table_name"]: dict(row) for row in rows}


def record(connection: Connection, content_hash: str, table: TableReport, timezone: str, rejects: str | None) -> None:
    """Write down what became of a table."""
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


def reported(done: Done, source_file: str) -> TableReport:
    """What an earlier run wrote down, as a report."""
    kept = {name: done[name] for name in ("rows", "carried", "merged", "rejected", "parked", "target")}
    checksums = [] if done["checksum"] is None else [Checksum(done["target"], 0, done["checksum"])]
    table = TableReport(source_file, done["table_name"], checksums=checksums, already=True, **kept)
    if done["rejected"]:
        table.reasons[f"rejected in an earlier run: {done['rejects_file']}"] = done["rejected"]
    return table


def owe(connection: Connection, target: str) -> None:
    """Write down that rows of a table of ours have changed, and what follows from them has not."""
    row = {"content_hash": _OWED, "source_file": "", "table_name": target, "target": target, "source_timezone": ""}
    statement = insert_into(connection.dialect, _ledger).values(row)
    connection.execute(statement.on_conflict_do_nothing(index_elements=["content_hash", "table_name"]))


def owed(connection: Connection) -> set[str]:
    """The tables of which that is written down, by this import or an earlier one."""
    return set(connection.scalars(sa.select(_ledger.c.table_name).where(_ledger.c.content_hash == _OWED)))


def pay(connection: Connection, targets: Collection[str]) -> None:
    """Strike them out."""
    connection.execute(sa.delete(_ledger).where(_ledger.c.content_hash == _OWED, _ledger.c.table_name.in_(targets)))
