"""Whatever breaks, no anonymous caller learns where the servers are, who logs in, or what an exception said."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow

PATHS = (
    "/",
    "/healthz",
    "/readyz",
    "/readyz/dependencies",
    "/api/health",
    "/api/health/db",
    "/metrics",
    "/openapi.json",
    "/api/v1/debates",
    "/api/v1/debates/none",
    "/none",
)
# What exceptions and SQL look like, whichever server they come from.
TELLTALES = (
    "Traceback",
    "psycopg",
    "sqlalchemy",
    "connection refused",
    "could not connect",
    "connection to server",
    "ARAGORA_POSTGRES_DSN",
    "SELECT debates",
    "unable to open",
)
USER, PASSWORD, DATABASE = "mallory_user", "correct-horse-battery", "secret_db_name"


def _every_body(client):
    """The bodies, and headers, of everything that anybody can ask for."""
    requests = [("GET", path, {}) for path in PATHS]
    requests.append(("POST", "/api/v1/debates", {"json": {"task": "x"}}))
    requests.append(("POST", "/api/v1/debates", {"json": {"task": ""}}))
    return {
        (method, path): f"{answer.headers} {answer.text}"
        for (method, path, _), answer in zip(requests, client.ask_all(requests), strict=True)
    }


def _assert_silent(bodies, words):
    for where, body in bodies.items():
        for word in (*words, *TELLTALES):
            assert word.lower() not in body.lower(), f"{where} tells {word!r}"


@pytest.fixture
def wrong(request, own_postgres):
    """A URL with something wrong with it, and what of it must stay unknown."""
    good = own_postgres.url
    host_and_port = good.rpartition("@")[2].partition("/")[0]
    port = host_and_port.rpartition(":")[2]
    kinds = {
        "password": f"postgresql://postgres:{PASSWORD}@{host_and_port}/postgres",
        "user": f"postgresql://{USER}:{PASSWORD}@{host_and_port}/postgres",
        "database": f"{good.rpartition('/')[0]}/{DATABASE}?connect_timeout=2",
        "closed port": f"postgresql://{USER}:{PASSWORD}@127.0.0.1:9/{DATABASE}",
        "unknown host": f"postgresql://{USER}:{PASSWORD}@db.secret-host.invalid:5432/{DATABASE}",
        "no TLS there": f"postgresql://{USER}:{PASSWORD}@{host_and_port}/{DATABASE}?sslmode=require",
        "sqlite folder": f"sqlite:////proc/{DATABASE}/x.db",
    }
    words = {USER, PASSWORD, DATABASE, "127.0.0.1", "secret-host", f":{port}", "/proc/"}
    return kinds[request.param], words


@pytest.mark.parametrize(
    "wrong",
    ["password", "user", "database", "closed port", "unknown host", "no TLS there", "sqlite folder"],
    indirect=True,
)
def test_a_database_that_cannot_be_used(wrong, serve_app):
    """An outage is when strangers look, and when every exception's text has the address in it."""
    url, words = wrong
    served = serve_app(url, pool_timeout=1, health_token="for operators only")  # noqa: S106 -- of this test
    bodies = _every_body(served.client)
    assert "not_ready" in bodies["GET", "/readyz"]
    _assert_silent(bodies, {*words, "for operators only"})


def test_a_database_that_dies(own_postgres, serve_app, secrets_of):
    """A connection that breaks has other texts than one that never was."""
    served = serve_app(own_postgres.url)
    assert served.client.get("/readyz").status_code == 200
    words = secrets_of(own_postgres.url)
    _assert_silent(_every_body(served.client), words)
    own_postgres.kill()
    [probe] = [route.endpoint for route in served.client.application.routes if route.path == "/readyz"]
    for cached in probe.__self__._context.checks._cached.values():
        cached._last = None
    bodies = _every_body(served.client)
    assert "not_ready" in bodies["GET", "/readyz"]
    _assert_silent(bodies, words)


def test_a_redis_that_cannot_be_used(fresh_databases, serve_app):
    """Redis's URL has a password as well."""
    served = serve_app(fresh_databases.url("sqlite"), redis_url=f"redis://{USER}:{PASSWORD}@127.0.0.1:9/0")
    bodies = _every_body(served.client)
    assert '"redis_pool":false' in bodies["GET", "/readyz"]
    _assert_silent(bodies, {USER, PASSWORD, "127.0.0.1", ":9/"})


def test_replicas_that_cannot_be_used(fresh_databases, serve_app):
    """A replica is named by its number."""
    served = serve_app(
        fresh_databases.url("postgresql"), read_urls=f"postgresql://{USER}:{PASSWORD}@127.0.0.1:9/{DATABASE}"
    )
    _assert_silent(_every_body(served.client), {USER, PASSWORD, DATABASE, "127.0.0.1"})


def test_operators_see_classes_and_no_addresses(serve_app):
    """Bodies for operators end up in tickets."""
    served = serve_app(f"postgresql://{USER}:{PASSWORD}@127.0.0.1:9/{DATABASE}", health_token="t")  # noqa: S106 -- as sent
    answer = served.client.get("/api/health", headers={"Authorization": "Bearer t"})
    assert answer.status_code == 503
    assert answer.json()["checks"]["database"]["error"] == "DatabaseUnavailable"
    for word in (USER, PASSWORD, DATABASE, "127.0.0.1"):
        assert word not in answer.text
