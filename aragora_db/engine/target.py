"""What an engine is made for: settings and the database they lead to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from aragora_db.config import Dsn, PoolerMode, Settings, detect_pooler
from aragora_db.config.resolve import resolve
from aragora_db.errors import ConfigurationError

__all__ = ["Target"]


@dataclass(frozen=True)
class Target:
    """One database and how to talk to it. Engines made from the same target share a database in memory.

    A pickled target forgets `where` and `renew`, and keeps the DSN that it was made with.
    """

    settings: Settings
    dsn: Dsn
    memory_name: str = field(default_factory=lambda: f"aragora_db-{uuid4().hex}")
    file: Path | None = None
    """The SQLite file, absolute: a later chdir() does not lead to another one."""

    where: Callable[[], Dsn] | None = field(default=None, repr=False, compare=False)
    """Asked for the DSN of each new connection, from any thread; what it raises leaves the last one in force."""

    renew: Callable[[], bool] | None = field(default=None, repr=False, compare=False)
    """Called after a refused login: has `where` ask its source again."""

    def __post_init__(self) -> None:
        """Settle the file's path."""
        if self.file is None and self.dsn.path is not None:
            object.__setattr__(self, "file", Path(self.dsn.path).absolute())

    def __getstate__(self) -> dict[str, Any]:
        """Without the two functions, which hold a connection to the secrets source."""
        return {**self.__dict__, "where": None, "renew": None}

    def __copy__(self) -> Target:
        """Itself: nothing in it changes."""
        return self

    def __deepcopy__(self, _memo: dict[int, Any]) -> Target:
        """Itself: nothing in it changes."""
        return self

    @classmethod
    def of(cls, settings: Settings | Target) -> Target:
        """The target itself, or that of settings."""
        return settings if isinstance(settings, Target) else cls(settings, resolve(settings))

    def with_settings(self, **changes: object) -> Target:
        """The same database under other settings."""
        return replace(self, settings=self.settings.model_copy(update=changes))

    @property
    def in_memory(self) -> bool:
        """Whether the database is gone with its last connection."""
        return self.dsn.backend == "sqlite" and self.dsn.path is None

    @property
    def rotates(self) -> bool:
        """Whether the password may be another one for the next connection."""
        return self.where is not None or self.settings.pg_iam_auth

    @property
    def missing_file(self) -> bool:
        """Whether this is a SQLite file that does not exist; connecting would make it."""
        try:
            return self.file is not None and not self.file.exists()
        except OSError as error:
            raise ConfigurationError(
                f"the SQLite file {self.file} cannot be looked at: {error.strerror}. Choose another one with "
                "ARAGORA_DATA_DIR or DATABASE_URL"
            ) from error

    @property
    def through_transaction_pooler(self) -> bool:
        """Whether each transaction may meet another server connection."""
        return detect_pooler(self.dsn, self.settings.pooler) is PoolerMode.TRANSACTION
