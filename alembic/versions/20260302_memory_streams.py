"""Memory streams and the schedule of reflections.

Revision: 20260302_memory_streams
Follows: 20260301_critique_store
Created: 2026-11-24
"""

import sqlalchemy as sa
from alembic import op

from aragora_db.migrations import vocabulary as v
from aragora_db.migrations.forward_only import no_way_back as __getattr__  # noqa: F401 -- answers for `downgrade`

revision = "20260302_memory_streams"
down_revision = "20260301_critique_store"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Memory streams and the schedule of reflections."""
    op.create_table(
        "agent_memories",
        sa.Column("id", v.text(), nullable=False),
        sa.Column("agent_name", v.text(), nullable=False),
        sa.Column("memory_type", v.text(), nullable=False),
        sa.Column("content", v.text(), nullable=False),
        sa.Column("importance", v.double(), server_default=sa.text("0.5"), nullable=False),
        sa.Column("debate_id", v.text(), nullable=True),
        sa.Column("metadata", v.json(), nullable=True),
        sa.Column("created_at", v.utc(), server_default=v.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agent_memories")),
        v.sqlite_check("json", "metadata", name=op.f("ck_agent_memories_metadata")),
        v.sqlite_check("utc", "created_at", name=op.f("ck_agent_memories_created_at")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_agent_memories_agent",
        "agent_memories",
        ["agent_name", sa.literal_column("created_at DESC"), "id"],
        unique=False,
    )
    op.create_index(
        "ix_agent_memories_agent_type",
        "agent_memories",
        ["agent_name", "memory_type", sa.literal_column("created_at DESC")],
        unique=False,
    )
    op.create_table(
        "reflection_schedule",
        sa.Column("agent_name", v.text(), nullable=False),
        sa.Column("last_reflection", v.utc(), nullable=True),
        sa.Column("memories_since_reflection", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("agent_name", name=op.f("pk_reflection_schedule")),
        v.sqlite_check("utc", "last_reflection", name=op.f("ck_reflection_schedule_last_reflection")),
        sqlite_strict=True,
    )
