"""Prove an import: compare checksums of the rows read from the source with those of the rows in the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from aragora_db.errors import ProofFailed
from aragora_db.transfer.rows.digest import Digest
from aragora_db.transfer.target import merge
from aragora_db.transfer.target.loaders import loader_of
from aragora_db.transfer.target.merge import StagedTable

__all__ = ["Checksum", "present_digest", "prove_staged", "prove_tables", "read_digest"]

_PRESENT = (*merge.CARRIED, "same")
_ABSENT = ("older", *merge.PARKED)


@dataclass(frozen=True)
class Checksum:
    """How many rows of a table there are, and the checksum of both sides (they are equal, or there is no Checksum)."""

    table: str
    rows: int
    checksum: str


def read_digest(connection: Connection, select: Any) -> Digest:
    """Return the checksum of a SELECT's rows."""
    digest = Digest()
    for lines in loader_of(connection).copy_lines(connection, select):
        digest.add(lines)
    return digest


def prove_tables(
    connection: Connection, tables: Sequence[tuple[sa.Table, Sequence[str]]], read: Mapping[str, Digest]
) -> list[Checksum]:
    """Compare all rows of tables that were empty before with all rows that were read.

    Raises:
        ProofFailed: they differ.
    """
    return [
        _compared(table, read[table.name], read_digest(connection, sa.select(*(table.c[name] for name in columns))))
        for table, columns in tables
    ]


def prove_staged(
    connection: Connection, main: StagedTable, parts: Sequence[StagedTable], read: Mapping[str, Digest]
) -> list[Checksum]:
    """Compare the staged rows that should be in the target now with the rows in the target.

    The staged rows are compared with what was read first. So the rows that are then removed from the checksum, because
    they are parked or older than what exists, are known to be as they were read.

    Raises:
        ProofFailed: they differ.
    """
    found: list[Checksum] = []
    for staged in (main, *parts):
        expected = read[staged.target.name].copy()
        own = [staged.staging.c[name] for name in staged.columns]
        _compared(staged.target, expected, read_digest(connection, sa.select(*own)))
        belongs = [] if staged is main else [staged.staging.c.source_key == main.staging.c.source_key]
        for lines in loader_of(connection).copy_lines(
            connection, sa.select(*own).where(*belongs, merge.is_any(main.staging, *_ABSENT))
        ):
            expected.remove(lines)
        found.append(_compared(staged.target, expected, read_digest(connection, _written(main, staged, own, belongs))))
    return found


def present_digest(connection: Connection, main: StagedTable, staged: StagedTable) -> Digest:
    """Return the checksum of the target's rows whose decision is "same", for `main` or one of its parts."""
    belongs = [] if staged is main else [staged.staging.c.source_key == main.staging.c.source_key]
    own = [staged.staging.c[name] for name in staged.columns]
    same = [*belongs, main.staging.c.decision == "same"]
    return read_digest(connection, _written(main, staged, own, same))


def _written(main: StagedTable, staged: StagedTable, own: Sequence[Any], belongs: Sequence[Any]) -> Any:
    """Select the target's rows for staged ones, with the ids of the source."""
    existing = staged.existing
    present = [*belongs, merge.is_any(main.staging, *_PRESENT)]
    final = dict(zip(staged.columns, merge.final_columns(main, staged), strict=True))
    if not staged.key:  # numbered by the database: found by what stands in it
        same = [
            existing.c[name].is_not_distinct_from(value)
            if staged.target.c[name].nullable
            else existing.c[name] == value
            for name, value in final.items()
        ]
        return sa.select(*own).where(*present, sa.exists().where(*same))
    numbers: set[str | None] = {main.serial if staged is main else staged.parent} if main.serial else set()
    shown = [staged.staging.c[name] if name in numbers else existing.c[name] for name in staged.columns]
    return sa.select(*shown).where(*present, *(existing.c[name] == final[name] for name in staged.key))


def _compared(table: sa.Table, read: Digest, found: Digest) -> Checksum:
    if read != found:
        raise ProofFailed(
            f"{table.name}: {read.rows} rows with checksum {read} were read, and {found.rows} with checksum {found} "
            "are in the database; the table was rolled back. Please report this"
        )
    return Checksum(table.name, found.rows, str(found))
