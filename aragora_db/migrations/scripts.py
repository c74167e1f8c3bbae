"""The revision files: where they are, their order and their checksums. Reads files only, without Alembic."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from aragora_db.errors import MigrationError

__all__ = ["RELEASED", "chain", "checksum", "head", "released", "script_location"]


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
