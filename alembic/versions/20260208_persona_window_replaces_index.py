"""Drop the index of an agent's actions in one domain that had no order: the newer one serves the same.

Revision: 20260208_persona_window_replaces_index
Follows: 20260207_persona_window
Created: 2026-11-24
"""

from alembic import op

from aragora_db.migrations.forward_only import no_way_back as __getattr__  # noqa: F401 -- answers for `downgrade`

revision = "20260208_persona_window_replaces_index"
down_revision = "20260207_persona_window"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Drop the index of an agent's actions in one domain that had no order: the newer one serves the same."""
    op.drop_index("ix_performance_history_agent_domain", table_name="performance_history")
