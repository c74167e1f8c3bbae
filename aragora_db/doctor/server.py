"""What kind of server answered, and whether this role can work there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from aragora_db.config import PoolerMode, detect_pooler
from aragora_db.config.budget import connection_budget
from aragora_db.doctor.check import Check, for_server
from aragora_db.doctor.examination import Examination
from aragora_db.doctor.finding import Fault, Finding, ok, quoted
from aragora_db.doctor.login import POOLER_NOT_RECOGNISED

__all__ = ["CHECKS", "MINIMUM", "NEWEST", "judge_clock", "judge_version"]

MINIMUM: Final = 15
NEWEST: Final = 18

_SKEW_WARNS: Final = 2.0
_SKEW_BREAKS: Final = 30.0
_ROUNDS: Final = 3
_SHOWN: Final = 3

# The application's role does not write these, see deploy/postgres/roles.sql.
_MIGRATIONS_OWN: Final = frozenset({"aragora_schema_version", "schema_history"})

OLD_SERVER = Fault(
    "old-server",
    "error",
    f"Nothing here was tried on a PostgreSQL before {MINIMUM}.",
    "upgrade the server (RDS: aws rds modify-db-instance --engine-version 16 --allow-major-version-upgrade ...)",
)
UNTESTED_SERVER = Fault(
    "untested-server",
    "warn",
    f"The server is newer than PostgreSQL {NEWEST}, the newest that this version was made for.",
    "pip install --upgrade aragora_db",
)
WRONG_ENCODING = Fault(
    "wrong-encoding",
    "error",
    "The database cannot hold every character; the first row with another one would be refused.",
    "CREATE DATABASE {new} ENCODING 'UTF8' TEMPLATE template0  -- then move there: pg_dump | psql",
)
SUPERUSER = Fault(
    "superuser",
    "warn",
    "A mistake or an injection as superuser reaches every database and the operating system.",
    "CREATE ROLE aragora_app LOGIN PASSWORD ...; psql -v app=aragora_app -f deploy/postgres/roles.sql; then use that "
    "role in the DSN",
)
NO_WRITE_RIGHT = Fault(
    "no-write-right",
    "error",
    "The role may not write our tables, and every write would fail.",
    'psql "$OWNER_URL" -v app={user} -f deploy/postgres/roles.sql',
)
READ_ONLY_SERVER = Fault(
    "read-only-server",
    "error",
    "The address leads to a replica, or to a server or role that is set read-only: nothing can be written.",
    "point the DSN at the primary (RDS: the instance's or cluster's writer endpoint), and name replicas in "
    "ARAGORA_DB_READ_URLS",
)
CLOCK_OFF = Fault(
    "clock-skew",
    "warn",
    "The server's clock and this machine's differ. Orders by time, leases and times to live go by the wrong one.",
    "chronyc tracking  # on both machines; then: systemctl restart chrony",
)
CLOCK_WRONG = Fault(
    "clock-far-off",
    "error",
    f"The clocks differ by more than {_SKEW_BREAKS:g} seconds: tokens and certificates expire early, leases overlap.",
    "chronyc makestep  # on the machine that is wrong: compare with date -u on both",
)
POOL_TOO_LARGE = Fault(
    "pool-too-large",
    "error",
    "All instances together may open more connections than the server allows: under load it refuses some.",
    "{advice}",
)


def judge_version(number: int, minimum: int = MINIMUM, newest: int = NEWEST) -> Finding:
    """Judge a server's version.

    Args:
        number: as the server gives it, such as 150018.
        minimum: the oldest major version that will do.
        newest: the newest one that this version knows.
    """
    major = number // 10_000
    name = f"PostgreSQL {major}.{number % 10_000}"
    if major < minimum:
        return OLD_SERVER.found(f"the server is {name}; {minimum} is the oldest that will do")
    if major > newest:
        return UNTESTED_SERVER.found(f"the server is {name}; this version was made for {minimum} to {newest}")
    return ok(name)


def judge_clock(server: float, ours: float, uncertainty: float) -> Finding:
    """Judge two clocks, in seconds since the epoch.

    Args:
        server: the server's.
        ours: ours, at the middle of the question's way there and back.
        uncertainty: half of that way; the difference may be that much smaller.
    """
    skew = server - ours
    certain = max(0.0, abs(skew) - uncertainty)
    direction = "ahead of" if skew > 0 else "behind"
    says = f"the server's clock is {abs(skew):.1f} s {direction} this machine's"
    if certain > _SKEW_BREAKS:
        return CLOCK_WRONG.found(says)
    if certain > _SKEW_WARNS:
        return CLOCK_OFF.found(says)
    return ok("the server's clock and this machine's agree" if certain == 0 else says)


def _pooler(examination: Examination) -> Iterator[Finding]:
    """Two connections: a pooler hands one's server process to the other, or makes up an id for it."""
    first, second = examination.connection, examination.connect()
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
    said = detect_pooler(examination.dsn, examination.settings.pooler)
    if moving and said is not PoolerMode.TRANSACTION:
        yield POOLER_NOT_RECOGNISED.found(
            "two transactions of one connection met different server processes: a transaction pooler is in the way, "
            f"and ARAGORA_DB_POOLER is {examination.settings.pooler}"
        )
    elif moving:
        yield ok("a transaction pooler, and treated as one")
    elif between:
        yield ok("a pooler that keeps sessions apart")
    else:
        yield ok(
            "none seen" + ("; treated as a transaction pooler all the same" if said is PoolerMode.TRANSACTION else "")
        )


