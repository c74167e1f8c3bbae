"""Look debates up by task, as Aragora's SQLite file does.

A mistake, kept because a released revision is never edited; `20260121_drop_index_debates_task` reverses it and says why.

Revision: 20260120_index_debates_task
Follows: 20260118_index_debates_workspace
Created: 2026-11-22
"""

from alembic import op

from aragora_db.migrations.forward_only import no_way_back as __getattr__  # noqa: F401 -- answers for `downgrade`

revision = "20260120_index_debates_task"
down_revision = "20260118_index_debates_workspace"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Look debates up by task, as Aragora's SQLite file does."""
    op.create_index("ix_debates_task", "debates", ["task"])
