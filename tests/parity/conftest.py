"""Rows for any model, made from its column types; and one database of each kind side by side."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db import Database, types
from aragora_db.models import Base
from aragora_db.search import index
from aragora_db.testing.engines import ENGINES, EngineDatabase
from aragora_db.testing.fresh import DatabaseMaker, FreshDatabases
from aragora_db.types import vector

# The only active population is number 1; the migrations have written history of their own.
_FIXED = {"active_population.id": 1, "schema_history.id": 1000}


def _by_type(column: sa.Column[Any]) -> Any:
    kind = column.type
    if column.identity is not None:
        return 1  # what the database gives to the first row: children find their parent either way
    if isinstance(kind, types.EnumText):
        return list(kind.enum_class)[-1]
    if isinstance(kind, types.Text):
        return f"{column.name} ü🙂"
    if isinstance(kind, types.Json):
        value = {"ключ": [1, -2.5, 1e300, None, True, "é"], "": {}}
        return [value] if "[]" in str(column.server_default and column.server_default.arg) else value
    return {
        types.Integer: 2**63 - 1,
        types.Double: 0.1 + 0.2,
        types.Boolean: True,
        types.UtcDateTime: datetime(2026, 2, 28, 23, 59, 59, 999999, tzinfo=UTC) - timedelta(hours=len(column.name)),
        types.Blob: bytes(range(256)),
        vector.Vector: array("f", [0.1, -2.5, 3e38, 0.0]),
    }[type(kind)]


def sample_value(column: sa.Column[Any]) -> Any:
    """A value for a column; a foreign key's is that of the column it refers to, so parents are found."""
    for key in column.foreign_keys:
        return sample_value(key.column)
    return _FIXED.get(f"{column.table.name}.{column.name}", _by_type(column))


def is_required(column: sa.Column[Any]) -> bool:
    """Whether a row must name the column."""
    has_default = column.default is not None or column.server_default is not None or column.identity is not None
    return not (column.nullable or has_default)


class Samples:
    """Rows for any model."""

    models = sorted(
        # Rows that follow from others write themselves; tests/parity/test_derived.py looks at them.
        {mapper.class_ for mapper in Base.registry.mappers} - {each.table for each in index._FOLLOWERS.values()},
        key=lambda model: Base.metadata.sorted_tables.index(model.__table__),
    )
    """Every model, parents before children."""

    value = staticmethod(sample_value)
    is_required = staticmethod(is_required)

    @staticmethod
    def newest(model: type[Base]) -> sa.Select[Any]:
        """The row with the greatest key: the one the test wrote."""
        return sa.select(model).order_by(*(column.desc() for column in sa.inspect(model).primary_key)).limit(1)

    @staticmethod
    def row(model: type[Base], *, full: bool) -> dict[str, Any]:
        """Values by attribute: for every column, or for the required ones."""
        columns = {attribute.key: attribute.columns[0] for attribute in sa.inspect(model).column_attrs}
        return {name: sample_value(column) for name, column in columns.items() if full or is_required(column)}


@pytest.fixture(scope="session")
def samples() -> type[Samples]:
    """Rows for any model."""
    return Samples


@pytest.fixture(scope="module")
def shared_databases(database_maker: DatabaseMaker) -> Iterator[FreshDatabases]:
    """Databases for a whole module: its tests roll back, or do not mind each other's rows."""
    fresh = FreshDatabases(database_maker)
    yield fresh
    fresh.drop_all()


@pytest.fixture(scope="module")
def both(shared_databases: FreshDatabases) -> Iterator[dict[str, Database]]:
    """A database at head of each kind, side by side."""
    databases = {dialect: Database(shared_databases.url(dialect)) for dialect in ("sqlite", "postgresql")}
    yield databases
    for database in databases.values():
        database.close()


@pytest.fixture(scope="module", params=ENGINES, ids=str)
def shared_engine(shared_databases: FreshDatabases, request: pytest.FixtureRequest) -> Iterator[EngineDatabase]:
    """A database at head on each engine, for the module."""
    database = EngineDatabase(shared_databases.url(request.param.dialect), request.param)
    yield database
    database.end()


@pytest.fixture
def scratch(shared_engine: EngineDatabase) -> Callable[[Callable[[Session], Any]], Any]:
    """Runs a unit of work on each engine, and undoes it: what it returns is what the database said."""

    def run(work: Callable[[Session], Any]) -> Any:
        def work_and_undo(session: Session) -> Any:
            value = work(session)
            session.rollback()
            return value

        return shared_engine.run(work_and_undo)

    return run
