"""The validators of scripts/check_deploy.py, and the files they look at."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest

from aragora_db.testing.plugin import missing

TOP = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def deploy() -> Path:
    """The folder deploy/."""
    return TOP / "deploy"


@pytest.fixture(scope="session")
def checker():
    """scripts/check_deploy.py as a module, beside which it finds its validators."""
    sys.path.insert(0, str(TOP / "scripts"))
    try:
        return importlib.import_module("check_deploy")
    finally:
        sys.path.remove(str(TOP / "scripts"))


@pytest.fixture(scope="session")
def lacks() -> Callable[[object], NoReturn]:
    """Skips a test for want of a validator: ``lacks(error)`` with a `Missing` error, or what it says."""

    def skip(said: object) -> NoReturn:
        # What the validators say: "pgbouncer (apt: pgbouncer)".
        name, package = re.fullmatch(r"(.+?)(?: \((?:apt: )?(.+)\))?", str(said)).groups()
        missing(f"no {name} here, which checks files of deploy/. Install the package {package or name}")

    return skip


@pytest.fixture(scope="session")
def effective(checker, lacks) -> Callable[[Path], dict[str, str]]:
    """`checker.postgresql.effective`, asked once for each file: PostgreSQL is started for every setting."""

    @cache
    def settings(file: Path) -> dict[str, str]:
        try:
            return checker.postgresql.effective(file)
        except checker.Missing as error:
            lacks(error)

    return lambda file: dict(settings(file))
