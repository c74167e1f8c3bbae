"""What kind of server answered, and whether this role can work there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from aragora_db.models import Base
from aragora_db.operate.doctor.check import DoctorCheck, Fault, Finding, for_server, ok, quoted
from aragora_db.operate.doctor.context import DoctorContext

__all__ = ["CHECKS", "MINIMUM", "NEWEST", "judge_version"]

MINIMUM: Final = 15
NEWEST: Final = 18

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


def _version(context: DoctorContext) -> Iterator[Finding]:
    yield judge_version(int(context.value("SHOW server_version_num")))


def _encoding(context: DoctorContext) -> Iterator[Finding]:
    encoding = context.value("SHOW server_encoding")
    if encoding != "UTF8":
        database = context.connection.info.dbname
        yield WRONG_ENCODING.found(
            f"the encoding of {database} is {encoding}, and must be UTF8", new=quoted(f"{database}_utf8")
        )
    else:
        yield ok("UTF8")


def _role(context: DoctorContext) -> Iterator[Finding]:
    [(user, superuser)] = context.rows("SELECT rolname, rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user")
    if superuser:
        yield SUPERUSER.found(f"{user} is a superuser")
        return
    tables = sorted(Base.metadata.tables.keys() - _MIGRATIONS_OWN)
    refused = context.rows(
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


def _writable(context: DoctorContext) -> Iterator[Finding]:
    [(standby, read_only)] = context.rows(
        "SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('default_transaction_read_only')"
    )
    if standby:
        yield READ_ONLY_SERVER.found("the server is a replica (pg_is_in_recovery() is true)")
    elif read_only == "on":
        yield READ_ONLY_SERVER.found("default_transaction_read_only is on for this role, database or server")
    else:
        yield ok("the server is a primary and takes writes")


CHECKS = (
    DoctorCheck(
        "version",
        "Is the server's version one we work with?",
        _version,
        (OLD_SERVER, UNTESTED_SERVER),
        for_server,
        ("login",),
    ),
    DoctorCheck(
        "encoding", "Can the database hold every character?", _encoding, (WRONG_ENCODING,), for_server, ("login",)
    ),
    DoctorCheck(
        "role", "May the role do its work, and no more?", _role, (SUPERUSER, NO_WRITE_RIGHT), for_server, ("login",)
    ),
    DoctorCheck("writable", "Does the server take writes?", _writable, (READ_ONLY_SERVER,), for_server, ("login",)),
)
