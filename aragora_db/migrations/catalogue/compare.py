"""Compare the models with a live database: no false alarm and no miss.

Alembic compares what it reflects, and so does not see CHECKs, the predicate of a partial index, a lost STRICT,
AUTOINCREMENT or identity, nor ASC for DESC. Here the models are built in a scratch place of the same database system,
and both catalogues are read as text.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import sqlalchemy as sa

from aragora_db.errors import UsageError
from aragora_db.migrations.catalogue import postgresql, sqlite
from aragora_db.migrations.catalogue.entries import KINDS, Entries, Entry, Kind, Reader

__all__ = ["READERS", "Change", "Difference", "compare"]

Change: TypeAlias = Literal["missing", "unexpected", "changed"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One object that is missing, that should not be there, or that is not as the models have it.

    Attributes:
        kind: table, column, identity, constraint or index.
        table: the table it belongs to.
        name: its name; of an identity its column's, of an unnamed constraint its definition.
        change: seen from the database.
        expected: the definition that the models build, normalised; None when they have no such object.
        found: the definition in the database, normalised; None when it has no such object.
    """

    kind: Kind
    table: str
    name: str
    change: Change
    expected: str | None
    found: str | None

    def __str__(self) -> str:
        """One line; for a changed object both definitions below it."""
        subject = f"table {self.table}" if self.kind == "table" else f"{self.kind} {self.name} of table {self.table}"
        if self.change == "changed":
            return f"{subject} is not as the models have it\n  expected: {self.expected}\n  found:    {self.found}"
        if self.change == "missing":
            return f"{subject} is missing: {self.expected}"
        return f"{subject} is not in the models: {self.found}"

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON."""
        return asdict(self)


READERS: Mapping[str, Reader] = MappingProxyType({"postgresql": postgresql.read_entries, "sqlite": sqlite.read_entries})
"""The reader of each dialect, by SQLAlchemy's name for it."""


def compare(connection: sa.Connection, metadata: sa.MetaData, ignore_tables: Collection[str] = ()) -> list[Difference]:
    """Return the differences between a database and the models, by table.

    Leaves nothing in the database, and the connection's transaction as it was. Tables that the models do not know are
    passed over; anything more than the models say on one that they know is ``unexpected``. The order of columns,
    triggers, privileges and storage parameters are not compared.

    Args:
        connection: where to look; on PostgreSQL, in its current schema. Not in autocommit mode.
        metadata: the models.
        ignore_tables: names of tables of the models to pass over.

    Raises:
        MigrationError: when the database does not let the comparison be made; says what to run.
        UsageError: for a dialect, a connection or models this cannot work with.
    """
    name = connection.dialect.name
    reader = READERS.get(name)
    if reader is None:
        raise UsageError(f'Models cannot be compared on "{name}": use a connection to {" or ".join(sorted(READERS))}')
    tables = sorted({table.name for table in metadata.tables.values()}.difference(ignore_tables))
    expected, found = reader(connection, metadata, tables)
    return sorted(_differences(expected, found), key=_report_order)


def _differences(expected: Entries, found: Entries) -> Iterator[Difference]:
    there = {entry.table for entry in found if entry.kind == "table"}
    for entry in expected.keys() | found.keys():
        wanted, seen = expected.get(entry), found.get(entry)
        if wanted != seen and (entry.kind == "table" or entry.table in there):
            yield _difference(entry, wanted, seen)


def _difference(entry: Entry, wanted: str | None, seen: str | None) -> Difference:
    change: Change = "missing" if seen is None else "unexpected" if wanted is None else "changed"
    return Difference(entry.kind, entry.table, entry.name, change, wanted, seen)


def _report_order(difference: Difference) -> tuple[str, int, str]:
    return difference.table, KINDS.index(difference.kind), difference.name
