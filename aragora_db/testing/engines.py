"""The engines that a test runs on, and a `Database` on each of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from aragora_db.database import Database
from aragora_db.errors import UsageError

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = ["ENGINES", "EngineCase", "EngineDatabase"]

T = TypeVar("T")


@dataclass(frozen=True)
class EngineCase:
    """A driver, and what its database can do. Tests ask for a capability, never for a dialect's name.

    Attributes:
        name: the driver, as in the test's id.
        dialect: ``sqlite`` or ``postgresql``.
        is_async: whether the driver is.
        row_locks: ``SELECT ... FOR UPDATE`` locks rows; elsewhere a writer locks the whole database.
        server: the database is another process, which can go away, time out and terminate connections.
    """

    name: str
    dialect: str
    is_async: bool
    row_locks: bool = False
    server: bool = False

    def __str__(self) -> str:
        return self.name


ENGINES = (
    EngineCase("pysqlite", "sqlite", is_async=False),
    EngineCase("aiosqlite", "sqlite", is_async=True),
    EngineCase("psycopg", "postgresql", is_async=False, row_locks=True, server=True),
    EngineCase("psycopg_async", "postgresql", is_async=True, row_locks=True, server=True),
)


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class EngineDatabase(Database):
    """A `Database` whose `run` goes through one driver, sync or async, so that a test is written once."""

    def __init__(self, url: str, case: EngineCase) -> None:
        super().__init__(url)
        self.case = case
        self._runner = asyncio.Runner() if case.is_async else None

    def run(self, work: Callable[[Session], T], **options: Any) -> T:
        """Run a unit of work through this engine; arguments as for `Database.transact`.

        Raises:
            UsageError: called from a running event loop, as in an ``async def`` test.
        """
        if self._runner is None:
            return self.transact(work, **options)
        if _in_event_loop():
            raise UsageError(
                "`database.run` blocks: an async def test takes `async_database`, see docs/guide/testing.md"
            )
        return self._runner.run(self.transact_async(work, **options))

    def end(self) -> None:
        """Close everything, in the event loop that opened it."""
        if self._runner is None:
            self.close()
        else:
            self._runner.run(self.aclose())
            self._runner.close()
