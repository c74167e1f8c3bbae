"""Scripts and Kubernetes read nothing of a command but its exit code: each one, in a situation that is real."""

from __future__ import annotations

import runpy
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
import support

from aragora_db import Database, Settings
from aragora_db.cli import app
from aragora_db.migrations import lock, scripts
from aragora_db.testing.process import free_port

pytestmark = pytest.mark.slow

DONE, NO, WRONG_USE, UNREACHABLE, TRY_AGAIN, BUG, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130
LOOKS = (["status"], ["status", "--json"], ["check"], ["check", "--json"])
COMMANDS = (*LOOKS, ["migrate"], ["migrate", "--json"])


def test_done(dialect, fresh_databases, aragora_db):
    """A pipeline that stops where nothing is wrong is soon told to go on where something is."""
    url = fresh_databases.url(dialect)
    for command in COMMANDS:
        ended = aragora_db(*command, DATABASE_URL=url)
        assert (command, ended.code, ended.err) == (command, DONE, "")


def test_the_first_migration(dialect, fresh_databases, aragora_db):
    """What it does goes to stderr as it happens, what came of it to stdout."""
    url = fresh_databases.url(dialect, migrated=False)
    ended = aragora_db("migrate", DATABASE_URL=url)
    assert ended.code == DONE
    assert [line for line in ended.err.splitlines() if scripts.head() in line]
    assert ended.out.rstrip().endswith(f"{len(scripts.chain())} revisions applied")
    assert aragora_db("migrate").out.rstrip().endswith("nothing to do")


@pytest.mark.parametrize("version", [None, "20260112_debates"], ids=["empty", "behind"])
def test_pending(version, dialect, fresh_databases, aragora_db):
    """The deployment's gate: no new code before its schema."""
    url = fresh_databases.url(dialect, migrated=False)
    if version:
        database = Database(Settings.explicit(database_url=url))
        database.migrate(version)
        database.close()
    codes = [aragora_db(*command, DATABASE_URL=url).code for command in LOOKS]
    assert codes == [NO] * len(LOOKS)


def test_drift(dialect, fresh_databases, aragora_db):
    """An index dropped by hand in an incident, and forgotten."""
    url = fresh_databases.url(dialect)
    database = Database(Settings.explicit(database_url=url))
    with database.engine.begin() as connection:
        connection.exec_driver_sql("DROP INDEX ix_elo_ratings_leaderboard")
    database.close()
    for command in LOOKS:
        ended = aragora_db(*command, DATABASE_URL=url)
        assert (command, ended.code) == (command, NO)
        assert "ix_elo_ratings_leaderboard" in ended.out


