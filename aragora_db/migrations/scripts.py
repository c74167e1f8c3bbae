"""The revision files: their folder, order, checksums and names. Reads files only, without Alembic.

A revision id is the date and a slug. It is also the file's name, so that files sort in the order they apply.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from aragora_db.errors import MigrationError, UsageError

__all__ = ["RELEASED", "chain", "checksum", "head", "name_by_date", "released", "revision_id", "script_location"]


@lru_cache(maxsize=1)
def script_location() -> Path:
    """The folder with ``env.py`` and ``versions/``: inside the installed package, or at the top of the checkout.

    Raises:
        MigrationError: there is neither.
    """
    here = Path(__file__).resolve().parent
    for folder in (here / "alembic", here.parent.parent / "alembic"):
        if (folder / "versions").is_dir():
            return folder
    raise MigrationError("the revision files are missing from this installation: reinstall aragora_db")


@lru_cache(maxsize=1)
def chain() -> tuple[str, ...]:
    """Every revision id, oldest first: file names sort in chain order, and a file's stem is its revision id."""
    return tuple(sorted(path.stem for path in (script_location() / "versions").glob("*.py")))


def head() -> str:
    """The newest revision."""
    return chain()[-1]


RELEASED = "released.sha256"
"""Beside ``versions/``: the checksums of released revisions, as ``sha256sum`` prints them. Only ever appended to."""


def released() -> dict[str, str]:
    """Released revisions with their checksums."""
    lines = (script_location() / RELEASED).read_text().splitlines()
    return {Path(name).stem: checksum for checksum, name in (line.split() for line in lines)}


@lru_cache(maxsize=256)
def checksum(revision: str) -> str:
    """SHA-256 of a revision's file, with line ends made the same so that a checkout on Windows agrees."""
    content = (script_location() / "versions" / f"{revision}.py").read_bytes()
    return hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()


def revision_id(message: str) -> str:
    """Return ``YYYYMMDD_slug`` for today and a message.

    Raises:
        UsageError: the message gives no slug, or the file would sort before the newest revision.
    """
    slug = re.sub(r"[^a-z0-9]+", "_", message.lower()).strip("_")[:60].rstrip("_")
    if not slug:
        raise UsageError("a revision needs a message with a letter or a digit in it: aragora-db revision -m TEXT")
    return _in_order(f"{datetime.now(UTC):%Y%m%d}_{slug}")


def _in_order(stem: str) -> str:
    if chain() and stem <= head():
        raise UsageError(
            f"{stem} would sort before the newest revision, {head()}: choose a message that comes later in the alphabet"
        )
    return stem


def name_by_date(_context: Any, _revision: Any, directives: Iterable[Any]) -> None:
    """Alembic's ``process_revision_directives``: the same ids for ``alembic revision -m TEXT``."""
    for directive in directives:
        if directive.message is None:  # `alembic check`, which writes no file, or `alembic revision` without -m
            directive.rev_id = f"{datetime.now(UTC):%Y%m%d}_unnamed"
            continue
        given = re.match(r"\d{8}_", directive.rev_id or "")
        directive.rev_id = _in_order(directive.rev_id) if given else revision_id(directive.message or "")
