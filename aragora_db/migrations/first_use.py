"""The first use of a database in a process: is it ours, is it at head, and if it is empty, make it so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.pool import NullPool

from aragora_db.engine import READ_ONLY_OPTIONS, create_engine
from aragora_db.errors import LockTimeout, MigrationLocked
from aragora_db.migrations.lock import advisory_lock
from aragora_db.migrations.state import SchemaState, Verdict, read_state
from aragora_db.migrations.upgrade import migrate

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from aragora_db.engine import Target

__all__ = ["prepare"]


def prepare(engine: Engine, target: Target) -> None:
    """Check the schema; bring an empty database to head unless ``ARAGORA_AUTO_MIGRATE_ON_STARTUP`` is false.

    Raises:
        SchemaBehind, SchemaAhead, SchemaDiverged: the schema is not this version's.
        MigrationLocked: another process was migrating all the time that we may wait.
    """
    state = _look(engine)
    may = target.settings.auto_migrate
    if (state.verdict is Verdict.EMPTY and may is not False) or (state.verdict is Verdict.BEHIND and may is True):
        migrate(target)
        return
    if state.verdict in {Verdict.EMPTY, Verdict.BEHIND}:
        state = _look_under_the_lock(target)
    state.raise_unless_at_head()


def _look(engine: Engine) -> SchemaState:
    with engine.execution_options(**READ_ONLY_OPTIONS).connect() as connection:
        return read_state(connection)


def _look_under_the_lock(target: Target) -> SchemaState:
    """Wait until nobody migrates, then look again.

    What looks behind may be another process's first use or deployment: PostgreSQL shows each revision as soon as it
    is committed, SQLite shows the old state until all of them are.
    """
    wait = target.settings.migration_lock_timeout
    # Not the caller's engine: a pool of one has no second connection for the look.
    engine = create_engine(target.with_settings(busy_timeout=wait), poolclass=NullPool)
    try:
        if target.dsn.backend == "postgresql":
            with advisory_lock(engine, wait):
                return _look(engine)
        with engine.connect() as connection:  # BEGIN IMMEDIATE
            return read_state(connection)
    except LockTimeout as error:
        raise MigrationLocked(f"another process kept writing to {target.dsn.masked}, waited {wait:g} s") from error
    finally:
        engine.dispose()
