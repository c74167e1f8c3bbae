"""What can be learned from debates: insights, performances, patterns, usage and submitted wisdom."""

from __future__ import annotations

from sqlalchemy.orm import Session

from aragora_db.rules.insights import InsightType
from aragora_db.stores.insights.agents import Agents, AgentStats
from aragora_db.stores.insights.listing import Listing
from aragora_db.stores.insights.news import NewInsight, NewPattern, NewPerformance, NewSummary
from aragora_db.stores.insights.recording import Recording
from aragora_db.stores.insights.search import Search
from aragora_db.stores.insights.usage import Usage, UsageStats
from aragora_db.stores.insights.wisdom import Wisdom

__all__ = [
    "AgentStats",
    "InsightStore",
    "InsightType",
    "NewInsight",
    "NewPattern",
    "NewPerformance",
    "NewSummary",
    "UsageStats",
]


class InsightStore(Recording, Listing, Search, Agents, Usage, Wisdom):
    """What can be learned from debates. Never commits; see `aragora_db.stores`.

    Args:
        session: the transaction everything happens in.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
