"""What stands in the target against what was read from the source, row by row, whatever the order."""

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
from aragora_db.transfer.target.merge import Staged

__all__ = ["Checksum", "present_digest", "prove_staged", "prove_whole", "read_digest"]

_PRESENT = (*merge.CARRIED, "same")
_ABSENT = ("older", *merge.PARKED)


@dataclass(frozen=True)
class Checksum:
    """How many rows of a table there are, and the checksum of both sides (they are equal, or there is no Checksum)."""

    table: str
    rows: int
    checksum: str


def read_digest(connection: Connection, select: Any) -> Digest:
    """The checksum of what a SELECT gives."""
    digest = Digest()
    for lines in loader_of(connection).lines(connection, select):
        digest.add(lines)
    return digest


def prove_whole(
    connection: Connection, tables: Sequence[tuple[sa.Table, Sequence[str]]], read: Mapping[str, Digest]
) -> list[Checksum]:
    """Tables that were empty before: all of their rows against all that were read.

    Raises:
        ProofFailed: they differ.
    """
    return [
        _same(table, read[table.name], read_digest(connection, sa.select(*(table.c[name] for name in columns))))
        for table, columns in tables
    ]


def prove_staged(
    connection: Connection, main: Staged, parts: Sequence[Staged], read: Mapping[str, Digest]
) -> list[Checksum]:
    """Rows that met others: those that are to be in the target now, there and as they were read.

    The staged rows are held against what was read first; so what is taken from their checksum, because it was
    parked or is older than what is there, was read as well.

    Raises:
        ProofFailed: they differ.
    """
    found: list[Checksum] = []
    for staged in (main, *parts):
        expected = read[staged.target.name].copy()
        own = [staged.staging.c[name] for name in staged.columns]
        _same(staged.target, expected, read_digest(connection, sa.select(*own)))
        belongs = [] if staged is main else [staged.staging.c.source_key == main.staging.c.source_key]
        for lines in loader_of(connection).lines(
            connection, sa.select(*own).where(*belongs, merge.is_any(main.staging, *_ABSENT))
        ):
            expected.remove(lines)
        found.append(_same(staged.target, expected, read_digest(connection, _written(main, staged, own, belongs))))
    return found


def present_digest(connection: Connection, main: Staged, staged: Staged) -> Digest:
    """The checksum of the target's rows that `main`'s verdicts call the same, for it or for a part."""
    belongs = [] if staged is main else [staged.staging.c.source_key == main.staging.c.source_key]
    own = [staged.staging.c[name] for name in staged.columns]
    same = [*belongs, main.staging.c.verdict == "same"]
    return read_digest(connection, _written(main, staged, own, same))


def _written(main: Staged, staged: Staged, own: Sequence[Any], belongs: Sequence[Any]) -> Any:
    """The target's rows for staged ones, with the number that the source gave them."""
    there = staged.there
    present = [*belongs, merge.is_any(main.staging, *_PRESENT)]
    final = dict(zip(staged.columns, merge.final_columns(main, staged), strict=True))
    if not staged.key:  # numbered by the database: found by what stands in it
        same = [
            there.c[name].is_not_distinct_from(value) if staged.target.c[name].nullable else there.c[name] == value
            for name, value in final.items()
        ]
        return sa.select(*own).where(*present, sa.exists().where(*same))
    numbers: set[str | None] = {main.serial if staged is main else staged.parent} if main.serial else set()
    shown = [staged.staging.c[name] if name in numbers else there.c[name] for name in staged.columns]
    return sa.select(*shown).where(*present, *(there.c[name] == final[name] for name in staged.key))


def _same(table: sa.Table, read: Digest, found: Digest) -> Checksum:
    if read != found:
        raise ProofFailed(
            f"{table.name}: {read.rows} rows with checksum {read} were read, and {found.rows} with checksum {found} "
            "are in the database; the table was rolled back. Please report this"
        )
    return Checksum(table.name, found.rows, str(found))
