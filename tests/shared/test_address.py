"""Redis URLs: what is accepted, and that what is refused shows its scheme only."""

from __future__ import annotations

import pytest

from aragora_db import Settings
from aragora_db.errors import ConfigurationError
from aragora_db.shared.address import RedisUrl, is_configured, mode_of, nodes_of, parse_url

ACCEPTED = {
    "redis://cache.example": RedisUrl(host="cache.example"),
    "redis://cache.example:7000/3": RedisUrl(host="cache.example", port=7000, db=3),
    "redis://cache.example?db=3": RedisUrl(host="cache.example", db=3),
    "redis://[::1]:7000": RedisUrl(host="::1", port=7000),
    "rediss://:pa%23ss%2Fword@cache.example:6379": RedisUrl(host="cache.example", tls=True, password="pa#ss/word"),  # noqa: S106
    "rediss://app:secret@cache.example/0": RedisUrl(
        host="cache.example",
        tls=True,
        username="app",
        password="secret",  # noqa: S106
    ),
    "rediss://cache.example?ssl_ca_certs=%2Fca.pem": RedisUrl(host="cache.example", tls=True, ca_certs="/ca.pem"),
    "rediss://cache.example?ssl_cert_reqs=none": RedisUrl(host="cache.example", tls=True, verify=False),
    "unix:///run/redis.sock": RedisUrl(path="/run/redis.sock"),
    "unix://app:secret@/run/redis.sock?db=2": RedisUrl(
        path="/run/redis.sock",
        db=2,
        username="app",
        password="secret",  # noqa: S106
    ),
}


@pytest.mark.parametrize("url", ACCEPTED)
def test_accepted(url):
    """A URL that Redis's own tools take would be refused, or lead somewhere else."""
    assert parse_url(url) == ACCEPTED[url]


REFUSED = [
    "",
    "cache.example:6379",
    "http://cache.example",
    "redis://",
    "redis://:hunter2#x@cache.example",  # redis-py takes it for localhost
    "redis://:hunter2/x@cache.example",
    "redis://:hunter2?x@cache.example",
    "redis://cache.example:hunter2",
    "redis://cache.example/hunter2",  # redis-py takes it for database 0
    "redis://cache.example/1?db=2",
    "redis://cache.example?password=hunter2",
    "redis://cache.example?db=1&db=2",
    "redis://cache.example?ssl_ca_certs=hunter2",  # the connection would not be encrypted
    "rediss://cache.example?ssl_cert_reqs=hunter2",
    "redis://[hunter2",
    "unix://",
    "unix:///run/redis.sock?db=hunter2",
]


@pytest.mark.parametrize("url", REFUSED)
def test_refused_without_showing_it(url):
    """A mistyped URL would lead to localhost without a password, or print its password into the log."""
    with pytest.raises(ConfigurationError) as caught:
        parse_url(url)
    assert "hunter2" not in str(caught.value)
    assert "cache.example" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_the_password_is_in_no_repr():
    """A debugger's output or a log of arguments would publish it."""
    assert "hunter2" not in repr(parse_url("redis://:hunter2@cache.example"))


def test_modes():
    """A Sentinel or a Cluster would be spoken to as if it were one server."""
    assert mode_of(Settings.explicit()) == "standalone"
    assert mode_of(Settings.explicit(redis_sentinel_hosts="a,b")) == "sentinel"
    assert mode_of(Settings.explicit(redis_cluster_nodes="a")) == "cluster"


def test_nodes():
    """A node with the port of another kind of server is never reached."""
    sentinels = Settings.explicit(redis_sentinel_hosts="a, b:1 ,[::1]:2")
    assert nodes_of(sentinels, "sentinel") == [("a", 26379), ("b", 1), ("::1", 2)]
    assert nodes_of(Settings.explicit(redis_cluster_nodes="c,d:7000"), "cluster") == [("c", 6379), ("d", 7000)]


@pytest.mark.parametrize("nodes", ["redis://a:1", "a:b", ",", "user@a"])
def test_nodes_that_are_none(nodes):
    """Half a list would be used, and nobody would know which half."""
    with pytest.raises(ConfigurationError, match="ARAGORA_REDIS_CLUSTER_NODES"):
        nodes_of(Settings.explicit(redis_cluster_nodes=nodes), "cluster")


def test_configured():
    """The guard would let an instance start alone, or refuse one that has a Redis."""
    nobody = lambda: None  # noqa: E731 -- a settings' callback
    assert not is_configured(Settings.explicit(), nobody)
    assert is_configured(Settings.explicit(), lambda: "redis://cache.example")
    assert is_configured(Settings.explicit(redis_sentinel_hosts="a"), nobody)
    assert is_configured(Settings.explicit(redis_cluster_nodes="a"), nobody)


def test_contradictions():
    """They would surface as an outage that never ends."""
    cluster = Settings.explicit(redis_cluster_nodes="a")
    for url in ("unix:///run/redis.sock", "redis://a/1", "redis://a/x"):
        with pytest.raises(ConfigurationError):
            is_configured(cluster, lambda url=url: url)
