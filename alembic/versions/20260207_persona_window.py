"""Read an agent's last actions in one domain through an index.

Built concurrently on PostgreSQL, so that actions can be recorded meanwhile; alone in its revision for that reason.

Revision: 20260207_persona_window
Follows: 20260206_debate_and_insight_keywords
Created: 2026-11-24
"""

import sqlalchemy as sa

from aragora_db.migrations import vocabulary as v
from aragora_db.migrations.forward_only import no_way_back as __getattr__  # noqa: F401 -- answers for `downgrade`

revision = "20260207_persona_window"
down_revision = "20260206_debate_and_insight_keywords"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Read an agent's last actions in one domain through an index."""
    newest = [sa.literal_column("created_at DESC"), sa.literal_column("id DESC")]
    v.create_index_concurrently(
        "ix_performance_history_window", "performance_history", ["agent_name", "domain", *newest]
    )
