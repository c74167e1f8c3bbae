"""Alembic's implementations for our dialects, with a version column wide enough for a file's stem."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic.ddl.postgresql import PostgresqlImpl
from alembic.ddl.sqlite import SQLiteImpl

__all__ = ["ForwardPostgresql", "ForwardSQLite"]


def _widened(table: sa.Table) -> sa.Table:
    # Alembic's String(32) holds a hash. SQLite ignores the length, PostgreSQL fails at the first long name.
    table.c.version_num.type = sa.Text()
    return table


class ForwardPostgresql(PostgresqlImpl):
    """PostgreSQL; Alembic finds it by ``__dialect__``."""

    __dialect__ = "postgresql"

    def version_table_impl(self, **keywords: Any) -> sa.Table:
        """The version table."""
        return _widened(super().version_table_impl(**keywords))


class ForwardSQLite(SQLiteImpl):
    """SQLite; Alembic finds it by ``__dialect__``."""

    __dialect__ = "sqlite"

    def version_table_impl(self, **keywords: Any) -> sa.Table:
        """The version table."""
        return _widened(super().version_table_impl(**keywords))
