"""Probe a PostgreSQL for TLS: wheels that carry a server are often built without OpenSSL."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path

__all__ = ["postgres_speaks_tls"]


@cache
def postgres_speaks_tls(bindir: Path) -> bool:
    """Return whether the ``postgres`` in ``bindir`` was built with TLS.

    The server reads the setting ``ssl`` before it looks for its data folder: a build without TLS refuses the value, any
    other build stops at the folder. No server is started, and root may run it too.
    """
    command = [bindir / "postgres", "-C", "ssl", "-c", "ssl=on", "-D", "/nonexistent"]
    ended = subprocess.run(
        command,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
        check=False,
        env=os.environ | {"LC_ALL": "C"},
    )
    return "SSL is not supported" not in ended.stderr
