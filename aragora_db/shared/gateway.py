"""The only module that calls Redis: every call goes through the circuit breaker, and every failure has one type."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from aragora_db.config import Settings
from aragora_db.errors import ConfigurationError, RedisUnavailable
from aragora_db.shared.address import is_configured
from aragora_db.shared.breaker import CircuitBreaker, CircuitOpen

if TYPE_CHECKING:
    from aragora_db.shared.client import Connector

__all__ = ["Gateway"]

T = TypeVar("T")


class Gateway:
    """Calls Redis, or fails at once while the circuit is open. Connects at the first call.

    Args:
        settings: the settings.
        redis_url: the URL of now; None where there is none.
        refresh: asked when Redis refused the password: looks whether there is a new one.
        clock: the breaker's, in seconds.
    """

    def __init__(
        self,
        settings: Settings,
        redis_url: Callable[[], str | None],
        refresh: Callable[[], bool] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._redis_url = redis_url
        self._refresh = refresh
        self._lock = threading.Lock()
        self._configured: bool | None = None
        self._connector: Connector | None = None
        self.breaker = CircuitBreaker(clock)
        self.last_error: str | None = None

    @property
    def configured(self) -> bool:
        """Whether the settings name a Redis. Asked once: a secret that vanishes later must not make us go alone.

        Raises:
            ConfigurationError: they name one that cannot be used as it stands.
        """
        if self._configured is None:
            self._configured = is_configured(self._settings, self._redis_url)
        return self._configured

    def call(self, work: Callable[[Any], T]) -> T:
        """Run ``work(client)``. It may run twice, so what it sends must be made inside it.

        Raises:
            RedisUnavailable: Redis is away, refused, or the breaker is open.
            ConfigurationError: redis-py is missing, or a certificate's file cannot be used.
        """
        connector = self._connect()
        from aragora_db.shared.client import REDIS_ERRORS, is_away  # noqa: PLC0415 -- the optional extra "redis"

        try:
            value = self.breaker.call(lambda: connector.run(work), is_away)
        except CircuitOpen:
            raise RedisUnavailable(
                f"Redis is left alone for some seconds after {self.last_error}; it is tried again by itself"
            ) from None
        except REDIS_ERRORS as error:
            connector.forget_demoted(error)
            self.last_error = _reason(error)
            raise RedisUnavailable(
                f"Redis gave no answer that can be used ({self.last_error}); see ARAGORA_REDIS_URL and the server"
            ) from error
        self.last_error = None
        return value

    def for_child(self) -> Gateway:
        """Return a new gateway for a forked child. Whether Redis is configured stays as decided."""
        gateway = Gateway(self._settings, self._redis_url, self._refresh)
        gateway._configured = self._configured
        return gateway

    def close(self) -> None:
        """Close every connection; the next call opens new ones."""
        if self._connector is not None:
            self._connector.close()

    def _connect(self) -> Connector:
        if self._connector is None:
            try:
                from aragora_db.shared.client import Connector  # noqa: PLC0415 -- the optional extra "redis"
            except ImportError as missing:
                raise ConfigurationError(
                    "ARAGORA_REDIS_URL needs redis-py, which is not installed: pip install 'aragora_db[redis]'"
                ) from missing
            with self._lock:
                if self._connector is None:
                    self._connector = Connector(self._settings, self._redis_url, self._refresh)
        return self._connector


def _reason(error: BaseException) -> str:
    """The class of the error, or of the system's error that it hides: ConnectionRefusedError, SSLCertVerificationError.

    redis-py raises a ConnectionError for all of them.
    """
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError):
            return type(inner).__name__
        inner = inner.__cause__ or inner.__context__
    return type(error).__name__
