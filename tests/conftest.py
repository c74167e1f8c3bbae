"""The servers of the tests come from the package's own public plugin; waiting and child processes from `support`."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest
import support

pytest_plugins = ["aragora_db.testing.plugin"]


def pytest_configure() -> None:
    """Restore Ctrl-C for child processes: a shell's background job ignores SIGINT, and children inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def eventually() -> Callable[..., Any]:
    """`support.eventually`: ``eventually(lambda: condition, "what is awaited")``."""
    return support.eventually
