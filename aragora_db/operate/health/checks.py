"""One check for each thing that an instance depends on. Each really asks, and blocks until it is answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import sqlalchemy as sa

from aragora_db.config.secrets.source import RotatingSource
from aragora_db.database import Database
from aragora_db.engine import READ_ONLY_OPTIONS
from aragora_db.errors import PoolExhausted
from aragora_db.models import Debate, EloRating
from aragora_db.operate.health.result import CheckResult, HealthState

__all__ = ["HealthCheck", "PooledCheck", "all_checks"]


class HealthCheck:
    """Something to ask.

    Args:
        db: the database.
    """

    name: ClassVar[str]
    timeout: ClassVar[float] = 2.0
    """Seconds after which no answer is the answer."""
    needed: ClassVar[bool] = True
    """Whether an instance cannot serve without."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def begin(self) -> None:
        """Called before `run`, in the event loop: must not block."""

    def run(self) -> CheckResult:
        """Ask. Whatever it raises is a failure."""
        raise NotImplementedError

    def overdue(self) -> CheckResult:
        """The answer when none came in time."""
        return self.failure("timeout")

    def refused(self, error: Exception) -> CheckResult:
        """The answer when `run` raised."""
        return self.failure(type(error).__name__)

    def failure(self, error: str) -> CheckResult:
        """The answer for an error, which is named by its class."""
        return CheckResult(HealthState.FAILED if self.needed else HealthState.DEGRADED, detail={"error": error})


class PooledCheck(HealthCheck):
    """A check that needs a connection of the application's pool.

    Full is not dead: where connections came back while the check waited for one, the database works and this instance
    is busy. Were it taken out for that, the others would get its load and follow.
    """

    _returned = 0

    def begin(self) -> None:
        """Remember how many connections have come back so far."""
        self._returned = self._db.pool_metrics().hold.count

    def overdue(self) -> CheckResult:
        """Busy or dead."""
        return self._busy() or super().overdue()

    def refused(self, error: Exception) -> CheckResult:
        """Busy or dead, too, where the pool's patience is shorter than the check's."""
        busy = self._busy() if isinstance(error, PoolExhausted) else None
        return busy or super().refused(error)

    def _busy(self) -> CheckResult | None:
        pool = self._db.pool_metrics()
        moves, self._returned = pool.hold.count > self._returned, pool.hold.count
        # Half: on the way from one thread to the next a connection counts as free for a moment.
        if moves and pool.in_use >= (pool.size + pool.max_overflow) // 2:
            return CheckResult(HealthState.DEGRADED, detail={"error": "busy"})
        return None


class DatabaseCheck(PooledCheck):
    """A connection of the writer's pool answers."""

    name = "database"

    def run(self) -> CheckResult:
        # As a reader: on SQLite a writer would have to wait for its turn.
        with self._db.engine.execution_options(**READ_ONLY_OPTIONS).connect() as connection:
            connection.exec_driver_sql("SELECT 1")
        return CheckResult(HealthState.OK, detail={"backend": self._db.dsn.backend})


class SchemaCheck(PooledCheck):
    """This process can use the schema. An empty database is brought to head, as at any first use.

    A schema that moved on under a running process is a warning: revisions only add, so the process can go on, and in a
    rolling deployment the old instances serve until the new ones do.
    """

    name = "schema"

    def run(self) -> CheckResult:
        self._db.ensure_ready()
        verdict = str(self._db.schema_verdict())
        return CheckResult(
            HealthState.OK if verdict == "at head" else HealthState.DEGRADED, detail={"verdict": verdict}
        )


class StorageCheck(PooledCheck):
    """A debate can be read."""

    name = "storage"

    def run(self) -> CheckResult:
        # Not the artifact, which may be large.
        statement = sa.select(Debate.id, Debate.slug, Debate.task, Debate.created_at).limit(1)
        with self._db.session(read_only=True, primary=True) as session:
            session.execute(statement).all()
        return CheckResult(HealthState.OK)


class EloCheck(PooledCheck):
    """A rating can be read."""

    name = "elo"

    def run(self) -> CheckResult:
        with self._db.session(read_only=True, primary=True) as session:
            session.execute(sa.select(EloRating.agent_name, EloRating.elo).limit(1)).all()
        return CheckResult(HealthState.OK)


class PoolCheck(HealthCheck):
    """A connection is free, or may still be opened."""

    name = "database_pool"
    needed = False

    def run(self) -> CheckResult:
        pool = self._db.pool_metrics()
        most = pool.size + pool.max_overflow
        detail: dict[str, Any] = {
            "size": pool.size,
            "max_overflow": pool.max_overflow,
            "in_use": pool.in_use,
            "idle": pool.idle,
            "utilization_pct": round(100 * pool.in_use / most, 1) if most else 0.0,
            "checkouts": pool.checkouts,
            "timeouts": pool.timeouts,
            "longest_wait_ms": round(pool.wait.longest * 1000, 3),
            "longest_hold_ms": round(pool.hold.longest * 1000, 3),
        }
        exhausted = bool(most) and pool.in_use >= most
        return CheckResult(HealthState.DEGRADED if exhausted else HealthState.OK, detail=detail)


class RedisCheck(HealthCheck):
    """Redis answers."""

    name = "redis"
    needed = False
    timeout = 1.0

    def run(self) -> CheckResult:
        if not self._db.shared.configured:
            return CheckResult(HealthState.NOT_CONFIGURED)
        found = self._db.shared.health()
        detail = {name: found[name] for name in ("connected", "breaker", "error") if found.get(name) is not None}
        return CheckResult(HealthState.OK if found["connected"] else HealthState.DEGRADED, detail=detail)


class ReplicasCheck(HealthCheck):
    """Every replica takes part."""

    name = "replicas"
    needed = False

    def run(self) -> CheckResult:
        replicas = self._db.replicas_health()
        if not replicas:
            return CheckResult(HealthState.NOT_CONFIGURED)
        kept = [{name: each.get(name) for name in ("replica", "healthy", "lag_seconds", "reason")} for each in replicas]
        healthy = all(each["healthy"] for each in kept)
        return CheckResult(HealthState.OK if healthy else HealthState.DEGRADED, detail={"replicas": kept})


class SecretsCheck(HealthCheck):
    """The secrets are no older than they may be."""

    name = "secrets"
    needed = False

    def run(self) -> CheckResult:
        source = self._db.secrets
        if not isinstance(source, RotatingSource):
            return CheckResult(HealthState.NOT_CONFIGURED)
        found = source.health()
        detail = {name: found.get(name) for name in ("source", "age_seconds", "stale", "error")}
        return CheckResult(HealthState.DEGRADED if found["stale"] else HealthState.OK, detail=detail)


_ALL: Sequence[type[HealthCheck]] = (
    DatabaseCheck,
    PoolCheck,
    SchemaCheck,
    StorageCheck,
    EloCheck,
    RedisCheck,
    ReplicasCheck,
    SecretsCheck,
)


def all_checks(db: Database) -> tuple[HealthCheck, ...]:
    """Every check, for one database."""
    return tuple(kind(db) for kind in _ALL)
