"""What Prometheus reads: every figure that the alerts need, in a format that its own parser takes."""

from __future__ import annotations

import subprocess
import sys

import pytest
from prometheus_client import REGISTRY
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families
from support import HANG_SECONDS, clean_environment


def _scrape(client):
    answer = client.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_the_pool(served):
    """Wait and hold are what tells a pool that is too small from queries that are too slow."""
    served.client.get("/readyz")
    with served.db.engine.connect(), served.db.engine.connect():
        found = _scrape(served.client)
    assert found[("aragora_db_pool_size",)] == 20
    assert found[("aragora_db_pool_max_overflow",)] == 15
    assert found[("aragora_db_pool_connections", ("state", "in_use"))] == 2
    assert found[("aragora_db_pool_connections", ("state", "idle"))] >= 0
    assert found[("aragora_db_pool_overflow",)] == 0
    assert found[("aragora_db_pool_timeouts_total",)] == 0
    for name in ("wait", "hold"):
        prefix = f"aragora_db_pool_{name}_seconds"
        assert found[(f"{prefix}_bucket", ("le", "+Inf"))] == found[(f"{prefix}_count",)] > 0
        assert found[(f"{prefix}_sum",)] > 0
        buckets = [
            value
            for key, value in sorted(
                ((key, value) for key, value in found.items() if key[0] == f"{prefix}_bucket"),
                key=lambda item: float(item[0][1][1]),
            )
        ]
        assert buckets == sorted(buckets), "cumulative"
    assert found[("aragora_db_pool_checkouts_total",)] == found[("aragora_db_pool_wait_seconds_count",)]


def test_timeouts_are_counted(fresh_databases, serve_app):
    """The alert of an exhausted pool."""
    served = serve_app(fresh_databases.url("sqlite"), pool_size=1, pool_max_overflow=0, pool_timeout=1)
    served.client.get("/readyz")
    with served.db.engine.connect():
        assert served.client.get("/api/v1/debates").status_code == 503
    assert _scrape(served.client)[("aragora_db_pool_timeouts_total",)] == 1


def test_checks_and_schema(served):
    """An alert on a check needs its name, one on the schema its state."""
    found = _scrape(served.client)
    for name in ("database", "database_pool", "schema", "storage", "elo"):
        assert found[("aragora_db_check_ok", ("check", name))] == 1
        assert found[("aragora_db_check_duration_seconds", ("check", name))] >= 0
    assert ("aragora_db_check_ok", ("check", "redis")) not in found
    assert found[("aragora_db_schema_state", ("state", "at_head"))] == 1
    assert found[("aragora_db_schema_state", ("state", "behind"))] == 0
    assert found[("aragora_db_ready",)] == 1
    assert found[("aragora_db_degraded",)] == found[("aragora_db_draining",)] == 0
    served.drain.begin()
    assert _scrape(served.client)[("aragora_db_draining",)] == 1


def test_redis_and_its_breaker(fresh_databases, serve_app, redis_server):
    """An open breaker is why a page became slow; nobody sees it from outside otherwise."""
    found = _scrape(serve_app(fresh_databases.url("sqlite"), redis_url=redis_server.url).client)
    assert found[("aragora_db_check_ok", ("check", "redis"))] == 1
    assert found[("aragora_db_redis_breaker_state", ("state", "closed"))] == 1
    assert found[("aragora_db_redis_breaker_state", ("state", "open"))] == 0


def test_requests_by_route_and_not_by_path(served):
    """A series for each path that a scanner tries ends Prometheus."""
    for path in ("/api/v1/debates/one", "/api/v1/debates/two", "/wp-login.php", "/.env", "/%00"):
        served.client.get(path)
    served.client.ask_all([("BREW", "/healthz", {})])
    found = _scrape(served.client)
    routes = {dict(key[1:])["route"] for key in found if key[0] == "aragora_db_http_requests_total"}
    assert routes == {"/api/v1/debates/{id}", "none", "/openapi.json", "/healthz"}
    key = ("aragora_db_http_requests_total", ("method", "GET"), ("route", "/api/v1/debates/{id}"), ("status", "404"))
    assert found[key] == 2
    durations = ("aragora_db_http_request_duration_seconds_count", ("method", "GET"), ("route", "none"))
    assert found[durations] == 3


def test_openmetrics_when_asked_for(served):
    """What Prometheus asks for by default."""
    accept = "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5"
    [answer] = served.client.ask_all([("GET", "/metrics", {"headers": {"Accept": accept}})])
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert {family.name for family in parse_openmetrics(answer.text)} >= {"aragora_db_pool_wait_seconds"}


@pytest.mark.parametrize("accept", ["text/plain;version=abc", "application/openmetrics-text;version=", "\x7f", ""])
def test_an_odd_scraper(served, accept):
    """A header is no reason for a 500."""
    assert served.client.get("/metrics", headers={"Accept": accept}).status_code == 200


def test_the_registry_is_ours_alone(served):
    """Mounted twice, or into a program with metrics of its own, nothing may clash or leak."""
    served.client.get("/metrics")
    assert not [name for name in REGISTRY._names_to_collectors if name.startswith("aragora_db")]


def test_nobody_else_pays_for_it():
    """Programs without `serve` must not load a web framework, nor need one."""
    script = (
        "import sys\nfrom aragora_db import Database\n"
        "import aragora_db.cli.app, aragora_db.operate.health, aragora_db.operate.telemetry\n"
        "names = {'starlette', 'uvicorn', 'prometheus_client', 'opentelemetry'}\n"
        "print(sorted(names & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=True,
    )
    assert done.stdout == "[]\n"
