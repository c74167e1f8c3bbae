"""Connections: whether a pooler hands them on without our knowing, and whether all instances' pools fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from aragora_db.config import PoolerMode, detect_pooler
from aragora_db.config.budget import connection_budget
from aragora_db.operate.doctor.check import DoctorCheck, Fault, Finding, for_server, ok
from aragora_db.operate.doctor.context import DoctorContext
from aragora_db.operate.doctor.login import POOLER_NOT_RECOGNISED

__all__ = ["CHECKS"]

_ROUNDS: Final = 3

POOL_TOO_LARGE = Fault(
    "pool-too-large",
    "error",
    "All instances together may open more connections than the server allows: under load it refuses some.",
    "{advice}",
)


def _pooler(context: DoctorContext) -> Iterator[Finding]:
    """Two connections: a pooler hands one's server process to the other, or makes up an id for it."""
    first, second = context.connection, context.connect()
    pid = "SELECT pg_catalog.pg_backend_pid()"
    shared = False
    first_ids: set[int] = set()
    for _ in range(_ROUNDS):
        with first.transaction():
            mine = first.execute(pid).fetchone()
        with second.transaction():
            theirs = second.execute(pid).fetchone()
            with first.transaction():
                again = first.execute(pid).fetchone()
        first_ids |= {int(row[0]) for row in (mine, again) if row}
        shared = shared or mine == theirs
    second.close()
    moving = shared or len(first_ids) > 1
    between = moving or first.info.backend_pid not in first_ids
    said = detect_pooler(context.dsn, context.settings.pooler)
    if moving and said is not PoolerMode.TRANSACTION:
        yield POOLER_NOT_RECOGNISED.found(
            "two transactions of one connection met different server processes: a transaction pooler is in the way, "
            f"and ARAGORA_DB_POOLER is {context.settings.pooler}"
        )
    elif moving:
        yield ok("a transaction pooler, and treated as one")
    elif between:
        yield ok("a pooler that keeps sessions apart")
    else:
        yield ok(
            "none seen" + ("; treated as a transaction pooler all the same" if said is PoolerMode.TRANSACTION else "")
        )


def _capacity(context: DoctorContext) -> Iterator[Finding]:
    settings = context.settings
    instances = context.instances
    shown = dict(
        context.rows(
            "SELECT name, setting::int FROM pg_catalog.pg_settings WHERE name IN "
            "('max_connections', 'superuser_reserved_connections', 'reserved_connections')"
        )
    )
    [(of_role, of_database)] = context.rows(
        "SELECT (SELECT rolconnlimit FROM pg_catalog.pg_roles WHERE rolname = current_user), "
        "(SELECT datconnlimit FROM pg_catalog.pg_database WHERE datname = current_database())"
    )
    if detect_pooler(context.dsn, settings.pooler) is PoolerMode.TRANSACTION:
        yield ok(
            f"the pooler opens connections, not we: its default_pool_size must fit into max_connections "
            f"{shown['max_connections']}"
        )
        return
    budget = connection_budget(
        instances=instances,
        pool_size=settings.pool_size,
        max_overflow=settings.pool_max_overflow,
        max_connections=shown["max_connections"],
        superuser_reserved=shown.get("superuser_reserved_connections", 3),
        reserved=shown.get("reserved_connections", 0),
    )
    if not budget.fits:
        yield POOL_TOO_LARGE.found(
            f"{instances} x ({settings.pool_size} + {settings.pool_max_overflow}) and a migration need "
            f"{budget.needed} connections, and the server has {budget.available} for them",
            advice=budget.advice,
        )
    for whose, limit in (("role", of_role), ("database", of_database)):
        if 0 <= limit < budget.needed:
            yield POOL_TOO_LARGE.found(
                f"the {whose} may have {limit} connections, and {budget.needed} may be needed",
                advice=f"ALTER {whose.upper()} ... CONNECTION LIMIT {budget.needed}, or lower ARAGORA_DB_POOL_SIZE",
            )
    if budget.fits and not any(0 <= limit < budget.needed for limit in (of_role, of_database)):
        yield ok(budget.advice)


CHECKS = (
    DoctorCheck(
        "pooler", "Is a pooler in the way, and do we know?", _pooler, (POOLER_NOT_RECOGNISED,), for_server, ("login",)
    ),
    DoctorCheck(
        "capacity",
        "Do all instances' pools fit into the server?",
        _capacity,
        (POOL_TOO_LARGE,),
        for_server,
        ("login",),
    ),
)
