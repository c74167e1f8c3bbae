"""Insights by words."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from aragora_db.models import Insight
from aragora_db.sql.json_array import any_contains
from aragora_db.sql.text import contains
from aragora_db.stores import checks
from aragora_db.stores.insights.listing import NEWEST, first, newest_key
from aragora_db.stores.paging import Page

__all__ = ["Search"]


def _matches(text: str) -> ColumnElement[bool]:
    """The one place that says what is found."""
    insight: Any = Insight
    return sa.or_(
        contains(insight.title, text, ignore_case=True),
        contains(insight.description, text, ignore_case=True),
        any_contains(insight.agents_involved, text, ignore_case=True),
    )


class Search:
    """The part of `InsightStore` that searches."""

    session: Session

    def search(self, text: str, *, limit: int = 20, after: str | None = None) -> Page[Insight]:
        """Insights with this text in the title, the description or the name of an agent, newest first.

        A to Z equal a to z; every other character stands for itself, ``%`` and ``_`` too.

        Args:
            text: what to look for.
            limit: rows per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the text is blank, the limit out of range, or ``after`` no token of this listing.
        """
        statement = sa.select(Insight).where(_matches(checks.name("text", text)))
        return NEWEST.page(self.session, statement, limit=limit, after=after, read=first, key=newest_key)
