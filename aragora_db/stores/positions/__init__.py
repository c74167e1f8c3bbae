"""What agents claim, when they change their minds, and who turns out to be right."""

from __future__ import annotations

from sqlalchemy.orm import Session

from aragora_db.rules.positions import Accuracy, Consistency
from aragora_db.stores.positions.flips import Detection, Flips
from aragora_db.stores.positions.grounding import Grounding
from aragora_db.stores.positions.ledger import Ledger, NewPosition
from aragora_db.stores.positions.listing import Listing
from aragora_db.stores.positions.statements import Statements

__all__ = ["Accuracy", "Consistency", "Detection", "NewPosition", "PositionStore"]


class PositionStore(Ledger, Listing, Flips, Statements, Grounding):
    """What agents claim, and what became of it. Never commits; see `aragora_db.stores`.

    Args:
        session: the transaction everything happens in.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
