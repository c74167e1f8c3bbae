"""`Store`, the base of every store: session, rules, tenant, one clock, and rows found, locked and paged alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, ClassVar, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db.engine.write_tracking import track_session
from aragora_db.errors import InvalidValue, UsageError
from aragora_db.models import SchemaHistory
from aragora_db.models.base import Base
from aragora_db.rules.installation import DEFAULT_RULES, Rules
from aragora_db.search import index  # noqa: F401 -- its listeners write the words # pyright: ignore[reportUnusedImport]
from aragora_db.stores import checks
from aragora_db.stores.paging import MAX_LIMIT, Keyset, Page

__all__ = ["UNSET", "Store", "Unset"]

M = TypeVar("M", bound=Base)
T = TypeVar("T")


class Unset(Enum):
    """The type of `UNSET`, the default of an argument for which None is a value."""

    UNSET = "UNSET"


UNSET: Final = Unset.UNSET
"""An argument that the caller left out: the column keeps its value."""

# A store's answer is what the database holds now, not what the session read earlier in its transaction.
_FRESH: dict[str, Any] = {"populate_existing": True}


class Store:
    """What Aragora does with the tables of one domain, in the caller's transaction.

    A store opens no connection, commits nothing and reads no environment; the caller commits.

    Args:
        session: a session on a migrated database.
        rules: the installation's own constants; None means Aragora's.
        org_id: confines every verb to the rows of this organisation; None means no confinement.

    Raises:
        UsageError: the session is bound to no engine, or to one of another driver than ours; or ``org_id`` was given
            to a store whose tables have no such column.
        InvalidValue: ``org_id`` is blank.
    """

    has_tenants: ClassVar[bool] = False
    """Whether the store's tables say which organisation a row belongs to."""

    def __init__(self, session: Session, *, rules: Rules | None = None, org_id: str | None = None) -> None:
        if org_id is not None and not self.has_tenants:
            raise UsageError(f"the tables of {type(self).__name__} have no org_id; make the store without it")
        track_session(session, sa.inspect(SchemaHistory), Base.metadata.tables)
        self.session = session
        self.rules = DEFAULT_RULES if rules is None else rules
        self.org_id = None if org_id is None else checks.key("org_id", org_id)

    def _get(self, model: type[M], key: Any) -> M | None:
        """Return the row with this primary key as it is now, or None; None is no row's key."""
        if key is None:
            return None
        return self.session.get(model, key, populate_existing=True)

    def _get_many(self, model: type[M], argument: str, keys: Iterable[Any], *where: Any) -> dict[Any, M]:
        """Return rows by a primary key of one column, in the order asked for; missing ones are left out.

        Args:
            model: the table.
            argument: the caller's name of `keys`, for errors.
            keys: at most `MAX_LIMIT`; repeated ones count once.
            where: further conditions, such as the tenant's.

        Raises:
            InvalidValue: too many keys, or one text instead of several keys.
        """
        wanted = _distinct(argument, keys)
        (column,) = sa.inspect(model).primary_key
        statement = sa.select(column, model).where(column.in_(wanted), *where)
        found = {row[0]: row[1] for row in self.session.execute(statement, execution_options=_FRESH)}
        return {key: found[key] for key in wanted if key in found}

    def _lock(
        self, model: type[M], keys: Iterable[Any], *where: Any, read: bool = False, key_share: bool = False
    ) -> dict[Any, M]:
        """Lock rows by a primary key of one column until the transaction ends, in key order, and return them by key.

        Every store locks in key order, so that two transactions that need the same rows cannot deadlock.

        Args:
            model: the table.
            keys: the rows; those that do not exist are left out.
            where: further conditions, such as the tenant's.
            read: FOR SHARE instead of FOR UPDATE.
            key_share: FOR NO KEY UPDATE, or with `read` FOR KEY SHARE, so that rows with a foreign key to these can
                be added meanwhile.
        """
        (column,) = sa.inspect(model).primary_key
        statement = sa.select(column, model).where(column.in_(set(keys)), *where).order_by(column)
        statement = statement.with_for_update(read=read, key_share=key_share)
        return {row[0]: row[1] for row in self.session.execute(statement, execution_options=_FRESH)}

    def _page(
        self,
        order: Keyset,
        statement: Any,
        *,
        limit: int,
        after: str | None,
        read: Callable[[Any], T] | None = None,
        key: Callable[[T], Sequence[Any]] | None = None,
    ) -> Page[T]:
        """Run a statement for one page; see `Keyset.page`."""
        return order.page(self.session, statement, limit=limit, after=after, read=read, key=key)

    def _now(self, now: datetime | None, argument: str = "now") -> datetime:
        """Return the time given, checked, or the clock's when it is None."""
        return checks.clock(argument, now)


def _distinct(argument: str, keys: Iterable[Any]) -> tuple[Any, ...]:
    if isinstance(keys, str):
        raise InvalidValue(f"{argument} is one text; pass a list")
    wanted = tuple(dict.fromkeys(keys))
    if len(wanted) > MAX_LIMIT:
        raise InvalidValue(f"{argument} holds {len(wanted)} keys; ask for at most {MAX_LIMIT} at a time")
    return wanted
