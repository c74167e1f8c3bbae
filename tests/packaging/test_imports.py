"""What an import costs is decided by what it pulls in; a figure would depend on the machine, this does not."""

from __future__ import annotations

import subprocess
import sys

import pytest


def loaded(code):
    """The top-level modules and the ones of SQLAlchemy that are there after ``code`` in a new process."""
    script = f"{code}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["sqlalchemy", "sqlalchemy.orm", "alembic", "typer", "rich", "asyncio", "pydantic"])
def test_the_package_alone_is_free(module):
    """Whoever imports the package for its version, or in a plugin that may not be used, pays nothing."""
    assert module not in loaded("import aragora_db")


@pytest.mark.parametrize("module", ["alembic", "typer", "rich", "psycopg", "aiosqlite"])
def test_the_database_does_not_bring_the_tools(module):
    """A service that only opens sessions would start by the time slower that migrations and a command line take."""
    assert module not in loaded("from aragora_db import Database, Settings, get_database")


def test_opening_a_database_at_head_needs_no_alembic(fresh_databases):
    """Most starts find nothing to do, and should not load 80 ms of a migration tool to find that out."""
    url = fresh_databases.url("sqlite")
    code = f"from aragora_db import Database\nwith Database({url!r}).session() as session: pass"
    assert "alembic" not in loaded(code)
