"""Autogenerate writes revisions in the words of `vocabulary`, right for both dialects whichever it ran against."""

from __future__ import annotations

from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.sql.elements import False_, True_

from aragora_db import types
from aragora_db.types import ddl, vector

__all__ = ["render_item"]

_IMPORT = "from aragora_db.migrations import vocabulary as v"

# The most specific first: Key is a Text.
_TYPES: tuple[tuple[type[sa.types.TypeEngine[Any]], str], ...] = (
    (types.Text, "v.text()"),
    (types.EnumText, "v.text()"),
    (types.Integer, "v.bigint()"),
    (types.Double, "v.double()"),
    (types.Boolean, "v.boolean()"),
    (types.UtcDateTime, "v.utc()"),
    (types.Json, "v.json()"),
    (types.Blob, "v.blob()"),
    (vector.Vector, "v.vector()"),
)


def render_item(kind: str, item: Any, autogen_context: Any) -> str | Literal[False]:
    """Alembic's hook: the source of an item, or False to leave it to Alembic."""
    rendered: str | None = None
    if kind == "type":
        rendered = next((source for type_, source in _TYPES if isinstance(item, type_)), None)
    elif kind == "server_default" and item is not None:
        rendered = _server_default(getattr(item, "arg", item))
    elif isinstance(item, ddl.SQLiteCheck):
        rendered = f"v.sqlite_check({item.kind!r}, {item.column_name!r}, name=op.f({str(item.name)!r}))"
    if rendered is None:
        return False
    if "v." in rendered:
        autogen_context.imports.add(_IMPORT)
    return rendered


def _server_default(value: Any) -> str | None:
    if isinstance(value, ddl.now):
        return "v.now()"
    if isinstance(value, False_ | True_):
        return "sa.false()" if isinstance(value, False_) else "sa.true()"
    if isinstance(value, sa.TextClause):
        # Alembic would put it in parentheses when it looks at SQLite, which is then another default on PostgreSQL.
        return f"sa.text({value.text!r})"
    return None
