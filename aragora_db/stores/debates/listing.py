"""Debates in order: the newest, those of a tenant, and those about something."""

from __future__ import annotations

from typing import Any, NamedTuple

import sqlalchemy as sa

from aragora_db.models import Debate, DebateKeywords
from aragora_db.search.keywords import with_words
from aragora_db.stores import checks
from aragora_db.stores.debates.base import Part, scope
from aragora_db.stores.paging import Keyset, Page

__all__ = ["DebateStats", "Listing"]

_NEWEST = Keyset(Debate.created_at.desc(), Debate.id.desc())


class DebateStats(NamedTuple):
    """Debates in figures; `agreed` counts those that reached consensus."""

    debates: int
    public: int
    agreed: int
    views: int


class Listing(Part):
    """Lists and searches."""

    def list(
        self,
        *,
        org_id: str | None = None,
        workspace_id: str | None = None,
        is_public: bool | None = None,
        limit: int = 50,
        after: str | None = None,
    ) -> Page[Debate]:
        """Debates, newest first.

        Args:
            org_id: only those of this tenant.
            workspace_id: only those of this workspace.
            is_public: only those that are public, or are known not to be.
            limit: debates per page.
            after: the token of the page before.

        Raises:
            InvalidValue: an argument out of range.
        """
        which: list[Any] = scope(org_id)
        if workspace_id is not None:
            which.append(Debate.workspace_id == checks.key("workspace_id", workspace_id))
        if is_public is not None:
            which.append(Debate.is_public.is_(sa.true() if is_public else sa.false()))
        return _NEWEST.page(self._session, sa.select(Debate).where(*which), limit=limit, after=after)

    def search(
        self, text: str, *, org_id: str | None = None, limit: int = 50, after: str | None = None
    ) -> Page[Debate]:
        """Debates whose task has all of these words, newest first; ``rat*`` as the last finds words that begin so.

        Case does not count in any script, see `aragora_db.search.keywords.matches`. No word at all finds nothing.

        Raises:
            InvalidValue: an argument out of range.
        """
        rows = with_words(self._session, sa.select(Debate), Debate.id, DebateKeywords, [text])
        return _NEWEST.page(self._session, rows.where(*scope(org_id)), limit=limit, after=after)

    def stats(self, *, org_id: str | None = None) -> DebateStats:
        """Debates in figures, in one statement; reads all of the tenant's."""

        def how_many(condition: Any) -> Any:
            return sa.func.coalesce(sa.func.sum(sa.case((condition, 1), else_=0)), 0)

        row = self._session.execute(
            sa.select(
                sa.func.count(),
                how_many(Debate.is_public.is_(sa.true())),
                how_many(Debate.consensus_reached.is_(sa.true())),
                sa.func.coalesce(sa.func.sum(Debate.view_count), 0),
            ).where(*scope(org_id))
        ).one()
        return DebateStats(*(int(each) for each in row))
