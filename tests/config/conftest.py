"""Every test here starts from an environment that says nothing."""

from __future__ import annotations

import pytest

from aragora_db.config import Settings
from aragora_db.config.variables import variable_of


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove each variable that the settings read; a CI machine may well have DATABASE_URL set."""
    for field in Settings.model_fields.values():
        variable = variable_of(field)
        for name in (variable.name, *variable.aliases):
            monkeypatch.delenv(name, raising=False)
