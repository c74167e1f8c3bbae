"""What can be learned from debates: insights, performances, patterns, usage and submitted wisdom."""

from __future__ import annotations

from aragora_db.rules.insights import InsightType
from aragora_db.stores.insights.inputs import NewInsight, NewPattern, NewPerformance, NewSummary
from aragora_db.stores.insights.store import AgentStats, InsightStore, UsageStats

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
