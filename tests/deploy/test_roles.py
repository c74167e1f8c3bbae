"""The application's role does its work, and cannot touch the record of the schema."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import exc, text
from support import HANG_SECONDS

from aragora_db import Database
from aragora_db.models import EloHistory, EloRating
from aragora_db.testing.plugin import missing

ROLES = Path(__file__).parents[2] / "deploy/postgres/roles.sql"


@pytest.fixture
def application(fresh_databases, postgres_server) -> Iterator[Database]:
    """A database through a role that owns nothing in it."""
    program = shutil.which("psql", path=postgres_server.bindir) or shutil.which("psql")
    if program is None:
        missing("no psql here, which runs deploy/postgres/roles.sql. Install the package postgresql-client")
    owner_url = fresh_databases.url("postgresql")
    parameters = psycopg.conninfo.conninfo_to_dict(owner_url)
    role = f"{parameters['dbname']}_app"  # roles belong to the whole server, which the workers share
    with psycopg.connect(owner_url, autocommit=True) as owner:
        owner.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'test'").format(sql.Identifier(role)))
        psql = [program, owner_url, "-qX", "-v", "ON_ERROR_STOP=1", "-v", f"app={role}"]
        subprocess.run([*psql, "-f", ROLES], check=True, timeout=HANG_SECONDS)
        database = Database(
            f"postgresql://{role}:test@{parameters['host']}:{parameters['port']}/{parameters['dbname']}"
        )
        yield database
        database.close()
        owner.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(sql.Identifier(role)))


def test_the_application_reads_and_writes(application):
    """A role that lacks a grant fails at the first insert into a table with an identity."""
    with application.session() as session:
        session.add_all([EloRating(agent_name="a"), EloHistory(agent_name="a", elo=1500.0)])
    assert application.migrate() == []


def test_the_application_cannot_touch_the_record(application):
    """Here the guard's triggers end: whoever may forge a history row, or drop a trigger, can move the version."""
    for statement in (
        "UPDATE aragora_schema_version SET version_num = '20260102_elo'",
        "DELETE FROM aragora_schema_version",
        "INSERT INTO schema_history (revision, checksum, applied_by, package_version) VALUES ('x', 'x', 'x', 'x')",
        "DROP TRIGGER aragora_forward_only ON aragora_schema_version",
        "DROP TABLE aragora_schema_version",
    ):
        refused = pytest.raises(exc.ProgrammingError, match=r"permission denied|must be owner")
        with refused, application.engine.begin() as connection:
            connection.execute(text(statement))
