"""The folder ``alembic/`` stands where Alembic's users look for it, and must never be taken for the library."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

REVISION = """\
from alembic import op
from alembic.config import Config


def upgrade() -> str:
    op.execute("SELECT 1")
    Config("alembic.ini")
    return op.f("name")
"""


def run(*command):
    """Run a command in the checkout's root; its output, and a failure that shows it."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def tool(name):
    """A program of the environment that runs this test."""
    found = shutil.which(name, path=Path(sys.executable).parent) or shutil.which(name)
    assert found is not None, f"{name} is part of the dev group: make setup"
    return found


def test_python_finds_the_library():
    """In the root folder, where people run things, ``import alembic`` would find nothing but two files of ours."""
    assert not (ROOT / "alembic" / "__init__.py").exists()
    where = Path(run(sys.executable, "-c", "import alembic; print(alembic.__file__)").strip())
    assert where.name == "__init__.py"
    assert not where.is_relative_to(ROOT / "alembic")


@pytest.mark.slow
def test_mypy_finds_the_library(tmp_path):
    """Every revision would be full of errors that are not its own."""
    file = tmp_path / "revision.py"
    file.write_text(REVISION, encoding="utf-8")
    cache = str(tmp_path / "cache")
    run(sys.executable, "-m", "mypy", "--strict", "--cache-dir", cache, "--config-file", "pyproject.toml", str(file))


@pytest.mark.slow
def test_pyright_finds_the_library(tmp_path):
    """As for mypy; editors show what pyright finds."""
    file = tmp_path / "revision.py"
    file.write_text(REVISION, encoding="utf-8")
    run(tool("pyright"), "--pythonpath", sys.executable, str(file))
