"""The critique store: patterns, their embeddings and archive, reputations.

Revision: 20260301_critique_store
Follows: 20260208_persona_window_replaces_index
Created: 2026-11-24
"""

import sqlalchemy as sa
from alembic import op

from aragora_db.migrations import vocabulary as v
from aragora_db.migrations.forward_only import no_way_back as __getattr__  # noqa: F401 -- answers for `downgrade`

revision = "20260301_critique_store"
down_revision = "20260208_persona_window_replaces_index"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The critique store: patterns, their embeddings and archive, reputations."""
    op.create_table(
        "critique_patterns",
        sa.Column("id", v.text(), nullable=False),
        sa.Column("issue_type", v.text(), nullable=False),
        sa.Column("issue_text", v.text(), nullable=False),
        sa.Column("suggestion_text", v.text(), nullable=True),
        sa.Column("success_count", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("failure_count", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("avg_severity", v.double(), server_default=sa.text("0.5"), nullable=False),
        sa.Column("surprise_score", v.double(), server_default=sa.text("0.0"), nullable=False),
        sa.Column("base_rate", v.double(), server_default=sa.text("0.5"), nullable=False),
        sa.Column("avg_prediction_error", v.double(), server_default=sa.text("0.0"), nullable=False),
        sa.Column("prediction_count", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("example_task", v.text(), nullable=True),
        sa.Column("created_at", v.utc(), server_default=v.now(), nullable=False),
        sa.Column("updated_at", v.utc(), server_default=v.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_critique_patterns")),
        v.sqlite_check("utc", "created_at", name=op.f("ck_critique_patterns_created_at")),
        v.sqlite_check("utc", "updated_at", name=op.f("ck_critique_patterns_updated_at")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_critique_patterns_success",
        "critique_patterns",
        [sa.literal_column("success_count DESC"), sa.literal_column("updated_at DESC"), "id"],
        unique=False,
    )
    op.create_index(
        "ix_critique_patterns_type_success",
        "critique_patterns",
        ["issue_type", sa.literal_column("success_count DESC"), "id"],
        unique=False,
    )
    op.create_table(
        "critique_pattern_embeddings",
        sa.Column("pattern_id", v.text(), nullable=False),
        sa.Column("embedding", v.vector(), nullable=True),
        sa.ForeignKeyConstraint(
            ["pattern_id"],
            ["critique_patterns.id"],
            name=op.f("fk_critique_pattern_embeddings_pattern_id_critique_patterns"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("pattern_id", name=op.f("pk_critique_pattern_embeddings")),
        sqlite_strict=True,
    )
    op.create_table(
        "critique_patterns_archive",
        sa.Column("archive_id", v.bigint(), sa.Identity(always=False), nullable=False),
        sa.Column("id", v.text(), nullable=False),
        sa.Column("issue_type", v.text(), nullable=True),
        sa.Column("issue_text", v.text(), nullable=True),
        sa.Column("suggestion_text", v.text(), nullable=True),
        sa.Column("success_count", v.bigint(), nullable=True),
        sa.Column("failure_count", v.bigint(), nullable=True),
        sa.Column("avg_severity", v.double(), nullable=True),
        sa.Column("surprise_score", v.double(), nullable=True),
        sa.Column("example_task", v.text(), nullable=True),
        sa.Column("created_at", v.utc(), nullable=True),
        sa.Column("updated_at", v.utc(), nullable=True),
        sa.Column("archived_at", v.utc(), server_default=v.now(), nullable=False),
        sa.PrimaryKeyConstraint("archive_id", name=op.f("pk_critique_patterns_archive")),
        v.sqlite_check("utc", "archived_at", name=op.f("ck_critique_patterns_archive_archived_at")),
        v.sqlite_check("utc", "created_at", name=op.f("ck_critique_patterns_archive_created_at")),
        v.sqlite_check("utc", "updated_at", name=op.f("ck_critique_patterns_archive_updated_at")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index(
        "ix_critique_patterns_archive_pattern",
        "critique_patterns_archive",
        ["id", sa.literal_column("archived_at DESC")],
        unique=False,
    )
    op.create_table(
        "agent_reputation",
        sa.Column("agent_name", v.text(), nullable=False),
        sa.Column("proposals_made", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("proposals_accepted", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("critiques_given", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("critiques_valuable", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("updated_at", v.utc(), server_default=v.now(), nullable=False),
        sa.Column("total_predictions", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("total_prediction_error", v.double(), server_default=sa.text("0.0"), nullable=False),
        sa.Column("calibration_score", v.double(), server_default=sa.text("0.5"), nullable=False),
        sa.PrimaryKeyConstraint("agent_name", name=op.f("pk_agent_reputation")),
        v.sqlite_check("utc", "updated_at", name=op.f("ck_agent_reputation_updated_at")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_agent_reputation_accepted",
        "agent_reputation",
        [sa.literal_column("proposals_accepted DESC"), "agent_name"],
        unique=False,
    )
