"""What ``alembic/env.py`` runs: the same for ``alembic``, ``aragora-db migrate`` and ``Database.migrate``."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from alembic import context
from alembic.util import CommandError
from sqlalchemy import event
from sqlalchemy.pool import NullPool

from aragora_db.config import Settings
from aragora_db.engine import READ_ONLY_OPTIONS, Target, create_engine
from aragora_db.engine.retry import tries
from aragora_db.errors import AragoraDBError, LockTimeout, MigrationError, MigrationLocked
from aragora_db.migrations import impl, naming, render, scripts  # noqa: F401 -- impl registers itself with Alembic # pyright: ignore[reportUnusedImport]
from aragora_db.migrations.forward_only import only_forward
from aragora_db.migrations.lock import advisory_lock
from aragora_db.migrations.state import VERSION_TABLE, State, Verdict, read_state
from aragora_db.models import Base
from aragora_db.types import ddl

if TYPE_CHECKING:
    from alembic.runtime.environment import EnvironmentContext
    from sqlalchemy import Connection, Engine

__all__ = ["run"]

log = logging.getLogger("aragora_db.migrations")

# An ALTER that waits for a lock makes everybody queue behind it. It gives up after this and tries again instead
# (https://postgres.ai/blog/20210923-zero-downtime-postgres-schema-migrations-lock-timeout-and-retries).
LOCK_TIMEOUT = "5s"
LOCK_ATTEMPTS = 10

_HEAD = ("head", "heads")


def run() -> None:
    """Run the command that Alembic was given.

    Raises:
        AragoraDBError: from Python; the ``alembic`` command prints it as ``FAILED: ...`` and exits with 255.
    """
    try:
        if context.is_offline_mode():
            _offline()
        else:
            _online(context.config.attributes.get("target") or Target.of(Settings()))
    except AragoraDBError as error:
        if context.config.cmd_opts is None or isinstance(error, CommandError):
            raise
        raise CommandError(str(error)) from error


def _options() -> dict[str, Any]:
    return {
        "target_metadata": Base.metadata,
        "version_table": VERSION_TABLE,
        "render_item": render.render_item,
        "process_revision_directives": naming.name_by_date,
        "user_module_prefix": None,
        "include_name": _no_full_text,
        "include_object": context.config.attributes.get("include_object"),
    }


def _no_full_text(name: str | None, kind: str, _parents: Any) -> bool:
    """Autogenerate would drop SQLite's full-text indexes: to reflection they are tables that no model has."""
    return kind != "table" or ddl.FULL_TEXT not in str(name)


def _configure(before_each: Callable[[], None], **options: Any) -> None:
    """Configure twice: the planning function that the guard wraps can be read only from a configured context."""
    context.configure(**options)
    kept = _environment().context_opts
    if "fn" in kept:
        plan = kept["fn"]
        context.configure(**options, fn=only_forward(_environment(), before_each))
        # Alembic keeps what it was configured with: the next attempt would wrap the guard and record each step twice.
        kept["fn"] = plan


def _offline() -> None:
    """Print an upgrade as SQL for PostgreSQL, whatever the default backend is: SQLite rebuilds tables from Python."""
    _configure(
        lambda: None, dialect_name="postgresql", literal_binds=True, transaction_per_migration=True, **_options()
    )
    with context.begin_transaction():
        context.run_migrations()


def _online(target: Target) -> None:
    engine = _migration_engine(target)
    mutating = _destination() is not None
    try:
        state = _read(engine)
        state.raise_if_ahead()
        if not mutating:
            _run_once(engine, lambda: None)
            return
        state.raise_if_unknown()
        # Looked up without a lock: replicas that start at head do not queue behind each other.
        if state.verdict is Verdict.AT_HEAD and _destination() in _HEAD and _command() == "upgrade":
            log.info("nothing to do: the database is at %s", state.current)
            return
        _upgrade = {"sqlite": _upgrade_sqlite, "postgresql": _upgrade_postgresql}[target.dsn.backend]
        _upgrade(engine, target)
        _verify(engine)
    finally:
        engine.dispose()


def _read(engine: Engine) -> State:
    with engine.execution_options(**READ_ONLY_OPTIONS).connect() as connection:
        return read_state(connection)


