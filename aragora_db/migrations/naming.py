"""Revision ids: the date and a slug, which is also the file's name, so that files sort in the order they apply."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from aragora_db.errors import UsageError
from aragora_db.migrations import scripts

__all__ = ["name_by_date", "revision_id"]


def revision_id(message: str) -> str:
    """``YYYYMMDD_slug`` of today and the message.

    Raises:
        UsageError: the message gives no slug, or the file would sort before the newest revision.
    """
    slug = re.sub(r"[^a-z0-9]+", "_", message.lower()).strip("_")[:60].rstrip("_")
    if not slug:
        raise UsageError("a revision needs a message with a letter or a digit in it: aragora-db revision -m TEXT")
    return _in_order(f"{datetime.now(UTC):%Y%m%d}_{slug}")


def _in_order(stem: str) -> str:
    if scripts.chain() and stem <= scripts.head():
        raise UsageError(
            f"{stem} would sort before the newest revision, {scripts.head()}: choose a message that comes later in "
            "the alphabet"
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
