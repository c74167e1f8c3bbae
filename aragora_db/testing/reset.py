"""Bring a used PostgreSQL database back to the state of its template, or say why it has to be dropped.

`CREATE DATABASE ... TEMPLATE` copies 750 files and takes about 50 ms on tmpfs, 120 ms on a disk; deleting a test's few
rows takes a tenth of that. What a reset compares and does, in one round trip and without superuser:

- another session is open, or a prepared transaction is left: refused;
- the catalogue or the database's settings differ from the fresh copy's: refused;
- a table that has rows in the template (the version table, ``schema_history``) has other rows now: refused;
- a table has grown: refused, because the planner reads a table's size, and deleted rows keep it;
- rows of all other tables are deleted, sequences are set back.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

__all__ = ["Baseline", "reset_database", "take_baseline"]

_LARGEST_TABLE = 32 * 8192
"""Bytes that a table may have and still be emptied by DELETE; beyond it, a copy of the template is quicker."""

_SESSION_SECONDS = 0.3
"""How long a session that the test has closed may take to end on the server."""

# Rows of the schema's objects: a changed row has a new xmin, an added or removed one changes the count. A user's
# objects have an oid of 16384 (FirstNormalObjectId, access/transam.h) or more. pg_depend has a row for each object that
# was created, whatever its kind; the others are what ALTER, GRANT and COMMENT change.
_CATALOGUES = (
    ("pg_depend", "true"),
    ("pg_class", "oid >= 16384 AND relpersistence <> 't'"),
    ("pg_attribute", "attrelid >= 16384"),
    ("pg_constraint", "oid >= 16384"),
    ("pg_trigger", "tgrelid >= 16384 AND NOT tgisinternal"),
    ("pg_proc", "oid >= 16384"),
    ("pg_type", "oid >= 16384"),
    ("pg_namespace", "nspname = 'public' OR oid >= 16384 AND nspname !~ '^pg_(toast_)?temp_'"),
    ("pg_sequence", "true"),
    ("pg_description", "objoid >= 16384"),
    ("pg_default_acl", "true"),
    ("pg_largeobject_metadata", "true"),
    ("pg_db_role_setting", "setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())"),
)
# VACUUM and ANALYZE change pg_class in place, without a new xmin.
_CATALOGUE = (
    " || ' ' || ".join(
        f"(SELECT count(*) || ':' || coalesce(max(xmin::text::bigint), 0) FROM {name} WHERE {condition})"
        for name, condition in _CATALOGUES
    )
    + """ || ' ' || (SELECT sum(relpages) || ':' || sum(reltuples) FROM pg_class WHERE oid >= 16384 AND relkind = 'r')
     || ' ' || (SELECT concat_ws(':', datacl, datconnlimit, datallowconn, datistemplate)
                FROM pg_database WHERE datname = current_database())"""
)

_TABLES = """SELECT oid::regclass::text FROM pg_class
    WHERE oid >= 16384 AND relkind = 'r' AND relpersistence <> 't' ORDER BY 1"""

_ROWS = "(SELECT coalesce(md5(string_agg(t::text, E'\\n' ORDER BY t::text)), '') FROM {table} AS t)"

_SEQUENCES = (
    """SELECT seqrelid::regclass::text, seqstart, pg_sequence_last_value(seqrelid) FROM pg_sequence ORDER BY 1"""
)

_RESET = """
DO $reset$
DECLARE
    seeded CONSTANT text[] := {seeded};
    own CONSTANT oid := (SELECT oid FROM pg_database WHERE datname = current_database());
    found record;
    used text[];  -- tables that hold or held rows
    filled boolean;
