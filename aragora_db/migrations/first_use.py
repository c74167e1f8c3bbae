"""The first use of a database in a process: is it ours, is it at head, and if it is empty, make it so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aragora_db.migrations.state import Verdict, read_state

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from aragora_db.engine import Target

__all__ = ["prepare"]


def prepare(engine: Engine, target: Target) -> None:
    """Check the schema; bring an empty database to head unless ``ARAGORA_AUTO_MIGRATE_ON_STARTUP`` is false.

    Raises:
        SchemaBehind, SchemaAhead, SchemaDiverged: the schema is not this version's.
    """
    with engine.connect() as connection:
        state = read_state(connection)
    may = target.settings.auto_migrate
    if (state.verdict is Verdict.EMPTY and may is not False) or (state.verdict is Verdict.BEHIND and may is True):
        from aragora_db.migrations.upgrade import migrate  # noqa: PLC0415 -- imports alembic

        migrate(target)
        return
    state.raise_unless_at_head()
