"""Whether the triggers of the guard are still there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from aragora_db.migrations.catalogue import Difference

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["missing_triggers"]

# (table, trigger), as the revision 20260101_schema_history makes them.
_EXPECTED = {
    "postgresql": {
        ("aragora_schema_version", "aragora_forward_only"),
        ("aragora_schema_version", "aragora_no_truncate"),
        ("schema_history", "aragora_forward_only"),
        ("schema_history", "aragora_no_truncate"),
    },
    "sqlite": {
        ("aragora_schema_version", "aragora_version_insert"),
        ("aragora_schema_version", "aragora_version_update"),
        ("aragora_schema_version", "aragora_version_delete"),
        ("schema_history", "aragora_history_insert"),
        ("schema_history", "aragora_history_update"),
        ("schema_history", "aragora_history_delete"),
    },
}

_ENABLED = {
    # 'D' is a disabled trigger, 'R' one that fires only in replicas.
    "postgresql": (
        "SELECT c.relname, t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
        " WHERE NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND pg_table_is_visible(c.oid)"
    ),
    "sqlite": "SELECT tbl_name, name FROM sqlite_master WHERE type = 'trigger'",
}


def missing_triggers(connection: Connection) -> list[Difference]:
    """The guard's triggers that are gone or disabled."""
    dialect = connection.dialect.name
    found = {(str(table), str(name)) for table, name in connection.execute(sa.text(_ENABLED[dialect]))}
    return [
        Difference("trigger", table, name, "missing", "a trigger that keeps the record moving forward", None)
        for table, name in sorted(_EXPECTED[dialect] - found)
    ]