def _environment() -> EnvironmentContext:
    """The object behind Alembic's ``context`` module, which hands on its methods but not ``context_opts``."""
    environment: EnvironmentContext = vars(context)["_proxy"]
    return environment


def _command() -> str:
    """Alembic names the function that plans a command's steps like the command."""
    return str(_environment().context_opts["fn"].__name__)


def _destination() -> Any:
    return _environment().context_opts.get("destination_rev")


def _upgrade_postgresql(engine: Engine, target: Target) -> None:
    """Each revision in a transaction of its own, all of them under the advisory lock."""
    with advisory_lock(engine, target.settings.migration_lock_timeout) as still_held:
        for attempt in tries(LOCK_ATTEMPTS, (LockTimeout,)):
            with attempt:
                _run_once(engine, still_held)
                return
            waited = attempt.number, LOCK_ATTEMPTS, attempt.error
            log.warning("a lock was in the way of a revision, attempt %d of %d: %s", *waited)
            time.sleep(attempt.pause)


def _upgrade_sqlite(engine: Engine, target: Target) -> None:
    """All revisions in one BEGIN IMMEDIATE: the plan is read under the lock, and a failure leaves nothing behind."""
    try:
        _run_once(engine, lambda: None)
    except LockTimeout as error:
        waited = target.settings.migration_lock_timeout
        raise MigrationLocked(f"another process kept writing to {target.dsn.masked}, waited {waited:g} s") from error


def _run_once(engine: Engine, before_each: Callable[[], None]) -> None:
    sqlite = engine.dialect.name == "sqlite"
    with engine.connect() as connection:
        if connection.in_transaction():
            # Alembic would leave the commit to us and apply nothing, with exit code 0.
            raise MigrationError("a statement ran before Alembic was configured; this is a bug of ours")
        _configure(
            before_each,
            connection=connection,
            # Also on PostgreSQL, where a batch is a plain ALTER: what autogenerate writes must run on SQLite too.
            render_as_batch=True,
            transactional_ddl=True,
            transaction_per_migration=not sqlite,
            **_options(),
        )
        with warnings.catch_warnings():
            # Alembic cannot compare expression indexes on SQLite and says so; `aragora-db check` compares them.
            warnings.filterwarnings("ignore", message=".*expression-based index")
            with context.begin_transaction(), _foreign_keys_checked(connection) if sqlite else nullcontext():
                context.run_migrations()


@contextmanager
def _foreign_keys_checked(connection: Connection) -> Generator[None]:
    yield
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    if broken is not None:
        raise MigrationError(
            f"a revision left a row of {broken[0]} without its parent in {broken[2]}; nothing was changed. "
            "Mend the revision, or the rows, and run it again"
        )


def _verify(engine: Engine) -> None:
    """Read the version on a new connection: what was not committed does not count."""
    state = _read(engine)
    if _destination() in _HEAD and state.current != scripts.head():
        raise MigrationError(f"the upgrade ended without an error, but the database is at {state.current}")


def _migration_engine(target: Target) -> Engine:
    """Connections without the timeouts of requests: a revision may take long, but must not wait long for a lock."""
    wait = target.settings.migration_lock_timeout
    patient = target.with_settings(
        statement_timeout=0,
        command_timeout=0.0,
        idle_in_transaction_timeout=0,
        busy_timeout=wait,
        application_name=f"{target.settings.application_name} migrate",
    )
    engine = create_engine(patient, poolclass=NullPool)
    if target.dsn.backend == "postgresql":

        @event.listens_for(engine, "begin")
        def _bound_waits(connection: Connection) -> None:
            # LOCAL: a plain SET would stay behind in a transaction pooler.
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")

    else:

        @event.listens_for(engine, "connect")
        def _keep_children(dbapi_connection: Any, _record: Any) -> None:
            # Rebuilding a parent table drops it, and with the pragma on ON DELETE CASCADE empties its children. It
            # cannot be changed inside the transaction (https://www.sqlite.org/lang_altertable.html#otheralter).
            cursor = dbapi_connection.cursor()
            cursor.execute("PRAGMA foreign_keys = OFF")
            cursor.close()

    return engine
