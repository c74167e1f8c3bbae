"""PostgreSQL's side: ``pg_catalog``, against the same tables made anew as temporary ones.

Both are read in one transaction that is rolled back, so a transaction pooler is fine and nothing stays behind.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from aragora_db.errors import MigrationError, UsageError
from aragora_db.migrations.catalogue.postgresql_query import CATALOGUE
from aragora_db.migrations.catalogue.snapshot import Entry, Snapshot, snapshot

__all__ = ["snapshots"]

_SESSION = sa.text(
    """
    SELECT current_database(), current_user, current_schema(), current_schemas(false)::text[],
        has_database_privilege(current_database(), 'TEMPORARY'), current_setting('transaction_read_only')::boolean
    """
)
_SET_PATH = sa.text("SELECT set_config('search_path', :path, true)")
# A temporary table of the session may have the name of a model; the rollback brings it back.
_DISCARD = sa.text("DISCARD TEMP")
_CURRENT_SCHEMA = sa.text("SELECT current_schema()")


def snapshots(connection: sa.Connection, metadata: sa.MetaData, tables: Collection[str]) -> tuple[Snapshot, Snapshot]:
    """What the models build as temporary tables, and what the connection's current schema holds.

    Raises:
        MigrationError: without the TEMPORARY privilege, in a read-only transaction, or without a current schema.
        UsageError: on an autocommitting connection, or with models that name a schema of their own.
    """
    _refuse_schemas(metadata)
    with _rolled_back(connection):
        _refuse_autocommit(connection)
        schema, path = _session(connection)
        # The real schemas come first here: unless it is listed, pg_temp is searched before all others.
        connection.execute(_SET_PATH, {"path": ", ".join([*path, "pg_temp"])})
        found = _read(connection, schema, tables)
        connection.execute(_SET_PATH, {"path": ", ".join(["pg_temp", *path])})
        connection.execute(_DISCARD)
        scratch = connection.execute(_CURRENT_SCHEMA).scalar_one()
        metadata.create_all(connection, checkfirst=False)
        return _read(connection, scratch, tables), found


@contextmanager
def _rolled_back(connection: sa.Connection) -> Generator[None]:
    """A transaction, or a savepoint inside the one that is open, that never commits."""
    transaction = connection.begin_nested() if connection.in_transaction() else connection.begin()
    try:
        yield
    finally:
        transaction.rollback()


def _refuse_autocommit(connection: sa.Connection) -> None:
    """Without a transaction the path to pg_temp is forgotten at once, and create_all would make real tables.

    The driver's own setting does not tell: behind a transaction pooler it says autocommit, and our BEGIN is sent.
    """
    connection.execute(_CURRENT_SCHEMA)
    driver: Any = connection.connection.driver_connection
    if not driver.info.transaction_status:
        raise UsageError(
            "The models cannot be compared on an autocommitting connection: they would be created for good. "
            "Use a connection without isolation_level=AUTOCOMMIT"
        )


def _refuse_schemas(metadata: sa.MetaData) -> None:
    named = sorted(table.fullname for table in metadata.tables.values() if table.schema)
    if named:
        raise UsageError(
            f"The models {', '.join(named)} name a schema, so they cannot be built as temporary tables. "
            "Leave the schema out of the models and set search_path on the connection"
        )


def _session(connection: sa.Connection) -> tuple[str, Sequence[str]]:
    """The schema the tables live in, and the whole search path, quoted."""
    database, role, schema, path, may_create, read_only = connection.execute(_SESSION).one()
    quote = connection.dialect.identifier_preparer.quote_identifier
    if schema is None:
        raise MigrationError(
            f'No schema of database "{database}" is on the search_path of role "{role}", so no table can be found. '
            f"Run: ALTER ROLE {quote(role)} SET search_path = public;"
        )
    if not may_create:
        raise MigrationError(
            f'Role "{role}" may not create temporary tables in database "{database}", and the models are compared by '
            f"building them as such. Run: GRANT TEMPORARY ON DATABASE {quote(database)} TO {quote(role)};"
        )
    if read_only:
        raise MigrationError(
            f'The connection to database "{database}" is read-only, and the models are compared by building them as '
            "temporary tables. Connect to the primary, without default_transaction_read_only"
        )
    return schema, [quote(name) for name in path if not name.startswith("pg_temp")]


def _read(connection: sa.Connection, schema: str, tables: Collection[str]) -> Snapshot:
    rows = connection.execute(CATALOGUE, {"schema": schema, "tables": list(tables)})
    return snapshot((Entry(kind, table, name), definition) for kind, table, name, definition in rows)
