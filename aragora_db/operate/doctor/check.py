"""What a check is, and how one is run: with a time limit, and without ever ending in a traceback."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from aragora_db.errors import ConfigurationError
from aragora_db.operate.doctor.context import Examination
from aragora_db.operate.doctor.finding import Fault, Finding, ok, skipped

__all__ = ["COULD_NOT_BE_CHECKED", "Check", "carry_out", "for_file", "for_redis", "for_server", "for_urls"]

COULD_NOT_BE_CHECKED: Final = Fault(
    "could-not-be-checked",
    "error",
    "The check itself broke, or took too long. Every check can end this way; it says nothing about the database.",
    "aragora-db doctor --json  # once more; if it stays, report it with this output",
)


def _always(_examination: Examination) -> str:
    return ""


def _nothing(_examination: Examination) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True)
class Check:
    """One line of the checklist.

    Attributes:
        name: what it is called.
        asks: the question it answers, for the guide.
        run: looks, and yields what it found; nothing is the same as "ok".
        faults: everything that it can find.
        applies: returns why it does not apply, or nothing when it does.
        needs: checks that have to be without an error before this one can be tried.
        seconds: its time limit.
        needs_here: further checks that it needs with the settings at hand; asked when those of `needs` are in order.
    """

    name: str
    asks: str
    run: Callable[[Examination], Iterable[Finding]]
    faults: tuple[Fault, ...] = ()
    applies: Callable[[Examination], str] = _always
    needs: tuple[str, ...] = ()
    seconds: float = 15.0
    needs_here: Callable[[Examination], tuple[str, ...]] = _nothing

    def blocked_by(self, examination: Examination, unsettled: Collection[str]) -> str | None:
        """The first check that has to be in order before this one and is not."""
        blocked = next((name for name in self.needs if name in unsettled), None)
        return blocked or next((name for name in self.needs_here(examination) if name in unsettled), None)


def for_server(examination: Examination) -> str:
    """Only where the database is a server."""
    return "" if examination.is_server else f"the database is {examination.dsn.masked}, which is no server"


def for_file(examination: Examination) -> str:
    """Only where the database is a file."""
    return "" if examination.target.file is not None else "the database is no file"


def for_redis(examination: Examination) -> str:
    """Only where a Redis is configured."""
    try:
        return "" if examination.redis.named else "no Redis is configured (ARAGORA_REDIS_URL)"
    except ConfigurationError:
        return ""  # the first check of Redis says what is wrong


def for_urls(examination: Examination) -> str:
    """Only where running instances were named."""
    return "" if examination.urls else "no instance was named: aragora-db doctor --url http://INSTANCE:8080"


@dataclass
class _Outcome:
    findings: list[Finding] = field(default_factory=list[Finding])
    done: bool = False


def carry_out(check: Check, examination: Examination, unsettled: Collection[str]) -> list[Finding]:
    """Run a check.

    Args:
        check: the check.
        examination: what checks share.
        unsettled: the checks before it that failed, or could not be tried.

    Returns:
        At least one finding, each with the check's name.
    """
    blocked = check.blocked_by(examination, unsettled)
    if blocked is not None:
        return [_stamped(skipped(f"not tried, because {blocked} has to be in order first"), check)]
    outcome = _Outcome()

    def look() -> None:
        try:
            reason = check.applies(examination)
            outcome.findings += [skipped(reason)] if reason else check.run(examination)
        except Exception as error:  # noqa: BLE001 -- a check that breaks is a finding, and the others go on
            # Without the text: a driver's may quote a connection string.
            frames = traceback.extract_tb(error.__traceback__)
            where = next((each for each in reversed(frames) if "aragora_db" in each.filename), frames[-1])
            outcome.findings.append(
                COULD_NOT_BE_CHECKED.found(
                    f"could not be checked: {type(error).__name__} at {Path(where.filename).name}:{where.lineno}"
                )
            )
        outcome.done = True

    thread = threading.Thread(target=look, name=f"doctor-{check.name}", daemon=True)
    thread.start()
    thread.join(check.seconds)
    found = list(outcome.findings)
    if not outcome.done:
        examination.abandon()
        found.append(COULD_NOT_BE_CHECKED.found(f"could not be checked: no end after {check.seconds:g} s"))
    return [_stamped(finding, check) for finding in found or [ok(check.asks)]]


def _stamped(finding: Finding, check: Check) -> Finding:
    return replace(finding, check=check.name, name=finding.name or check.name)
