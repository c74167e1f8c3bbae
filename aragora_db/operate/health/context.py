"""What the handlers of one application share: the database, its checks, and the switch between serving and leaving."""

from __future__ import annotations

import hmac
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.requests import Request

from aragora_db.operate.health.check_runner import CheckRunner
from aragora_db.operate.health.checks import all_checks
from aragora_db.operate.health.result import HealthReport

if TYPE_CHECKING:
    from aragora_db.database import Database

__all__ = ["Context", "Drain"]


class Drain:
    """Says whether this instance is leaving: then `/readyz` answers 503 while everything else goes on.

    Thread-safe, and safe to call from a signal handler.
    """

    def __init__(self) -> None:
        self._begun = threading.Event()

    def begin(self) -> None:
        """Leave. There is no way back."""
        self._begun.set()

    @property
    def begun(self) -> bool:
        """Whether this instance is leaving."""
        return self._begun.is_set()


@dataclass
class Context:
    """One application's database, checks and switch.

    Attributes:
        db: the database.
        drain: whether this instance is leaving.
        checks: runs the checks.
        started: when the application was made, on the monotonic clock.
    """

    db: Database
    drain: Drain
    checks: CheckRunner = field(init=False)
    started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        """Make the checks."""
        self.checks = CheckRunner(all_checks(self.db))

    async def report(self) -> HealthReport:
        """What all checks say."""
        return HealthReport(await self.checks.results(), self.drain.begun)

    def from_operator(self, request: Request) -> bool:
        """Whether a request carries the operators' token (ARAGORA_HEALTH_TOKEN)."""
        token = self.db.settings.health_token
        if token is None:
            return False
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        # Bytes: compare_digest takes text only if it is ASCII. Headers are latin-1 to Starlette,
        # where the last byte of a UTF-8 letter may be white space.
        same = hmac.compare_digest(given.strip(" ").encode("latin-1"), token.get_secret_value().encode())
        return same and scheme.lower() == "bearer"
