"""Redis as the settings describe it: where it is, and a client, for the checks."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aragora_db.config import SecretSource, Settings
from aragora_db.config.resolve import resolve_redis
from aragora_db.operate.doctor.address import ServerAddress
from aragora_db.shared.address import RedisUrl, is_configured, mode_of, nodes_of, parse_url

if TYPE_CHECKING:
    from aragora_db.shared.client import Connector

__all__ = ["RedisAccess"]


class RedisAccess:
    """What the settings say about Redis. Nothing is connected to before it is asked for.

    Args:
        settings: the settings.
        secrets: where the URL comes from when the environment has none.
    """

    def __init__(self, settings: Settings, secrets: SecretSource | None) -> None:
        self._settings, self._secrets = settings, secrets
        self._url = resolve_redis(settings, secrets)

    @property
    def named(self) -> bool:
        """Whether anything names a Redis, usable or not."""
        settings = self._settings
        return bool(self._url or settings.redis_sentinel_hosts or settings.redis_cluster_nodes)

    def check(self) -> bool:
        """Whether what names it can be used.

        Raises:
            ConfigurationError: it cannot.
        """
        return is_configured(self._settings, lambda: self._url)

    @property
    def mode(self) -> str:
        """``standalone``, ``sentinel`` or ``cluster``."""
        return mode_of(self._settings)

    @cached_property
    def url(self) -> RedisUrl:
        """What the URL says; its defaults where Sentinel or Cluster need none."""
        return RedisUrl() if self._url is None else parse_url(self._url)

    @cached_property
    def addresses(self) -> tuple[ServerAddress, ...]:
        """Redis itself, its Sentinels, or the nodes that the cluster is found by."""
        mode = mode_of(self._settings)
        if mode != "standalone":
            return tuple(ServerAddress(host, port) for host, port in nodes_of(self._settings, mode))
        if self.url.path is not None:
            return (ServerAddress("", self.url.port, path=self.url.path),)
        return (ServerAddress(self.url.host or "", self.url.port),)

    @property
    def tls(self) -> bool:
        """Whether those addresses are spoken to through TLS."""
        return self._settings.redis_sentinel_tls if self.mode == "sentinel" else self.url.tls

    @property
    def authority(self) -> Path | None:
        """The PEM file of the authorities to trust; None trusts the system's."""
        if self.url.ca_certs is not None:
            return Path(self.url.ca_certs)
        return self._settings.redis_ssl_ca_certs

    @cached_property
    def _connector(self) -> Connector:
        from aragora_db.shared.client import Connector  # noqa: PLC0415 -- the extra `redis` may be missing

        return Connector(self._settings, lambda: self._url, None)

    def read(self) -> None:
        """Ask it to answer, and for a key of ours that nobody sets.

        Raises:
            redis.RedisError: it did not.
        """
        self._connector.run(lambda client: client.ping())
        self._connector.run(lambda client: client.get(f"{self._settings.redis_namespace}:doctor"))

    def info(self) -> list[dict[str, Any]]:
        """``INFO`` of each node.

        Raises:
            redis.RedisError: it did not answer, or this user may not ask.
        """
        answer: dict[str, Any] = self._connector.run(lambda client: client.info())
        # A cluster's client answers by the node's address.
        return [answer] if "redis_version" in answer else list(answer.values())

    def close(self) -> None:
        """Close the connection."""
        if "_connector" in self.__dict__:
            self._connector.close()
