"""What the parts of the store share: the session."""

from __future__ import annotations

from sqlalchemy.orm import Session

__all__ = ["Part"]


class Part:
    """A part of the store.

    Args:
        session: what every verb runs in; the caller commits.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
