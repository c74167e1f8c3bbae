"""Poll the primary and the replicas, and decide which replicas may serve reads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from aragora_db.config.read_urls import completed
from aragora_db.engine import Target
from aragora_db.engine.pool_metrics import Meter
from aragora_db.replicas.lag import LsnHistory
from aragora_db.replicas.lsn import PrimaryStatus, ReplicaStatus, query_primary
from aragora_db.replicas.poller import SHORTEST_PAUSE, Poller
from aragora_db.replicas.replica import LAG_UNKNOWN, NOT_POLLED, Replica, ReplicaState

if TYPE_CHECKING:
    from aragora_db.config import Dsn

__all__ = ["Monitor"]

_PAUSE_SECONDS = 1.0
_WAITING_PAUSE = 0.01  # while a reader waits: from SHORTEST_PAUSE up to this
_FIRST_POLL_SECONDS = 1.0


class Monitor:
    """Runs one poller for each server and keeps their results.

    Args:
        primary: the primary.
        urls: the replicas' DSNs, before the primary's parts are filled in.
        meter: the one that counts the primary's pools.
    """

    def __init__(self, primary: Target, urls: tuple[Dsn, ...], meter: Meter) -> None:
        self.latest: tuple[float, PrimaryStatus] | None = None
        """When the primary was last queried (`time.monotonic()`), and its answer."""
        self.changed = threading.Condition()
        """Notified after each poll."""
        self.replicas = [
            Replica(number, _target(primary, url), meter, self._assess) for number, url in enumerate(urls, start=1)
        ]
        self._max_lag = primary.settings.replica_max_lag
        self._pause = min(_PAUSE_SECONDS, self._max_lag / 2)
        self._history = LsnHistory(self._max_lag + 2 * self._pause)
        self._primary_answers: bool | None = None
        self._primary_poller = Poller(
            "aragora_db-poller-primary", primary, self._poll_primary, self._primary_failed, lambda: self._pause
        )
        self._pollers = {replica: self._poller_of(replica) for replica in self.replicas}
        self._awaited_lsn, self._awaited_until = 0, 0.0
        self._started: float | None = None

    # -- what is known ------------------------------------------------------------------------------------------------

    def state(self, replica: Replica) -> ReplicaState:
        """Return whether a replica may serve reads now."""
        if self._pollers[replica].overdue:
            return ReplicaState(healthy=False, reason="does not answer")
        return replica.state

    def may_change_soon(self, state: ReplicaState) -> bool:
        """Whether the pollers have just started and the next poll may change this state."""
        return self.starting and state.reason in {NOT_POLLED, LAG_UNKNOWN}

    @property
    def starting(self) -> bool:
        """Whether the pollers were started within the last second."""
        return self._started is not None and time.monotonic() < self._started + _FIRST_POLL_SECONDS

    def commit_lsn_at(self, at: float) -> int | None:
        """Return an LSN at or after every commit made by time `at`, or None if the primary must be queried."""
        latest, found = self.latest, self._history.commit_lsn_at(at)
        return latest[1].commit_lsn if found is None and latest is not None and latest[0] > at else found

    def wait_for_first_poll(self) -> None:
        """Wait until each replica was polled once, at most until a second after the start."""
        with self.changed:
            self.changed.wait_for(
                lambda: all(self.state(replica).reason != NOT_POLLED for replica in self.replicas),
                _FIRST_POLL_SECONDS if self.starting else 0,
            )

    def _assess(self, status: ReplicaStatus) -> ReplicaState:
        if self._primary_answers is None:
            return ReplicaState(healthy=False, reason=NOT_POLLED)
        if self.latest is None:
            return ReplicaState(healthy=False, reason="cannot be compared: the primary was never reached")
        server = self.latest[1].server
        if status.server.system_identifier != server.system_identifier:
            return ReplicaState(healthy=False, reason="belongs to another cluster than the primary")
        if status.in_recovery:
            return self._assess_lag(status.replay_lsn or 0)
        if status.server == server:
            return ReplicaState(healthy=True, lag=0.0, primary=True)
        return ReplicaState(healthy=False, reason="is no replica: it was promoted, or never was one")

    def _assess_lag(self, replay_lsn: int) -> ReplicaState:
        # While the primary is unreachable no replica falls further behind, and its last writes may never arrive.
        now = time.monotonic() if self._primary_answers else self._history.newest_at or 0.0
        lag = self._history.seconds_behind(replay_lsn, now)
        if lag is None:
            return ReplicaState(healthy=False, reason=LAG_UNKNOWN)
        if lag > self._max_lag:
            return ReplicaState(healthy=False, lag=lag, reason=f"is more than {self._max_lag:g} s behind")
        if not self._primary_answers:
            return ReplicaState(healthy=True, reason="how far it is behind is not known: the primary cannot be asked")
        return ReplicaState(healthy=True, lag=lag)

    # -- pollers ------------------------------------------------------------------------------------------------------

    def poll_primary_now(self) -> None:
        """Poll the primary without a pause."""
        self._primary_poller.poll_now()

    def poll_replicas_until(self, lsn: int, deadline: float) -> None:
        """Poll the replicas that have not replayed ``lsn`` at short intervals until ``deadline``."""
        if lsn > self._awaited_lsn or time.monotonic() >= self._awaited_until:
            self._awaited_lsn, self._awaited_until = lsn, max(self._awaited_until, deadline)
            for poller in self._pollers.values():
                poller.poll_now()

    def _poller_of(self, replica: Replica) -> Poller:
        def poll(connection: Connection) -> None:
            replica.poll(connection)
            self._notify()

        def failed(error: Exception) -> None:
            replica.mark_failed(error)
            self._notify()

        short_pauses = 0  # in a row; each is a little longer

        def pause() -> float:
            nonlocal short_pauses
            awaited = time.monotonic() < self._awaited_until and replica.replay_lsn < self._awaited_lsn
            short_pauses = short_pauses + 1 if awaited or self.may_change_soon(replica.state) else 0
            return min(SHORTEST_PAUSE * short_pauses, _WAITING_PAUSE) if short_pauses else self._pause

        return Poller(f"aragora_db-poller-replica-{replica.number}", replica.target, poll, failed, pause)

    def _poll_primary(self, connection: Connection) -> None:
        asked = time.monotonic()
        status = query_primary(connection)
        before = self.latest[1] if self.latest is not None else status
        if before.server.system_identifier != status.server.system_identifier:
            self._history.clear()
        # Not at each poll that a reader asks for: the history would grow long, and be no better.
        newest = self._history.newest_at
        if newest is None or asked - newest >= self._pause / 2 or status.flush_lsn < before.flush_lsn:
            self._history.add(asked, status.flush_lsn, status.commit_lsn)
        self.latest, self._primary_answers = (asked, status), True
        for replica in self.replicas:
            replica.detect_divergence(status.flush_lsn, asked)
        self._notify()

    def _primary_failed(self, _error: Exception) -> None:
        self._primary_answers = False
        self._notify()

    def _notify(self) -> None:
        with self.changed:
            self.changed.notify_all()

    # -- beginning and end --------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the pollers unless they are running, and forget the results of an earlier run."""
        if self._started is not None:
            return
        with self.changed:
            if self._started is None:
                self._primary_answers = None
                for each in self.replicas:
                    each.reset()
                self._started = time.monotonic()
                for poller in self._all_pollers():
                    poller.start()

    def stop(self) -> None:
        """Stop the pollers, without waiting for them."""
        with self.changed:
            self._started = None
            for poller in self._all_pollers():
                poller.stop()

    def close(self) -> None:
        """Stop the pollers and close every connection."""
        self.stop()
        for poller in self._all_pollers():
            poller.join()
        for each in self.replicas:
            each.connections.close()

    def reset_after_fork(self) -> None:
        """Start afresh in a forked child, where neither the threads nor the holder of the lock exist."""
        self.changed, self._started = threading.Condition(), None
        for poller in self._all_pollers():
            poller.reset_after_fork()
        for each in self.replicas:
            each.connections.reset_after_fork()

    def _all_pollers(self) -> tuple[Poller, ...]:
        return (self._primary_poller, *self._pollers.values())


def _target(primary: Target, url: Dsn) -> Target:
    where: Callable[[], Dsn] | None = primary.where
    return replace(
        primary,
        dsn=completed(url, primary.dsn),
        where=None if where is None else lambda: completed(url, where()),
    )
