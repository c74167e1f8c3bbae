"""What the handlers of one application share."""

from __future__ import annotations

import hmac
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.requests import Request

from aragora_db.operate.health.check_runner import Watch
from aragora_db.operate.health.checks import all_checks
from aragora_db.operate.health.drain import Drain
from aragora_db.operate.health.result import Report

if TYPE_CHECKING:
    from aragora_db.database import Database

__all__ = ["Context"]


@dataclass
class Context:
    """One application's database, checks and switch.

    Attributes:
        db: the database.
        drain: whether this instance is leaving.
        watch: the checks.
        started: when the application was made, on the monotonic clock.
    """

    db: Database
    drain: Drain
    watch: Watch = field(init=False)
    started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        """Make the checks."""
        self.watch = Watch(all_checks(self.db))

    async def report(self) -> Report:
        """What all checks say."""
        return Report(await self.watch.results(), self.drain.begun)

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
