"""New revisions: ``aragora-db revision``."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from aragora_db.errors import UsageError
from aragora_db.migrations import scripts
from aragora_db.migrations.naming import revision_id
from aragora_db.migrations.upgrade import alembic_config, one_command

if TYPE_CHECKING:
    from aragora_db.engine import Target

__all__ = ["create_revision"]


def create_revision(target: Target, message: str, *, reverses: str | None = None, autogenerate: bool = False) -> Path:
    """Write a new revision after the newest one.

    Args:
        target: the database that ``autogenerate`` compares the models with; it must be at head.
        message: what the revision does; its slug becomes a part of the file's name.
        reverses: the revision that this one undoes, for its docstring.
        autogenerate: fill it with the differences between models and database.

    Returns:
        The new file.

    Raises:
        UsageError: no such revision to reverse, or the name would sort before the newest revision.
    """
    from alembic import command  # noqa: PLC0415 -- takes 160 ms, and most starts of the program do not need it

    if scripts.script_location().parent.name == "migrations":
        raise UsageError("this is an installed package, whose revisions an upgrade would replace: work in a checkout")
    if reverses is not None and reverses not in scripts.chain():
        raise UsageError(f"there is no revision {reverses} to reverse; the newest is {scripts.head()}")
    stem = revision_id(message)
    config = alembic_config(target, reverses=reverses)
    with one_command(), redirect_stdout(sys.stderr):  # Alembic prints its progress; stdout is for the path
        command.revision(config, message, autogenerate=autogenerate, rev_id=stem)
    scripts.chain.cache_clear()
    return scripts.script_location() / "versions" / f"{stem}.py"
