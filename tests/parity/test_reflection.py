"""At head both databases have the same schema, as their own catalogues tell it."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from aragora_db import types
from aragora_db.models import Base
from aragora_db.types import vector
from aragora_db.types.ddl import FULL_TEXT

# The table in aragora_db/types.py: what each column type looks like in SQLite's and in PostgreSQL's catalogue.
COLUMN_TYPES = {
    types.Text: ("TEXT", "text"),
    types.EnumText: ("TEXT", "text"),
    types.Integer: ("INTEGER", "bigint"),
    types.Double: ("REAL", "double precision"),
    types.Boolean: ("INTEGER", "boolean"),
    types.UtcDateTime: ("TEXT", "timestamp with time zone"),
    types.Json: ("TEXT", "jsonb"),
    types.Blob: ("BLOB", "bytea"),
    vector.Vector: ("BLOB", "real[]"),
}

SQLITE_COLUMNS = 'SELECT name, type, "notnull" FROM pragma_table_info(:table)'
POSTGRESQL_COLUMNS = """
    SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, c.collname
    FROM pg_attribute a LEFT JOIN pg_collation c ON c.oid = a.attcollation
    WHERE a.attrelid = CAST(:table AS regclass) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
SQLITE_INDEXES = """
    SELECT i.name, i."unique", i.partial, x.name, x."desc"
    FROM pragma_index_list(:table) i, pragma_index_xinfo(i.name) x WHERE i.origin = 'c' AND x.key ORDER BY 1, x.seqno
"""
POSTGRESQL_INDEXES = """
    SELECT c.relname, i.indisunique, i.indpred IS NOT NULL, a.attname, i.indoption[k.n - 1] & 1
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid,
    LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, n)
    LEFT JOIN pg_attribute a ON a.attrelid = CAST(:table AS regclass) AND a.attnum = nullif(k.attnum, 0)
    WHERE i.indrelid = CAST(:table AS regclass)
    AND NOT EXISTS (SELECT FROM pg_constraint o WHERE o.conindid = i.indexrelid) ORDER BY c.relname COLLATE "C", k.n
"""


@pytest.fixture(scope="module")
def connections(both):
    """A connection to each database, for reading."""
    with both["sqlite"].engine.connect() as sqlite, both["postgresql"].engine.connect() as postgresql:
        yield sqlite, postgresql


@pytest.fixture(scope="module")
def inspectors(connections):
    """SQLAlchemy's reflection of each."""
    return [sa.inspect(connection) for connection in connections]


def test_tables(inspectors):
    """A table that only one database has means code that works on the laptop only."""
    sqlite, postgresql = (
        {name for name in inspector.get_table_names() if name != "sqlite_sequence" and FULL_TEXT not in name}
        for inspector in inspectors
    )
    assert sqlite == postgresql == {*Base.metadata.tables, "aragora_schema_version"}


@pytest.mark.parametrize("table", Base.metadata.tables)
class TestTable:
    """One table in both catalogues."""

    def test_columns(self, connections, table):
        r"""Order matters: the guide's \copy names no columns. Types decide what a column keeps."""
        sqlite, postgresql = connections
        mine = sqlite.execute(sa.text(SQLITE_COLUMNS), {"table": table}).all()
        other = postgresql.execute(sa.text(POSTGRESQL_COLUMNS), {"table": table}).all()
        assert [(name, bool(not_null)) for name, _, not_null in mine] == [(c.attname, c.attnotnull) for c in other]
        columns = Base.metadata.tables[table].columns
        assert {name for name, *_ in mine} == set(columns.keys())
        for (name, type_, _), (_, other_type, _, collation) in zip(mine, other, strict=True):
            kinds = [names for kind, names in COLUMN_TYPES.items() if isinstance(columns[name].type, kind)]
            assert kinds == [(type_, other_type)], name
            assert collation == ("C" if other_type == "text" else None), name

    def test_defaults(self, inspectors, table):
        """A default on one side only makes an INSERT by hand fail on the other."""
        mine, other = (
            {c["name"]: _has_default(c) for c in inspector.get_columns(table) if c["name"] not in _serial(table)}
            for inspector in inspectors
        )
        assert mine == other

    @pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
    def test_keys(self, inspectors, table):
        """Primary, foreign and unique keys are what refuses bad rows; an error names the one that did."""
        mine, other = (
            {
                "primary": _primary(inspector.get_pk_constraint(table), unnamed=bool(_serial(table))),
                "foreign": sorted(_foreign(key) for key in inspector.get_foreign_keys(table)),
                "unique": sorted(_named(key) for key in inspector.get_unique_constraints(table)),
            }
            for inspector in inspectors
        )
        assert mine == other

    def test_indexes(self, connections, table):
        """An index that one database lacks is a query that is fast on one machine only."""
        sqlite, postgresql = connections
        mine = [_plain(row) for row in sqlite.execute(sa.text(SQLITE_INDEXES), {"table": table})]
        other = [_plain(row) for row in postgresql.execute(sa.text(POSTGRESQL_INDEXES), {"table": table})]
        if f"{table}_fts" in sa.inspect(sqlite).get_table_names():
            # What is an index on PostgreSQL is a table on SQLite; `aragora-db check` looks at both.
            mine.append(other[-1])
            assert mine[-1][0] == f"ix_{table}_words"
        assert mine == other
        assert {name for name, *_ in mine} == {index.name for index in Base.metadata.tables[table].indexes}

    def test_strict(self, connections, table):
        """Without STRICT SQLite stores text in a number's column, which PostgreSQL then refuses."""
        query = sa.text("SELECT strict FROM pragma_table_list WHERE schema = 'main' AND name = :table")
        assert connections[0].scalar(query, {"table": table}) == 1

    def test_names_fit(self, connections, table):
        """PostgreSQL cuts names at 63 bytes without an error; a second one may then collide with the first."""
        names = connections[0].scalars(
            sa.text("SELECT name FROM sqlite_master WHERE tbl_name = :table"), {"table": table}
        )
        made = Base.metadata.tables[table]
        every = [*names, *(column.name for column in made.columns)]
        every += [str(constraint.name) for constraint in made.constraints if constraint.name]
        assert {name for name in every if len(name.encode()) > 63} == set()


def _serial(table: str) -> set[str]:
    return {column.name for column in Base.metadata.tables[table].columns if column.identity is not None}


def _has_default(column: Any) -> bool:
    return column["default"] is not None


def _named(key: Any) -> tuple[Any, ...]:
    return key["name"], tuple(key.get("constrained_columns") or key["column_names"])


def _primary(key: Any, *, unnamed: bool) -> tuple[Any, ...]:
    # SQLite numbers rows only in a column that is declared INTEGER PRIMARY KEY inline, where a key has no name.
    return _named(key)[1:] if unnamed else _named(key)


def _foreign(key: Any) -> tuple[Any, ...]:
    return *_named(key), key["referred_table"], tuple(key["referred_columns"]), tuple(sorted(key["options"].items()))


def _plain(row: Any) -> tuple[Any, ...]:
    name, unique, partial, column, descending = row
    return name, bool(unique), bool(partial), column, bool(descending)
