"""Add a workspace to debates.

NULL until `20260116_backfill_workspace_id`, and for debates of no organisation after it: adding a nullable column
rewrites no table.

Revision: 20260115_add_workspace_id
Follows: 20260112_debates
Created: 2026-11-22
"""

import sqlalchemy as sa
from alembic import op

from aragora_db.migrations import vocabulary as v
from aragora_db.migrations.forward_only import no_way_back as __getattr__  # noqa: F401 -- answers for `downgrade`

revision = "20260115_add_workspace_id"
down_revision = "20260112_debates"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a workspace to debates."""
    op.add_column("debates", sa.Column("workspace_id", v.text(), nullable=True))
