"""Probes say what is true, to whom it is meant, in the bodies of the guide."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from aragora_db.migrations import scripts

OPERATOR = {"Authorization": "Bearer operators only"}


def test_readyz_is_the_guides(served):
    """Step 4a of the guide compares this body by eye: a member that is missing sends operators looking for a fault."""
    answer = served.client.get("/readyz")
    assert answer.status_code == 200
    body = answer.json()
    assert body.pop("latency_ms") >= 0
    assert body == {
        "status": "ready",
        "checks": {
            "degraded_mode": True,
            "storage_initialized": True,
            "elo_initialized": True,
            "redis_pool": "not_configured",
            "db_pool": True,
        },
        "fast_probe": True,
        "full_validation": "/readyz/dependencies",
    }


def test_dependencies_are_named(served):
    """The guide's checklist ends with this endpoint; it must say what is configured and what answers."""
    answer = served.client.get("/readyz/dependencies")
    assert answer.status_code == 200
    checks = answer.json()["checks"]
    assert checks["redis"] == {"configured": False, "connected": False, "required": False}
    assert checks[served.db.dsn.backend] == {"configured": True, "connected": True, "required": True}
    assert checks["storage"] is checks["elo_system"] is checks["schema"] is True


def test_with_redis_everything_is_true(serve_app, fresh_databases, redis_server):
    """The guide's expected output has no "not_configured" in it: with PostgreSQL and Redis all five must be true."""
    served = serve_app(fresh_databases.url("postgresql"), redis_url=redis_server.url)
    assert served.client.get("/readyz").json()["checks"] == dict.fromkeys(
        ("degraded_mode", "storage_initialized", "elo_initialized", "redis_pool", "db_pool"), True
    )
    assert served.client.get("/readyz/dependencies").json()["checks"]["redis"]["connected"] is True


def test_alive_without_a_database(serve_app):
    """A liveness probe that asks the database restarts every instance when the database is away."""
    served = serve_app("postgresql://nobody@127.0.0.1:9/none")
    assert served.client.get("/healthz").json() == {"status": "ok"}
    assert served.db.pool_metrics().size == 0, "no engine was made"


def test_health_for_anybody(served):
    """True and false are enough for a caller nobody knows; the time must be one that every parser reads."""
    body = served.client.get("/api/health").json()
    assert body["status"] == "healthy"
    assert set(body) == {"status", "timestamp", "checks"}
    assert all(value in {True, False, "not_configured"} for value in body["checks"].values())
    assert body["timestamp"].endswith("Z")
    assert abs((datetime.now(UTC) - datetime.fromisoformat(body["timestamp"])).total_seconds()) < 600


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer wrong",
        "Bearer ",
        "Bearer",
        "operators only",
        "Basic operators only",
        "Bearer operators onlyx",
        "Bearer \xe9",
    ],
)
def test_a_wrong_token_is_no_token(served, authorization):
    """An error would break every probe behind a proxy that passes its users' own headers on."""
    answer = served.client.get("/api/health", headers={"Authorization": authorization.encode("latin-1")})
    assert set(answer.json()) == {"status", "timestamp", "checks"}


def test_without_a_configured_token_nobody_is_an_operator(serve_app, fresh_databases):
    """An empty token must not be one that everybody knows."""
    client = serve_app(fresh_databases.url("sqlite")).client
    for headers in ({"Authorization": "Bearer "}, {"Authorization": "Bearer None"}, {}):
        assert "version" not in client.get("/api/health", headers=headers).json()


def test_health_for_operators(served):
    """Who holds the token sees why: figures of the pool, times, versions."""
    body = served.client.get("/api/health", headers=OPERATOR).json()
    assert body["version"]
    assert body["uptime_seconds"] >= 0
    pool = body["checks"]["database_pool"]
    assert pool["healthy"] is True
    assert pool["size"] == 20
    assert {"max_overflow", "in_use", "idle", "checkouts", "timeouts", "longest_wait_ms"} <= set(pool)
    assert body["checks"]["schema"]["verdict"] == "at head"
    assert body["checks"]["database"]["latency_ms"] > 0


