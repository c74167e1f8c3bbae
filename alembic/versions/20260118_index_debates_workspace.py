"""List the debates of a workspace through an index.

Built concurrently on PostgreSQL, so that debates can be written meanwhile; alone in its revision for that reason.

Revision: 20260118_index_debates_workspace
Follows: 20260116_backfill_workspace_id
Created: 2026-11-22
"""

import sqlalchemy as sa

from aragora_db.migrations import vocabulary as v
from aragora_db.migrations.forward_only import no_way_back as __getattr__  # noqa: F401 -- answers for `downgrade`

revision = "20260118_index_debates_workspace"
down_revision = "20260116_backfill_workspace_id"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """List the debates of a workspace through an index."""
    newest = [sa.literal_column("created_at DESC"), sa.literal_column("id DESC")]
    v.create_index_concurrently("ix_debates_workspace", "debates", ["workspace_id", *newest])
