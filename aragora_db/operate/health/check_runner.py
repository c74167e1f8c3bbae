"""Checks that many ask for at once: run once, in parallel, each with its own timeout, and remembered for a second."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace

from aragora_db.operate.health.checks import HealthCheck
from aragora_db.operate.health.result import CheckResult, HealthState
from aragora_db.operate.health.threads import outcome, start

__all__ = ["FRESH", "CheckRunner"]

log = logging.getLogger("aragora_db.operate.health")

FRESH = 1.0
"""Seconds for which a result counts: any number of probes cost one check a second."""

# A run that hangs is left alone, and one more may find that the database is back on another connection.
_MOST_RUNS = 2


@dataclass(eq=False)
class _CheckRun:
    until: float
    future: Future[CheckResult] | None = None


class _CachedCheck:
    """One check and its last result."""

    def __init__(self, check: HealthCheck) -> None:
        self._check = check
        self._lock = threading.Lock()
        self._runs: list[_CheckRun] = []
        self._last: CheckResult | None = None
        self._last_at = 0.0

    def fresh(self) -> CheckResult | None:
        return self._last if time.monotonic() - self._last_at < FRESH else None

    async def result(self) -> CheckResult:
        now = time.monotonic()
        with self._lock:
            known = self.fresh()
            if known is not None:
                return known
            run = self._current(now)
        if run is not None and run.future is not None:
            try:
                return await outcome(run.future, max(run.until - now, 0.0))
            except TimeoutError:
                pass
        with self._lock:
            if self._last is not None and self._last_at >= now:
                return self._last  # another one that waited has said so, or the answer came after all
            late = replace(self._check.overdue(), latency_ms=round(self._check.timeout * 1000, 3))
            return self._remember(late, None)

    def _current(self, now: float) -> _CheckRun | None:
        """The run to wait for, begun if there is none; None when all that may run hang."""
        if self._runs and self._runs[-1].until > now:
            return self._runs[-1]
        if len(self._runs) >= _MOST_RUNS:
            return None
        run = _CheckRun(now + self._check.timeout)
        self._check.begin()
        run.future = start(lambda: self._ask(run), f"check-{self._check.name}")
        self._runs.append(run)  # last: were there no thread left, nobody would ever take it out
        return run

    def _ask(self, run: _CheckRun) -> CheckResult:
        began, problem = time.perf_counter(), None
        try:
            result = self._check.run()
        except Exception as error:  # noqa: BLE001 -- whatever it is, the check failed
            result, problem = self._check.refused(error), error
        result = replace(result, latency_ms=round((time.perf_counter() - began) * 1000, 3))
        with self._lock:
            self._runs.remove(run)
            return self._remember(result, problem)

    def _remember(self, result: CheckResult, problem: Exception | None) -> CheckResult:
        before = self._last.state if self._last is not None else result.state if result.ok else HealthState.OK
        self._last, self._last_at = result, time.monotonic()  # the result first: `fresh` takes no lock
        if result.state is not before:
            level = logging.INFO if result.ok else logging.WARNING
            log.log(level, "check %s: %s%s", self._check.name, result.state, _why(result, problem))
        return result


class CheckRunner:
    """All checks of one instance.

    Args:
        checks: what to ask.
    """

    def __init__(self, checks: Sequence[HealthCheck]) -> None:
        self._cached = {check.name: _CachedCheck(check) for check in checks}

    async def results(self) -> dict[str, CheckResult]:
        """What every check found, no longer than a second ago.

        Takes as long as the slowest, and never longer than its timeout.
        """
        known = {name: cached.fresh() for name, cached in self._cached.items()}
        missing = [name for name, result in known.items() if result is None]
        asked = await asyncio.gather(*(self._cached[name].result() for name in missing)) if missing else ()
        answers = dict(zip(missing, asked, strict=True))
        return {name: result or answers[name] for name, result in known.items()}


def _why(result: CheckResult, problem: Exception | None) -> str:
    """For the log, where operators may see what callers may not; errors of this package hold no passwords."""
    if problem is not None:
        return f" ({type(problem).__name__}: {' '.join(str(problem).split())})"
    return "" if result.ok else f" ({dict(result.detail)})"
