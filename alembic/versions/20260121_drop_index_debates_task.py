"""Take the index on tasks back.

The compensating revision of the guide: a task is prose, and PostgreSQL refuses an index row over 2,704 bytes, so with
the index a long task could not be stored at all. Searching tasks needs a text index, not this one.

Revision: 20260121_drop_index_debates_task
Follows: 20260120_index_debates_task
Created: 2026-11-22
Reverses: 20260120_index_debates_task
"""

from alembic import op

from aragora_db.migrations.forward_only import no_way_back as __getattr__  # noqa: F401 -- answers for `downgrade`

revision = "20260121_drop_index_debates_task"
down_revision = "20260120_index_debates_task"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Take the index on tasks back."""
    op.drop_index("ix_debates_task", table_name="debates")
