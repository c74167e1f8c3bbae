"""What checks share: the settings, and connections that are opened once and closed together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import cached_property
from typing import Any, Self

import psycopg
from psycopg import Connection
from psycopg.pq import Conninfo

from aragora_db.config import Dsn, SecretSource, Settings
from aragora_db.config.resolve import resolve
from aragora_db.config.secrets.aws import secret_source
from aragora_db.config.secrets.rds_iam import iam_tokens
from aragora_db.engine import Target
from aragora_db.engine.postgresql import connect_arguments, libpq_parameters
from aragora_db.errors import UsageError
from aragora_db.operate.doctor.address import ServerAddress, postgresql_addresses
from aragora_db.operate.doctor.redis_client import RedisAccess

__all__ = ["DoctorContext"]

_STATEMENT_SECONDS = 10
_CONNECT_SECONDS = 5


class DoctorContext:
    """One run of doctor. Nothing is opened before a check asks for it; every transaction is read-only.

    Args:
        load: reads the settings.
        urls: where running instances answer HTTP.

    Attributes:
        facts: what a check found out for those after it, by name.
    """

    def __init__(self, load: Callable[[], Settings], urls: Sequence[str] = ()) -> None:
        self._load = load
        self.urls = tuple(url.rstrip("/") for url in urls)
        self.facts: dict[str, Any] = {}
        self._open = ExitStack()
        self._connection: Connection[Any] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(Exception):  # a connection that broke cannot be closed properly
            self._open.close()

    # -- what the settings say ----------------------------------------------------------------------------------------

    @cached_property
    def settings(self) -> Settings:
        """The settings.

        Raises:
            ConfigurationError: they cannot be used.
        """
        return self._load()

    @cached_property
    def secrets(self) -> SecretSource | None:
        """AWS Secrets Manager, when the settings use it.

        Raises:
            ConfigurationError: the extra is missing, or the secret cannot be read.
        """
        return secret_source(self.settings)

    @cached_property
    def dsn(self) -> Dsn:
        """The database.

        Raises:
            ConfigurationError: the settings lead to none.
        """
        return resolve(self.settings, self.secrets)

    @cached_property
    def target(self) -> Target:
        """The database, with time limits for somebody who waits."""
        return Target(self.settings, self.dsn).with_settings(
            statement_timeout=_STATEMENT_SECONDS,
            connect_timeout=min(_CONNECT_SECONDS, self.settings.connect_timeout),
        )

    @property
    def is_server(self) -> bool:
        """Whether the database is another process, behind an address."""
        return self.target.file is None and not self.target.in_memory

    @cached_property
    def redis(self) -> RedisAccess:
        """Redis, as the settings describe it."""
        access = RedisAccess(self.settings, self.secrets)
        self._open.callback(access.close)
        return access

    @property
    def instances(self) -> int:
        """How many processes share the database."""
        return self.settings.instances or (2 if self.settings.multi_instance else 1)

    # -- the server ---------------------------------------------------------------------------------------------------

    @cached_property
    def parameters(self) -> dict[str, str]:
        """What libpq will go by: the connection string, ours, the ``PG*`` variables and its defaults."""
        defaults = {each.keyword.decode(): each.val.decode() for each in Conninfo.get_defaults() if each.val}
        return defaults | libpq_parameters(self.target)

    @cached_property
    def addresses(self) -> tuple[ServerAddress, ...]:
        """Where the server is said to be."""
        return postgresql_addresses(self.parameters)

    @property
    def seconds(self) -> float:
        """How long a connection may take to open."""
        return min(_CONNECT_SECONDS, self.settings.connect_timeout)

    def connect(self, target: Target | None = None) -> Connection[Any]:
        """A connection with the application's own parameters, read-only, closed at the end.

        Args:
            target: another server than the database.

        Raises:
            psycopg.OperationalError: the server did not let us in.
            ConfigurationError: no IAM token could be made.
        """
        target = target or self.target
        if self.settings.pg_iam_auth:
            target = replace(target, dsn=iam_tokens(self.settings.aws_region).sign(target.dsn))
        arguments: dict[str, Any] = connect_arguments(target) | {"autocommit": False, "prepare_threshold": None}
        connection = psycopg.connect(**arguments)
        self._open.callback(connection.close)
        connection.read_only = True
        return connection

    @property
    def connection(self) -> Connection[Any]:
        """The connection that checks share; a new one when a check gave it up."""
        if self._connection is None or self._connection.broken:
            self._connection = self.connect()
        return self._connection

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a query in a read-only transaction of its own."""
        with self.connection.transaction():
            return self.connection.execute(sql.encode(), values or None).fetchall()

    def value(self, sql: str, *values: Any) -> Any:
        """The first column of the first row."""
        return self.rows(sql, *values)[0][0]

    def abandon(self) -> None:
        """Leave the shared connection to the check that did not come back; the next check gets another one."""
        self._connection = None

    def fact(self, name: str) -> Any:
        """What an earlier check found out.

        Raises:
            UsageError: it did not; the check that asks lacks a ``needs``.
        """
        if name not in self.facts:
            raise UsageError(f"no check before this one found out {name}")
        return self.facts[name]
