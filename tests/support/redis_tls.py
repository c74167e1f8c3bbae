"""Whether the redis-server that tests start was built with TLS. An embedded one may not be."""

from __future__ import annotations

import subprocess
import tempfile
from functools import cache
from pathlib import Path

from aragora_db.testing.binaries import find_redis

__all__ = ["NO_TLS", "program_speaks_tls", "redis_speaks_tls"]

NO_TLS = "no redis-server with TLS here: the one that was found was built without it. Install the package redis-server"
"""The reason of a skip: ``missing(NO_TLS)``."""

# Redis refuses the option, Valkey the connection type. With TLS, both ask for a certificate.
_REFUSALS = ("tls-port", "TLS support", "connection type tls")


def redis_speaks_tls() -> bool:
    """Return whether `find_redis` finds a redis-server that was built with TLS; False without a redis-server."""
    found = find_redis()
    return found is not None and program_speaks_tls(found.path)


@cache
def program_speaks_tls(program: Path) -> bool:
    """Return whether a redis-server was built with TLS: started without a certificate, it says why it ends.

    A text that is not known counts as TLS, so that the tests then fail instead of being skipped.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "--port", "0", "--tls-port", "1", "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        ended = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False
        )
    return not any(refusal in ended.stdout + ended.stderr for refusal in _REFUSALS)