@pytest.mark.parametrize(
    ("arguments", "variables", "says"),
    [
        (["migrat"], {}, "No such command"),
        (["status", "--jason"], {}, "No such option"),
        (["revision"], {}, "--message"),
        (["migrate", "--version"], {}, "--version"),
        (["status"], {"ARAGORA_DB_POOL_SIZE": "many"}, "ARAGORA_DB_POOL_SIZE"),
        (["status"], {"DATABASE_URL": "mysql://h/d"}, "DATABASE_URL"),
        (["migrate"], {"DATABASE_URL": "postgresql://h:port/d"}, "DATABASE_URL"),
        (["status"], {"ARAGORA_DB_READ_URLS": "127.0.0.1:5432"}, "ARAGORA_DB_READ_URLS"),
        (["backup", "nodir/x"], {}, "the folder of nodir/x does not exist"),
        (["restore", "missing.dump"], {}, "missing.dump cannot be read"),
        (["restore", "."], {}, ". cannot be read"),
        (["check"], {"ARAGORA_DB_BACKEND": "oracle"}, "ARAGORA_DB_BACKEND"),
        (["--env-file", "missing.env", "status"], {}, "missing.env"),
        (["migrate", "--version", "20260112_debats"], {}, "20260112_debats"),
        (["migrate", "--version", "-1"], {}, "-1"),
        (["migrate", "--version", "20260101_schema_history:head"], {}, "--sql"),
        (["migrate", "--sql", "--version", "20260112_debats"], {}, "20260112_debats"),
        (["revision", "-m", "?"], {}, "aragora-db revision -m TEXT"),
        (["revision", "-m", "oops", "--reverses", "nothing"], {}, "no revision nothing"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_use(arguments, variables, says, aragora_db):
    """The caller has to change something; trying again, or reporting a bug, would not help."""
    ended = aragora_db(*arguments, **variables)
    assert (ended.code, ended.out) == (WRONG_USE, "")
    assert says in ended.err
    assert "Traceback" not in ended.err


def test_going_back_is_wrong_use(dialect, fresh_databases, aragora_db):
    """`migrate --version` of an older revision is the downgrade of somebody in a hurry."""
    ended = aragora_db("migrate", "--version", "20260112_debates", DATABASE_URL=fresh_databases.url(dialect))
    assert ended.code == WRONG_USE
    assert f"at {scripts.head()}" in ended.err
    assert "--reverses" in ended.err


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_unreachable(command, aragora_db):
    """A probe that cannot tell "no database" from "pending revisions" pages the wrong people."""
    ended = aragora_db(*command, DATABASE_URL=f"postgresql://me@127.0.0.1:{free_port()}/db")
    assert (ended.code, ended.out) == (UNREACHABLE, "")
    assert "127.0.0.1" in ended.err
    assert ended.err.rstrip().endswith("; aragora-db doctor finds the step that fails")


def test_a_held_migration_lock_on_postgresql(fresh_databases, aragora_db):
    """Another replica migrates: a Kubernetes job must try again, not fail for good."""
    url = fresh_databases.url("postgresql", migrated=False)
    with psycopg.connect(url) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", (lock.KEY,))
        ended = aragora_db("migrate", DATABASE_URL=url, ARAGORA_DB_MIGRATION_LOCK_TIMEOUT="1")
        assert ended.code == TRY_AGAIN
        assert f"process {other.info.backend_pid} " in ended.err
        assert "holds the migration lock, waited 1 s" in ended.err
    assert aragora_db("migrate").code == DONE


def test_a_held_migration_lock_on_sqlite(fresh_databases, aragora_db):
    """As above; there a writer locks the whole file."""
    url = fresh_databases.url("sqlite", migrated=False)
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("BEGIN IMMEDIATE")
        ended = aragora_db("migrate", DATABASE_URL=url, ARAGORA_DB_MIGRATION_LOCK_TIMEOUT="1")
        assert ended.code == TRY_AGAIN
        assert "waited 1 s" in ended.err
        other.execute("COMMIT")
    assert aragora_db("migrate").code == DONE


def test_a_bug_of_ours_asks_for_a_report(monkeypatch, aragora_db):
    """Without version, platform and frames nobody can look into it; with the statement's values it would leak them."""

    def broken(*_, **__):
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr(app.Database, "migrate", broken)
    ended = aragora_db("migrate", "--json")
    assert (ended.code, ended.out) == (BUG, "")
    assert "this is a bug of aragora_db; please report it" in ended.err
    assert "Python 3." in ended.err
    assert "test_cli_exit_codes.py" in ended.err
    assert "ZeroDivisionError: of all things" in ended.err


def test_ctrl_c_says_how_to_go_on(monkeypatch, aragora_db):
    """Whoever interrupts a migration wants to know whether the database is broken now."""

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(app.Database, "migrate", interrupted)
    ended = aragora_db("migrate")
    assert (ended.code, ended.out) == (INTERRUPTED, "")
    assert ended.err.strip() == "interrupted; nothing is half done, run the same command to go on"


def test_the_runner_of_the_guide(tmp_path: Path, monkeypatch, capsys, aragora_db):
    """`python -m aragora_db.migrations` stands in the guide, with this very revision."""
    migrated = subprocess.run(
        [sys.executable, "-m", "aragora_db.migrations", "migrate", "--version", "20260115_add_workspace_id"],
        cwd=tmp_path,
        env=support.clean_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=support.HANG_SECONDS,
    )
    assert (migrated.returncode, "12 revisions applied" in migrated.stdout) == (DONE, True), migrated.stderr
    assert (tmp_path / ".nomic" / "aragora.db").exists()

    said = aragora_db("status")
    assert (said.code, "behind" in said.out) == (NO, True)
    monkeypatch.setattr(sys, "argv", ["aragora_db.migrations"])
    with pytest.raises(SystemExit) as by_default:
        runpy.run_module("aragora_db.migrations", run_name="__main__")
    assert (by_default.value.code, capsys.readouterr().out) == (NO, said.out)
