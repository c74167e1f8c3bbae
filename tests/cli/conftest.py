"""The command line in this process, in an empty environment and an empty folder."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aragora_db.cli import main
from aragora_db.config import Settings
from aragora_db.config.variables import variable_of


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Remove each variable that the settings read, and work where there is no ``.nomic`` and no ``.env``."""
    for field in Settings.model_fields.values():
        variable = variable_of(field)
        for name in (variable.name, *variable.aliases):
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def loggers_as_before() -> Iterator[None]:
    """`migrate` shows what the package logs, for a process that ends soon; here it goes on."""
    loggers = [logging.getLogger(name) for name in ("", "alembic", "aragora_db", "aragora_db.engine")]
    before = [(logger.level, logger.handlers[:]) for logger in loggers]
    yield
    for logger, (level, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.handlers[:] = handlers


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document, which must be all of stdout."""
        return json.loads(self.out)


@pytest.fixture
def aragora_db(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """Runs ``aragora-db`` with these arguments; keywords are environment variables."""

    def run(*arguments: str, **variables: str) -> Ended:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([*arguments])
        printed = capsys.readouterr()
        return Ended(ended.value.code, printed.out, printed.err)

    return run
