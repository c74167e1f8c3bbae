"""The access log: one JSON line for each request, from which nothing secret and nothing forged can be read."""

from __future__ import annotations

import asyncio
import json
import logging
from urllib.parse import quote, unquote

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from aragora_db.errors import InvalidValue
from aragora_db.operate.health import app
from aragora_db.operate.health.problems import response_to


@pytest.fixture
def lines(caplog):
    """The lines so far."""
    caplog.set_level(logging.INFO, "aragora_db.access")
    return lambda: [json.loads(each.getMessage()) for each in caplog.records if each.name == "aragora_db.access"]


def test_a_line_for_each_request(served, lines):
    """Who asked what, how it ended, how long it took."""
    [answer] = served.client.ask_all([("GET", "/api/v1/debates/none", {"headers": {"X-Request-Id": "r-1"}})])
    [line] = lines()
    assert line.pop("time").endswith("Z")
    assert line.pop("duration_ms") > 0
    assert line == {
        "method": "GET",
        "path": "/api/v1/debates/none",
        "route": "/api/v1/debates/{id}",
        "status": 404,
        "bytes": len(answer.content),
        "request_id": "r-1",
        "client": "198.51.100.7",
    }


def test_no_query_and_no_header(served, lines):
    """Tokens are put into queries by people in a hurry; a log is read by many."""
    served.client.ask_all([("GET", "/api/health?token=hunter2", {"headers": {"Authorization": "Bearer hunter2"}})])
    assert "hunter2" not in json.dumps(lines())


@pytest.mark.parametrize("given", ["", "a b", 'x"} {"status": 200', "x" * 200, "\xe9"])
def test_an_id_that_could_forge_is_replaced(served, lines, given):
    """Who writes into our log must not be able to write a line."""
    [answer] = served.client.ask_all([("GET", "/healthz", {"headers": {"X-Request-Id": given.encode("latin-1")}})])
    assert len(answer.headers["X-Request-Id"]) == 32
    assert lines()[0]["request_id"] == answer.headers["X-Request-Id"]


def test_a_bug_is_an_answer_and_a_traceback(served, lines, monkeypatch, caplog):
    """The caller learns that it was us, the log what it was."""

    def broken():
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr(served.db, "pool_metrics", broken)
    [answer] = served.client.ask_all([("GET", "/metrics", {})])
    assert answer.status_code == 500
    assert "hunter2" not in answer.text
    assert answer.json()["error"]["code"] == "internal"
    assert lines()[0]["status"] == 500
    assert any("hunter2" in str(record.exc_info) for record in caplog.records)


def test_a_caller_who_hangs_up_is_no_error_of_ours(served, lines, caplog):
    """A telephone in a tunnel must not page anybody: no 500 in the metrics, no traceback in the log."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"100")]
    scope = {"type": "http", "method": "POST", "path": "/api/v1/debates", "query_string": b"", "headers": headers}
    messages = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]

    async def receive():
        return messages.pop(0)

    async def send(_message):
        raise AssertionError("nobody listens")

    asyncio.run(served.client.application({**scope, "http_version": "1.1"}, receive, send))
    assert lines()[0]["status"] == 499
    assert not [record for record in caplog.records if record.exc_info]


def test_a_long_path_is_cut(served, lines):
    """64 KiB of line feeds become a line of 384 KiB, which a collector cuts in two that are no JSON."""
    served.client.ask_all([("GET", "/" + "%0a" * 20_000, {})])
    assert lines()[0]["path"] == "/" + "\n" * 1023


def test_connections_end_with_the_drain(served):
    """Who keeps a connection until the process ends loses the request that is on its way then."""
    [before] = served.client.ask_all([("GET", "/healthz", {})])
    served.drain.begin()
    [after] = served.client.ask_all([("GET", "/healthz", {})])
    assert (before.headers.get("Connection"), after.headers.get("Connection")) == (None, "close")


@pytest.mark.parametrize("token", ["t\u00e4ken", "token-\u00e0", "\u0160"])
def test_any_token_opens(fresh_databases, serve_app, token):
    """The last byte of a UTF-8 letter may be white space in latin-1; the operator must get in nevertheless."""
    served = serve_app(fresh_databases.url("sqlite"), health_token=token)
    [full] = served.client.ask_all([("GET", "/api/health", {"headers": {"Authorization": f"Bearer {token}".encode()}})])
    [none] = served.client.ask_all([("GET", "/api/health", {"headers": {"Authorization": "Bearer "}})])
    assert ("version" in full.json(), "version" in none.json()) == (True, False)


@pytest.mark.parametrize("prefix", ["/d\u00e4t\u00e4 \u20ac", "/a%0d%0aX: y", "/a?b#c"])
def test_mounted_under_an_odd_prefix(served, prefix):
    """A Location that no header can hold was a 500 after the debate was recorded, and another one with the retry."""
    outer = Starlette(routes=[Mount("/{tenant}", app(served.db))])
    request = ("POST", f"/{quote(unquote(prefix[1:]))}/api/v1/debates", {"json": {"task": "x"}})
    [made] = served.client.__class__(outer).ask_all([request])
    assert made.status_code == 201
    [found] = served.client.__class__(outer).ask_all([("GET", made.headers["Location"], {})])
    assert found.json() == made.json()


def test_mounted_under_a_prefix(served, lines):
    """Aragora has an application of its own; ours must work inside it, links included."""
    outer = Starlette(routes=[Mount("/data", app(served.db))])
    client = type(served.client)(outer, prefix="/data")
    assert client.get("/readyz").status_code == 200
    made = client.post({"task": "inside"})
    assert made.headers["Location"].startswith("/data/api/v1/debates/")
    [found] = type(client)(outer).ask_all([("GET", made.headers["Location"], {})])
    assert found.json() == made.json()
    assert client.get("/").status_code == 200
    wrong = client.ask("DELETE", "/healthz")
    assert wrong.headers["Allow"] == "GET, HEAD"
    assert {line["route"] for line in lines()} >= {"/readyz", "/api/v1/debates", "/"}


def test_a_value_is_not_quoted_at_length():
    """A megabyte that was sent wrongly must not come back whole."""
    assert len(response_to(InvalidValue("x" * 10_000)).body) < 1000
