"""Personas and their performance.

Revision: 20260107_personas
Follows: 20260106_consensus
Created: 2026-11-22
"""

import sqlalchemy as sa
from alembic import op

from aragora_db.migrations import vocabulary as v
from aragora_db.migrations.forward_only import no_way_back as __getattr__  # noqa: F401 -- answers for `downgrade`

revision = "20260107_personas"
down_revision = "20260106_consensus"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Personas and their performance."""
    op.create_table(
        "performance_history",
        sa.Column("id", v.bigint(), sa.Identity(always=False), nullable=False),
        sa.Column("agent_name", v.text(), nullable=False),
        sa.Column("debate_id", v.text(), nullable=True),
        sa.Column("domain", v.text(), nullable=True),
        sa.Column("action", v.text(), nullable=True),
        sa.Column("success", v.boolean(), nullable=True),
        sa.Column("created_at", v.utc(), server_default=v.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_performance_history")),
        v.sqlite_check("boolean", "success", name=op.f("ck_performance_history_success")),
        v.sqlite_check("utc", "created_at", name=op.f("ck_performance_history_created_at")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index(
        "ix_performance_history_agent",
        "performance_history",
        ["agent_name", sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_index(
        "ix_performance_history_agent_domain", "performance_history", ["agent_name", "domain"], unique=False
    )
    op.create_index(
        "ix_performance_history_domain",
        "performance_history",
        ["domain", sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_table(
        "personas",
        sa.Column("agent_name", v.text(), nullable=False),
        sa.Column("description", v.text(), nullable=True),
        sa.Column("traits", v.json(), nullable=True),
        sa.Column("expertise", v.json(), nullable=True),
        sa.Column("created_at", v.utc(), server_default=v.now(), nullable=False),
        sa.Column("updated_at", v.utc(), server_default=v.now(), nullable=False),
        sa.PrimaryKeyConstraint("agent_name", name=op.f("pk_personas")),
        v.sqlite_check("json", "expertise", name=op.f("ck_personas_expertise")),
        v.sqlite_check("json", "traits", name=op.f("ck_personas_traits")),
        v.sqlite_check("utc", "created_at", name=op.f("ck_personas_created_at")),
        v.sqlite_check("utc", "updated_at", name=op.f("ck_personas_updated_at")),
        sqlite_strict=True,
    )
