"""Plain functions that tests of every folder share. `pythonpath` in pyproject.toml makes them importable."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from typing import Any

__all__ = ["HANG_SECONDS", "clean_environment", "end_process", "eventually", "output_of"]

HANG_SECONDS = 60.0
"""A bound for every wait: nothing that works takes this long, even on a busy machine."""

# What configures aragora_db, libpq, AWS clients or pytest, and must not reach a child process by accident.
_CONFIGURING = ("ARAGORA_", "DATABASE_", "REDIS_", "SUPABASE_", "AWS_", "PG", "PYTEST_", "OTEL_")


def clean_environment(**variables: str) -> dict[str, str]:
    """Return this process's environment for a child, without what configures aragora_db, libpq, AWS or pytest.

    Args:
        variables: what the child gets in addition.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_CONFIGURING)}
    return kept | variables


def eventually(condition: Callable[[], Any], what: str, *, seconds: float = HANG_SECONDS) -> Any:
    """Poll until ``condition()`` is true and return its value; after ``seconds`` fail and say ``what`` was awaited."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"gave up after {seconds:g} s waiting until {what}"
        time.sleep(0.01)
    return value


def output_of(process: subprocess.Popen[Any], *, seconds: float = HANG_SECONDS) -> tuple[Any, Any]:
    """Wait for a child's end and return what it wrote: ``(stdout, stderr)``. A child that hangs is killed and named."""
    try:
        return process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        stdout, stderr = process.communicate(timeout=HANG_SECONDS)
        raise AssertionError(f"{process.args} did not end within {seconds:g} s:\n{stdout}\n{stderr}") from None


def end_process(process: subprocess.Popen[Any]) -> None:
    """Kill a child that is still running, reap it and close its pipes. For the end of a fixture."""
    if process.poll() is None:
        process.kill()
    process.communicate(timeout=HANG_SECONDS)
