"""Route read-only sessions to a healthy replica that has replayed what the session must see."""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine

from aragora_db.config.read_urls import read_urls
from aragora_db.engine import Target
from aragora_db.engine.commit_hooks import note_commits
from aragora_db.engine.pool_metrics import Meter
from aragora_db.replicas.consistency import CommittedWrite, OwnLastWrite
from aragora_db.replicas.lsn import format_lsn, parse_lsn, query_primary
from aragora_db.replicas.monitor import Monitor
from aragora_db.replicas.poller import SHORTEST_PAUSE
from aragora_db.replicas.replica import Replica

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["ReplicaRouter"]

_POLL_SECONDS = 0.002  # how often a waiting task checks the results of the pollers


@dataclass
class _ReadRequest:
    """A reader's request for a replica.

    Attributes:
        after: the minimum replay LSN that the caller asked for; 0 for none.
        deadline: until when the reader may wait, by `time.monotonic()`.
        needed: the minimum replay LSN of the replica that was chosen last.
        polled_primary: whether this request has asked for a poll of the primary.
        tried: replicas whose connection failed or had not replayed ``needed``.
    """

    after: int
    deadline: float
    needed: int = 0
    polled_primary: bool = False
    tried: set[Replica] = field(default_factory=set[Replica])


class ReplicaRouter:
    """Routes reads to the replicas of one primary.

    It holds no reference to the `Database`, which the pollers' threads would keep alive.

    Args:
        monitor: knows the state of each replica.
        wait: how long a reader waits for a replica to replay what it must see, in seconds.
    """

    def __init__(self, monitor: Monitor, wait: float) -> None:
        self._monitor, self._wait = monitor, wait
        self._own, self._schema_change = OwnLastWrite(), CommittedWrite(time.monotonic())
        self._turn = itertools.count()

    @classmethod
    def from_settings(cls, primary: Target, meter: Meter) -> ReplicaRouter | None:
        """Return a router for the replicas that the settings name, or None if they name none.

        Raises:
            ConfigurationError: ARAGORA_DB_READ_URLS cannot be used.
        """
        urls = read_urls(primary.settings, primary.dsn)
        return cls(Monitor(primary, urls, meter), primary.settings.replica_wait) if urls else None

    # -- writes -------------------------------------------------------------------------------------------------------

    def track_commits(self, engine: Engine) -> None:
        """Record each commit through this engine of the primary as the last write of its thread or task."""
        note_commits(engine, self.record_write)

    def record_write(self) -> None:
        """Record that this thread or task has committed a write just now."""
        self._own.set(CommittedWrite(time.monotonic()))

    def require_current(self) -> None:
        """Require of every later read, in any thread, what the primary has now: its schema was checked or migrated."""
        self._schema_change = CommittedWrite(time.monotonic())

    def own_write_lsn(self) -> int | None:
        """Return the LSN of this thread's or task's last write.

        Returns:
            0 if it has written nothing; None if the primary must be queried.
        """
        write = self._own.get()
        if write is None:
            return 0
        resolved = self._with_lsn(write)
        if resolved != write:
            self._own.set(resolved)
        return resolved.lsn

    def write_position(self, connection: Connection) -> str:
        """Query the primary through this connection and return an LSN at or after this thread's last write, as text.

        Raises:
            DatabaseError: the query failed.
        """
        lsn = query_primary(connection).commit_lsn
        self._own.set(CommittedWrite(time.monotonic(), lsn))
        return format_lsn(lsn)

    def _with_lsn(self, write: CommittedWrite) -> CommittedWrite:
        """Return the write with an LSN, if the primary was queried after it."""
        if write.lsn is None:
            return replace(write, lsn=self._monitor.commit_lsn_at(write.at))
        # After a failover the new primary may never have had the end of the old one's log.
        latest = self._monitor.latest
        if latest is not None and latest[0] > write.at and latest[1].commit_lsn < write.lsn:
            return replace(write, lsn=latest[1].commit_lsn)
        return write

    # -- connections --------------------------------------------------------------------------------------------------

    def connect(self, after: str | None) -> Connection | None:
        """Return a connection to a replica that has replayed this thread's or task's last write and ``after``.

        Args:
            after: an LSN that `write_position` returned, or None.

        Returns:
            None if the primary must serve the read.

        Raises:
            InvalidValue: ``after`` is not an LSN.
        """
        request = self._request(after)
        while True:
            changed = self._monitor.changed
            with changed:
                replica, worth_waiting = self._choose(request)
                if replica is None and worth_waiting:
                    changed.wait(SHORTEST_PAUSE)
            if replica is not None:
                connection = replica.connect(request.needed)
                if connection is not None:
                    return connection
                request.tried.add(replica)
            elif not worth_waiting:
                return None

    async def connect_async(self, after: str | None) -> AsyncConnection | None:
        """Return what `connect` returns, for async code. Other tasks run while it waits."""
        request = self._request(after)
        while True:
            replica, worth_waiting = self._choose(request)
            if replica is not None:
                connection = await replica.connect_async(request.needed)
                if connection is not None:
                    return connection
                request.tried.add(replica)
            elif not worth_waiting:
                return None
            else:
                await asyncio.sleep(_POLL_SECONDS)

    def _request(self, after: str | None) -> _ReadRequest:
        request = _ReadRequest(parse_lsn(after) if after else 0, time.monotonic() + self._wait)
        self._monitor.start()
        return request

    def _choose(self, request: _ReadRequest) -> tuple[Replica | None, bool]:
        """Return the next replica to try, round robin; without one, whether one may become usable in time."""
        written, needed = self._required_lsns(request.after)
        worth_waiting, waiting, starting = False, time.monotonic() < request.deadline, self._monitor.starting
        replicas, first = self._monitor.replicas, next(self._turn)
        for index in range(len(replicas)):
            replica = replicas[(first + index) % len(replicas)]
            if replica in request.tried:
                continue
            state = self._monitor.state(replica)
            if state.healthy and needed is not None and (state.primary or replica.replay_lsn >= needed):
                request.needed = needed
                return replica, False
            late = starting or written is None or replica.replay_lsn < written
            worth_waiting |= (state.healthy and waiting and late) or self._monitor.may_change_soon(state)
        if worth_waiting and needed is not None:
            self._monitor.poll_replicas_until(needed, request.deadline)
        elif worth_waiting and not request.polled_primary:
            request.polled_primary = True
            self._monitor.poll_primary_now()
        return None, worth_waiting

    def _required_lsns(self, after: int) -> tuple[int | None, int | None]:
        """Return the minimum replay LSNs: (this caller's last write, the same and the last schema change).

        None for one that the primary must be queried for first.
        """
        self._schema_change = schema = self._with_lsn(self._schema_change)
        own = self.own_write_lsn()
        written = None if own is None else max(after, own)
        return written, None if written is None or schema.lsn is None else max(written, schema.lsn)

    # -- health and end -----------------------------------------------------------------------------------------------

    def health(self) -> list[dict[str, Any]]:
        """Return each replica as JSON: number, healthy, lag in seconds, reason.

        Waits for the first poll, at most a second.
        """
        self._monitor.start()
        self._monitor.wait_for_first_poll()
        found = [(replica.number, self._monitor.state(replica)) for replica in self._monitor.replicas]
        return [
            {
                "replica": number,
                "healthy": state.healthy,
                "lag_seconds": None if state.lag is None else round(state.lag, 3),
                "reason": state.reason,
            }
            for number, state in found
        ]

    def stop(self) -> None:
        """Stop the pollers, without waiting for them."""
        self._monitor.stop()

    def close(self) -> None:
        """Stop the pollers and close every connection. The next read starts them again."""
        self._monitor.close()

    async def aclose(self) -> None:
        """Close the running event loop's connections, then do what `close` does."""
        for replica in self._monitor.replicas:
            await replica.connections.aclose()
        await asyncio.to_thread(self._monitor.close)

    def reset_after_fork(self) -> None:
        """Start afresh in a forked child."""
        self._monitor.reset_after_fork()
