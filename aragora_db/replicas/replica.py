"""One replica: its connections, its last known state, and whether it may serve reads."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from aragora_db.engine import READ_ONLY_OPTIONS, Target
from aragora_db.engine.commit_hooks import note_losses
from aragora_db.engine.liveness import ping_each_time
from aragora_db.engine.pool_metrics import Meter
from aragora_db.engine.server_engines import ServerEngines
from aragora_db.replicas.lsn import ReplicaStatus, query_replay_lsn, query_replica

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["LAG_UNKNOWN", "NOT_POLLED", "Assess", "Replica", "ReplicaState"]

_PING_SECONDS = 2.0
_CONNECT_SECONDS = 3

# Key in the information that a pool keeps with a connection: the furthest replay LSN seen through it.
_SEEN_LSN = "aragora_replayed"

NOT_POLLED = "not asked yet"
LAG_UNKNOWN = "is further behind than can be told"

log = logging.getLogger("aragora_db.replicas")


@dataclass(frozen=True)
class ReplicaState:
    """Whether a replica may serve reads.

    Attributes:
        healthy: whether reads may be routed to it.
        lag: its replay lag in seconds; None if it is not known.
        reason: why not, or why its lag is not known. Names no address.
        primary: it is the primary itself, as a reader endpoint can be when the cluster has no standby.
    """

    healthy: bool
    lag: float | None = None
    reason: str | None = None
    primary: bool = False


Assess = Callable[[ReplicaStatus], ReplicaState]


class Replica:
    """A server that read-only sessions may go to.

    Args:
        number: its place in ARAGORA_DB_READ_URLS, from 1; logs and health show it instead of an address.
        target: the server.
        meter: the one that counts the primary's pools.
        assess: compares an answer with what is known about the primary.
    """

    def __init__(self, number: int, target: Target, meter: Meter, assess: Assess) -> None:
        self.number = number
        self.target = target.with_settings(connect_timeout=min(target.settings.connect_timeout, _CONNECT_SECONDS))
        self.connections = ServerEngines(self.target, meter=meter, adopt=self._instrument)
        self._assess = assess
        self._status: ReplicaStatus | None = None
        self._polled_at = self._down_since = 0.0
        self._trouble, self._diverged = NOT_POLLED, False
        self._reported_healthy: bool | None = None

    @property
    def state(self) -> ReplicaState:
        """Return whether it may serve reads now."""
        status = self._status
        if status is None:
            return ReplicaState(healthy=False, reason=self._trouble)
        if self._diverged:
            return ReplicaState(healthy=False, reason="follows another primary: it is ahead of this one")
        return self._assess(status)

    @property
    def replay_lsn(self) -> int:
        """Return its replay LSN at the last poll; 0 if it is not known."""
        status = self._status
        return status.replay_lsn or 0 if status is not None else 0

    # -- polls --------------------------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Forget the last poll, which may be old."""
        self._status, self._trouble, self._diverged, self._down_since = None, NOT_POLLED, False, 0.0

    def detect_divergence(self, flush_lsn: int, asked: float) -> None:
        """Compare with the primary's flush LSN. A replica that is ahead of it follows another primary.

        Args:
            flush_lsn: the primary's.
            asked: `time.monotonic()` before the primary was queried.
        """
        if self._polled_at < asked:
            self._diverged = self.replay_lsn > flush_lsn

    def poll(self, connection: Connection) -> None:
        """Query its replay LSN through this connection and keep the answer."""
        asked = time.monotonic()
        status = query_replica(connection)
        if self._down_since < asked:
            self._status, self._polled_at = status, time.monotonic()
        self._log_change()

    def mark_failed(self, error: Exception) -> None:
        """Leave it out until a poll succeeds: a poll or a session's connection failed."""
        self._down_since = time.monotonic()
        self._trouble, self._status = f"cannot be used ({type(error).__name__})", None
        self._log_change()

    def _instrument(self, engine: Engine) -> None:
        ping_each_time(engine, _PING_SECONDS)
        note_losses(engine, self.mark_failed)

    def _log_change(self) -> None:
        state, first = self.state, self._reported_healthy is None
        too_early = state.reason == NOT_POLLED or (first and state.reason == LAG_UNKNOWN)
        if too_early or state.healthy is self._reported_healthy:
            return
        self._reported_healthy = state.healthy
        if not state.healthy:
            log.warning("replica %d is left out: %s", self.number, state.reason)
        elif not first:
            log.warning("replica %d is back", self.number)

    # -- connections --------------------------------------------------------------------------------------------------

    def connect(self, needed: int) -> Connection | None:
        """Return a connection for reading, or None if the replica is unreachable or has not replayed ``needed``.

        The transaction in which the replay LSN was queried is left open for the session.

        Args:
            needed: the minimum replay LSN.
        """
        try:
            connection = self.connections.reader.connect()
            try:
                if self._has_replayed(connection, needed):
                    return connection
            except BaseException:
                connection.close()
                raise
            connection.close()
        except SQLAlchemyError as error:
            self.mark_failed(error)
        return None

    async def connect_async(self, needed: int) -> AsyncConnection | None:
        """Return what `connect` returns, for async code."""
        try:
            connection = await self.connections.of_this_loop.execution_options(**READ_ONLY_OPTIONS).connect()
            try:
                if await connection.run_sync(self._has_replayed, needed):
                    return connection
            except BaseException:
                await connection.close()
                raise
            await connection.close()
        except SQLAlchemyError as error:
            self.mark_failed(error)
        return None

    def _has_replayed(self, connection: Connection, needed: int) -> bool:
        """Whether the server behind this connection has replayed ``needed``.

        The last poll may have reached another server behind the same name, or the same server before a crash from which
        it restarted at a lower LSN. The replay LSN seen through one connection never goes back.
        """
        info: dict[str, Any] = connection.info
        if info.get(_SEEN_LSN, 0) >= needed:
            return True
        replay_lsn = query_replay_lsn(connection)
        if replay_lsn is None:
            return self.state.primary
        if not self.target.through_transaction_pooler:
            info[_SEEN_LSN] = replay_lsn
        return replay_lsn >= needed
