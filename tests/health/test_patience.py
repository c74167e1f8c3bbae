"""How long a request may take when the database has no time for it."""

from __future__ import annotations

import asyncio
import threading

import pytest
from support import HANG_SECONDS

from aragora_db.errors import PoolExhausted

pytestmark = pytest.mark.slow


def debates_of(served):
    """What answers under /api/v1/debates."""
    routes = served.client.application.routes
    return next(route.endpoint.__self__ for route in routes if route.path == "/api/v1/debates")


def test_a_pool_without_a_free_connection(dialect, fresh_databases, serve_app):
    """Under overload callers must hear 503 with Retry-After in the pool's time, not wait for ever."""
    served = serve_app(fresh_databases.url(dialect), pool_size=1, pool_max_overflow=0, pool_timeout=1)
    assert served.client.get("/api/v1/debates").status_code == 200
    with served.db.engine.connect():
        answer = served.client.get("/api/v1/debates")
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "busy"
    assert answer.headers["Retry-After"] == "1"


def test_more_requests_than_may_wait(fresh_databases, serve_app):
    """While a database hangs, requests queued up behind those that may wait for it, for minutes and without an end."""
    served = serve_app(fresh_databases.url("postgresql"), pool_size=1, pool_max_overflow=0, pool_timeout=1)
    assert served.client.get("/api/v1/debates").status_code == 200
    go_on = threading.Event()
    debates = debates_of(served)

    def wait():
        return go_on.wait(HANG_SECONDS)

    async def crowded():
        waiting = [asyncio.create_task(debates._in_thread(wait)) for _ in range(6)]
        while debates._places.available_tokens:  # noqa: ASYNC110 -- no event says so
            await asyncio.sleep(0)
        with pytest.raises(PoolExhausted):
            await debates._in_thread(wait)
        go_on.set()
        return await asyncio.gather(*waiting)

    assert asyncio.run(crowded()) == [True] * 6


def test_a_request_that_takes_too_long(fresh_databases, serve_app, eventually, monkeypatch):
    """While a database hangs its callers waited for two minutes; what they wrote may be there later."""
    served = serve_app(fresh_databases.url("postgresql"))
    assert served.client.get("/api/v1/debates").status_code == 200
    monkeypatch.setattr("aragora_db.operate.health.debates._LONGEST_WAIT", 0.5)
    places = debates_of(served)._places
    with served.db.engine.connect() as other:
        other.exec_driver_sql("LOCK TABLE debates IN ACCESS EXCLUSIVE MODE")
        read = served.client.get("/api/v1/debates")
        written = served.client.post({"task": "late"}, headers={"Idempotency-Key": "late"})
        assert [answer.status_code for answer in (read, written)] == [503, 503]
        assert [answer.json()["error"]["code"] for answer in (read, written)] == ["timeout", "unknown"]
        assert places.borrowed_tokens == 2, "they hold connections still"
    eventually(lambda: places.borrowed_tokens == 0, "both places are free")
    monkeypatch.setattr("aragora_db.operate.health.debates._LONGEST_WAIT", 60.0)
    assert served.client.get("/api/v1/debates/late").status_code == 200
