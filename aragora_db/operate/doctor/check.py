"""What a check is, what it finds, and how it is run: with a time limit, and without ever ending in a traceback.

Faults are declared once, for the terminal, JSON and the guide.
"""

from __future__ import annotations

import re
import threading
import traceback
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal, TypeAlias

from aragora_db.errors import ConfigurationError
from aragora_db.operate.doctor.context import DoctorContext

__all__ = [
    "COULD_NOT_BE_CHECKED",
    "DoctorCheck",
    "Fault",
    "Finding",
    "Level",
    "for_file",
    "for_redis",
    "for_server",
    "for_urls",
    "healthy",
    "ok",
    "quoted",
    "run_check",
    "skipped",
]

Level: TypeAlias = Literal["ok", "warn", "error", "skipped"]

_PLAIN: Final = re.compile(r"[a-z_][a-z0-9_]*")


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        level: ``skipped`` is a check that does not apply, or that could not be tried.
        name: the fault, such as ``wrong-password``; the check's own name when there is none.
        message: cause and object, or why the check was skipped.
        fix: a command or a setting to paste. Nobody has run it.
        check: the check that found it.
    """

    level: Level
    name: str
    message: str
    fix: str = ""
    check: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return the finding as ``--json`` prints it; its keys are fixed names."""
        return {"level": self.level, "name": self.name, "says": self.message, "mend": self.fix, "check": self.check}


@dataclass(frozen=True)
class Fault:
    """Something that can be wrong.

    Attributes:
        name: what it is called, in reports and in the guide.
        level: how bad it is.
        description: what it means in practice, for the guide.
        fix: what to do about it, with ``{names}`` for what is known only when it was found.
    """

    name: str
    level: Literal["warn", "error"]
    description: str
    fix: str

    def found(self, message: str, **values: object) -> Finding:
        """The finding: cause and object, and the values that the fix names."""
        return Finding(self.level, self.name, message, self.fix.format(**values))


def ok(message: str) -> Finding:
    """Nothing is wrong; what was seen."""
    return Finding("ok", "", message)


def skipped(reason: str, fix: str = "") -> Finding:
    """The check does not apply, or could not be tried; the command that a person can try instead."""
    return Finding("skipped", "", reason, fix)


def quoted(name: str) -> str:
    """A name as SQL takes it, quoted where it has to be."""
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def healthy(findings: list[Finding]) -> bool:
    """Whether there is no error among them; warnings do not count."""
    return all(finding.level != "error" for finding in findings)


COULD_NOT_BE_CHECKED: Final = Fault(
    "could-not-be-checked",
    "error",
    "The check itself broke, or took too long. Every check can end this way; it says nothing about the database.",
    "aragora-db doctor --json  # once more; if it stays, report it with this output",
)


def _always(_context: DoctorContext) -> str:
    return ""


def _nothing(_context: DoctorContext) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True)
class DoctorCheck:
    """One line of the checklist.

    Attributes:
        name: what it is called.
        question: the question it answers, for the guide.
        run: looks, and yields what it found; nothing is the same as "ok".
        faults: everything that it can find.
        applies: returns why it does not apply, or nothing when it does.
        needs: checks that have to be without an error before this one can be tried.
        seconds: its time limit.
        needs_here: further checks that it needs with the settings at hand; asked when those of `needs` are in order.
    """

    name: str
    question: str
    run: Callable[[DoctorContext], Iterable[Finding]]
    faults: tuple[Fault, ...] = ()
    applies: Callable[[DoctorContext], str] = _always
    needs: tuple[str, ...] = ()
    seconds: float = 15.0
    needs_here: Callable[[DoctorContext], tuple[str, ...]] = _nothing

    def blocked_by(self, context: DoctorContext, unsettled: Collection[str]) -> str | None:
        """The first check that has to be in order before this one and is not."""
        blocked = next((name for name in self.needs if name in unsettled), None)
        return blocked or next((name for name in self.needs_here(context) if name in unsettled), None)


def for_server(context: DoctorContext) -> str:
    """Only where the database is a server."""
    return "" if context.is_server else f"the database is {context.dsn.masked}, which is no server"


def for_file(context: DoctorContext) -> str:
    """Only where the database is a file."""
    return "" if context.target.file is not None else "the database is no file"


def for_redis(context: DoctorContext) -> str:
    """Only where a Redis is configured."""
    try:
        return "" if context.redis.named else "no Redis is configured (ARAGORA_REDIS_URL)"
    except ConfigurationError:
        return ""  # the first check of Redis says what is wrong


def for_urls(context: DoctorContext) -> str:
    """Only where running instances were named."""
    return "" if context.urls else "no instance was named: aragora-db doctor --url http://INSTANCE:8080"


@dataclass
class _Outcome:
    findings: list[Finding] = field(default_factory=list[Finding])
    done: bool = False


def run_check(check: DoctorCheck, context: DoctorContext, unsettled: Collection[str]) -> list[Finding]:
    """Run a check.

    Args:
        check: the check.
        context: what checks share.
        unsettled: the checks before it that failed, or could not be tried.

    Returns:
        At least one finding, each with the check's name.
    """
    blocked = check.blocked_by(context, unsettled)
    if blocked is not None:
        return [_stamped(skipped(f"not tried, because {blocked} has to be in order first"), check)]
    outcome = _Outcome()

    def look() -> None:
        try:
            reason = check.applies(context)
            outcome.findings += [skipped(reason)] if reason else check.run(context)
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
        context.abandon()
        found.append(COULD_NOT_BE_CHECKED.found(f"could not be checked: no end after {check.seconds:g} s"))
    return [_stamped(finding, check) for finding in found or [ok(check.question)]]


def _stamped(finding: Finding, check: DoctorCheck) -> Finding:
    return replace(finding, check=check.name, name=finding.name or check.name)
