"""The checklist: every check, in the order in which they are made and shown, and `diagnose`, which makes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from aragora_db.config import Settings
from aragora_db.operate.doctor import (
    clock,
    configuration,
    connections,
    deployment,
    file,
    instances,
    login,
    network,
    queries,
    redis,
    replicas,
    schema,
    server,
)
from aragora_db.operate.doctor.check import COULD_NOT_BE_CHECKED, DoctorCheck, Finding, run_check
from aragora_db.operate.doctor.context import DoctorContext

__all__ = ["GROUPS", "checks", "diagnose", "guide"]

GROUPS: Final[dict[str, tuple[DoctorCheck, ...]]] = {
    "Settings": configuration.CHECKS,
    "The way to the server": (*network.CHECKS, *login.CHECKS),
    "The server": (*server.CHECKS, *connections.CHECKS, *clock.CHECKS),
    "Replicas": replicas.CHECKS,
    "The SQLite file": file.CHECKS,
    "The schema": schema.CHECKS,
    "Slow queries": queries.CHECKS,
    "Redis": redis.CHECKS,
    "Running instances": instances.CHECKS,
    "The deployment": deployment.CHECKS,
}


def checks() -> tuple[DoctorCheck, ...]:
    """All of them."""
    return tuple(check for group in GROUPS.values() for check in group)


def diagnose(load: Callable[[], Settings], *, urls: Sequence[str] = ()) -> list[Finding]:
    """Look at everything, and change nothing.

    Args:
        load: reads the settings; one that raises `ConfigurationError` is the first finding.
        urls: where running instances answer HTTP, such as ``http://10.0.0.7:8080``.

    Returns:
        The findings, in the order of the table. Never raises for what it finds.
    """
    found: list[Finding] = []
    unsettled: set[str] = set()
    with DoctorContext(load, urls) as context:
        for check in checks():
            blocked = check.blocked_by(context, unsettled) is not None
            findings = run_check(check, context, unsettled)
            if blocked or any(finding.level == "error" for finding in findings):
                unsettled.add(check.name)
            found += findings
    return found


def guide() -> str:
    """Every check and every fault, as Markdown; docs/guide/doctor.md ends with it."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    for title, group in GROUPS.items():
        yield f"### {title}\n"
        for check in group:
            yield f"**{check.name}**: {check.question}\n"
            if check.faults:
                yield "| finding | level | what it means | what mends it |"
                yield "|---|---|---|---|"
                yield from (
                    f"| `{fault.name}` | {fault.level} | {fault.description} | {_code(fault.fix)} |"
                    for fault in check.faults
                )
                yield ""
    yield "### Every check\n"
    yield f"**{COULD_NOT_BE_CHECKED.name}** (error): {COULD_NOT_BE_CHECKED.description}"


def _code(fix: str) -> str:
    return "`` " + fix.replace("|", "\\|") + " ``"
