"""PostgreSQL's side: ``pg_catalog``, against the same tables made anew as temporary ones.

Both are read in one transaction that is rolled back, so a transaction pooler is fine and nothing stays behind.

The server writes every definition itself and leaves schema names out where ``search_path`` finds the object, so the
caller sets that first. Left out on purpose: what people tune on a running system (storage parameters, statistics
targets, comments, privileges), triggers, and NOT NULL as a constraint of its own (PostgreSQL 18): the column tells it.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from aragora_db.errors import MigrationError, UsageError
from aragora_db.migrations.catalogue.entries import Entries, Entry, gather

__all__ = ["read_entries"]

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


def read_entries(connection: sa.Connection, metadata: sa.MetaData, tables: Collection[str]) -> tuple[Entries, Entries]:
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


def _read(connection: sa.Connection, schema: str, tables: Collection[str]) -> Entries:
    rows = connection.execute(_CATALOGUE, {"schema": schema, "tables": list(tables)})
    return gather((Entry(kind, table, name), definition) for kind, table, name, definition in rows)


# -- the query, for PostgreSQL 15 to 18 --------------------------------------------------------------------------------

# A serial's default names its sequence, and the sequence keeps the name of a table that is renamed later: the default
# is therefore told as "its own sequence". A NOT NULL that PostgreSQL 18 has not validated has attnotnull set already.
_CATALOGUE = sa.text(
    """
    WITH rel AS (
        SELECT c.oid, c.relname AS name, c.relkind, c.relpersistence
        FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = :schema AND c.relkind IN ('r', 'p') AND c.relname = ANY (CAST(:tables AS text[]))
    ), col AS (
        SELECT r.name AS table_name, a.*, pg_catalog.pg_get_expr(d.adbin, d.adrelid, true) AS expression
        FROM rel r
        JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum
    ), numbering AS (
        SELECT c.table_name, c.attrelid, c.attnum, c.attname,
            CASE c.attidentity
                WHEN 'a' THEN 'GENERATED ALWAYS AS IDENTITY'
                WHEN 'd' THEN 'GENERATED BY DEFAULT AS IDENTITY'
                ELSE 'DEFAULT nextval of its own sequence'
            END
            || format(' (AS %s START %s INCREMENT %s MINVALUE %s MAXVALUE %s CACHE %s',
                s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache)
            || CASE WHEN s.seqcycle THEN ' CYCLE)' ELSE ')' END AS definition
        FROM col c
        JOIN pg_catalog.pg_depend o ON o.refclassid = 'pg_catalog.pg_class'::regclass AND o.refobjid = c.attrelid
            AND o.refobjsubid = c.attnum AND o.classid = 'pg_catalog.pg_class'::regclass AND o.deptype IN ('a', 'i')
        JOIN pg_catalog.pg_sequence s ON s.seqrelid = o.objid
        WHERE c.attidentity <> '' OR c.expression = format('nextval(%L::regclass)', s.seqrelid::regclass::text)
    )
    SELECT 'table' AS kind, name AS table_name, name::text,
        CASE relkind WHEN 'p' THEN 'PARTITIONED TABLE' ELSE 'TABLE' END
        || CASE relpersistence WHEN 'u' THEN ' UNLOGGED' ELSE '' END AS definition
    FROM rel
    UNION ALL
    SELECT 'column', c.table_name, c.attname,
        pg_catalog.format_type(c.atttypid, c.atttypmod)
        || CASE WHEN c.attcollation <> t.typcollation THEN ' COLLATE ' || c.attcollation::regcollation::text ELSE '' END
        || CASE
            WHEN c.attgenerated = 's' THEN format(' GENERATED ALWAYS AS (%s) STORED', c.expression)
            WHEN c.attgenerated <> '' THEN format(' GENERATED ALWAYS AS (%s) VIRTUAL', c.expression)
            WHEN c.expression IS NULL OR n.attnum IS NOT NULL THEN ''
            ELSE ' DEFAULT ' || c.expression
        END
        || CASE WHEN c.attnotnull THEN ' NOT NULL' ELSE '' END
        || CASE WHEN EXISTS (
            SELECT FROM pg_catalog.pg_constraint k
            WHERE k.conrelid = c.attrelid AND k.contype = 'n' AND k.conkey[1] = c.attnum AND NOT k.convalidated
        ) THEN ' NOT VALID' ELSE '' END
    FROM col c
    JOIN pg_catalog.pg_type t ON t.oid = c.atttypid
    LEFT JOIN numbering n ON n.attrelid = c.attrelid AND n.attnum = c.attnum
    UNION ALL
    SELECT 'identity', table_name, attname, definition FROM numbering
    UNION ALL
    SELECT 'constraint', r.name, k.conname, pg_catalog.pg_get_constraintdef(k.oid, true)
        || CASE WHEN EXISTS (
            SELECT FROM pg_catalog.pg_trigger g WHERE g.tgconstraint = k.oid AND g.tgenabled IN ('D', 'R')
        ) THEN ' DISABLED' ELSE '' END
    FROM rel r
    JOIN pg_catalog.pg_constraint k ON k.conrelid = r.oid AND k.contype IN ('p', 'u', 'f', 'c', 'x')
    UNION ALL
    SELECT 'index', r.name, x.relname, pg_catalog.pg_get_indexdef(i.indexrelid, 0, true)
        || CASE WHEN i.indisvalid THEN '' ELSE ' INVALID' END
    FROM rel r
    JOIN pg_catalog.pg_index i ON i.indrelid = r.oid
    JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
    WHERE NOT EXISTS (
        SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')
    )
    """
)
"""Takes ``schema`` and ``tables`` (a list of names); gives rows of kind, table, name, definition."""
