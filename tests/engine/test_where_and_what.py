"""Where a database is, and what it must be, is settled once and said clearly."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from sqlalchemy import text

from aragora_db import Database
from aragora_db.engine import watchdog
from aragora_db.errors import ConfigurationError, PermissionDenied
from aragora_db.models import EloRating
from aragora_db.testing.databases import drop_database


def test_chdir_does_not_lead_to_another_file(tmp_path, monkeypatch):
    """A daemon that changes its folder after start would begin a second, empty database."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "one")
    database = Database("sqlite:///relative.db")
    monkeypatch.chdir(tmp_path / "two")

    async def write() -> None:
        async with database.async_session() as session:
            session.add(EloRating(agent_name="async"))
        await database.aclose()

    with database.session() as session:
        session.add(EloRating(agent_name="sync"))
    asyncio.run(write())
    assert database.migrate() == []
    assert [path.name for path in (tmp_path / "one").iterdir()] != []
    assert list((tmp_path / "two").iterdir()) == []
    database.close()


def test_a_folder_that_cannot_be_made(tmp_path):
    """A file where the folder should be is a wrong setting, not a bug of ours."""
    (tmp_path / "file").touch()
    database = Database(f"sqlite:///{tmp_path}/file/aragora.db")
    with pytest.raises(ConfigurationError, match="ARAGORA_DATA_DIR"), database.session():
        pass
    assert not database.health_check()
    database.close()


def test_another_encoding_is_refused(postgres_server):
    """A LATIN1 database takes the migration and fails at the first row that it has no letters for."""
    name = postgres_server.unique_name()
    with psycopg.connect(postgres_server.admin_url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    database = Database(postgres_server.url_for(name))
    with pytest.raises(ConfigurationError, match="LATIN1"):
        database.migrate()
    database.close()
    drop_database(postgres_server.admin_url, name)


def test_a_missing_privilege_is_named(fresh_databases):
    """It is the operator's to grant; called a bug, it would be reported to us."""
    database = Database(fresh_databases.url("postgresql"))
    with database.engine.connect() as connection:
        connection.execute(text("SET LOCAL ROLE pg_monitor"))
        with pytest.raises(PermissionDenied, match="permission denied"):
            connection.execute(text("SELECT * FROM elo_ratings"))
    database.close()


def test_one_failed_abort_does_not_end_the_watchdog(caplog, eventually):
    """One connection that cannot be cut must not cost all the others their timeout, as long as the process lives."""
    done = []

    def fail() -> None:
        done.append("failed")
        raise OSError("out of descriptors")

    watchdog.watch(0, fail)
    eventually(lambda: done, "the first abort fails")
    watchdog.watch(0, lambda: done.append("second"))
    eventually(lambda: len(done) == 2, "the second is called")
    assert done == ["failed", "second"]
    assert "could not be cut" in caplog.text


def test_an_old_sqlite_is_named(monkeypatch, tmp_path):
    """Without STRICT tables the first revision fails with a syntax error that explains nothing."""
    monkeypatch.setattr("aragora_db.engine.sqlite._OLDEST", (99, 0))
    with pytest.raises(ConfigurationError, match="STRICT"):
        Database(f"sqlite:///{tmp_path}/new.db").migrate()
