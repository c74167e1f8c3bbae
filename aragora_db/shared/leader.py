"""One instance that leads, for jobs that must run once."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy.orm import Session

from aragora_db.errors import AragoraDBError, Fenced
from aragora_db.shared.fencing import Transact, guard, next_token, process_name
from aragora_db.shared.leases import Lease, check_seconds

__all__ = ["Leader", "lead"]

log = logging.getLogger("aragora_db.shared")

# As Kubernetes' leader election does it: leading ends at two thirds of the lease, what is left is a margin for clocks
# that run at different speeds and for a step of the job that was under way (client-go: 15 s, 10 s, tries every 2 s).
_LEADS = 2 / 3
_RENEWS = 1 / 3
_TRIES = 1 / 6


@dataclass(frozen=True)
class _Term:
    """One time of leading: its fencing token, and when it ends by our own clock unless it is renewed."""

    token: int
    ends: float


class Leader:
    """Whether this instance leads. Made by `SharedState.leader`.

    A thread campaigns, renews and steps down. A job asks `is_leader` between its steps and calls `guard` in each
    transaction, so that whatever the clocks do, no write of an old leader comes after one of a new leader.
    """

    def __init__(self, name: str, transact: Transact, ttl: float) -> None:
        self.name = name
        self._transact = transact
        self._ttl = ttl
        self._process = os.getpid()
        self._changed = threading.Condition()
        self._term: _Term | None = None
        self._stopping = threading.Event()

    @property
    def is_leader(self) -> bool:
        """Whether we lead now. False by our own clock too, so after a pause of any length, and in a forked child."""
        term = self._term
        return term is not None and time.monotonic() < term.ends and os.getpid() == self._process

    @property
    def token(self) -> int | None:
        """The fencing token of this term, None when we do not lead."""
        term = self._term
        return term.token if term is not None and self.is_leader else None

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until we lead, for ``timeout`` seconds, or until the block is left; tells whether we lead."""
        with self._changed:
            self._changed.wait_for(lambda: self.is_leader or self._stopping.is_set(), timeout)
            return self.is_leader

    def guard(self, session: Session) -> None:
        """Call this in each transaction of the job, before its commit: the database refuses an old leader.

        Raises:
            Fenced: we do not lead any more.
        """
        token = self.token
        if token is None:
            raise Fenced(
                f"We do not lead {self.name!r}: another instance does, or will. Stop the job; wait() tells when"
            )
        guard(session, self.name, token)

    def lead_alone(self) -> None:
        """Lead for good: there is nobody else.

        Raises:
            DatabaseError: the database gave no token.
        """
        self._begin(float("inf"))

    def stop_alone(self) -> None:
        """Lead no more."""
        self.stop()
        self._become(None)

    def run(self, lease: Lease) -> None:
        """Campaign and renew until `stop`; then let others lead at once."""
        try:
            while not self._stopping.is_set():
                part = _RENEWS if self._try(lease) else _TRIES
                self._stopping.wait(self._ttl * part * random.uniform(0.8, 1.0))  # noqa: S311 -- no cryptography here
        finally:
            self._become(None)
            lease.release()

    def stop(self) -> None:
        """End `run`, and let go who waits to lead."""
        with self._changed:
            self._stopping.set()
            self._changed.notify_all()

    def _try(self, lease: Lease) -> bool:
        """Begin a term or renew it; tells whether one was."""
        ends = time.monotonic() + self._ttl * _LEADS
        try:
            self._attempt(lease, ends)
        except AragoraDBError as problem:
            log.warning("leader %s: %s", self.name, type(problem).__name__)
        except Exception:
            log.exception("leader %s: unexpected", self.name)  # the thread must go on: nobody would lead again
        else:
            return self.is_leader
        if not self.is_leader:
            self._become(None)
            lease.release()  # what we took and cannot use: our database may be away, and another's not
        return False

    def _attempt(self, lease: Lease, ends: float) -> None:
        if self._term is not None:
            self._become(_Term(self._term.token, ends) if lease.extend() else None)
        elif lease.acquire():
            self._begin(ends)

    def _begin(self, ends: float) -> None:
        token = self._transact(lambda session: next_token(session, self.name, process_name()))
        self._become(_Term(token, ends))

    def _become(self, term: _Term | None) -> None:
        with self._changed:
            if (term is None) != (self._term is None):
                log.info("leader %s: %s", self.name, "leading" if term is not None else "not leading")
            self._term = term
            self._changed.notify_all()


@contextmanager
def lead(name: str, lease: Lease | None, transact: Transact, ttl: float) -> Generator[Leader]:
    """Take part in the election of a leader for the length of a block.

    Args:
        name: what is led.
        lease: where instances compete; None where there is only us, who lead at once then.
        transact: gives fencing tokens.
        ttl: after how many seconds others take over from an instance that died.

    Raises:
        InvalidValue: ``ttl`` is out of range.
        DatabaseError: we are alone, and the database gave no token.
    """
    check_seconds("ttl", ttl, 0.5)
    leader = Leader(name, transact, ttl)
    if lease is None:
        leader.lead_alone()
        try:
            yield leader
        finally:
            leader.stop_alone()
        return
    thread = threading.Thread(target=leader.run, args=(lease,), name=f"leader {name}", daemon=True)
    thread.start()
    try:
        yield leader
    finally:
        leader.stop()
        thread.join(ttl)  # it may be waiting for the database; by then others lead anyway
