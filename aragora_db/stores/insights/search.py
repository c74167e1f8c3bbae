"""Insights by words."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db.models import Insight, InsightKeywords
from aragora_db.search.keywords import with_words
from aragora_db.stores import checks
from aragora_db.stores.insights.listing import NEWEST
from aragora_db.stores.paging import Page

__all__ = ["Search"]


class Search:
    """The part of `InsightStore` that searches."""

    session: Session

    def search(self, text: str, *, limit: int = 20, after: str | None = None) -> Page[Insight]:
        """Insights with all of these words in title, description or the names of agents, newest first.

        Case does not count in any script; ``rat*`` as the last word finds words that begin so. Aragora looked for the
        text inside words too, in every row; see ``docs/decisions/0017-keyword-search.md``.

        Args:
            text: what to look for.
            limit: rows per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the text is blank, the limit out of range, or ``after`` no token of this listing.
        """
        words = [checks.name("text", text)]
        statement = with_words(self.session, sa.select(Insight), Insight.id, InsightKeywords, words)
        return NEWEST.page(self.session, statement, limit=limit, after=after)