def _version(examination: Examination) -> Iterator[Finding]:
    yield judge_version(int(examination.value("SHOW server_version_num")))


def _encoding(examination: Examination) -> Iterator[Finding]:
    encoding = examination.value("SHOW server_encoding")
    if encoding != "UTF8":
        database = examination.connection.info.dbname
        yield WRONG_ENCODING.found(
            f"the encoding of {database} is {encoding}, and must be UTF8", new=quoted(f"{database}_utf8")
        )
    else:
        yield ok("UTF8")


def _role(examination: Examination) -> Iterator[Finding]:
    from aragora_db.models import Base  # noqa: PLC0415 -- loads every table

    [(user, superuser)] = examination.rows(
        "SELECT rolname, rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user"
    )
    if superuser:
        yield SUPERUSER.found(f"{user} is a superuser")
        return
    tables = sorted(Base.metadata.tables.keys() - _MIGRATIONS_OWN)
    refused = examination.rows(
        "SELECT name FROM unnest(%s::text[]) AS name WHERE pg_catalog.to_regclass(quote_ident(name)) IS NOT NULL AND "
        "NOT (has_table_privilege(to_regclass(quote_ident(name)), 'INSERT') "
        "AND has_table_privilege(to_regclass(quote_ident(name)), 'UPDATE') "
        "AND has_table_privilege(to_regclass(quote_ident(name)), 'DELETE'))",
        tables,
    )
    if refused:
        some = ", ".join(str(name) for (name,) in refused[:_SHOWN])
        yield NO_WRITE_RIGHT.found(f"{user} may not write {len(refused)} tables, such as {some}", user=user)
    else:
        yield ok(f"{user} may do its work, and no more")


def _writable(examination: Examination) -> Iterator[Finding]:
    [(standby, read_only)] = examination.rows(
        "SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('default_transaction_read_only')"
    )
    if standby:
        yield READ_ONLY_SERVER.found("the server is a replica (pg_is_in_recovery() is true)")
    elif read_only == "on":
        yield READ_ONLY_SERVER.found("default_transaction_read_only is on for this role, database or server")
    else:
        yield ok("the server is a primary and takes writes")


def _clock(examination: Examination) -> Iterator[Finding]:
    examination.value("SELECT 1")  # opens the connection, if it is not open yet
    with examination.connection.transaction():
        before = time.time()
        row = examination.connection.execute(
            "SELECT extract(epoch FROM pg_catalog.clock_timestamp())::float8"
        ).fetchone()
        after = time.time()
    yield judge_clock(float(row[0]) if row else 0.0, (before + after) / 2, (after - before) / 2)


def _capacity(examination: Examination) -> Iterator[Finding]:
    settings = examination.settings
    instances = examination.instances
    shown = dict(
        examination.rows(
            "SELECT name, setting::int FROM pg_catalog.pg_settings WHERE name IN "
            "('max_connections', 'superuser_reserved_connections', 'reserved_connections')"
        )
    )
    [(of_role, of_database)] = examination.rows(
        "SELECT (SELECT rolconnlimit FROM pg_catalog.pg_roles WHERE rolname = current_user), "
        "(SELECT datconnlimit FROM pg_catalog.pg_database WHERE datname = current_database())"
    )
    if detect_pooler(examination.dsn, settings.pooler) is PoolerMode.TRANSACTION:
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


_AFTER_LOGIN = ("login",)

CHECKS = (
    Check(
        "pooler", "Is a pooler in the way, and do we know?", _pooler, (POOLER_NOT_RECOGNISED,), for_server, _AFTER_LOGIN
    ),
    Check(
        "version",
        "Is the server's version one we work with?",
        _version,
        (OLD_SERVER, UNTESTED_SERVER),
        for_server,
        _AFTER_LOGIN,
    ),
    Check("encoding", "Can the database hold every character?", _encoding, (WRONG_ENCODING,), for_server, _AFTER_LOGIN),
    Check(
        "role", "May the role do its work, and no more?", _role, (SUPERUSER, NO_WRITE_RIGHT), for_server, _AFTER_LOGIN
    ),
    Check("writable", "Does the server take writes?", _writable, (READ_ONLY_SERVER,), for_server, _AFTER_LOGIN),
    Check("clock", "Do the server's clock and ours agree?", _clock, (CLOCK_OFF, CLOCK_WRONG), for_server, _AFTER_LOGIN),
    Check(
        "capacity",
        "Do all instances' pools fit into the server?",
        _capacity,
        (POOL_TOO_LARGE,),
        for_server,
        _AFTER_LOGIN,
    ),
)
