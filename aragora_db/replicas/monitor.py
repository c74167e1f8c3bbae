"""What is known about the servers: where the primary is, how far each replica is, and the watches that find it out."""

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
from aragora_db.replicas.lag import History
from aragora_db.replicas.lsn import PrimaryLook, ReplicaLook, look_at_primary
from aragora_db.replicas.poller import SHORTEST_PAUSE, Watch
from aragora_db.replicas.replica import NOT_ASKED, TOO_FAR, Replica, Verdict

if TYPE_CHECKING:
    from aragora_db.config import Dsn

__all__ = ["Lookout"]

_PAUSE_SECONDS = 1.0
_WAITING_PAUSE = 0.01  # while a reader waits: from SHORTEST_PAUSE up to this
_FIRST_LOOK_SECONDS = 1.0


class Lookout:
    """One watch for each server, and what they have found.

    Args:
        primary: the primary.
        urls: the replicas, as they were written.
        meter: the one that counts the primary's pools.
    """

    def __init__(self, primary: Target, urls: tuple[Dsn, ...], meter: Meter) -> None:
        self.latest: tuple[float, PrimaryLook] | None = None
        """When the primary was last asked, and what it said."""
        self.changed = threading.Condition()
        """Notified after each look."""
        self.replicas = [
            Replica(number, _target(primary, url), meter, self._judge) for number, url in enumerate(urls, start=1)
        ]
        self._max_lag = primary.settings.replica_max_lag
        self._pause = min(_PAUSE_SECONDS, self._max_lag / 2)
        self._history = History(self._max_lag + 2 * self._pause)
        self._primary_answers: bool | None = None
        self._primary_watch = Watch(
            "aragora_db-watch-primary", primary, self._look_at_primary, self._primary_failed, lambda: self._pause
        )
        self._watches = {replica: self._watch(replica) for replica in self.replicas}
        self._wanted, self._hurry_until = 0, 0.0
        self._started: float | None = None

    # -- what is known ------------------------------------------------------------------------------------------------

    def verdict(self, replica: Replica) -> Verdict:
        """Whether a replica may serve, now."""
        if self._watches[replica].overdue:
            return Verdict(healthy=False, reason="does not answer")
        return replica.verdict

    def expected(self, verdict: Verdict) -> bool:
        """Whether it is so soon after the start that the next look may know more."""
        return self.starting and verdict.reason in {NOT_ASKED, TOO_FAR}

    @property
    def starting(self) -> bool:
        """Whether the watches were started a moment ago."""
        return self._started is not None and time.monotonic() < self._started + _FIRST_LOOK_SECONDS

    def written_by(self, at: float) -> int | None:
        """A position behind everything that the primary had committed at that time; None when it must be asked."""
        latest, found = self.latest, self._history.written_by(at)
        return latest[1].position if found is None and latest is not None and latest[0] > at else found

    def wait_for_first_look(self) -> None:
        """Wait until each replica was asked once, a second after the start at most."""
        with self.changed:
            self.changed.wait_for(
                lambda: all(self.verdict(replica).reason != NOT_ASKED for replica in self.replicas),
                _FIRST_LOOK_SECONDS if self.starting else 0,
            )

    def _judge(self, look: ReplicaLook) -> Verdict:
        if self._primary_answers is None:
            return Verdict(healthy=False, reason=NOT_ASKED)
        if self.latest is None:
            return Verdict(healthy=False, reason="cannot be compared: the primary was never reached")
        server = self.latest[1].server
        if look.server.system != server.system:
            return Verdict(healthy=False, reason="belongs to another cluster than the primary")
        if look.in_recovery:
            return self._judge_lag(look.replayed or 0)
        if look.server == server:
            return Verdict(healthy=True, lag=0.0, primary=True)
        return Verdict(healthy=False, reason="is no replica: it was promoted, or never was one")

    def _judge_lag(self, replayed: int) -> Verdict:
        # While the primary is away nobody gets further behind, and what it wrote last may never arrive.
        now = time.monotonic() if self._primary_answers else self._history.newest or 0.0
        lag = self._history.seconds_behind(replayed, now)
        if lag is None:
            return Verdict(healthy=False, reason=TOO_FAR)
        if lag > self._max_lag:
            return Verdict(healthy=False, lag=lag, reason=f"is more than {self._max_lag:g} s behind")
        if not self._primary_answers:
            return Verdict(healthy=True, reason="how far it is behind is not known: the primary cannot be asked")
        return Verdict(healthy=True, lag=lag)

    # -- watches ------------------------------------------------------------------------------------------------------

    def ask_primary(self) -> None:
        """Have the primary asked at once where it is."""
        self._primary_watch.hurry()

    def ask_replicas(self, position: int, until: float) -> None:
        """Have the replicas asked without a pause until that time, those that are not yet at the position."""
        if position > self._wanted or time.monotonic() >= self._hurry_until:
            self._wanted, self._hurry_until = position, max(self._hurry_until, until)
            for watch in self._watches.values():
                watch.hurry()

    def _watch(self, replica: Replica) -> Watch:
        def look(connection: Connection) -> None:
            replica.look(connection)
            self._notify()

        def failed(error: Exception) -> None:
            replica.failed(error)
            self._notify()

        hurried = 0

        def pause() -> float:
            nonlocal hurried
            wanted = time.monotonic() < self._hurry_until and replica.replayed < self._wanted
            hurried = hurried + 1 if wanted or self.expected(replica.verdict) else 0
            return min(SHORTEST_PAUSE * hurried, _WAITING_PAUSE) if hurried else self._pause

        return Watch(f"aragora_db-watch-replica-{replica.number}", replica.target, look, failed, pause)

    def _look_at_primary(self, connection: Connection) -> None:
        asked = time.monotonic()
        look = look_at_primary(connection)
        before = self.latest[1] if self.latest is not None else look
        if before.server.system != look.server.system:
            self._history.clear()
        # Not each time that a reader asks: the history would grow long, and be no better.
        newest = self._history.newest
        if newest is None or asked - newest >= self._pause / 2 or look.flushed < before.flushed:
            self._history.add(asked, look.flushed, look.position)
        self.latest, self._primary_answers = (asked, look), True
        for replica in self.replicas:
            replica.compare(look.flushed, asked)
        self._notify()

    def _primary_failed(self, _error: Exception) -> None:
        self._primary_answers = False
        self._notify()

    def _notify(self) -> None:
        with self.changed:
            self.changed.notify_all()

    # -- beginning and end --------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the watches, unless they are running. What they found in an earlier life does not count."""
        if self._started is not None:
            return
        with self.changed:
            if self._started is None:
                self._primary_answers = None
                for each in self.replicas:
                    each.start_over()
                self._started = time.monotonic()
                for watch in self._all_watches():
                    watch.start()

    def stop(self) -> None:
        """End the watches, without waiting for them."""
        with self.changed:
            self._started = None
            for watch in self._all_watches():
                watch.stop()

    def close(self) -> None:
        """End the watches and close every connection."""
        self.stop()
        for watch in self._all_watches():
            watch.join()
        for each in self.replicas:
            each.connections.close()

    def reset_after_fork(self) -> None:
        """What a forked child does first: the watches stayed behind, and whoever held the lock."""
        self.changed, self._started = threading.Condition(), None
        for watch in self._all_watches():
            watch.reset_after_fork()
        for each in self.replicas:
            each.connections.reset_after_fork()

    def _all_watches(self) -> tuple[Watch, ...]:
        return (self._primary_watch, *self._watches.values())


def _target(primary: Target, url: Dsn) -> Target:
    where: Callable[[], Dsn] | None = primary.where
    return replace(
        primary,
        dsn=completed(url, primary.dsn),
        where=None if where is None else lambda: completed(url, where()),
    )
