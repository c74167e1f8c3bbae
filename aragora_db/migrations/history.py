"""Writing ``schema_history``."""

from __future__ import annotations

import getpass
import os
import socket
from typing import Any

import sqlalchemy as sa
from alembic import op

from aragora_db import __version__
from aragora_db.migrations import scripts

__all__ = ["record"]

# Plain types: this statement is also printed with its values (--sql), and the table's own definition may move on.
_history = sa.table(
    "schema_history",
    *(sa.column(name, sa.Text()) for name in ("revision", "predecessor", "checksum", "applied_by", "package_version")),
    sa.column("duration_ms", sa.Double()),
)


def record(revision: str, predecessor: Any, duration_ms: float) -> None:
    """Append a revision, through the Alembic operation that is running (online or ``--sql``)."""
    offline = op.get_context().as_sql
    op.execute(
        sa.insert(_history).values(
            revision=revision,
            predecessor=sa.null() if predecessor is None else predecessor,
            checksum=scripts.checksum(revision),
            applied_by=sa.literal_column("current_user") if offline else _who(),
            package_version=__version__,
            duration_ms=sa.null() if offline else duration_ms,
        )
    )


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without an entry in /etc/passwd
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()} (pid {os.getpid()})"
