"""What an import costs is decided by what it pulls in; a figure would depend on the machine, this does not."""

from __future__ import annotations

import subprocess
import sys

import pytest
import support

pytestmark = pytest.mark.slow


def loaded(code):
    """Return the names of the modules that are loaded after ``code`` in a new process."""
    script = f"{code}\nimport sys\nprint(*sys.modules)"
    command = [sys.executable, "-c", script]
    done = subprocess.run(
        command,
        env=support.clean_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=support.HANG_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_the_package_alone_is_free():
    """Whoever imports the package for its version, or in a plugin that may not be used, pays nothing."""
    expensive = {"sqlalchemy", "sqlalchemy.orm", "alembic", "typer", "rich", "asyncio", "pydantic"}
    assert expensive & loaded("import aragora_db") == set()


def test_the_database_does_not_bring_the_tools():
    """A service that only opens sessions would start by the time slower that migrations and a command line take."""
    tools = {"alembic", "typer", "rich", "psycopg", "aiosqlite"}
    assert tools & loaded("from aragora_db import Database, Settings, get_database") == set()


def test_opening_a_database_at_head_needs_no_alembic(fresh_databases):
    """Most starts find nothing to do, and should not load 80 ms of a migration tool to find that out."""
    url = fresh_databases.url("sqlite")
    code = f"from aragora_db import Database\nwith Database({url!r}).session() as session: pass"
    assert "alembic" not in loaded(code)