BEGIN
    -- Functions instead of the views over them, whose joins take a millisecond each in a new session.
    IF EXISTS (SELECT FROM pg_stat_get_activity(NULL) WHERE datid = own AND pid <> pg_backend_pid()
               AND coalesce(backend_type, 'client backend') = 'client backend') THEN
        RAISE object_in_use USING MESSAGE = 'a session is open';
    END IF;
    IF EXISTS (SELECT FROM pg_prepared_xact() WHERE dbid = own) THEN
        RAISE EXCEPTION 'a prepared transaction is left';
    END IF;
    IF ({catalogue}) IS DISTINCT FROM {expected_catalogue} THEN
        RAISE EXCEPTION 'the catalogue was changed';
    END IF;
    IF ({rows}) IS DISTINCT FROM {expected_rows} THEN
        RAISE EXCEPTION 'rows of the migrations were changed';
    END IF;
    SELECT array_agg(name) INTO used FROM (
        SELECT oid::regclass::text AS name, pg_relation_size(oid) AS size FROM pg_class
        WHERE oid >= 16384 AND relkind = 'r' AND relpersistence <> 't'
    ) AS tables WHERE size > 0 AND name <> ALL (seeded);
    IF EXISTS (SELECT FROM unnest(used) AS name WHERE pg_relation_size(name::regclass) > {largest}) THEN
        RAISE EXCEPTION 'a table has grown';
    END IF;
    FOR found IN SELECT unnest(used) AS name LOOP
        EXECUTE 'SELECT EXISTS (SELECT FROM ONLY ' || found.name || ')' INTO filled;
        IF NOT filled THEN
            used := array_remove(used, found.name);
        END IF;
    END LOOP;
    -- All of them in one statement: foreign keys are checked at its end, so that no order is needed.
    IF cardinality(used) > 0 THEN
        EXECUTE (SELECT 'WITH ' || string_agg(format('t%s AS (DELETE FROM ONLY %s)', number, name), ', ') || ' SELECT'
                 FROM unnest(used) WITH ORDINALITY AS tables (name, number));
    END IF;
    PERFORM setval(name::regclass, coalesce(fresh, start), fresh IS NOT NULL)
    FROM unnest({sequences}::text[], {starts}::bigint[], {values}::bigint[]) AS sequences (name, start, fresh)
    WHERE pg_sequence_last_value(name::regclass) IS DISTINCT FROM fresh;
END
$reset$
"""


@dataclass(frozen=True)
class Baseline:
    """What a fresh copy of a template looks like, as the statement that resets a used copy to it."""

    statement: bytes


def take_baseline(url: str) -> Baseline:
    """Read the state of a fresh copy that no test has used.

    Args:
        url: the copy's URL.

    Raises:
        psycopg.Error: the server could not be reached, or refused.
    """
    with psycopg.connect(url) as connection:
        tables = [str(name) for (name,) in connection.execute(_TABLES)]
        seeded = [name for name in tables if _query(connection, f"SELECT FROM {name} LIMIT 1")]
        hashes = [_ROWS.format(table=name) for name in seeded]
        rows = " || ' ' || ".join(hashes) or "''"
        [(catalogue, contents)] = _query(connection, f"SELECT {_CATALOGUE}, {rows}")
        sequences = connection.execute(_SEQUENCES).fetchall()
    values: dict[str, object] = {
        "seeded": seeded,
        "expected_catalogue": catalogue,
        "expected_rows": contents,
        "largest": _LARGEST_TABLE,
        "sequences": [name for name, _, _ in sequences],
        "starts": [start for _, start, _ in sequences],
        "values": [value for _, _, value in sequences],
    }
    literals = {name: sql.Literal(value).as_string() for name, value in values.items()}
    return Baseline(_RESET.format(catalogue=_CATALOGUE, rows=rows, **literals).encode())


def reset_database(url: str, baseline: Baseline) -> str | None:
    """Bring a used copy back to the state of its template.

    Args:
        url: the copy's URL.
        baseline: what `take_baseline` read from a fresh copy of the same template.

    Returns:
        None when the copy is as good as fresh, else the reason why it has to be dropped.
    """
    deadline = time.monotonic() + _SESSION_SECONDS
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            while True:
                try:
                    connection.execute(baseline.statement)
                except psycopg.errors.ObjectInUse:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.002)
                else:
                    return None
    except psycopg.Error as error:
        return error.diag.message_primary or str(error)


def _query(connection: psycopg.Connection[tuple[Any, ...]], statement: str) -> list[tuple[Any, ...]]:
    """Run a statement that is built from names in the catalogue. As bytes, because psycopg types texts as literals."""
    return connection.execute(statement.encode()).fetchall()
