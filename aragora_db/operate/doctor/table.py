"""Every check, in the order in which they are made and shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

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
    redis_reach,
    redis_server,
    replicas,
    schema,
    server,
)
from aragora_db.operate.doctor.check import COULD_NOT_BE_CHECKED, Check

__all__ = ["GROUPS", "checks", "guide"]

GROUPS: Final[dict[str, tuple[Check, ...]]] = {
    "Settings": configuration.CHECKS,
    "The way to the server": (*network.CHECKS, *login.CHECKS),
    "The server": (*server.CHECKS, *connections.CHECKS, *clock.CHECKS),
    "Replicas": replicas.CHECKS,
    "The SQLite file": file.CHECKS,
    "The schema": schema.CHECKS,
    "Slow queries": queries.CHECKS,
    "Redis": (*redis_reach.CHECKS, *redis_server.CHECKS),
    "Running instances": instances.CHECKS,
    "The deployment": deployment.CHECKS,
}


def checks() -> tuple[Check, ...]:
    """All of them."""
    return tuple(check for group in GROUPS.values() for check in group)


def guide() -> str:
    """Every check and every fault, as Markdown; docs/guide/doctor.md ends with it."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    for title, group in GROUPS.items():
        yield f"### {title}\n"
        for check in group:
            yield f"**{check.name}**: {check.asks}\n"
            if check.faults:
                yield "| finding | level | what it means | what mends it |"
                yield "|---|---|---|---|"
                yield from (
                    f"| `{fault.name}` | {fault.level} | {fault.means} | {_code(fault.mend)} |"
                    for fault in check.faults
                )
                yield ""
    yield "### Every check\n"
    yield f"**{COULD_NOT_BE_CHECKED.name}** (error): {COULD_NOT_BE_CHECKED.means}"


def _code(mend: str) -> str:
    return "`` " + mend.replace("|", "\\|") + " ``"