def test_the_database_alone(served):
    """The first guide's `/api/health/db` never existed; now it does."""
    body = served.client.get("/api/health/db").json()
    assert body["status"] == "healthy"
    assert body["connected"] is True
    assert body["schema"] == "at head"
    assert set(body["pool"]) == {"size", "max_overflow", "in_use", "idle"}
    assert "checks" in served.client.get("/api/health/db", headers=OPERATOR).json()


def test_an_empty_database_is_brought_to_head(dialect, fresh_databases, serve_app):
    """Without traffic there is no first use, and without readiness no traffic: the probe has to be the first use."""
    client = serve_app(fresh_databases.url(dialect, migrated=False)).client
    assert client.get("/readyz").status_code == 200
    assert client.post({"task": "Is it there?"}).status_code == 201


def test_an_empty_database_that_must_not_be_touched(dialect, fresh_databases, serve_app):
    """An operator who migrates by hand must see 503 until it is done, and 200 afterwards without a restart."""
    served = serve_app(fresh_databases.url(dialect, migrated=False), auto_migrate=False)
    answer = served.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["reason"] == "schema"
    assert answer.json()["checks"]["storage_initialized"] is False
    assert answer.json()["checks"]["db_pool"] is True
    served.db.migrate()


@pytest.fixture
def older_code(monkeypatch):
    """Call it, and this process does not know the newest revision any more."""

    def forget():
        known = scripts.chain()[:-1]
        monkeypatch.setattr(scripts, "chain", lambda: known)

    return forget


def test_a_schema_that_moved_on_does_not_take_the_old_instances_away(served, older_code, eventually):
    """In a rolling deployment the migration comes first; were the old instances unready then, nobody would serve."""
    assert served.client.get("/readyz").status_code == 200
    older_code()
    eventually(lambda: not served.client.get("/readyz").json()["checks"]["degraded_mode"], "it is degraded")
    assert served.client.get("/readyz").status_code == 200
    assert served.client.get("/api/health/db").json()["schema"] == "ahead"


def test_a_new_instance_refuses_a_schema_from_the_future(served, older_code):
    """Rolled back to a version that does not know the schema, an instance must not take requests."""
    older_code()
    answer = served.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["reason"] == "schema"


def test_draining_is_not_ready_and_still_serves(served):
    """Balancers stop sending first; what they sent already is answered as ever."""
    served.drain.begin()
    for path in ("/readyz", "/readyz/dependencies"):
        answer = served.client.get(path)
        assert answer.status_code == 503
        assert answer.json()["status"] == "not_ready"
        assert answer.json()["reason"] == "draining"
    assert served.client.get("/healthz").status_code == 200
    assert served.client.post({"task": "Just in time"}).status_code == 201


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/readyz/dependencies", "/api/health", "/api/health/db", "/metrics", "/", "/nope"]
)
def test_nothing_is_cached_and_everything_has_an_id(served, path):
    """A probe that is answered by a cache says how things were."""
    answer = served.client.get(path, headers={"X-Request-Id": "from-the-balancer"})
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Request-Id"] == "from-the-balancer"
    [head] = served.client.ask_all([("HEAD", path, {})])
    assert head.status_code == answer.status_code


def test_unknown_paths_and_methods(served):
    """A client that speaks JSON must not meet HTML, and one that guesses must learn nothing about other routes."""
    missing = served.client.get("/api/v2/debates")
    assert missing.status_code == 404
    assert missing.json()["error"]["code"] == "not_found"
    assert served.client.get("/healthz/").status_code == 404, "no redirect that repeats the Host header"
    wrong = served.client.ask("DELETE", "/api/v1/debates")
    assert wrong.status_code == 405
    assert wrong.headers["Allow"] == "GET, HEAD, POST"


def test_the_document_is_valid(served):
    """Generators of clients stop at the first mistake."""
    document = served.client.get("/openapi.json").json()
    OpenAPIV31SpecValidator(document).validate()
    assert {route.path.replace(":path", "") for route in served.client.application.routes} == set(document["paths"])
