"""Which database the settings lead to, and the contradictions that forbid an answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from aragora_db.config.choices import Backend, Environment
from aragora_db.config.dsn import Dsn, parse_dsn
from aragora_db.config.secrets import SecretSource
from aragora_db.config.variables import Problem
from aragora_db.errors import ConfigurationError, DistributedStateError

if TYPE_CHECKING:
    from aragora_db.config.settings import Settings

__all__ = ["contradictions", "distributed_because", "resolve"]

# In the order in which they are asked; the first that is there decides, and the others are not even read.
_DSN_FIELDS: Final = {"ARAGORA_POSTGRES_DSN": "postgres_dsn", "DATABASE_URL": "database_url"}
_PG_FIELDS: Final = ("pg_host", "pg_port", "pg_database", "pg_user", "pg_password", "pg_ssl_mode")
_FILE: Final = "aragora.db"
_NAME_ONE: Final = "ARAGORA_POSTGRES_DSN, DATABASE_URL, or ARAGORA_PG_HOST with its companions"


def resolve(settings: Settings, secrets: SecretSource | None) -> Dsn:
    """Find the database: a DSN, ARAGORA_PG_*, a secrets source, and only then SQLite in the data folder.

    Args:
        settings: the settings.
        secrets: asked when ARAGORA_USE_SECRETS_MANAGER is true and the environment names no database.

    Returns:
        The target.

    Raises:
        ConfigurationError: the settings contradict each other, or PostgreSQL is asked for and nothing says where.
        DistributedStateError: shared state is required here, and this would be SQLite.
    """
    dsn = _from_environment(settings)
    if dsn is None and settings.use_secrets_manager and settings.backend is not Backend.SQLITE:
        dsn = _from_secrets(settings, secrets)
    if dsn is None:
        if settings.backend is Backend.POSTGRESQL:
            raise ConfigurationError(
                f"ARAGORA_DB_BACKEND is postgresql, but nothing says where it is; set {_NAME_ONE}. "
                "SQLite is never used in its place"
            )
        dsn = Dsn("sqlite", path=str(settings.data_dir / _FILE))
    reason = distributed_because(settings)
    if reason is not None and dsn.backend == "sqlite":
        raise DistributedStateError(
            f"{reason} requires a database that every instance shares, but the settings lead to {dsn.masked}; set "
            f"{_NAME_ONE}. If this is the only instance set ARAGORA_SINGLE_INSTANCE=true, with "
            "ARAGORA_REQUIRE_DISTRIBUTED and ARAGORA_MULTI_INSTANCE unset"
        )
    return dsn


def distributed_because(settings: Settings) -> str | None:
    """The setting that requires shared state, as ``NAME=value``, or None when one instance may stand alone."""
    if settings.require_distributed:
        return "ARAGORA_REQUIRE_DISTRIBUTED=true"
    if settings.multi_instance:
        return "ARAGORA_MULTI_INSTANCE=true"
    guarded = settings.env in (Environment.PRODUCTION, Environment.STAGING)
    if guarded and not settings.single_instance and settings.require_distributed is None:
        return f"ARAGORA_ENV={settings.env}"
    return None


def contradictions(settings: Settings) -> Iterator[Problem]:
    """What is wrong between fields that are each acceptable by themselves."""
    if settings.multi_instance and settings.single_instance:
        yield Problem(
            frozenset({"multi_instance", "single_instance"}),
            "ARAGORA_MULTI_INSTANCE and ARAGORA_SINGLE_INSTANCE are both true; unset the one that does not hold",
        )
    if 0 < settings.command_timeout < settings.statement_timeout:
        yield Problem(
            frozenset({"command_timeout", "statement_timeout"}),
            f"ARAGORA_DB_COMMAND_TIMEOUT is {settings.command_timeout:g} and ARAGORA_DB_STATEMENT_TIMEOUT is "
            f"{settings.statement_timeout}; the client must wait at least as long as the server, so that the server "
            "cancels first and the connection lives on. Raise the former, lower the latter, or set only one",
        )
    given = _given_dsn(settings)
    if given is None:
        try:
            _agree(settings, "postgresql", _given_pg(settings))
        except ConfigurationError as error:
            yield Problem(frozenset({"backend"}), str(error))
        return
    variable, text = given
    try:
        dsn = _read(variable, text)
    except ConfigurationError as error:
        yield Problem(frozenset({_DSN_FIELDS[variable]}), str(error))
        return
    try:
        _agree(settings, dsn.backend, variable)
    except ConfigurationError as error:
        yield Problem(frozenset({"backend", _DSN_FIELDS[variable]}), str(error))


def _from_environment(settings: Settings) -> Dsn | None:
    given = _given_dsn(settings)
    if given is not None:
        variable, text = given
        dsn = _read(variable, text)
        _agree(settings, dsn.backend, variable)
        return dsn
    variable = _given_pg(settings)
    if not variable:
        return None
    _agree(settings, "postgresql", variable)
    parameters = {
        "host": settings.pg_host,
        "port": str(settings.pg_port),
        "dbname": settings.pg_database,
        "user": settings.pg_user,
        "sslmode": settings.pg_ssl_mode,
    }
    if settings.pg_password is not None:
        parameters["password"] = settings.pg_password.get_secret_value()
    return Dsn("postgresql", parameters)


def _from_secrets(settings: Settings, secrets: SecretSource | None) -> Dsn:
    if secrets is None:
        raise ConfigurationError(
            "ARAGORA_USE_SECRETS_MANAGER is true, but this process was given no secrets source and the environment "
            f"names no database; set {_NAME_ONE}, or ARAGORA_USE_SECRETS_MANAGER=false"
        )
    for name in _DSN_FIELDS:
        text = secrets.get(name)
        if text:
            variable = f"{name} of the secrets source"
            dsn = _read(variable, text)
            _agree(settings, dsn.backend, variable)
            return dsn
    raise ConfigurationError(
        "ARAGORA_USE_SECRETS_MANAGER is true, but the secrets source has neither ARAGORA_POSTGRES_DSN nor "
        f"DATABASE_URL; store one of them there, or set {_NAME_ONE}, or ARAGORA_DB_BACKEND=sqlite if SQLite is meant"
    )


def _given_dsn(settings: Settings) -> tuple[str, str] | None:
    if settings.postgres_dsn is not None:
        return "ARAGORA_POSTGRES_DSN", settings.postgres_dsn.get_secret_value()
    if settings.database_url is not None:
        return "DATABASE_URL", settings.database_url.get_secret_value()
    return None


def _given_pg(settings: Settings) -> str:
    """The ARAGORA_PG_* that were given, even with their default's value, joined for a message."""
    given = [name for name in _PG_FIELDS if name in settings.model_fields_set and getattr(settings, name) is not None]
    return ", ".join(f"ARAGORA_{name.upper()}" for name in given)


def _read(variable: str, text: str) -> Dsn:
    dsn = parse_dsn(text, variable=variable)
    if variable.startswith("ARAGORA_POSTGRES_DSN") and dsn.backend != "postgresql":
        raise ConfigurationError(
            f"{variable} ({dsn.masked}) is no PostgreSQL DSN; accepted is "
            "postgresql://user:password@host:5432/database. For SQLite set DATABASE_URL or ARAGORA_DATA_DIR instead"
        )
    return dsn


def _agree(settings: Settings, backend: str, variable: str) -> None:
    """Refuse to choose when ARAGORA_DB_BACKEND says one database and the variable that names it says the other."""
    if variable and settings.backend not in (Backend.AUTO, backend):
        raise ConfigurationError(
            f"ARAGORA_DB_BACKEND is {settings.backend}, but {variable} names a {backend} database; unset one of them, "
            "or set ARAGORA_DB_BACKEND=auto to go by the DSN"
        )
