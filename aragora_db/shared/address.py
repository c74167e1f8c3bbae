"""Where Redis is: one URL, or the nodes of Sentinel or Cluster, checked before anything is connected to."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from aragora_db.config import Settings
from aragora_db.config.masking import scheme_only
from aragora_db.errors import ConfigurationError

__all__ = ["Mode", "Node", "RedisUrl", "is_configured", "mode_of", "nodes_of", "parse_url"]

Mode = Literal["standalone", "sentinel", "cluster"]
Node = tuple[str, int]

_PORT = 6379
_PARAMETERS = ("db", "ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_keyfile")
_ACCEPTED = "redis://host:6379, rediss://:password@host:6379, rediss://user:password@host:6379/0 or unix:///path"


@dataclass(frozen=True)
class RedisUrl:
    """The parts of a Redis URL.

    Attributes:
        host: of a TCP connection, else None.
        port: its port.
        path: of a Unix socket, else None.
        tls: whether the connection is encrypted.
        db: the database's number.
        username: an ACL user; None is Redis's ``default``.
        password: None where none is asked for.
        ca_certs: a PEM file of authorities, from the URL.
        verify: whether the certificate and the host's name are checked.
        certfile: our own certificate, where Redis asks for one.
        keyfile: its key.
    """

    host: str | None = None
    port: int = _PORT
    path: str | None = None
    tls: bool = False
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_certs: str | None = None
    verify: bool = True
    certfile: str | None = None
    keyfile: str | None = None


def parse_url(text: str) -> RedisUrl:
    """Read a Redis URL.

    redis-py's own parser takes ``redis://:pass#word@host`` for localhost without a password, and a database that is no
    number for 0.

    Raises:
        ConfigurationError: what is wrong with it, showing the scheme only.
    """
    try:
        return _parse(urlsplit(text.strip()))
    except ValueError as problem:
        reason = str(problem) if isinstance(problem, _Wrong) else "it is no URL"
    raise ConfigurationError(
        f"ARAGORA_REDIS_URL (or REDIS_URL) is {scheme_only(text)}: {reason}. Accepted is {_ACCEPTED}; characters such "
        "as # / ? @ in a password are percent-encoded"
    )


class _Wrong(ValueError):
    """A reason that shows nothing of the URL."""


def _parse(url: SplitResult) -> RedisUrl:
    parameters = parse_qsl(url.query, keep_blank_values=True, strict_parsing=bool(url.query))
    given = dict(parameters)
    if url.fragment or len(given) != len(parameters) or not given.keys() <= set(_PARAMETERS):
        raise _Wrong(f"it has a part that is none of {', '.join(_PARAMETERS)}")
    if url.scheme not in {"redis", "rediss", "unix"}:
        raise _Wrong("its scheme is none of redis, rediss and unix")
    if any(name != "db" for name in given) and url.scheme != "rediss":
        raise _Wrong("its parameters ask for TLS, which is rediss://")
    if given.get("ssl_cert_reqs", "required") not in {"required", "none"}:
        raise _Wrong("ssl_cert_reqs is neither required nor none")
    unix = url.scheme == "unix"
    if unix and not url.path:
        raise _Wrong("it names no socket")
    if not unix and not url.hostname:
        raise _Wrong("it names no host")
    path_db = "" if unix else url.path.strip("/")
    if path_db and "db" in given:
        raise _Wrong("it names two databases")
    return RedisUrl(
        host=None if unix else unquote(url.hostname or ""),
        port=_PORT if unix else url.port or _PORT,
        path=unquote(url.path) if unix else None,
        tls=url.scheme == "rediss",
        db=_number(path_db or given.get("db") or "0"),
        username=unquote(url.username) if url.username else None,
        password=unquote(url.password) if url.password else None,
        ca_certs=given.get("ssl_ca_certs"),
        verify=given.get("ssl_cert_reqs") != "none",
        certfile=given.get("ssl_certfile"),
        keyfile=given.get("ssl_keyfile"),
    )


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise _Wrong("the database is no number")
    return int(text)


def mode_of(settings: Settings) -> Mode:
    """How Redis is run."""
    if settings.redis_sentinel_hosts is not None:
        return "sentinel"
    return "standalone" if settings.redis_cluster_nodes is None else "cluster"


def is_configured(settings: Settings, redis_url: Callable[[], str | None]) -> bool:
    """Whether anything says where Redis is, and can be used as it stands.

    Raises:
        ConfigurationError: it cannot.
    """
    mode = mode_of(settings)
    url = redis_url()
    address = None if url is None else parse_url(url)
    if mode == "standalone":
        return address is not None
    nodes_of(settings, mode)
    if address is not None and address.path is not None:
        raise ConfigurationError(f"ARAGORA_REDIS_URL is a Unix socket, which Redis's {mode} mode cannot be behind")
    if mode == "cluster" and address is not None and address.db:
        raise ConfigurationError("ARAGORA_REDIS_URL names a database; a Redis Cluster has number 0 only")
    return True


def nodes_of(settings: Settings, mode: Mode) -> list[Node]:
    """The Sentinels, or the nodes to find the cluster by.

    Raises:
        ConfigurationError: one of them is no host.
    """
    sentinel = mode == "sentinel"
    variable, text, port = (
        ("ARAGORA_REDIS_SENTINEL_HOSTS", settings.redis_sentinel_hosts, 26379)
        if sentinel
        else ("ARAGORA_REDIS_CLUSTER_NODES", settings.redis_cluster_nodes, _PORT)
    )
    nodes = [_node(each.strip(), port) for each in (text or "").split(",") if each.strip()]
    found = [node for node in nodes if node is not None]
    if not found or len(found) != len(nodes):
        raise ConfigurationError(f"{variable} is no list of hosts: write host or host:port, separated by commas")
    return found


def _node(text: str, port: int) -> Node | None:
    with suppress(ValueError):  # a port that is no number
        parts = urlsplit(f"//{text}")
        if parts.hostname and parts.netloc == text and "@" not in text:
            return parts.hostname, parts.port or port
    return None
