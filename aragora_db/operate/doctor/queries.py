"""Slow queries: which ones, whether a filter lacks an index, whether the server would tell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from psycopg import errors, sql

from aragora_db.operate.doctor.check import DoctorCheck, Fault, Finding, for_server, ok, skipped
from aragora_db.operate.doctor.context import DoctorContext

__all__ = ["CHECKS", "without_literals"]

SLOW_MS: Final = 1000.0
_SHOWN: Final = 3
_LONGEST: Final = 160

# Below that a sequential scan is what the planner should choose.
_MANY_ROWS: Final = 10_000
_MANY_SCANS: Final = 20

_IDLE_SECONDS: Final = 300

NO_STATISTICS = Fault(
    "no-statement-statistics",
    "warn",
    "pg_stat_statements is not there, so nobody can say which statements cost the most.",
    "set shared_preload_libraries = 'pg_stat_statements' (RDS: on by default), restart the server, then as an "
    "administrator: CREATE EXTENSION pg_stat_statements",
)
SLOW_STATEMENT = Fault(
    "slow-statement",
    "warn",
    f"A statement takes more than {SLOW_MS / 1000:g} second on average.",
    "EXPLAIN (ANALYZE, BUFFERS) the statement; SELECT pg_stat_statements_reset()  -- to measure anew once it is mended",
)
FILTER_WITHOUT_INDEX = Fault(
    "filter-without-index",
    "warn",
    "A large table is read from end to end again and again: a query filters by columns that no index has.",
    "EXPLAIN the statements on {table} that filter or sort, then add what is missing: "
    'aragora-db revision -m "index {table}" with op.create_index(...)',
)
NO_QUERY_LOG = Fault(
    "no-query-log",
    "warn",
    "The server writes no slow statement into its log.",
    "ALTER SYSTEM SET log_min_duration_statement = 1000; SELECT pg_reload_conf()  -- RDS: in the parameter group",
)
EVERY_QUERY_LOGGED = Fault(
    "every-query-logged",
    "warn",
    "The server logs every statement, values included: a slow log, and people's data in it.",
    "ALTER SYSTEM SET log_min_duration_statement = 1000; SELECT pg_reload_conf()  -- RDS: in the parameter group",
)
IDLE_TRANSACTION = Fault(
    "idle-in-transaction",
    "warn",
    "A session sits in an open transaction: it keeps its locks, and vacuum from cleaning the whole database.",
    "SELECT pg_terminate_backend({pid})  -- once you know whose it is",
)
INVALID_INDEX = Fault(
    "invalid-index",
    "warn",
    "Building an index failed half way: it is kept up to date at every write, and used by no query.",
    "REINDEX INDEX CONCURRENTLY {index}",
)


def without_literals(statement: str) -> str:
    """A statement's text for people: one line, cut short, every literal replaced.

    pg_stat_statements does so itself, but not for utility statements, nor for one whose entry was evicted meanwhile.
    """
    text = re.sub(r"/\*.*?\*/|--[^\n]*", " ", statement, flags=re.DOTALL)
    text = re.sub(r"\$(\w*)\$.*?\$\1\$", "?", text, flags=re.DOTALL)
    text = re.sub(r"'(?:[^']|'')*'?", "?", text)
    text = re.sub(r"(?<![\w$])\d+(?:\.\d+)?", "?", text)
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _statements(context: DoctorContext) -> Iterator[Finding]:
    schema = context.rows(
        "SELECT nspname FROM pg_catalog.pg_extension JOIN pg_catalog.pg_namespace n ON n.oid = extnamespace "
        "WHERE extname = 'pg_stat_statements'"
    )
    if not schema:
        yield NO_STATISTICS.found("pg_stat_statements is not created in this database")
        return
    view = sql.Identifier(str(schema[0][0]), "pg_stat_statements").as_string()
    try:
        found = context.rows(
            f"SELECT query, calls, mean_exec_time FROM {view} s "
            "JOIN pg_catalog.pg_database d ON d.oid = s.dbid AND d.datname = current_database() "
            "WHERE mean_exec_time > %s AND query ~* '^\\s*(select|insert|update|delete|merge|with)\\M' "
            "ORDER BY total_exec_time DESC LIMIT %s",
            SLOW_MS,
            _SHOWN,
        )
    except errors.ObjectNotInPrerequisiteState:
        yield NO_STATISTICS.found("pg_stat_statements is created in this database, but the server did not load it")
        return
    for query, calls, mean in found:
        yield SLOW_STATEMENT.found(f"{calls} calls, {mean / 1000:.1f} s on average: {without_literals(str(query))}")
    if not found:
        yield ok(f"no statement takes more than {SLOW_MS / 1000:g} s on average")


def _scans(context: DoctorContext) -> Iterator[Finding]:
    found = context.rows(
        "SELECT relname, seq_scan, seq_tup_read / seq_scan, coalesce(idx_scan, 0) "
        "FROM pg_catalog.pg_stat_user_tables WHERE seq_scan >= %s AND seq_tup_read / seq_scan >= %s "
        "ORDER BY seq_tup_read DESC LIMIT %s",
        _MANY_SCANS,
        _MANY_ROWS,
        _SHOWN,
    )
    for table, scans, rows, by_index in found:
        yield FILTER_WITHOUT_INDEX.found(
            f"{table} was read from end to end {scans} times, {rows} rows each ({by_index} times by an index)",
            table=table,
        )
    if not found:
        yield ok("no large table is read from end to end again and again")


def _query_log(context: DoctorContext) -> Iterator[Finding]:
    [(shortest,)] = context.rows(
        "SELECT setting::int FROM pg_catalog.pg_settings WHERE name = 'log_min_duration_statement'"
    ) or [(None,)]
    if shortest is None:
        yield skipped("the role may not see log_min_duration_statement", "GRANT pg_read_all_settings TO ...")
    elif shortest < 0:
        yield NO_QUERY_LOG.found("log_min_duration_statement is off (-1)")
    elif shortest == 0:
        yield EVERY_QUERY_LOGGED.found("log_min_duration_statement is 0")
    else:
        yield ok(f"statements of {shortest} ms and more are logged")


def _sessions(context: DoctorContext) -> Iterator[Finding]:
    limit = context.settings.idle_in_transaction_timeout or _IDLE_SECONDS
    found = context.rows(
        "SELECT pid, usename, application_name, extract(epoch FROM clock_timestamp() - xact_start)::int "
        "FROM pg_catalog.pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%%' "
        "AND clock_timestamp() - state_change > make_interval(secs => %s) ORDER BY xact_start LIMIT %s",
        limit,
        _SHOWN,
    )
    for pid, user, program, seconds in found:
        yield IDLE_TRANSACTION.found(
            f"process {pid} of {user} ({program or 'no application_name'}) sits in a transaction since {seconds} s",
            pid=pid,
        )
    if not found:
        yield ok(f"no session sits in a transaction for more than {limit} s")


def _indexes(context: DoctorContext) -> Iterator[Finding]:
    found = context.rows(
        "SELECT indexrelid::regclass::text, indrelid::regclass::text FROM pg_catalog.pg_index "
        "WHERE NOT indisvalid ORDER BY 1 LIMIT %s",
        _SHOWN,
    )
    for index, table in found:
        yield INVALID_INDEX.found(f"the index {index} of {table} is invalid", index=index)
    if not found:
        yield ok("every index is valid")


_AFTER_LOGIN = ("login",)

CHECKS = (
    DoctorCheck(
        "slow-statements",
        "Which statements are slow on average?",
        _statements,
        (NO_STATISTICS, SLOW_STATEMENT),
        for_server,
        _AFTER_LOGIN,
    ),
    DoctorCheck(
        "table-scans", "Does a filter lack an index?", _scans, (FILTER_WITHOUT_INDEX,), for_server, _AFTER_LOGIN
    ),
    DoctorCheck(
        "query-log",
        "Does the server log slow statements?",
        _query_log,
        (NO_QUERY_LOG, EVERY_QUERY_LOGGED),
        for_server,
        _AFTER_LOGIN,
    ),
    DoctorCheck(
        "sessions",
        "Does a session sit in an open transaction?",
        _sessions,
        (IDLE_TRANSACTION,),
        for_server,
        _AFTER_LOGIN,
    ),
    DoctorCheck("indexes", "Is every index valid?", _indexes, (INVALID_INDEX,), for_server, _AFTER_LOGIN),
)
