"""Locks that all instances share, with fencing tokens by which the database refuses an expired holder."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Generator
from contextlib import contextmanager

from sqlalchemy.orm import Session

from aragora_db.errors import LockLost, LockNotAcquired
from aragora_db.shared.fencing import Transact, guard, next_token, process_name
from aragora_db.shared.leases import Lease, check_seconds

__all__ = ["HeldLock", "hold"]

_POLL_SECONDS = 0.05


class HeldLock:
    """A lock that is held. Made by `SharedState.lock`.

    It runs out ``ttl`` seconds after it was taken or extended. Nothing renews it behind your back: a holder that hangs
    would keep everybody out for ever. Work in steps calls `extend` between them.

    Attributes:
        name: the lock's name.
        token: the fencing token: 1 for the first holder, growing.
    """

    def __init__(self, name: str, token: int, lease: Lease, ttl: float, ends: float) -> None:
        self.name = name
        self.token = token
        self._lease = lease
        self._ttl = ttl
        self._ends = ends
        self._guarded = False
        self._process = os.getpid()

    @property
    def lost(self) -> bool:
        """Whether the time is over by our own clock, or an `extend` was refused. Then somebody else may hold it."""
        return time.monotonic() >= self._ends

    def extend(self) -> None:
        """Begin the time anew.

        Raises:
            LockLost: it was over; somebody else may hold the lock.
            RedisUnavailable: Redis is away; the time goes on running.
        """
        asked = time.monotonic()
        if not self._lease.extend():
            self._ends = asked
            raise self._lost()
        self._ends = asked + self._ttl

    def guard(self, session: Session) -> None:
        """Call this in the transaction that writes, before its commit: the database refuses an expired holder.

        Raises:
            Fenced: somebody else has taken the lock since.
        """
        guard(session, self.name, self.token)
        self._guarded = True

    def release(self, *, failed: bool) -> None:
        """Release it. An expired lock is an error only after work that succeeded and never called `guard`.

        A forked child that leaves the block releases nothing: its parent is still in it.

        Raises:
            LockLost: the lock had expired.
        """
        if os.getpid() != self._process:
            return
        lost = self.lost
        self._lease.release()
        if lost and not failed and not self._guarded:
            raise self._lost()

    def _lost(self) -> LockLost:
        return LockLost(
            f"The lock {self.name!r} ran out after {self._ttl:g} seconds, or vanished, while we worked; somebody else "
            "may have held it. Give a longer ttl, call extend() between steps, and guard(session) before each commit"
        )


@contextmanager
def hold(name: str, lease: Lease, transact: Transact, ttl: float, wait: float) -> Generator[HeldLock]:
    """Take a lock, and a token from the database; give the lock back at the end.

    Raises:
        LockNotAcquired: somebody else held it for ``wait`` seconds.
        LockLost: it ran out before the block was done, and the block did not ask the database.
        RedisUnavailable: Redis is away.
        DatabaseError: the database gave no token.
    """
    check_seconds("ttl", ttl, 0.1)
    check_seconds("wait", wait, 0.0)
    until = time.monotonic() + wait
    while True:
        asked = time.monotonic()
        if lease.acquire():
            break
        if asked >= until:
            raise LockNotAcquired(
                f"The lock {name!r} was held by somebody else for {wait:g} seconds. Try again later, or wait longer"
            )
        time.sleep(min(until - asked, _POLL_SECONDS * random.uniform(0.5, 1.5)))  # noqa: S311 -- no cryptography here
    try:
        token = transact(lambda session: next_token(session, name, process_name()))
    except BaseException:
        lease.release()
        raise
    held = HeldLock(name, token, lease, ttl, asked + ttl)
    failed = True
    try:
        yield held
        failed = False
    finally:
        held.release(failed=failed)
