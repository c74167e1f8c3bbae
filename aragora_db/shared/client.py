"""redis-py's clients, made of the settings: one Redis, the primary that Sentinel names, or a Cluster.

Loaded when Redis is used, not before: it imports redis-py.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from redis import Connection, ConnectionPool, CredentialProvider, Redis, RedisCluster, SSLConnection
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.cluster import ClusterNode
from redis.connection import UnixDomainSocketConnection
from redis.exceptions import (
    AuthenticationError,
    ClusterError,
    ConnectionError,  # noqa: A004 -- its name in redis-py
    MaxConnectionsError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
    TimeoutError,  # noqa: A004 -- its name in redis-py
)
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError, Sentinel

from aragora_db.config import Settings
from aragora_db.errors import AragoraDBError, ConfigurationError
from aragora_db.shared.address import RedisUrl, mode_of, nodes_of, parse_url

__all__ = ["REDIS_ERRORS", "Connector", "is_away"]

T = TypeVar("T")

REDIS_ERRORS = (RedisError, RedisClusterException)
"""Everything that redis-py raises."""

_AWAY = (ConnectionError, TimeoutError, ReadOnlyError, ClusterError, RedisClusterException)


def is_away(error: BaseException) -> bool | None:
    """What an error says about Redis: True that it is away, False that it answered, None nothing."""
    if isinstance(error, MaxConnectionsError):
        return None  # our own pool is used up
    if isinstance(error, _AWAY):
        return True  # a primary that became a replica is away, too: it will not take a write again
    return False if isinstance(error, ResponseError) else None


class RedisCredentials(CredentialProvider):
    """Reads the URL again at each new connection, so that a rotated password is used.

    Args:
        redis_url: returns the current URL.
        first: the URL at startup; it stays in use while ``redis_url`` fails.
    """

    def __init__(self, redis_url: Callable[[], str | None], first: RedisUrl) -> None:
        self._redis_url = redis_url
        self._last = first

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """User and password, or the password; empty where Redis asks for none."""
        with suppress(AragoraDBError):  # a secrets manager that is away; what we know may still do
            url = self._redis_url()
            self._last = self._last if url is None else parse_url(url)
        username, password = self._last.username, self._last.password
        if username is not None:
            return username, password or ""
        return (password,) if password is not None else ()  # type: ignore[return-value] # () logs in as nobody


class Connector:
    """One client for a process, made at first use. Runs calls with redis-py's own `Retry`.

    A call is tried twice when the connection was lost, and never after a timeout, so that nobody waits for longer than
    ``redis_connect_timeout`` and ``redis_timeout`` together, for each Sentinel or node that hangs. The retry is ours
    and not the connection's because what is sent again has to be made again: see `aragora_db.shared.versioned_cache`.

    Args:
        settings: the settings.
        redis_url: the URL of now, or None with Sentinel and Cluster.
        refresh: asked when Redis refused the password: looks whether there is a new one.

    Raises:
        ConfigurationError: a certificate's file cannot be used.
    """

    def __init__(
        self, settings: Settings, redis_url: Callable[[], str | None], refresh: Callable[[], bool] | None
    ) -> None:
        self._settings = settings
        url = redis_url()
        self._address = RedisUrl() if url is None else parse_url(url)
        self._credentials = RedisCredentials(redis_url, self._address)
        self._refresh = refresh
        self._retry = Retry(ExponentialWithJitterBackoff(cap=0.1, base=0.01), 1, (ConnectionError,))
        self._lock = threading.Lock()
        self._client: Any = None
        self._tls = self._tls_options() if self._address.tls else {}
        self._sentinel_tls = self._tls_options() if settings.redis_sentinel_tls else {}

    def run(self, work: Callable[[Any], T]) -> T:
        """Run ``work(client)``; once more after a lost connection.

        Raises:
            RedisError, RedisClusterException: what redis-py raised.
        """
        return self._retry.call_with_retry(lambda: work(self._get()), self._between)

    def close(self) -> None:
        """Close every connection; the next call opens new ones."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            with suppress(*REDIS_ERRORS, OSError):
                client.close()

    def forget_demoted(self, error: BaseException) -> None:
        """After `ReadOnlyError` the pool is full of connections to a replica."""
        if isinstance(error, ReadOnlyError):
            self.close()

    def _between(self, error: Exception) -> None:
        if isinstance(error, MasterNotFoundError):
            raise error  # all Sentinels were asked, and each that hangs has cost a timeout
        if isinstance(error, AuthenticationError) and self._refresh is not None:
            with suppress(AragoraDBError):
                self._refresh()

    def _get(self) -> Any:
        if self._client is None:
            # Only a Cluster's client connects when it is made. Threads that came together wait for the first one's,
            # and no longer than for a connection of their own.
            if not self._lock.acquire(timeout=self._settings.redis_connect_timeout):
                raise TimeoutError("another thread is still connecting")
            try:
                if self._client is None:
                    self._client = self._make()
            finally:
                self._lock.release()
        return self._client

    def _make(self) -> Any:
        mode = mode_of(self._settings)
        if mode == "cluster":
            return self._cluster()
        if mode == "sentinel":
            return self._sentinel()
        kind: type[Any] = Connection
        where: dict[str, Any] = {"host": self._address.host, "port": self._address.port}
        if self._address.path is not None:
            kind, where = UnixDomainSocketConnection, {"path": self._address.path}
        elif self._address.tls:
            kind = SSLConnection
        options = self._options() | self._tls | where | {"db": self._address.db, "retry": Retry(NoBackoff(), 0)}
        pool: Any = ConnectionPool  # its signature leaves out what it hands on
        return Redis.from_pool(pool(connection_class=kind, **options))

    def _sentinel(self) -> Any:
        settings = self._settings
        password = settings.redis_sentinel_password
        untyped: Any = Sentinel
        sentinel = untyped(
            nodes_of(settings, "sentinel"),
            sentinel_kwargs={
                "password": None if password is None else password.get_secret_value(),
                "socket_timeout": settings.redis_timeout,
                "socket_connect_timeout": settings.redis_connect_timeout,
                "retry": Retry(NoBackoff(), 0),
                "protocol": 2,
                "ssl": settings.redis_sentinel_tls,
                **self._sentinel_tls,
            },
        )
        options = self._options() | self._tls | {"db": self._address.db, "ssl": self._address.tls}
        return sentinel.master_for(settings.redis_sentinel_master, retry=Retry(NoBackoff(), 0), **options)

    def _cluster(self) -> Any:
        node: Any = ClusterNode  # not typed
        return RedisCluster(
            startup_nodes=[node(host, port) for host, port in nodes_of(self._settings, "cluster")],
            retry=Retry(NoBackoff(), 0),
            require_full_coverage=False,
            dynamic_startup_nodes=False,  # the names in the settings outlive the addresses that the nodes tell
            ssl=self._address.tls,
            **self._options(),
            **self._tls,
        )

    def _options(self) -> dict[str, Any]:
        settings = self._settings
        return {
            "socket_timeout": settings.redis_timeout,
            "socket_connect_timeout": settings.redis_connect_timeout,
            "health_check_interval": settings.redis_health_check_interval,
            "max_connections": settings.redis_max_connections,
            "credential_provider": self._credentials,
            "protocol": 2,  # RESP3 brings notices of maintenance that ask for five more settings
        }

    def _tls_options(self) -> dict[str, Any]:
        address, file = self._address, self._settings.redis_ssl_ca_certs
        authorities = address.ca_certs or (None if file is None else str(file))
        try:
            context = ssl.create_default_context(cafile=authorities)
            if address.certfile is not None:
                context.load_cert_chain(address.certfile, address.keyfile)
        except (OSError, ValueError) as problem:
            # Found at the first connection only, it would look like a Redis that is away.
            raise ConfigurationError(
                "TLS to Redis cannot be used: the file of ARAGORA_REDIS_SSL_CA_CERTS, or of an ssl_* parameter of the "
                f"URL, cannot be read ({type(problem).__name__}); name PEM files that this user can read"
            ) from problem
        return {
            "ssl_cert_reqs": "required" if address.verify else "none",
            "ssl_check_hostname": address.verify,
            "ssl_ca_certs": authorities,
            "ssl_certfile": address.certfile,
            "ssl_keyfile": address.keyfile,
        }
