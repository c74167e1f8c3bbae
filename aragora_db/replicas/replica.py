"""One replica: its connections, what is known about it, and whether it may serve."""

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
from aragora_db.replicas.lsn import ReplicaLook, look_at_replica, replayed_position

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["NOT_ASKED", "TOO_FAR", "Judge", "Replica", "Verdict"]

_PING_SECONDS = 2.0
_CONNECT_SECONDS = 3

# Key in the information that a pool keeps with a connection: the furthest position seen through it.
_SEEN = "aragora_replayed"

NOT_ASKED = "not asked yet"
TOO_FAR = "is further behind than can be told"

log = logging.getLogger("aragora_db.replicas")


@dataclass(frozen=True)
class Verdict:
    """Whether a replica may serve.

    Attributes:
        healthy: whether it takes part.
        lag: how far it is behind, in seconds; None when that is not known.
        reason: why not, or why its lag is not known. Names no address.
        primary: it is the primary itself, as an endpoint for readers can be when there is nobody else.
    """

    healthy: bool
    lag: float | None = None
    reason: str | None = None
    primary: bool = False


Judge = Callable[[ReplicaLook], Verdict]


class Replica:
    """A server that read-only sessions may go to.

    Args:
        number: how people tell it from others, by its place in ARAGORA_DB_READ_URLS, from 1.
        target: the server.
        meter: the one that counts the primary's pools.
        judge: what a look means, beside what is known about the primary.
    """

    def __init__(self, number: int, target: Target, meter: Meter, judge: Judge) -> None:
        self.number = number
        self.target = target.with_settings(connect_timeout=min(target.settings.connect_timeout, _CONNECT_SECONDS))
        self.connections = ServerEngines(self.target, meter=meter, adopt=self._adopt)
        self._judge = judge
        self._look: ReplicaLook | None = None
        self._looked_at = self._down_since = 0.0
        self._trouble, self._strays = NOT_ASKED, False
        self._said: bool | None = None

    @property
    def verdict(self) -> Verdict:
        """Whether it may serve, now."""
        look = self._look
        if look is None:
            return Verdict(healthy=False, reason=self._trouble)
        if self._strays:
            return Verdict(healthy=False, reason="follows another primary: it is ahead of this one")
        return self._judge(look)

    @property
    def replayed(self) -> int:
        """How far it was at the last look; 0 when that is not known."""
        look = self._look
        return look.replayed or 0 if look is not None else 0

    # -- what is learned about it -------------------------------------------------------------------------------------

    def start_over(self) -> None:
        """What was learned some time ago does not count any more."""
        self._look, self._trouble, self._strays, self._down_since = None, NOT_ASKED, False, 0.0

    def compare(self, position: int, asked: float) -> None:
        """Compare with where the primary was when it was asked, at that time."""
        if self._looked_at < asked:
            self._strays = self.replayed > position

    def look(self, connection: Connection) -> None:
        """Ask it how far it is."""
        asked = time.monotonic()
        look = look_at_replica(connection)
        if self._down_since < asked:
            self._look, self._looked_at = look, time.monotonic()
        self._tell()

    def failed(self, error: Exception) -> None:
        """It could not be asked, or a session could not use it: leave it out until a look goes well."""
        self._down_since = time.monotonic()
        self._trouble, self._look = f"cannot be used ({type(error).__name__})", None
        self._tell()

    def _adopt(self, engine: Engine) -> None:
        ping_each_time(engine, _PING_SECONDS)
        note_losses(engine, self.failed)

    def _tell(self) -> None:
        verdict, first = self.verdict, self._said is None
        if verdict.healthy is self._said or verdict.reason == NOT_ASKED or (first and verdict.reason == TOO_FAR):
            return
        self._said = verdict.healthy
        if not verdict.healthy:
            log.warning("replica %d is left out: %s", self.number, verdict.reason)
        elif not first:
            log.warning("replica %d is back", self.number)

    # -- connections --------------------------------------------------------------------------------------------------

    def connect(self, needed: int) -> Connection | None:
        """A connection for reading, if the replica can be reached and has replayed ``needed``.

        What was begun to find that out is left open, for the session to go on in.
        """
        try:
            connection = self.connections.reader.connect()
            try:
                if self._shows(connection, needed):
                    return connection
            except BaseException:
                connection.close()
                raise
            connection.close()
        except SQLAlchemyError as error:
            self.failed(error)
        return None

    async def connect_async(self, needed: int) -> AsyncConnection | None:
        """`connect` for async code."""
        try:
            connection = await self.connections.of_this_loop.execution_options(**READ_ONLY_OPTIONS).connect()
            try:
                if await connection.run_sync(self._shows, needed):
                    return connection
            except BaseException:
                await connection.close()
                raise
            await connection.close()
        except SQLAlchemyError as error:
            self.failed(error)
        return None

    def _shows(self, connection: Connection, needed: int) -> bool:
        """Whether what is read through this connection is no older than ``needed``.

        The last look may have met another server than this connection does, behind one name, or the same one before it
        crashed and began again a little earlier. A connection itself only ever goes forward.
        """
        info: dict[str, Any] = connection.info
        if info.get(_SEEN, 0) >= needed:
            return True
        reached = replayed_position(connection)
        if reached is None:
            return self.verdict.primary
        if not self.target.through_transaction_pooler:
            info[_SEEN] = reached
        return reached >= needed
