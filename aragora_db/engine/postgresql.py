"""PostgreSQL: what libpq is told, what a session starts with, and what a transaction pooler cannot do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, event
from sqlalchemy.util import await_only

from aragora_db.config import Settings
from aragora_db.engine import watchdog
from aragora_db.engine.begin import send_begin
from aragora_db.engine.credentials import Credentials
from aragora_db.engine.dialect_calls import surround
from aragora_db.engine.liveness import ping_cheaply
from aragora_db.engine.target import Target
from aragora_db.errors import ConfigurationError

__all__ = [
    "connect_arguments",
    "engine_arguments",
    "fixed_pool_arguments",
    "libpq_parameters",
    "listen",
    "pool_settings",
    "session_settings",
    "url_parts",
]

T = TypeVar("T")


def session_settings(settings: Settings) -> dict[str, str]:
    """Server settings of every session. Times are sent in milliseconds; 0 is PostgreSQL's own "no limit"."""
    return {
        "TimeZone": "UTC",
        "DateStyle": "ISO",  # psycopg reads no other; a role's default may be one
        "statement_timeout": str(round(settings.statement_timeout * 1000)),
        # A forgotten transaction keeps its locks and stops vacuum for the whole database.
        "idle_in_transaction_session_timeout": str(round(settings.idle_in_transaction_timeout * 1000)),
    }


def libpq_parameters(target: Target) -> dict[str, str]:
    """The connection string as keywords: ours where the DSN says nothing, the DSN's untouched where it does.

    Keepalives and ``tcp_user_timeout`` notice a peer that vanished without a word: without them a read waits for
    ever and a write for the kernel's default of about 15 minutes.
    """
    settings, dsn = target.settings, target.dsn
    ours = {
        "client_encoding": "UTF8",
        "application_name": settings.application_name,
        "connect_timeout": str(settings.connect_timeout),
        "keepalives_idle": str(settings.keepalives_idle),
        "keepalives_interval": str(settings.keepalives_interval),
        "keepalives_count": str(settings.keepalives_count),
        "tcp_user_timeout": str(round(settings.tcp_user_timeout * 1000)),
    }
    if not target.through_transaction_pooler:
        # A pooler in transaction mode refuses the startup parameter `options`. The DSN's own come last and win.
        sets = " ".join(f"-c {name}={value}" for name, value in session_settings(settings).items())
        ours["options"] = f"{sets} {dsn.parameters.get('options', '')}".strip()
    return {
        **ours,
        **{name: value for name, value in dsn.parameters.items() if name != "options" or "options" not in ours},
    }


def connect_arguments(target: Target) -> dict[str, Any]:
    """Keyword arguments of ``psycopg.connect``.

    Behind a transaction pooler each transaction may meet another server connection, which does not know the
    statements prepared on the last one; and BEGIN must be ours (see `listen`), so psycopg's own is switched off.
    """
    arguments: dict[str, Any] = dict(libpq_parameters(target))
    if target.through_transaction_pooler:
        arguments |= {"prepare_threshold": None, "autocommit": True}
    return arguments


def pool_settings(target: Target) -> dict[str, Any]:
    """Pool arguments from the settings.

    Pre-ping (see `ping_cheaply`) finds connections that a restart or a failover cut, before a unit of work does. Last
    in, first out leaves the surplus of a burst idle until it is recycled.
    """
    settings = target.settings
    return {
        "pool_size": settings.pool_size,
        "max_overflow": settings.pool_max_overflow,
        "pool_timeout": settings.pool_timeout,
        "pool_recycle": settings.pool_recycle,
        "pool_pre_ping": True,
        "pool_use_lifo": True,
    }


def url_parts(target: Target) -> dict[str, Any]:
    """What `sqlalchemy.URL.create` needs beside the driver's name: the rest goes to libpq, see `listen`."""
    return {"database": target.dsn.parameters.get("dbname")}


def engine_arguments(_target: Target) -> dict[str, Any]:
    """Arguments of ``sqlalchemy.create_engine`` that have nothing to do with the pool."""
    return {"use_native_hstore": False}  # looking that type up costs a round trip per connection


def fixed_pool_arguments(_target: Target) -> frozenset[str]:
    """Pool arguments that the caller cannot change: none."""
    return frozenset()


def listen(engine: Engine, target: Target) -> None:
    """Connect with the arguments above, begin transactions behind a pooler, and watch statements."""
    _connect_with_arguments(engine, target)
    event.listen(engine, "connect", _refuse_other_encodings, insert=True)
    if target.through_transaction_pooler:
        _begin_with_settings(engine, target.settings)
    limit = target.settings.command_timeout
    seconds = limit and limit + watchdog.GRACE
    ping_cheaply(engine, seconds)
    surround(engine, seconds)


def _connect_with_arguments(engine: Engine, target: Target) -> None:
    """Hand libpq its parameters here and not in the engine's URL: what is not there cannot be printed with it."""
    credentials = Credentials(target, engine.dialect.loaded_dbapi.Error, _away(engine)) if target.rotates else None

    @event.listens_for(engine, "do_connect")
    def _connect(dialect: Any, _record: Any, positional: list[Any], keywords: dict[str, Any]) -> Any:
        if credentials is None:
            keywords |= connect_arguments(target)
            return None
        return credentials.log_in(
            lambda dsn: dialect.connect(*positional, **keywords | connect_arguments(replace(target, dsn=dsn)))
        )


def _away(engine: Engine) -> Callable[[Callable[[], T]], T]:
    """How to call what may wait for a network: by itself, or beside the event loop."""
    if not engine.dialect.is_async:
        return lambda work: work()

    return lambda work: await_only(asyncio.to_thread(work))


def _refuse_other_encodings(dbapi_connection: Any, _record: Any) -> None:
    """SQLite keeps every character; a database in LATIN1 would refuse some, at the first row that has one."""
    encoding = dbapi_connection.info.parameter_status("server_encoding")
    if encoding not in {None, "UTF8"}:  # a pooler may not pass it on
        dbapi_connection.close()
        raise ConfigurationError(
            f"the database's encoding is {encoding} and must be UTF8: make a new one with CREATE DATABASE ... ENCODING "
            "'UTF8' TEMPLATE template0"
        )


def _begin_with_settings(engine: Engine, settings: Settings) -> None:
    """Send BEGIN and the session's settings as one simple query: SET LOCAL ends with the transaction.

    A plain SET would stay on the server connection and meet another client there.
    """
    sets = "; ".join(f"SET LOCAL {name} = '{value}'" for name, value in session_settings(settings).items())

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if options.get("isolation_level") == "AUTOCOMMIT":
            return
        dbapi_connection: Any = connection.connection.dbapi_connection
        if not dbapi_connection.autocommit:  # SQLAlchemy resets it after an AUTOCOMMIT block
            dbapi_connection.autocommit = True
        level = f" ISOLATION LEVEL {options['isolation_level']}" if options.get("isolation_level") else ""
        mode = " READ ONLY" if options.get("postgresql_readonly") else ""
        send_begin(connection, f"BEGIN{level}{mode}; {sets}")
