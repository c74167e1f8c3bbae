"""What the parts of the store share: the session and the tenant."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db.errors import NotFoundError
from aragora_db.models import Debate
from aragora_db.stores import checks

__all__ = ["Part", "missing", "scope"]


class Part:
    """A part of the store.

    Args:
        session: what every verb runs in; the caller commits.
    """

    def __init__(self, session: Session) -> None:
        self._session = session


def scope(org_id: str | None) -> list[sa.ColumnElement[bool]]:
    """The condition of a tenant; none without one.

    Raises:
        InvalidValue: the organisation's name is blank.
    """
    return [] if org_id is None else [Debate.org_id == checks.key("org_id", org_id)]


def missing(what: Any) -> NotFoundError:
    """The error for a debate that is not there, or not for this tenant: nobody learns which."""
    return NotFoundError(f"there is no debate {what}")
