"""The reference page says what the code does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support import HANG_SECONDS, clean_environment

from aragora_db.config.reference import environment_tables

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "environment.md"


def test_the_page_is_up_to_date() -> None:
    """An operator would read about another default or range than the code has."""
    assert environment_tables().strip() in PAGE.read_text(encoding="utf-8"), (
        'Replace the tables by the output of: python -c "from aragora_db.config.reference import environment_tables; '
        'print(environment_tables())"'
    )


def test_import_is_light() -> None:
    """``aragora-db --help`` and SQLite users would pay for PostgreSQL, the ORM and Alembic."""
    code = (
        "import sys; from aragora_db.config import Settings; from aragora_db.config.resolve import resolve; "
        "resolve(Settings.explicit()); "
        "print(sorted({'psycopg', 'sqlalchemy.orm', 'alembic', 'typer', 'boto3'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=clean_environment(),
        check=True,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )
    assert done.stdout.strip() == "[]"
