"""What agents claim, when they change their minds, and who turns out to be right."""

from __future__ import annotations

from aragora_db.rules.positions import Accuracy, Consistency
from aragora_db.stores.positions.inputs import NewPosition, NewStatement
from aragora_db.stores.positions.store import Detection, PositionStore

__all__ = ["Accuracy", "Consistency", "Detection", "NewPosition", "NewStatement", "PositionStore"]
