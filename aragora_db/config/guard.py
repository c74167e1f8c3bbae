"""When state has to be shared between instances, and what is missing then. Nothing falls back to one machine's own."""

from __future__ import annotations

from aragora_db.config.dsn import Dsn
from aragora_db.config.enums import Environment
from aragora_db.config.settings import Settings
from aragora_db.errors import DistributedStateError

__all__ = ["NAME_A_DATABASE", "distributed_because", "distributed_required", "refuse_local_state"]

NAME_A_DATABASE = "ARAGORA_POSTGRES_DSN, DATABASE_URL, or ARAGORA_PG_HOST with its companions"
_NAME_A_REDIS = "ARAGORA_REDIS_URL, ARAGORA_REDIS_SENTINEL_HOSTS or ARAGORA_REDIS_CLUSTER_NODES"


def distributed_required(settings: Settings) -> bool:
    """Tell whether state must be shared between instances, so that neither SQLite nor a process's memory will do."""
    return distributed_because(settings) is not None


def distributed_because(settings: Settings) -> str | None:
    """The setting that requires shared state, as ``NAME=value``, or None when one instance may stand alone.

    The first line that applies decides (docs/guide/shared-state.md has the same table):

    1. ARAGORA_REQUIRE_DISTRIBUTED=true: required, even in development.
    2. ARAGORA_MULTI_INSTANCE=true: required.
    3. ARAGORA_REQUIRE_DISTRIBUTED=false, or ARAGORA_SINGLE_INSTANCE=true: not required.
    4. ARAGORA_ENV production or staging: required.
    """
    if settings.require_distributed:
        return "ARAGORA_REQUIRE_DISTRIBUTED=true"
    if settings.multi_instance:
        return "ARAGORA_MULTI_INSTANCE=true"
    if settings.require_distributed is False or settings.single_instance:
        return None
    if settings.env in (Environment.PRODUCTION, Environment.STAGING):
        return f"ARAGORA_ENV={settings.env}"
    return None


def refuse_local_state(settings: Settings, found: Dsn | str, *, redis: bool) -> None:
    """Refuse to start with state that only this machine can see where it has to be shared.

    Args:
        settings: the settings.
        found: the database that they lead to, or why they lead to none.
        redis: whether they lead to a Redis.

    Raises:
        DistributedStateError: naming everything that is missing.
    """
    reason = distributed_because(settings)
    if reason is None:
        return
    missing: list[str] = []
    where = f"the settings lead to {found.masked}" if isinstance(found, Dsn) else found
    if not isinstance(found, Dsn) or found.backend == "sqlite":
        missing.append(f"a database that every instance shares, but {where}; set {NAME_A_DATABASE}")
    if not redis:
        missing.append(f"a Redis that every instance shares, but none is configured; set {_NAME_A_REDIS}")
    if missing:
        raise DistributedStateError(
            f"{reason} requires {'. And it requires '.join(missing)}. If this is the only instance set "
            "ARAGORA_SINGLE_INSTANCE=true, with ARAGORA_REQUIRE_DISTRIBUTED and ARAGORA_MULTI_INSTANCE unset"
        )
