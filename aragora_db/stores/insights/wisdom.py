"""Advice that people submit to a loop; each piece is used once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db.errors import NotFoundError
from aragora_db.models import WisdomSubmission
from aragora_db.models.base import utcnow
from aragora_db.stores import checks
from aragora_db.stores.paging import Keyset, Page

__all__ = ["Wisdom"]

_NEWEST = Keyset(WisdomSubmission.created_at.desc(), WisdomSubmission.id.desc())
_CHANGED = {"populate_existing": True, "synchronize_session": False}


class Wisdom:
    """The part of `InsightStore` about submitted wisdom."""

    session: Session

    def submit_wisdom(
        self,
        loop_id: str,
        text: str,
        *,
        submitter_id: str = "anonymous",
        context_tags: Iterable[str] = (),
        now: datetime | None = None,
    ) -> WisdomSubmission:
        """Submit advice to a loop. Every call adds a piece.

        Args:
            loop_id: the loop.
            text: the advice.
            submitter_id: who gives it.
            context_tags: what it is about.
            now: when; the clock's time by default.

        Raises:
            InvalidValue: an argument is blank, or a tag is there twice.
        """
        submission = WisdomSubmission(
            loop_id=checks.name("loop_id", loop_id),
            text=checks.name("text", text),
            submitter_id=checks.name("submitter_id", submitter_id),
            context_tags=checks.names("context_tags", context_tags),
            used=False,
            created_at=now or utcnow(),
        )
        self.session.add(submission)
        self.session.flush()
        return submission

    def unused_wisdom(self, loop_id: str, *, limit: int = 100, after: str | None = None) -> Page[WisdomSubmission]:
        """A loop's unused advice, newest first.

        Args:
            loop_id: the loop.
            limit: rows per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the limit is out of range, or ``after`` is no token of this listing.
        """
        return _NEWEST.page(
            self.session,
            _unused(sa.select(WisdomSubmission), loop_id).execution_options(populate_existing=True),
            limit=limit,
            after=after,
        )

    def take_wisdom(self, loop_id: str) -> WisdomSubmission | None:
        """Take a loop's newest unused advice and mark it used; None when there is none.

        Nobody else takes the same piece. On PostgreSQL a piece that another transaction is taking is passed over, so
        takers do not wait for each other; if that one rolls back, the piece is there for the next call.
        """
        newest = (
            _unused(sa.select(WisdomSubmission.id), loop_id)
            .order_by(WisdomSubmission.created_at.desc(), WisdomSubmission.id.desc())
            .limit(1)
            .with_for_update(skip_locked=True)
            .scalar_subquery()
        )
        statement = sa.update(WisdomSubmission).where(WisdomSubmission.id == newest).values(used=True)
        return self.session.execute(
            statement.returning(WisdomSubmission), execution_options=_CHANGED
        ).scalar_one_or_none()

    def mark_wisdom_used(self, wisdom_id: int) -> bool:
        """Mark a piece of advice used.

        Returns:
            True for the one call that did; False when it was used before.

        Raises:
            NotFoundError: there is no such piece.
        """
        statement = (
            sa.update(WisdomSubmission)
            .where(WisdomSubmission.id == wisdom_id, WisdomSubmission.used.is_(False))
            .values(used=True)
            .returning(WisdomSubmission)
        )
        if self.session.execute(statement, execution_options=_CHANGED).scalar_one_or_none() is not None:
            return True
        if self.session.get(WisdomSubmission, wisdom_id, populate_existing=True) is None:
            raise NotFoundError(f"there is no wisdom {wisdom_id!r}; submit it with submit_wisdom first")
        return False


def _unused(statement: sa.Select[Any], loop_id: str) -> sa.Select[Any]:
    return statement.where(WisdomSubmission.loop_id == loop_id, WisdomSubmission.used.is_(False))
