"""Who holds which lock: the number that the database compares before it takes a holder's write."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from aragora_db.models.base import Base, CreatedAt, key

__all__ = ["FencingToken"]


class FencingToken(Base):
    """The newest holder of a lock. `token` grows by one with every holder; a smaller one belongs to an expired one."""

    __tablename__ = "fencing_tokens"

    name: Mapped[key] = mapped_column(primary_key=True)
    token: Mapped[int]
    holder: Mapped[str]
    acquired_at: Mapped[CreatedAt]

    __table_args__ = (sa.CheckConstraint("token >= 1", name="token_positive"),)
