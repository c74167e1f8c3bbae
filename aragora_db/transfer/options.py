"""The options of an import, and its progress protocol."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import Literal, Protocol, cast
from zoneinfo import ZoneInfo

from tzlocal import get_localzone, get_localzone_name

from aragora_db.errors import ConfigurationError

__all__ = ["NoProgress", "Options", "Progress", "resolve_timezone"]


class Progress(Protocol):
    """Receives the progress of an import. Called from several threads."""

    def start(self, name: str, rows: int) -> None:
        """A table of so many rows begins."""
        ...

    def advance(self, name: str, rows: int) -> None:
        """So many more of its rows are read and written."""
        ...

    def finish(self, name: str, outcome: str) -> None:
        """The table is done: committed, skipped, or failed."""
        ...


class NoProgress:
    """Ignores progress."""

    def start(self, name: str, rows: int) -> None:
        """Nothing."""

    def advance(self, name: str, rows: int) -> None:
        """Nothing."""

    def finish(self, name: str, outcome: str) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Options:
    """How to import.

    Attributes:
        source_dir: the folder with Aragora's SQLite files; subfolders count.
        databases: names of files to import, with or without ``.db``; all of them when empty.
        timezone: the zone whose local time naive timestamps with a ``T`` are; None is this machine's.
        orphans: ``park`` keeps rows without a parent in ``legacy_rows`` until one comes, ``reject`` refuses them.
        strict: refuse to start when any row would be rejected.
        dry_run: do everything and change nothing.
        verify_only: look up what an earlier run imported, and change nothing.
        jobs: how many tables are written at the same time.
        archive: where files go that are proven to be in the target.
        output_dir: where the rejects file and, without `archive`, the report are written.
        lock_timeout: seconds to wait for another import.
        stop: set by another thread to end the import cleanly.
    """

    source_dir: Path
    databases: tuple[str, ...] = ()
    timezone: str | None = None
    orphans: Literal["park", "reject"] = "park"
    strict: bool = False
    dry_run: bool = False
    verify_only: bool = False
    jobs: int = 2
    archive: Path | None = None
    output_dir: Path = field(default_factory=Path)
    lock_timeout: float = 10.0
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        """Take folders by name as well."""
        for name in ("source_dir", "archive", "output_dir"):
            value: Path | str | None = getattr(self, name)
            object.__setattr__(self, name, value if value is None else Path(value))


def resolve_timezone(name: str | None) -> tuple[str, tzinfo]:
    """Return a time zone and its name; this machine's for None.

    Raises:
        ConfigurationError: there is no such zone, or the machine does not say which one it is in.
    """
    try:
        if name is not None:
            return name, ZoneInfo(name)
        own = cast("str | None", get_localzone_name())  # None, against its annotation, for a zone without a name
        if own is not None:
            return own, get_localzone()
    except (OSError, ValueError, LookupError):
        pass
    what = f"there is no time zone {name!r}" if name else "this machine does not say in which time zone it is"
    raise ConfigurationError(f"{what}; name one as in --source-timezone Europe/Berlin, or UTC")
