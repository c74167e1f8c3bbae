"""The leaderboard and the curves of those on it, read like a check: with a timeout, and once for all who look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from aragora_db.operate.health.checks import PooledCheck
from aragora_db.operate.health.result import CheckResult, HealthState
from aragora_db.stores import EloStore

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from aragora_db.stores import Standing

__all__ = ["Board", "BoardCheck"]

_PLACES = 10
_POINTS = 80
# Beyond it a rating is drawn here: from 1e16 up a scale has no steps, and the page would be a 500.
_FARTHEST = 1e9


@dataclass(frozen=True)
class Board:
    """Who is best, and how it came to that.

    Attributes:
        standings: best first.
        curves: by agent, times and ratings, oldest first; the last is the rating now.
    """

    standings: tuple[Standing, ...]
    curves: Mapping[str, tuple[tuple[datetime, float], ...]]


class BoardCheck(PooledCheck):
    """Reads the board. A replica may answer."""

    name = "leaderboard"
    needed = False

    def run(self) -> CheckResult:
        """Read it."""
        return CheckResult(HealthState.OK, detail={"board": self._db.transact(_read, read_only=True, attempts=1)})


def _read(session: Session) -> Board:
    store = EloStore(session)
    standings = store.leaderboard(limit=_PLACES).items
    curves: dict[str, tuple[tuple[datetime, float], ...]] = {}
    for standing in standings:
        newest_first = store.history(standing.agent_name, limit=_POINTS).items
        curves[standing.agent_name] = tuple((each.created_at, _drawn(each.elo)) for each in reversed(newest_first))
    return Board(standings, curves)


def _drawn(elo: float) -> float:
    return min(max(elo, -_FARTHEST), _FARTHEST)
