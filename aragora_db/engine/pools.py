"""Connection pools: which argument each pool class takes, and what exhaustion says."""

from __future__ import annotations

import time
from typing import Any, Self

from sqlalchemy import exc as sa_exc
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool, Pool, PoolProxiedConnection, QueuePool

from aragora_db.engine.pool_metrics import Meter
from aragora_db.errors import ConfigurationError, PoolExhausted

__all__ = ["AsyncBoundedPool", "BoundedPool", "pool_arguments"]

_EVERY_POOL = frozenset({"pool_recycle", "pool_pre_ping"})
_QUEUE_POOL = _EVERY_POOL | {"pool_size", "max_overflow", "pool_timeout", "pool_use_lifo"}


class InstrumentedQueuePool(QueuePool):
    meter: Meter | None = None

    @property
    def max_overflow(self) -> int:
        """Connections beyond the pool's size."""
        return self._max_overflow

    def recreate(self) -> Self:
        """An empty pool in place of this one, counted along."""
        pool: Any = super().recreate()
        pool.meter = self.meter
        return pool  # type: ignore[no-any-return] # SQLAlchemy says Pool; it is of our class

    def connect(self) -> PoolProxiedConnection:
        """Check a connection out.

        Raises:
            PoolExhausted: none became free within ``pool_timeout`` seconds.
        """
        started = time.perf_counter()
        try:
            connection = super().connect()
        except sa_exc.TimeoutError:
            if self.meter is not None:
                self.meter.timed_out()
            message = (
                f"all {self.checkedout()} connections of the pool are in use (pool_size {self.size()}, max_overflow "
                f"{self._max_overflow}) and none came back within {self.timeout():g} s. Raise ARAGORA_DB_POOL_SIZE or "
                "ARAGORA_DB_POOL_MAX_OVERFLOW, or look for sessions that stay open"
            )
            raise PoolExhausted(message) from None
        if self.meter is not None:
            self.meter.waited(time.perf_counter() - started)
        return connection


class BoundedPool(InstrumentedQueuePool):
    """SQLAlchemy's queue pool, for sync engines."""


class AsyncBoundedPool(InstrumentedQueuePool, AsyncAdaptedQueuePool):
    """SQLAlchemy's queue pool, for async engines."""


# A pool class that is not here takes nothing that we know of, so every argument is refused.
_TAKES: dict[type[Pool], frozenset[str]] = {
    BoundedPool: _QUEUE_POOL,
    AsyncBoundedPool: _QUEUE_POOL,
    NullPool: _EVERY_POOL,
}


def pool_arguments(
    pool_class: type[Pool], settled: dict[str, Any], given: dict[str, Any], *, fixed: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """Arguments for ``create_engine``: what the caller gave, else what the settings say.

    Args:
        pool_class: the pool that will be made.
        settled: values from the settings; those that this pool cannot take are left out.
        given: values that the caller named; one that this pool cannot take is an error, not dropped.
        fixed: names whose settled value cannot be changed here, such as the one connection of a ``:memory:`` database.

    Raises:
        ConfigurationError: an argument that the pool cannot take.
    """
    takes = _TAKES.get(pool_class, frozenset())
    refused = sorted(
        name for name, value in given.items() if name not in takes or (name in fixed and value != settled[name])
    )
    if refused:
        allowed = ", ".join(sorted(takes - fixed)) or "nothing"
        raise ConfigurationError(f"{pool_class.__name__} cannot take {', '.join(refused)} here; it takes {allowed}")
    return {name: value for name, value in {**settled, **given}.items() if name in takes}
