"""``Database.migrate``: what is pending, applied through Alembic."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy.pool import NullPool

from aragora_db.at_fork import call_in_children
from aragora_db.engine import READ_ONLY_OPTIONS, Target, create_engine
from aragora_db.errors import AragoraDBError, UsageError
from aragora_db.migrations import scripts
from aragora_db.migrations.state import SchemaState, Verdict, read_state

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Engine

__all__ = ["alembic_config", "inspect_state", "migrate", "one_command", "print_sql"]

# Alembic's `context` and `op` belong to the process, not to a thread.
_one_at_a_time = threading.Lock()


def migrate(target: Target, version: str = "head", reader: Engine | None = None) -> list[str]:
    """Apply pending revisions up to ``version``; see `aragora_db.Database.migrate`.

    Args:
        target: the database.
        version: the last revision to apply.
        reader: an engine for the first look, which at head is the only one; a pool that is warm saves a connection.
    """
    before = inspect_state(target, reader)
    before.raise_if_unknown()
    if version in {"head", "heads"} and before.verdict is Verdict.AT_HEAD:
        return []
    from alembic import command  # noqa: PLC0415 -- takes 160 ms, and most starts find nothing to do

    with one_command():
        command.upgrade(alembic_config(target), version)
    known = {row.revision for row in before.history}
    return [row.revision for row in inspect_state(target).history if row.revision not in known]


def inspect_state(target: Target, reader: Engine | None = None) -> SchemaState:
    """Read the state, by default on a connection of its own. A missing SQLite file is empty, and is not made."""
    if target.missing_file:
        return SchemaState(None)
    engine = reader or create_engine(target, poolclass=NullPool).execution_options(**READ_ONLY_OPTIONS)
    try:
        with engine.connect() as connection:
            return read_state(connection)
    finally:
        if reader is None:
            engine.dispose()


def alembic_config(target: Target, **attributes: Any) -> Config:
    """Alembic's configuration for this database. The DSN travels as an object, never as text in an ini file."""
    from alembic.config import Config  # noqa: PLC0415 -- 140 ms, as above

    config = Config(attributes={"target": target, **attributes})
    config.set_main_option("script_location", str(scripts.script_location()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "%%(rev)s")
    return config


def print_sql(target: Target, version: str = "head") -> None:
    """Print the SQL of an upgrade from an empty PostgreSQL, or of ``FROM:TO``, to stdout, for ``psql``."""
    from alembic import command  # noqa: PLC0415 -- as above

    with one_command():
        command.upgrade(alembic_config(target), version, sql=True)


@contextmanager
def one_command() -> Generator[None]:
    """One command at a time; what Alembic refuses, such as a revision that does not exist, is wrong use."""
    from alembic.util import CommandError  # noqa: PLC0415 -- 130 ms, as above

    with _one_at_a_time:
        try:
            yield
        except CommandError as error:
            if isinstance(error, AragoraDBError):
                raise
            advice = "aragora-db status lists the revisions, and a range FROM:TO goes with --sql"
            raise UsageError(f"{str(error).rstrip('.')}; {advice}") from error


@call_in_children
def _in_child() -> None:
    """Another thread of the parent may have held the lock when it forked."""
    global _one_at_a_time  # noqa: PLW0603 -- one per process is the point
    _one_at_a_time = threading.Lock()
