"""The folder ``alembic/`` stands where Alembic's users look for it, and must never be taken for the library.

``make lint`` shows the same for mypy and pyright: the package imports Alembic, and both read it from this folder.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import support

ROOT = Path(__file__).parents[2]


def test_python_finds_the_library():
    """In the root folder, where people run things, ``import alembic`` would find nothing but two files of ours."""
    assert not (ROOT / "alembic" / "__init__.py").exists()
    code = "import importlib.util; print(importlib.util.find_spec('alembic').origin)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=support.HANG_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    where = Path(done.stdout.strip())
    assert where.name == "__init__.py"
    assert not where.is_relative_to(ROOT / "alembic")
