"""Where nothing is wrong, doctor says so, and finds no error."""

from __future__ import annotations

import json

from aragora_db.config import Settings


def test_a_healthy_database_has_no_error(dialect, fresh_databases, as_application, examine):
    """A doctor who finds something in everybody is not called again."""
    report = examine(database_url=as_application(fresh_databases.url(dialect)))
    assert report.errors == []
    assert report["schema"].level == "ok"
    assert report["settings"].level == "ok"


def test_every_step_to_a_healthy_server_is_ticked(healthy_url, redis_server, examine):
    """A step that is passed over in silence would leave its fault unfound."""
    report = examine(database_url=healthy_url, redis_url=redis_server.url, backend="postgresql")
    ticked = {finding.check for finding in report.findings if finding.level == "ok"}
    way = {"settings", "extras", "database", "host", "port", "tls", "login", "pooler", "version", "encoding", "role"}
    rest = {"writable", "clock", "capacity", "schema", "sessions", "indexes", "table-scans"}
    redis = {"redis-settings", "redis-port", "redis-tls", "redis-login", "redis-memory"}
    assert way | rest | redis | {"database-url", "redis-url", "backend"} <= ticked


def test_nothing_is_changed(fresh_databases, admin, examine):
    """Whoever is afraid to ask does not ask: an empty database stays empty."""
    url = fresh_databases.url("postgresql", migrated=False)
    report = examine(database_url=url)
    assert report["empty-database"].level == "warn"
    assert report["empty-database"].fix == "aragora-db migrate"
    tables = "SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    assert admin(url).execute(tables).fetchone() == (0,)


def test_one_document(fresh_databases, doctor_command):
    """A program that reads the report must not have to cut anything off."""
    settings = Settings.explicit(database_url=fresh_databases.url("sqlite"))
    code, printed = doctor_command(lambda: settings, "--json")
    document = json.loads(printed)
    assert code == 0
    assert document["version"] == 1
    assert document["healthy"] is True
    assert {"level", "name", "says", "mend", "check"} == set(document["findings"][0])


def test_the_terminal_shows_level_cause_and_mend(fresh_databases, doctor_command):
    """The line to paste has to be there, whole, under its fault."""
    settings = Settings.explicit(database_url=fresh_databases.url("sqlite", migrated=False))
    code, printed = doctor_command(lambda: settings)
    lines = printed.splitlines()
    fault = next(number for number, line in enumerate(lines) if line.startswith("[warn]  empty-database: "))
    assert lines[fault + 1].strip() == "mend: aragora-db migrate"
    assert any(line.startswith("[ok]    settings: ") for line in lines)
    assert any(line.startswith("[skip]  ") and "host, port, tls" in line for line in lines)
    assert "0 errors, 1 warning, " in lines[-1]
    assert code == 0
