"""The validators of scripts/check_deploy.py, and the files they look at."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

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
