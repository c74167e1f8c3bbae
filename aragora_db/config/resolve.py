"""Find the database and Redis that settings lead to: in the variables, in a secrets source, or in the data folder."""

from __future__ import annotations

from typing import Final

from aragora_db.config.dsn import Dsn
from aragora_db.config.enums import Backend
from aragora_db.config.guard import NAME_A_DATABASE, distributed_required, refuse_local_state
from aragora_db.config.named_dsn import DSN_FIELDS, named_dsn, names_a_database, read_named_dsn
from aragora_db.config.secrets.aws import secret_source
from aragora_db.config.secrets.source import SecretSource
from aragora_db.config.settings import Settings
from aragora_db.config.variables import variable_of
from aragora_db.errors import ConfigurationError

__all__ = ["redis_configured", "resolve", "resolve_redis"]

_FILE: Final = "aragora.db"
_NOT_IN_SECRETS: Final = (
    "ARAGORA_USE_SECRETS_MANAGER is true, but the secrets source has neither ARAGORA_POSTGRES_DSN nor DATABASE_URL"
)


def resolve(settings: Settings, secrets: SecretSource | None = None) -> Dsn:
    """Find the database: a DSN, ARAGORA_PG_*, a secrets source, and only then SQLite in the data folder.

    Args:
        settings: the settings.
        secrets: asked when ``use_secrets_manager`` is true and the environment names no database; None is AWS Secrets
            Manager.

    Returns:
        The database's DSN.

    Raises:
        ConfigurationError: PostgreSQL is asked for and nothing says where, or what was found disagrees.
        DistributedStateError: shared state is required here, and SQLite or no Redis is what the settings lead to.
        SecretUnavailable: the secrets source cannot be asked.
    """
    secrets = secrets or secret_source(settings)
    found = _find(settings, secrets)
    if distributed_required(settings):
        refuse_local_state(settings, found, redis=redis_configured(settings, secrets))
    if isinstance(found, str):
        raise ConfigurationError(f"{found}; set {NAME_A_DATABASE}. SQLite is never used in its place")
    return found


def resolve_redis(settings: Settings, secrets: SecretSource | None = None) -> str | None:
    """Find Redis: the environment's URL, then that of the secrets source.

    Args:
        settings: the settings.
        secrets: as for `resolve`.

    Returns:
        The URL, or None if neither has one. With Sentinel or Cluster the URL only says how to log in.

    Raises:
        ConfigurationError: the secrets source cannot be asked.
    """
    if settings.redis_url is not None:
        return settings.redis_url.get_secret_value()
    secrets = secrets or secret_source(settings)
    if settings.use_secrets_manager and secrets is not None:
        variable = variable_of(type(settings).model_fields["redis_url"])
        return next(filter(None, map(secrets.get, (variable.name, *variable.aliases))), None)
    return None


def redis_configured(settings: Settings, secrets: SecretSource | None = None) -> bool:
    """Tell whether the settings lead to a Redis. Args and Raises as for `resolve_redis`."""
    named = settings.redis_url or settings.redis_sentinel_hosts or settings.redis_cluster_nodes
    return bool(named) or resolve_redis(settings, secrets) is not None


def _find(settings: Settings, secrets: SecretSource | None) -> Dsn | str:
    """The database, or why there is none."""
    dsn = named_dsn(settings)
    if secrets is not None and settings.use_secrets_manager and not names_a_database(settings):
        return _from_secrets(settings, secrets) or _NOT_IN_SECRETS
    if dsn is None and settings.backend is Backend.POSTGRESQL:
        return "ARAGORA_DB_BACKEND is postgresql, but nothing says where it is"
    return dsn or Dsn("sqlite", path=str(settings.data_dir / _FILE))


def _from_secrets(settings: Settings, secrets: SecretSource) -> Dsn | None:
    for name in DSN_FIELDS:
        text = secrets.get(name)
        if text:
            return read_named_dsn(settings, f"{name} of the secrets source", text)
    return None
