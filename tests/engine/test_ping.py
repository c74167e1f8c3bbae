"""What the pool does before it hands a connection out."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from aragora_db.engine import liveness

EMPTY_QUERY = b"Q\x00\x00\x00\x05\x00"  # https://www.postgresql.org/docs/current/protocol-message-formats.html


@pytest.fixture
def watched(server_case, fresh_databases, open_database, proxy_to):
    """A pool of one connection, which was just used, through a proxy that writes down what is sent."""
    proxy = proxy_to(fresh_databases.url("postgresql"))
    database = open_database(server_case, proxy.url, pool_size=1, pool_max_overflow=0)
    _use(database)
    return database, proxy


def _use(database):
    return database.run(lambda session: session.scalar(text("SELECT pg_backend_pid()")), attempts=1)


def _pings(proxy):
    return b"".join(proxy.sent).count(EMPTY_QUERY)


def test_a_server_that_has_just_answered_is_not_asked(watched, monkeypatch):
    """Each unit of work would wait for one more round trip."""
    database, proxy = watched
    monkeypatch.setattr(liveness, "_TRUSTED_SECONDS", 3600.0)
    _use(database)
    before = _pings(proxy)
    for _ in range(5):
        _use(database)
    assert _pings(proxy) == before


def test_a_server_that_answered_a_while_ago_is_asked(watched, monkeypatch):
    """A firewall that forgot the connection tells nobody; the unit of work would wait for it."""
    database, proxy = watched
    monkeypatch.setattr(liveness, "_TRUSTED_SECONDS", 0.0)
    before = _pings(proxy)
    for _ in range(5):
        _use(database)
    assert _pings(proxy) == before + 5


def test_a_connection_that_the_server_ended_is_not_handed_out(watched, observe, monkeypatch):
    """A restart of the server would cost each pooled connection a failed unit of work."""
    database, _ = watched
    monkeypatch.setattr(liveness, "_TRUSTED_SECONDS", 3600.0)
    admin = observe(database.dsn.conninfo())
    seen = {_use(database)}
    for _ in range(5):
        admin.execute("SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE pid = ANY(%s)", [list(seen)])
        seen.add(_use(database))
    assert len(seen) == 6


def test_a_cut_connection_is_not_handed_out(watched, eventually, monkeypatch):
    """A load balancer hangs up without a word of PostgreSQL's."""
    database, proxy = watched
    monkeypatch.setattr(liveness, "_TRUSTED_SECONDS", 3600.0)
    before = _use(database)
    proxy.cut()
    eventually(lambda: not any(each.is_alive() for each in proxy._threads[1:]), "it is cut")
    assert _use(database) != before


def test_a_word_that_nobody_asked_for_costs_no_connection(watched, observe, monkeypatch):
    """Notifications and warnings would make the pool throw good connections away."""
    database, proxy = watched
    monkeypatch.setattr(liveness, "_TRUSTED_SECONDS", 3600.0)
    database.run(lambda session: session.execute(text("LISTEN news")))
    before, pings = _use(database), _pings(proxy)
    observe(database.dsn.conninfo()).execute("NOTIFY news")
    assert _use(database) == before
    assert _use(database) == before
    assert _pings(proxy) <= pings + 1


def test_without_poll_the_server_is_asked_each_time(watched, monkeypatch):
    """Windows has no poll; a connection must not be trusted unseen there."""
    database, proxy = watched
    monkeypatch.setattr(liveness, "_TRUSTED_SECONDS", 3600.0)
    monkeypatch.delattr(liveness.select, "poll")
    before = _pings(proxy)
    for _ in range(5):
        _use(database)
    assert _pings(proxy) == before + 5
