"""Which replica a read-only session goes to: one that is healthy and has what the session must see."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine

from aragora_db.config.read_urls import read_urls
from aragora_db.engine import Target
from aragora_db.engine.commit_hooks import note_commits
from aragora_db.engine.pool_metrics import Meter
from aragora_db.replicas.consistency import Mark, OwnMark
from aragora_db.replicas.lsn import format_position, look_at_primary, parse_position
from aragora_db.replicas.monitor import Lookout
from aragora_db.replicas.poller import SHORTEST_PAUSE
from aragora_db.replicas.replica import Replica

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["Replicas"]

_POLL_SECONDS = 0.002  # how often a waiting task looks at what the watches have found


@dataclass
class _Wish:
    """What a reader looks for: a replica beyond ``after``, within the time that it may wait."""

    after: int
    deadline: float
    needed: int = 0
    asked_primary: bool = False
    tried: set[Replica] = field(default_factory=set[Replica])


class Replicas:
    """The replicas of one primary. Nothing here refers to the `Database`: the watches would keep it alive.

    Args:
        lookout: the servers.
        wait: how long a reader waits for a replica to have what it must see, in seconds.
    """

    def __init__(self, lookout: Lookout, wait: float) -> None:
        self._lookout, self._wait = lookout, wait
        self._own, self._floor = OwnMark(), Mark(time.monotonic())
        self._turn = itertools.count()

    @classmethod
    def of(cls, primary: Target, meter: Meter) -> Replicas | None:
        """The replicas that the settings name; None when they name none.

        Raises:
            ConfigurationError: ARAGORA_DB_READ_URLS cannot be used.
        """
        urls = read_urls(primary.settings, primary.dsn)
        return cls(Lookout(primary, urls, meter), primary.settings.replica_wait) if urls else None

    # -- what was written ---------------------------------------------------------------------------------------------

    def note_commits(self, engine: Engine) -> None:
        """Let readers of the committing thread or task see what is committed through this engine of the primary."""
        note_commits(engine, self.note_write)

    def note_write(self) -> None:
        """Let readers of this thread or task see what it has committed on the primary until now."""
        self._own.set(Mark(time.monotonic()))

    def require_present(self) -> None:
        """Let no reader, in no thread, see less than the primary has now: its schema was checked, or changed."""
        self._floor = Mark(time.monotonic())

    def own_position(self) -> int | None:
        """Where this thread's or task's last write is: 0 when there is none, None when the primary must be asked."""
        mark = self._own.get()
        if mark is None:
            return 0
        resolved = self._resolved(mark)
        if resolved != mark:
            self._own.set(resolved)
        return resolved.position

    def write_position(self, connection: Connection) -> str:
        """The same as text, asking the primary through this connection.

        Raises:
            DatabaseError: it cannot be asked.
        """
        position = look_at_primary(connection).position
        self._own.set(Mark(time.monotonic(), position))
        return format_position(position)

    def _resolved(self, mark: Mark) -> Mark:
        """The mark with a position, if the primary was asked after the write."""
        if mark.position is None:
            return replace(mark, position=self._lookout.written_by(mark.at))
        # After a failover the new primary may never have had the end of the old one's log.
        latest = self._lookout.latest
        if latest is not None and latest[0] > mark.at and latest[1].position < mark.position:
            return replace(mark, position=latest[1].position)
        return mark

    # -- connections --------------------------------------------------------------------------------------------------

    def connect(self, after: str | None) -> Connection | None:
        """A connection to a replica that has what this thread or task wrote, and ``after``; None: ask the primary.

        Raises:
            InvalidValue: ``after`` is no position.
        """
        wish = self._wish(after)
        while True:
            changed = self._lookout.changed
            with changed:
                replica, hopeful = self._find(wish)
                if replica is None and hopeful:
                    changed.wait(SHORTEST_PAUSE)
            if replica is not None:
                connection = replica.connect(wish.needed)
                if connection is not None:
                    return connection
                wish.tried.add(replica)
            elif not hopeful:
                return None

    async def connect_async(self, after: str | None) -> AsyncConnection | None:
        """`connect` for async code. Other tasks go on while it waits."""
        import asyncio  # noqa: PLC0415 -- not needed by sync programs

        wish = self._wish(after)
        while True:
            replica, hopeful = self._find(wish)
            if replica is not None:
                connection = await replica.connect_async(wish.needed)
                if connection is not None:
                    return connection
                wish.tried.add(replica)
            elif not hopeful:
                return None
            else:
                await asyncio.sleep(_POLL_SECONDS)

    def _wish(self, after: str | None) -> _Wish:
        wish = _Wish(parse_position(after) if after else 0, time.monotonic() + self._wait)
        self._lookout.start()
        return wish

    def _find(self, wish: _Wish) -> tuple[Replica | None, bool]:
        """A replica to try, in turn; without one, whether it is worth to wait for one."""
        written, needed = self._needed(wish.after)
        hopeful, waiting, starting = False, time.monotonic() < wish.deadline, self._lookout.starting
        replicas, first = self._lookout.replicas, next(self._turn)
        for index in range(len(replicas)):
            replica = replicas[(first + index) % len(replicas)]
            if replica in wish.tried:
                continue
            verdict = self._lookout.verdict(replica)
            if verdict.healthy and needed is not None and (verdict.primary or replica.replayed >= needed):
                wish.needed = needed
                return replica, False
            late = starting or written is None or replica.replayed < written
            hopeful |= (verdict.healthy and waiting and late) or self._lookout.expected(verdict)
        if hopeful and needed is not None:
            self._lookout.ask_replicas(needed, wish.deadline)
        elif hopeful and not wish.asked_primary:
            wish.asked_primary = True
            self._lookout.ask_primary()
        return None, hopeful

    def _needed(self, after: int) -> tuple[int | None, int | None]:
        """How far a replica must be to have what was written, and to have the schema too.

        None while the primary has to be asked for that.
        """
        self._floor = floor = self._resolved(self._floor)
        own = self.own_position()
        written = None if own is None else max(after, own)
        return written, None if written is None or floor.position is None else max(written, floor.position)

    # -- health and end -----------------------------------------------------------------------------------------------

    def health(self) -> list[dict[str, Any]]:
        """Each replica as JSON: number, healthy, lag in seconds, reason. Waits for the first look, a second at most."""
        self._lookout.start()
        self._lookout.wait_for_first_look()
        found = [(replica.number, self._lookout.verdict(replica)) for replica in self._lookout.replicas]
        return [
            {
                "replica": number,
                "healthy": verdict.healthy,
                "lag_seconds": None if verdict.lag is None else round(verdict.lag, 3),
                "reason": verdict.reason,
            }
            for number, verdict in found
        ]

    def stop(self) -> None:
        """End the watches, without waiting for them."""
        self._lookout.stop()

    def close(self) -> None:
        """End the watches and close every connection. The next reader starts again."""
        self._lookout.close()

    async def aclose(self) -> None:
        """Close the running loop's connections properly, then everything else."""
        import asyncio  # noqa: PLC0415 -- not needed by sync programs

        for replica in self._lookout.replicas:
            await replica.connections.aclose()
        await asyncio.to_thread(self._lookout.close)

    def reset_after_fork(self) -> None:
        """What a forked child does first."""
        self._lookout.reset_after_fork()
