"""The facade: sessions, units of work with retries, migrations and health."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import finalize

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from aragora_db.at_fork import reset_in_children
from aragora_db.config import Settings
from aragora_db.config.named_dsn import names_a_database
from aragora_db.config.resolve import redis_configured, resolve, resolve_redis
from aragora_db.config.secrets.aws import secret_source
from aragora_db.config.secrets.source import RotatingSource
from aragora_db.database.sessions import Sessions
from aragora_db.engine import Target
from aragora_db.engine.pool_metrics import Meter, Observer, PoolMetrics
from aragora_db.engine.server_engines import ServerEngines
from aragora_db.engine.write_tracking import CommitListener, Notify, hear_foreign_commits
from aragora_db.errors import AragoraDBError
from aragora_db.replicas.router import ReplicaRouter

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from aragora_db.config import Dsn, SecretSource
    from aragora_db.shared import SharedState

__all__ = ["Database"]

T = TypeVar("T")


class Database(Sessions):
    """One database, for a whole process: thread-safe, fork-safe, sync and async.

    Args:
        settings: settings, or just a URL such as ``sqlite:///file.db`` (then the environment is not looked at); by
            default the settings of the environment.
        secrets: where a DSN comes from when the environment has none.

    Raises:
        ConfigurationError: the settings name no usable database. Nothing is connected to yet.
    """

    def __init__(self, settings: Settings | str | None = None, *, secrets: SecretSource | None = None) -> None:
        if isinstance(settings, str):
            settings = Settings.explicit(database_url=settings)
        self.settings: Settings = Settings() if settings is None else settings
        self.secrets: SecretSource | None = secrets or secret_source(self.settings)
        self.dsn: Dsn = resolve(self.settings, self.secrets)
        self._target = _target(self.settings, self.dsn, self.secrets)
        self._listeners: list[Notify] = []
        meter = Meter()
        self._replicas = replicas = ReplicaRouter.from_settings(self._target, meter)
        self._primary = ServerEngines(self._target, self._listeners, meter, partial(_adopt, replicas))
        # Held here only: a `Database` that is gone hears of nothing.
        self._foreign = CommitListener(self._primary.tell, None if replicas is None else replicas.record_write)
        hear_foreign_commits(self._foreign)
        if replicas is not None:
            finalize(self, replicas.stop)
        self._lock = threading.RLock()
        self._ready = False
        self._shared: SharedState | None = None
        if self.secrets is not None or redis_configured(self.settings, self.secrets):
            self.on_commit(self.shared.committed)
        reset_in_children(self)

    def __repr__(self) -> str:
        """The database, without its password."""
        return f"Database({self.dsn.masked!r})"

    # -- engines ------------------------------------------------------------------------------------------------------

    @property
    def engine(self) -> Engine:
        """The sync engine, made at first use."""
        return self._primary.writer

    @property
    def async_engine(self) -> AsyncEngine:
        """The async engine of the running event loop, made at first use.

        Raises:
            UsageError: no event loop is running.
        """
        return self._primary.of_this_loop

    @property
    def shared(self) -> SharedState:
        """What instances share through Redis: cache, locks, leaders, events. Made at first use; connects later.

        Raises:
            ConfigurationError: Redis is configured and the extra ``redis`` is not installed, or its URL is malformed.
        """
        if self._shared is None:
            from aragora_db.shared import SharedState  # noqa: PLC0415 -- takes 250 ms with the models, 8 ms without

            with self._lock:
                if self._shared is None:
                    self._shared = SharedState(
                        self.settings,
                        lambda: resolve_redis(self.settings, self.secrets),
                        self.transact,
                        self.secrets.refresh if isinstance(self.secrets, RotatingSource) else None,
                    )
        return self._shared

    def on_commit(self, listener: Notify) -> None:
        """Call ``listener`` after each commit that wrote, on any engine of this object, with the tables' names.

        Also after a commit on an engine of the application that stores write through, or that was given to
        `aragora_db.instrument`; it need not lead to this database.

        It runs before the commit returns to its caller: in the committing thread, for async engines in another one.
        It must not raise; if it does, that is logged, and changes nothing about the commit. It also runs when nobody
        knows whether the commit was carried out.
        """
        self._listeners.append(listener)

    # -- schema -------------------------------------------------------------------------------------------------------

    def migrate(self, version: str = "head") -> list[str]:
        """Apply pending revisions, under the migration lock, up to and including ``version``.

        Returns:
            The revisions that were applied, in order; none when there was nothing to do.

        Raises:
            ForwardOnlyError: ``version`` lies behind the database.
            RevisionEdited, SchemaAhead, SchemaDiverged: the histories do not fit.
            MigrationLocked: another process held the lock for too long; the message names it.
        """
        from aragora_db.migrations.upgrade import migrate  # noqa: PLC0415 -- loads the models, 240 ms

        self._primary.prepare()
        applied = migrate(self._target, version, self._primary.reader)
        self._ready = False  # the next session looks at the schema, and lets no replica serve that is behind it
        return applied

    def ensure_ready(self) -> None:
        """Check, once per process, that this version can use the schema; bring an empty database to head.

        ``ARAGORA_AUTO_MIGRATE_ON_STARTUP=true`` also applies pending revisions; ``false`` changes nothing at all.

        Raises:
            SchemaBehind, SchemaAhead, SchemaDiverged: naming what to run.
        """
        if self._ready:
            return
        from aragora_db.migrations.first_use import prepare  # noqa: PLC0415 -- loads the models, 240 ms

        with self._lock:
            if not self._ready:
                self._primary.prepare()
                prepare(self.engine, self._target)
                if self._replicas is not None:
                    self._replicas.require_current()
                self._ready = True

    # -- health and end -----------------------------------------------------------------------------------------------

    def health_check(self) -> bool:
        """Whether the database answers ``SELECT 1``. Never raises; a missing SQLite file is created, empty."""
        return bool(self.health()["reachable"])

    def health(self) -> dict[str, Any]:
        """Reachability, latency of ``SELECT 1`` in milliseconds, and the sync pool's use. Never raises."""
        started = time.perf_counter()
        error: str | None = None
        use = {"size": 0, "in_use": 0, "idle": 0}
        try:
            pool: Any = self._primary.reader.pool  # as a reader: on SQLite a writer would have to wait for its turn
            try:
                with self._primary.reader.connect() as connection:
                    connection.exec_driver_sql("SELECT 1")
            finally:
                use = {"size": pool.size(), "in_use": pool.checkedout(), "idle": pool.checkedin()}
        except (AragoraDBError, SQLAlchemyError) as problem:
            error = type(problem).__name__
        return {
            "reachable": error is None,
            "backend": self.dsn.backend,
            "database": self.dsn.masked,
            "latency_ms": round((time.perf_counter() - started) * 1000, 3),
            "error": error,
            "pool": use,
        }

    def pool_metrics(self) -> PoolMetrics:
        """Use of this process's pools, sync and async together: connections, checkouts, time-outs, wait and hold."""
        return self._primary.meter.metrics()

    def replicas_health(self) -> list[dict[str, Any]]:
        """Each replica of ARAGORA_DB_READ_URLS: ``replica`` (its place), ``healthy``, ``lag_seconds``, ``reason``.

        One that is left out says why; a lag of None is not known. Never raises, and names no address.
        """
        return [] if self._replicas is None else self._replicas.health()

    def observe_pools(self, observer: Observer) -> None:
        """Tell an observer of every engine, wait and hold, such as `aragora_db.operate.telemetry` does."""
        self._primary.meter.tell(observer)

    def schema_verdict(self) -> str:
        """Where the schema is, by two small queries: ``at head``, ``behind``, ``ahead``, ``diverged``, ``empty``...

        Raises:
            DatabaseError: the database cannot be asked.
        """
        from aragora_db.migrations.state import read_state  # noqa: PLC0415 -- loads the models, 240 ms

        with self._primary.reader.connect() as connection:
            return read_state(connection).verdict.value

    def close(self) -> None:
        """Close every connection. Async code calls `aclose` first, which says goodbye to the server properly."""
        if self._shared is not None:
            self._shared.close()
        if self._replicas is not None:
            self._replicas.close()
        if self._primary.close():
            self._ready = False

    def reset_after_fork(self) -> None:
        """What a forked child does first, by itself: threads and event loops, and who held the lock, stayed behind."""
        self._lock = threading.RLock()
        self._primary.reset_after_fork()
        if self._replicas is not None:
            self._replicas.reset_after_fork()

    async def aclose(self) -> None:
        """Close the running loop's connections, then everything else."""
        if self._replicas is not None:
            await self._replicas.aclose()
        await self._primary.aclose()
        self.close()


def _adopt(replicas: ReplicaRouter | None, engine: Engine) -> None:
    """Prepare a new engine of the primary. Nothing here refers to the `Database`: its engines would keep it alive."""
    # Loads the models, 240 ms: a program that connects to nothing, such as `aragora-db --help`, does without.
    from aragora_db.search import index  # noqa: F401, PLC0415 # pyright: ignore[reportUnusedImport]

    if replicas is not None:
        replicas.track_commits(engine)


def _target(settings: Settings, dsn: Dsn, secrets: SecretSource | None) -> Target:
    """The target; one whose password may rotate is asked for again with each new connection."""
    if secrets is None or not settings.use_secrets_manager or names_a_database(settings):
        return Target(settings, dsn)
    renew = secrets.refresh if isinstance(secrets, RotatingSource) else None
    return Target(settings, dsn, where=lambda: resolve(settings, secrets), renew=renew)
