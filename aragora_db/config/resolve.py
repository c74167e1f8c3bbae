"""Which database the settings lead to, and the contradictions that forbid an answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from aragora_db.config.dsn import Dsn, parse_dsn
from aragora_db.config.enums import Backend
from aragora_db.config.guard import NAME_A_DATABASE, distributed_because, refuse_local_state
from aragora_db.config.read_urls import listed
from aragora_db.config.secrets.source import SecretSource
from aragora_db.config.variables import Problem, variable_of
from aragora_db.errors import ConfigurationError

if TYPE_CHECKING:
    from aragora_db.config.settings import Settings

__all__ = ["contradictions", "names_a_database", "redis_configured", "redis_url", "resolve"]

# In the order in which they are asked; the first that is there decides, and the others are not even read.
_DSN_FIELDS: Final = {"ARAGORA_POSTGRES_DSN": "postgres_dsn", "DATABASE_URL": "database_url"}
_PG_FIELDS: Final = ("pg_host", "pg_port", "pg_database", "pg_user", "pg_password", "pg_ssl_mode")
_FILE: Final = "aragora.db"
_NOT_IN_SECRETS: Final = (
    "ARAGORA_USE_SECRETS_MANAGER is true, but the secrets source has neither ARAGORA_POSTGRES_DSN nor DATABASE_URL"
)


def resolve(settings: Settings, secrets: SecretSource | None) -> Dsn:
    """Find the database: a DSN, ARAGORA_PG_*, a secrets source, and only then SQLite in the data folder.

    Args:
        settings: the settings.
        secrets: asked when ARAGORA_USE_SECRETS_MANAGER is true and the environment names no database.

    Returns:
        The target.

    Raises:
        ConfigurationError: the settings contradict each other, or PostgreSQL is asked for and nothing says where.
        DistributedStateError: shared state is required here, and SQLite or no Redis is what the settings lead to.
    """
    found = _find(settings, secrets)
    if distributed_because(settings) is not None:
        refuse_local_state(settings, found, redis=redis_configured(settings, secrets))
    if isinstance(found, str):
        raise ConfigurationError(f"{found}; set {NAME_A_DATABASE}. SQLite is never used in its place")
    return found


def names_a_database(settings: Settings) -> bool:
    """Whether the settings themselves say which database, so that no secrets source is asked."""
    return bool(_given_dsn(settings) or _given_pg(settings)) or settings.backend is Backend.SQLITE


def redis_url(settings: Settings, secrets: SecretSource | None) -> str | None:
    """Find Redis: the environment, then the secrets source. With Sentinel or Cluster the URL only says how to log in.

    Raises:
        ConfigurationError: the secrets source cannot be asked.
    """
    if settings.redis_url is not None:
        return settings.redis_url.get_secret_value()
    if settings.use_secrets_manager and secrets is not None:
        variable = variable_of(type(settings).model_fields["redis_url"])
        return next(filter(None, map(secrets.get, (variable.name, *variable.aliases))), None)
    return None


def redis_configured(settings: Settings, secrets: SecretSource | None) -> bool:
    """Whether the settings lead to a Redis."""
    named = settings.redis_url or settings.redis_sentinel_hosts or settings.redis_cluster_nodes
    return bool(named) or redis_url(settings, secrets) is not None


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
    yield from _redis_modes(settings)
    try:
        listed(settings.read_urls)
    except ConfigurationError as error:
        yield Problem(frozenset({"read_urls"}), str(error))
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


def _redis_modes(settings: Settings) -> Iterator[Problem]:
    """A mode that nothing was said for, or hosts of a mode that was not chosen."""
    hosts = {"sentinel": settings.redis_sentinel_hosts, "cluster": settings.redis_cluster_nodes}
    fields = {"sentinel": "redis_sentinel_hosts", "cluster": "redis_cluster_nodes"}
    given = [mode for mode in hosts if hosts[mode] is not None]
    chosen = settings.redis_mode
    variables = {mode: f"ARAGORA_{fields[mode].upper()}" for mode in fields}
    if len(given) > 1:
        text = f"{variables['sentinel']} and {variables['cluster']} are both set; Redis is one or the other, unset one"
        yield Problem(frozenset(fields.values()), text)
    elif chosen in variables and chosen not in given:
        text = f"ARAGORA_REDIS_MODE is {chosen}, but {variables[chosen]} is unset; set it"
        yield Problem(frozenset({"redis_mode", fields[chosen]}), text)
    elif given and chosen not in {"auto", *given}:
        text = f"ARAGORA_REDIS_MODE is {chosen}, but {variables[given[0]]} is set; unset one of them"
        yield Problem(frozenset({"redis_mode", fields[given[0]]}), text)


def _find(settings: Settings, secrets: SecretSource | None) -> Dsn | str:
    """The database, or why there is none."""
    dsn = _from_environment(settings)
    if secrets is not None and settings.use_secrets_manager and not names_a_database(settings):
        return _from_secrets(settings, secrets) or _NOT_IN_SECRETS
    if dsn is None and settings.backend is Backend.POSTGRESQL:
        return "ARAGORA_DB_BACKEND is postgresql, but nothing says where it is"
    return dsn or Dsn("sqlite", path=str(settings.data_dir / _FILE))


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


def _from_secrets(settings: Settings, secrets: SecretSource) -> Dsn | None:
    for name in _DSN_FIELDS:
        text = secrets.get(name)
        if text:
            variable = f"{name} of the secrets source"
            dsn = _read(variable, text)
            _agree(settings, dsn.backend, variable)
            return dsn
    return None


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
