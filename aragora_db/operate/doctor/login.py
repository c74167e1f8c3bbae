"""Logging in: the role, its password, the database, and who else refuses."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

from psycopg import Error

from aragora_db.errors import AragoraDBError
from aragora_db.operate.doctor import tls, wire
from aragora_db.operate.doctor.address import ServerAddress, connect
from aragora_db.operate.doctor.check import DoctorCheck, Fault, Finding, for_server, ok, quoted
from aragora_db.operate.doctor.context import DoctorContext

__all__ = ["CHECKS", "POOLER_NOT_RECOGNISED"]

WRONG_PASSWORD = Fault(
    "wrong-password",
    "error",
    "The server does not accept the password for this role. It does not tell whether the role exists.",
    "correct the password in the DSN (percent-encoded) or in ARAGORA_PG_PASSWORD (as it is); in doubt set a new one "
    "as an administrator: \\password {user}",
)
NO_PASSWORD = Fault(
    "no-password",
    "error",
    "The server asks for a password, and none is configured.",
    "set ARAGORA_PG_PASSWORD, or put the password into the DSN: postgresql://{user}:PASSWORD@...",
)
WRONG_DATABASE = Fault(
    "wrong-database",
    "error",
    "Role and password are right, and the server has no database of that name.",
    "correct the database's name in the DSN, or as an administrator: CREATE DATABASE {database} OWNER {user} "
    "ENCODING 'UTF8' TEMPLATE template0",
)
NO_CONNECT_RIGHT = Fault(
    "no-connect-right",
    "error",
    "Role and password are right, and the role may not connect to this database.",
    "as its owner: GRANT CONNECT ON DATABASE {database} TO {user}",
)
REFUSED_BY_HBA = Fault(
    "refused-by-pg-hba",
    "error",
    "The server's access list has no line for this role, database, address and kind of connection (or the role does "
    "not exist, or may not log in).",
    "add a line to pg_hba.conf, such as: hostssl {database} {user} ADDRESS/32 scram-sha-256, then: "
    "SELECT pg_reload_conf()",
)
TOO_MANY_CONNECTIONS = Fault(
    "too-many-connections",
    "error",
    "Every connection that the server, the database or the role may have is in use.",
    "SELECT usename, application_name, client_addr, count(*) FROM pg_stat_activity GROUP BY 1, 2, 3 ORDER BY 4 DESC  "
    "-- as an administrator; then lower ARAGORA_DB_POOL_SIZE or raise max_connections",
)
NOT_READY = Fault(
    "server-not-ready",
    "error",
    "The server is starting, recovering or shutting down.",
    "pg_isready -h {host} -p {port}  # again in a minute",
)
POOLER_NOT_RECOGNISED = Fault(
    "pooler-not-recognised",
    "error",
    "A connection pooler stands between us and the server, and the settings do not say so. It refuses our startup "
    "options, or prepared statements and session settings get lost between transactions.",
    "export ARAGORA_DB_POOLER=transaction  # or ?pgbouncer=true in the DSN",
)
NO_TOKEN = Fault(
    "no-iam-token",
    "error",
    "RDS IAM authentication is asked for, and no token could be made.",
    "aws sts get-caller-identity  # do these credentials allow rds-db:connect in {region}?",
)
LOGIN_REFUSED = Fault(
    "login-refused",
    "error",
    "The server refused for a reason that has no name here.",
    "look into the server's log for the time of this attempt",
)

# https://www.postgresql.org/docs/current/errcodes-appendix.html
_BY_SQLSTATE = {
    "28P01": WRONG_PASSWORD,
    "28000": REFUSED_BY_HBA,
    "3D000": WRONG_DATABASE,
    "42501": NO_CONNECT_RIGHT,
    "53300": TOO_MANY_CONNECTIONS,
    "57P03": NOT_READY,
    "57P01": NOT_READY,
}


def _login(context: DoctorContext) -> Iterator[Finding]:
    try:
        connection = context.connection
    except AragoraDBError as error:
        yield NO_TOKEN.found(str(error), region=context.settings.aws_region)
    except Error as error:
        yield _why(context, error)
    else:
        info = connection.info
        yield ok(f"logged in as {info.user} to {info.dbname}")


def _why(context: DoctorContext, error: Error) -> Finding:
    """Ask again for the SQLSTATE. libpq only keeps a text, in whatever language the server speaks."""
    parameters = context.parameters
    user, database, password = (_text(error.pgconn, name) for name in ("user", "db", "password"))
    startup = {"user": user or parameters.get("user", ""), "database": database or parameters.get("dbname", "")}
    password = password or parameters.get("password", "")  # libpq's may come from a password file
    for address in context.fact("open_ports"):
        finding = _ask(context, address, startup, password)
        if finding is not None:
            return finding
    wishes = [f"{name}={parameters[name]}" for name in _WISHES if parameters.get(name) not in _NO_WISH]
    return LOGIN_REFUSED.found(
        "the server lets us in when it is asked plainly, and libpq was not content with it"
        + (f": {', '.join(wishes)}" if wishes else "")
    )


# What a connection may be told to insist on.
_WISHES = ("target_session_attrs", "require_auth", "channel_binding", "requirepeer")
_NO_WISH = {None, "", "any", "prefer", "disable"}


def _ask(context: DoctorContext, address: ServerAddress, startup: Mapping[str, str], password: str) -> Finding | None:
    """Why this address refuses, or None when it does not."""
    options = {"options": context.parameters["options"]} if context.parameters.get("options") else {}
    answer = _log_in(context, address, {**startup, **options}, password)
    if options and answer.sqlstate and not answer.authenticated:
        # PgBouncer refuses `options` with 08P01, before it looks at anything else.
        answer = _log_in(context, address, startup, password)
        if answer.sqlstate == "":
            return POOLER_NOT_RECOGNISED.found(
                f"{address} refuses the startup parameter `options` and lets us in without it, as PgBouncer does"
            )
    user, database = startup["user"], startup["database"] or startup["user"]
    values = {
        "user": quoted(user),
        "database": quoted(database),
        "host": address.host or address.number or address.path,
        "port": address.port,
    }
    if answer.asked_for_password and not password:
        return NO_PASSWORD.found(f"{address} asks for the password of {user}, and none is configured", **values)
    if answer.sqlstate == "":
        return None
    fault = _BY_SQLSTATE.get(answer.sqlstate or "", LOGIN_REFUSED)
    message = _MESSAGES[fault.name].format(
        address=address, sqlstate=answer.sqlstate or "unknown", user=user, database=database
    )
    return fault.found(message, **values)


_MESSAGES = {
    "wrong-password": "{address} does not accept the password of {user}",
    "wrong-database": "{address} lets {user} in, but has no database {database}",
    "no-connect-right": "{address} lets {user} in, but not into {database}",
    "refused-by-pg-hba": "{address} does not let {user} into {database} from here, whatever the password",
    "too-many-connections": "{address} has no connection left for {user}",
    "server-not-ready": "{address} is starting or stopping (SQLSTATE {sqlstate})",
    "login-refused": "{address} refused (SQLSTATE {sqlstate})",
}


def _text(pgconn: Any, name: str) -> str:
    value: bytes | None = getattr(pgconn, name, None)
    return value.decode() if value else ""


def _log_in(context: DoctorContext, address: ServerAddress, startup: Mapping[str, str], password: str) -> wire.Answer:
    encrypted = context.fact("offers_tls").get(address) and context.parameters.get("sslmode") != "disable"
    try:
        opened = (
            tls.connect(address, context.parameters, context.seconds)
            if encrypted
            else connect(address, context.seconds)
        )
        with closing(opened) as connection:
            return wire.log_in(connection, startup, password or None)
    except (OSError, KeyError, ValueError, struct.error):  # it hung up, or says what no PostgreSQL would
        return wire.Answer(None)


CHECKS = (
    DoctorCheck(
        "login",
        "Do role, password and database let us in?",
        _login,
        (
            WRONG_PASSWORD,
            NO_PASSWORD,
            NO_TOKEN,
            WRONG_DATABASE,
            NO_CONNECT_RIGHT,
            REFUSED_BY_HBA,
            TOO_MANY_CONNECTIONS,
            NOT_READY,
            POOLER_NOT_RECOGNISED,
            LOGIN_REFUSED,
        ),
        for_server,
        ("tls", "certificate"),
        60,
    ),
)
