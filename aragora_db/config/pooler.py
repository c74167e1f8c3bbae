"""Whether a connection pooler stands in front of the server, and of which kind."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from aragora_db.config.dsn import TRUE_WORDS, Dsn
from aragora_db.config.enums import PoolerChoice

__all__ = ["PoolerMode", "detect_pooler"]

_TRANSACTION_PORT: Final = "6543"  # Supabase's transaction pooler; its session pooler listens on 5432
_SUPABASE: Final = ".pooler.supabase.com"
_NEON: Final = "-pooler."


class PoolerMode(StrEnum):
    """What a pooler keeps together: nothing (there is none), a session, or one transaction.

    Behind ``TRANSACTION`` every transaction may run on another server connection, so that neither prepared statements
    nor session settings, session locks, LISTEN or temporary tables survive a COMMIT.
    """

    NONE = "none"
    SESSION = "session"
    TRANSACTION = "transaction"


def detect_pooler(dsn: Dsn, said: PoolerMode | PoolerChoice = "auto") -> PoolerMode:
    """Tell which pooler a DSN leads through.

    Args:
        dsn: the resolved target.
        said: ``ARAGORA_DB_POOLER``; anything but ``auto`` decides.

    Returns:
        ``TRANSACTION`` for port 6543, Neon's ``-pooler.`` hosts and ``pgbouncer=true``; ``SESSION`` for Supabase's
        pooler on another port; else ``NONE``. One host of several is enough. SQLite has no pooler, whatever is said.
    """
    if dsn.backend == "sqlite":
        return PoolerMode.NONE
    if said != "auto":
        return PoolerMode(said)
    hosts = dsn.parameters.get("host", "").lower().split(",")
    ports = dsn.parameters.get("port", "").split(",")
    if (
        _TRANSACTION_PORT in ports
        or any(_NEON in host for host in hosts)
        or dsn.ours.get("pgbouncer", "").lower() in TRUE_WORDS
    ):
        return PoolerMode.TRANSACTION
    if any(host.endswith(_SUPABASE) for host in hosts):
        return PoolerMode.SESSION
    return PoolerMode.NONE
