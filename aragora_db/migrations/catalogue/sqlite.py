"""SQLite's side: what ``sqlite_master`` says, against the same tables made anew in memory."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import sqlalchemy as sa

from aragora_db.migrations.catalogue.snapshot import Entry, Snapshot, snapshot
from aragora_db.migrations.catalogue.sqlite_table import table_entries
from aragora_db.migrations.catalogue.tokens import fold, join, tokenize

__all__ = ["snapshots"]

# SQLite keeps no text for the indexes it makes itself, and writes every stored one as CREATE [UNIQUE] INDEX name ...
_CATALOGUE = sa.text(
    "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE type IN ('table', 'index') AND sql <> ''"
)


def snapshots(connection: sa.Connection, metadata: sa.MetaData, tables: Collection[str]) -> tuple[Snapshot, Snapshot]:
    """What the models build in an empty in-memory database, and what this database holds."""
    scratch = sa.create_engine("sqlite://")
    try:
        with scratch.connect() as fresh:
            metadata.create_all(fresh, checkfirst=False)
            expected = _read(fresh, tables)
    finally:
        scratch.dispose()
    if connection.in_transaction():
        return expected, _read(connection, tables)
    with connection.begin():
        return expected, _read(connection, tables)


def _read(connection: sa.Connection, tables: Collection[str]) -> Snapshot:
    return snapshot(_entries(connection, {fold(table) for table in tables}))


def _entries(connection: sa.Connection, tables: Collection[str]) -> Iterator[tuple[Entry, str]]:
    for kind, name, table_name, sql in connection.execute(_CATALOGUE):
        table = fold(table_name)
        tokens = list(tokenize(sql))
        if table not in tables or tokens[1].is_word("virtual"):
            continue
        if kind == "table":
            yield from table_entries(table, sql)
        else:
            yield Entry("index", table, fold(name)), join(tokens)
