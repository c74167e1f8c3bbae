"""What an instance can do without does not take it out of the balancer; it is said all the same."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow

OPERATOR = {"Authorization": "Bearer t"}


@pytest.fixture
def again(eventually):
    """Asks until the body says what it should."""

    def ask(served, path, what, condition):
        eventually(lambda: condition(served.client.get(path).json()), what)

    return ask


def test_redis_away(own_redis, fresh_databases, serve_app, again):
    """Every instance has the same Redis: were they unready without it, its restart would be an outage of everything."""
    served = serve_app(fresh_databases.url("postgresql"), redis_url=own_redis.url, health_token="t")  # noqa: S106 -- as sent
    again(served, "/readyz", "Redis is connected", lambda body: body["checks"]["redis_pool"] is True)
    own_redis.kill()
    again(served, "/readyz", "Redis is away", lambda body: body["checks"]["redis_pool"] is False)
    answer = served.client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["checks"]["degraded_mode"] is False
    assert served.client.get("/api/health").json()["status"] == "degraded"
    assert served.client.get("/api/health").status_code == 200
    assert served.client.get("/readyz/dependencies").json()["checks"]["redis"]["connected"] is False
    assert served.client.get("/api/health", headers=OPERATOR).json()["checks"]["redis"]["error"]


def test_redis_hangs(own_redis, fresh_databases, serve_app, again):
    """A Redis that accepts and never answers must not keep a probe's answer back."""
    served = serve_app(fresh_databases.url("sqlite"), redis_url=own_redis.url, redis_timeout=0.2)
    again(served, "/readyz", "Redis is connected", lambda body: body["checks"]["redis_pool"] is True)
    own_redis.freeze()
    again(served, "/readyz", "Redis is away", lambda body: body["checks"]["redis_pool"] is False)
    assert served.client.get("/readyz").status_code == 200
    own_redis.thaw()
    again(served, "/readyz", "Redis is back", lambda body: body["checks"]["degraded_mode"] is True)


class _Secrets:
    """A source that answers from memory, and is as stale as it is told."""

    def __init__(self, url):
        self.url, self.stale = url, False

    def get(self, name):
        return self.url if name == "DATABASE_URL" else None

    def refresh(self):
        return False

    def health(self):
        return {"source": "memory", "age_seconds": 5.0, "stale": self.stale, "error": None}


def test_stale_secrets(fresh_databases, serve_app, again):
    """The last good secrets serve as long as they are right; somebody has to know before they are not."""
    source = _Secrets(fresh_databases.url("postgresql"))
    served = serve_app(None, secrets=source, use_secrets_manager=True)
    assert served.client.get("/readyz").json()["checks"]["degraded_mode"] is True
    assert served.client.get("/api/health").json()["checks"]["secrets"] is True
    assert "aragora_db_secrets_age_seconds 5.0" in served.client.get("/metrics").text
    source.stale = True
    again(served, "/api/health", "the secrets are stale", lambda body: body["checks"]["secrets"] is False)
    assert served.client.get("/readyz").status_code == 200


def test_a_replica_that_is_away(fresh_databases, serve_app, again):
    """Reads go to the primary meanwhile."""
    served = serve_app(
        fresh_databases.url("postgresql"),
        read_urls="postgresql://nobody@127.0.0.1:9/none",
        health_token="t",  # noqa: S106 -- as sent
    )
    again(served, "/api/health", "the replica is left out", lambda body: body["checks"]["replicas"] is False)
    assert served.client.get("/readyz").status_code == 200
    [replica] = served.client.get("/api/health", headers=OPERATOR).json()["checks"]["replicas"]["replicas"]
    assert replica["healthy"] is False
    metrics = served.client.get("/metrics").text
    assert 'aragora_db_replica_healthy{replica="1"} 0.0' in metrics
    assert "left out" in served.client.get("/").text
