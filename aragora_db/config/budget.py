"""The connection arithmetic: whether every instance's pools together fit into what the server allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aragora_db.errors import UsageError

__all__ = ["MIGRATION", "Budget", "PoolerSizes", "connection_budget"]

MIGRATION: Final = 2
"""Connections of a migration beside the pools: one holds the lock, one migrates."""


@dataclass(frozen=True)
class PoolerSizes:
    """What the poolers in front of a server allow. PgBouncer's words.

    Attributes:
        server_connections: that one pooler opens for our role and database: ``default_pool_size`` plus
            ``reserve_pool_size``.
        max_client_conn: connections that one pooler takes from us.
        poolers: how many there are, each with these sizes.
    """

    server_connections: int
    max_client_conn: int
    poolers: int = 1


@dataclass(frozen=True)
class Budget:
    """What the instances may need, against what is to be had. Every number counts connections.

    Attributes:
        per_instance: that one instance opens at most.
        needed: that the server sees at most, a migration's included.
        available: that the server has for us: ``max_connections`` less what it keeps for others.
        clients: that the poolers take from the instances at most; 0 without a pooler.
        fits: whether neither the server nor a pooler will ever have to refuse one.
        max_connections_needed: the smallest ``max_connections`` with which the server refuses none.
        largest_pool: the largest ``pool_size`` and ``max_overflow`` that fit, in the proportion that was asked for, at
            most what was asked for; None when not even one connection for each pool would fit.
        advice: one sentence: that it fits, or what to change.
    """

    per_instance: int
    needed: int
    available: int
    clients: int
    fits: bool
    max_connections_needed: int
    largest_pool: tuple[int, int] | None
    advice: str


def connection_budget(
    *,
    instances: int,
    pool_size: int,
    max_overflow: int,
    max_connections: int,
    pools: int = 1,
    superuser_reserved: int = 3,
    reserved: int = 0,
    pooler: PoolerSizes | None = None,
) -> Budget:
    """Add up the connections of a deployment. Ask once for each server: a replica has a ``max_connections`` of its own.

    Args:
        instances: processes that share the server; during a rolling update, the surplus ones too.
        pool_size: ``ARAGORA_DB_POOL_SIZE``.
        max_overflow: ``ARAGORA_DB_POOL_MAX_OVERFLOW``.
        max_connections: the server's setting.
        pools: busy pools of one process. A ``Database`` makes one for sync code and one for each event loop: 2 for a
            process whose threads and whose loop both work with the database.
        superuser_reserved: the server's ``superuser_reserved_connections``.
        reserved: the server's ``reserved_connections``, and what other programs open.
        pooler: what stands between the instances and the server. A migration goes past it.

    Raises:
        UsageError: a count below zero, or no instance, pool or connection at all.
    """
    if min(instances, pools, pool_size, max_connections) < 1 or min(max_overflow, superuser_reserved, reserved) < 0:
        raise UsageError("a connection budget needs at least one instance, one pool and one connection each")
    per_instance = pools * (pool_size + max_overflow)
    clients = instances * per_instance
    kept = superuser_reserved + reserved
    available = max(0, max_connections - kept)
    if pooler is None:
        needed, most_clients = clients + MIGRATION, available - MIGRATION
    else:
        needed = pooler.poolers * pooler.server_connections + MIGRATION
        most_clients = pooler.poolers * pooler.max_client_conn
    server_fits, clients_fit = needed <= available, clients <= most_clients
    largest = _largest_pool(most_clients // (instances * pools), pool_size, max_overflow)

    many = "s" if instances > 1 else ""
    load = f"{instances} instance{many} with up to {per_instance} connections{' each' if many else ''}"
    room = f"{available} (max_connections {max_connections} less {kept} reserved)"
    smaller = "run fewer instances" if largest is None else _variables(*largest)
    if server_fits and clients_fit:
        advice = f"{load} need {needed} of {room}, {MIGRATION} of them for a migration: they fit"
    elif pooler is None:
        advice = (
            f"{load} need {needed}, {MIGRATION} of them for a migration; the server has {room}: {smaller}, or set "
            f"max_connections = {needed + kept} on the server"
        )
    elif server_fits:
        advice = f"{load} are more clients than the pooler takes ({most_clients}): {smaller}, or raise max_client_conn"
    else:
        fitting = max(0, available - MIGRATION) // pooler.poolers
        advice = (
            f"the pooler opens up to {needed - MIGRATION} connections, {MIGRATION} more are for a migration; the "
            f"server has {room}: lower default_pool_size plus reserve_pool_size to {fitting}, or set max_connections = "
            f"{needed + kept} on the server"
        )
    return Budget(
        per_instance=per_instance,
        needed=needed,
        available=available,
        clients=clients if pooler is not None else 0,
        fits=server_fits and clients_fit,
        max_connections_needed=needed + kept,
        largest_pool=largest,
        advice=advice,
    )


def _largest_pool(total: int, pool_size: int, max_overflow: int) -> tuple[int, int] | None:
    """Split what each pool may have in the proportion that was asked for."""
    if total < 1:
        return None
    if total >= pool_size + max_overflow:
        return pool_size, max_overflow
    size = max(1, total * pool_size // (pool_size + max_overflow))
    return size, total - size


def _variables(pool_size: int, max_overflow: int) -> str:
    return f"set ARAGORA_DB_POOL_SIZE={pool_size} and ARAGORA_DB_POOL_MAX_OVERFLOW={max_overflow}"
