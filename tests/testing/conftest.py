"""Helpers to watch processes and folders, and to run pytest inside a test."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support import end_process, eventually

from aragora_db.testing.client import OwnKeeper, ask
from aragora_db.testing.plugin import missing


def process_state(pid: int) -> str:
    """The process's state and user id as ``ps`` shows them, empty when it is gone; a zombie is gone."""
    shown = subprocess.run(
        ["ps", "-o", "stat=,uid=", "-p", str(pid)], capture_output=True, text=True, check=False, timeout=60
    )
    text = shown.stdout.strip()
    return "" if text.startswith("Z") else text


@pytest.fixture
def state_of() -> Callable[[int], str]:
    """``process_state`` for tests."""
    return process_state


@pytest.fixture
def all_gone() -> Callable[[list[int], Path], None]:
    """Wait until the processes and the folder are gone."""

    def check(pids: list[int], folder: Path) -> None:
        assert pids
        eventually(lambda: not any(process_state(pid) for pid in pids), f"the processes {pids} are gone")
        eventually(lambda: not folder.exists(), f"the folder {folder} is gone")

    return check


@pytest.fixture
def keeper() -> Iterator[OwnKeeper]:
    """A keeper for one test; the run's own is not touched."""
    own = OwnKeeper()
    yield own
    own.close()


@pytest.fixture
def start(keeper: OwnKeeper) -> Callable[..., dict[str, Any]]:
    """Start a server of the test's own, or skip as the fixtures do where there is none."""

    def ask_or_skip(kind: str, **details: str) -> dict[str, Any]:
        answer = ask(keeper.control, kind, **details)
        if isinstance(answer, str):
            missing(answer)
        return answer

    return ask_or_skip


@pytest.fixture
def outer_environment() -> dict[str, str]:
    """The environment without what this pytest run put into it, and without the user's choice of servers."""
    ours = ("PYTEST_", "ARAGORA_TEST_", "COV_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    kept.pop("CI", None)
    return kept


@pytest.fixture
def inner_pytest(tmp_path: Path, outer_environment: dict[str, str]) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start pytest on one generated file, in a session of its own (as a terminal would), with the plugin opted in.

    What a failed test left running is killed; its servers go by themselves.
    """
    started: list[subprocess.Popen[str]] = []

    def start_pytest(source: str, *options: str, **environment: str) -> subprocess.Popen[str]:
        (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
        (tmp_path / "conftest.py").write_text('pytest_plugins = ["aragora_db.testing.plugin"]\n')
        (tmp_path / "test_inner.py").write_text(source)
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", *options, "test_inner.py"],
            cwd=tmp_path,
            env=outer_environment | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start_pytest
    for process in started:
        end_process(process)
