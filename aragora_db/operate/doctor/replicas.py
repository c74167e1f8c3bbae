"""Replicas for read-only sessions: reachable, standbys of this very primary, and not far behind."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from psycopg import OperationalError

from aragora_db.config import Dsn
from aragora_db.config.read_urls import completed, read_urls
from aragora_db.errors import ConfigurationError
from aragora_db.operate.doctor.check import DoctorCheck, Fault, Finding, ok
from aragora_db.operate.doctor.context import DoctorContext

__all__ = ["CHECKS"]

_LOOKS: Final = 5
_PAUSE: Final = 0.2  # seconds

REFUSED = Fault(
    "read-urls-refused",
    "error",
    "Replicas are named, and the database is one that has none.",
    "unset ARAGORA_DB_READ_URLS, or name the PostgreSQL primary in ARAGORA_POSTGRES_DSN or DATABASE_URL",
)
UNREACHABLE = Fault(
    "replica-unreachable",
    "warn",
    "The replica lets nobody in. Reads go to the others, or to the primary.",
    "DATABASE_URL=postgresql://...@{host}:{port}/... aragora-db doctor  # walks the way to it step by step",
)
NO_REPLICA = Fault(
    "not-a-replica",
    "warn",
    "The address leads to a server that does not follow this primary: the primary itself, or another cluster.",
    "correct ARAGORA_DB_READ_URLS; SELECT pg_is_in_recovery(), system_identifier FROM pg_control_system()  -- on both",
)
LAGS = Fault(
    "replica-lags",
    "warn",
    "The replica is further behind than ARAGORA_DB_REPLICA_MAX_LAG, and is left out until it has caught up.",
    "SELECT application_name, state, replay_lag FROM pg_stat_replication  -- on the primary; who is missing is cut off",
)

_SYSTEM: Final = "SELECT system_identifier FROM pg_catalog.pg_control_system()"
_BEHIND: Final = (
    "SELECT pg_catalog.pg_wal_lsn_diff(%s, pg_catalog.pg_last_wal_replay_lsn())::bigint, "
    # A standby that has replayed no transaction yet is at least as old as it runs.
    "extract(epoch FROM clock_timestamp() - "
    "coalesce(pg_catalog.pg_last_xact_replay_timestamp(), pg_catalog.pg_postmaster_start_time()))::float8"
)


def _replicas(context: DoctorContext) -> Iterator[Finding]:
    try:
        found = read_urls(context.settings, context.dsn)
    except ConfigurationError as error:
        yield REFUSED.found(str(error))
        return
    for number, dsn in enumerate(found, start=1):
        yield _look(context, number, completed(dsn, context.dsn))


def _look(context: DoctorContext, number: int, dsn: Dsn) -> Finding:
    host, port = dsn.parameters.get("host", ""), dsn.parameters.get("port", "5432")
    name = f"replica {number} ({host}:{port})"
    system = context.value(_SYSTEM)
    try:
        connection = context.connect(replace(context.target, dsn=dsn))
    except OperationalError:
        return UNREACHABLE.found(f"{name} does not let us in", host=host, port=port)
    if not _row(connection, "SELECT pg_catalog.pg_is_in_recovery()")[0]:
        return NO_REPLICA.found(f"{name} is no replica: pg_is_in_recovery() is false")
    if _row(connection, _SYSTEM)[0] != system:
        return NO_REPLICA.found(f"{name} is a replica of another cluster")
    # The primary logs now and then without any transaction; then the age of the last one says nothing.
    position = context.value("SELECT pg_catalog.pg_current_wal_flush_lsn()")
    seconds = 0.0
    for _ in range(_LOOKS):
        behind, seconds = _row(connection, _BEHIND, position)
        if behind <= 0:
            return ok(f"{name} has replayed everything")
        time.sleep(_PAUSE)
    limit = context.settings.replica_max_lag
    if seconds > limit:
        return LAGS.found(f"{name} is {seconds:.0f} s behind, ARAGORA_DB_REPLICA_MAX_LAG is {limit:g}")
    return ok(f"{name} is {seconds:.1f} s behind")


def _row(connection: Any, sql: str, *values: Any) -> tuple[Any, ...]:
    with connection.transaction():
        row: tuple[Any, ...] = connection.execute(sql, values or None).fetchone()
    return row


def _applies(context: DoctorContext) -> str:
    return "" if context.settings.read_urls else "ARAGORA_DB_READ_URLS is not set"


CHECKS = (
    DoctorCheck(
        "replicas",
        "Does each replica follow this primary, closely enough?",
        _replicas,
        (REFUSED, UNREACHABLE, NO_REPLICA, LAGS),
        _applies,
        ("login", "writable"),
        60,
    ),
)
