"""The memory continuum.

Revision: 20260105_continuum
Follows: 20260103_calibration
Created: 2026-11-22
"""

import sqlalchemy as sa
from alembic import op

from aragora_db.migrations import vocabulary as v
from aragora_db.migrations.forward_only import no_way_back as __getattr__  # noqa: F401 -- answers for `downgrade`

revision = "20260105_continuum"
down_revision = "20260103_calibration"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The memory continuum."""
    op.create_table(
        "continuum_memory",
        sa.Column("id", v.text(), nullable=False),
        sa.Column("tier", v.text(), server_default=sa.text("'slow'"), nullable=False),
        sa.Column("content", v.text(), nullable=False),
        sa.Column("importance", v.double(), server_default=sa.text("0.5"), nullable=False),
        sa.Column("surprise_score", v.double(), server_default=sa.text("0.0"), nullable=False),
        sa.Column("consolidation_score", v.double(), server_default=sa.text("0.0"), nullable=False),
        sa.Column("update_count", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("success_count", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("failure_count", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("semantic_centroid", v.blob(), nullable=True),
        sa.Column("last_promotion_at", v.utc(), nullable=True),
        sa.Column("created_at", v.utc(), server_default=v.now(), nullable=False),
        sa.Column("updated_at", v.utc(), server_default=v.now(), nullable=False),
        sa.Column("metadata", v.json(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("expires_at", v.utc(), nullable=True),
        sa.Column("red_line", v.boolean(), server_default=sa.false(), nullable=False),
        sa.Column("red_line_reason", v.text(), server_default=sa.text("''"), nullable=False),
        sa.CheckConstraint("tier IN ('fast', 'medium', 'slow', 'glacial')", name=op.f("ck_continuum_memory_tier")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_continuum_memory")),
        v.sqlite_check("boolean", "red_line", name=op.f("ck_continuum_memory_red_line")),
        v.sqlite_check("json", "metadata", name=op.f("ck_continuum_memory_metadata")),
        v.sqlite_check("utc", "created_at", name=op.f("ck_continuum_memory_created_at")),
        v.sqlite_check("utc", "expires_at", name=op.f("ck_continuum_memory_expires_at")),
        v.sqlite_check("utc", "last_promotion_at", name=op.f("ck_continuum_memory_last_promotion_at")),
        v.sqlite_check("utc", "updated_at", name=op.f("ck_continuum_memory_updated_at")),
        sqlite_strict=True,
    )
    op.create_index("ix_continuum_memory_created_at", "continuum_memory", ["created_at", "id"], unique=False)
    op.create_index(
        "ix_continuum_memory_expires_at",
        "continuum_memory",
        ["expires_at"],
        unique=False,
        sqlite_where=sa.text("expires_at IS NOT NULL"),
        postgresql_where=sa.text("expires_at IS NOT NULL"),
    )
    op.create_index(
        "ix_continuum_memory_importance", "continuum_memory", [sa.literal_column("importance DESC"), "id"], unique=False
    )
    op.create_index(
        "ix_continuum_memory_red_line",
        "continuum_memory",
        [sa.literal_column("updated_at DESC"), "id"],
        unique=False,
        sqlite_where=sa.text("red_line"),
        postgresql_where=sa.text("red_line"),
    )
    op.create_index(
        "ix_continuum_memory_surprise",
        "continuum_memory",
        [sa.literal_column("surprise_score DESC"), "id"],
        unique=False,
    )
    op.create_index("ix_continuum_memory_tenant", "continuum_memory", [v.json_string("metadata", "tenant_id")])
    op.create_index(
        "ix_continuum_memory_tier_importance",
        "continuum_memory",
        ["tier", sa.literal_column("importance DESC"), "id"],
        unique=False,
    )
    op.create_index(
        "ix_continuum_memory_tier_surprise",
        "continuum_memory",
        ["tier", sa.literal_column("surprise_score DESC"), "id"],
        unique=False,
    )
    op.create_index(
        "ix_continuum_memory_tier_updated_at", "continuum_memory", ["tier", "updated_at", "id"], unique=False
    )
    op.create_table(
        "continuum_memory_archive",
        sa.Column("archive_id", v.bigint(), sa.Identity(always=False), nullable=False),
        sa.Column("id", v.text(), nullable=False),
        sa.Column("tier", v.text(), nullable=False),
        sa.Column("content", v.text(), nullable=False),
        sa.Column("importance", v.double(), nullable=True),
        sa.Column("surprise_score", v.double(), nullable=True),
        sa.Column("consolidation_score", v.double(), nullable=True),
        sa.Column("update_count", v.bigint(), nullable=True),
        sa.Column("success_count", v.bigint(), nullable=True),
        sa.Column("failure_count", v.bigint(), nullable=True),
        sa.Column("semantic_centroid", v.blob(), nullable=True),
        sa.Column("created_at", v.utc(), nullable=True),
        sa.Column("updated_at", v.utc(), nullable=True),
        sa.Column("archived_at", v.utc(), server_default=v.now(), nullable=False),
        sa.Column("archive_reason", v.text(), nullable=True),
        sa.Column("metadata", v.json(), nullable=True),
        sa.Column("last_promotion_at", v.utc(), nullable=True),
        sa.Column("expires_at", v.utc(), nullable=True),
        sa.Column("red_line", v.boolean(), nullable=True),
        sa.Column("red_line_reason", v.text(), nullable=True),
        sa.CheckConstraint(
            "tier IN ('fast', 'medium', 'slow', 'glacial')", name=op.f("ck_continuum_memory_archive_tier")
        ),
        sa.PrimaryKeyConstraint("archive_id", name=op.f("pk_continuum_memory_archive")),
        v.sqlite_check("boolean", "red_line", name=op.f("ck_continuum_memory_archive_red_line")),
        v.sqlite_check("json", "metadata", name=op.f("ck_continuum_memory_archive_metadata")),
        v.sqlite_check("utc", "archived_at", name=op.f("ck_continuum_memory_archive_archived_at")),
        v.sqlite_check("utc", "created_at", name=op.f("ck_continuum_memory_archive_created_at")),
        v.sqlite_check("utc", "expires_at", name=op.f("ck_continuum_memory_archive_expires_at")),
        v.sqlite_check("utc", "last_promotion_at", name=op.f("ck_continuum_memory_archive_last_promotion_at")),
        v.sqlite_check("utc", "updated_at", name=op.f("ck_continuum_memory_archive_updated_at")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index(
        "ix_continuum_memory_archive_archived_at", "continuum_memory_archive", ["archived_at"], unique=False
    )
    op.create_index(
        "ix_continuum_memory_archive_memory",
        "continuum_memory_archive",
        ["id", sa.literal_column("archived_at DESC")],
        unique=False,
    )
    op.create_index(
        "ix_continuum_memory_archive_tier", "continuum_memory_archive", ["tier", "archived_at"], unique=False
    )
    op.create_table(
        "meta_learning_state",
        sa.Column("id", v.bigint(), sa.Identity(always=False), nullable=False),
        sa.Column("hyperparams", v.json(), nullable=False),
        sa.Column("learning_efficiency", v.double(), nullable=True),
        sa.Column("pattern_retention_rate", v.double(), nullable=True),
        sa.Column("forgetting_rate", v.double(), nullable=True),
        sa.Column("cycles_evaluated", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", v.utc(), server_default=v.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_meta_learning_state")),
        v.sqlite_check("json", "hyperparams", name=op.f("ck_meta_learning_state_hyperparams")),
        v.sqlite_check("utc", "created_at", name=op.f("ck_meta_learning_state_created_at")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index(
        "ix_meta_learning_state_created_at",
        "meta_learning_state",
        [sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_table(
        "tier_transitions",
        sa.Column("id", v.bigint(), sa.Identity(always=False), nullable=False),
        sa.Column("memory_id", v.text(), nullable=False),
        sa.Column("from_tier", v.text(), nullable=False),
        sa.Column("to_tier", v.text(), nullable=False),
        sa.Column("reason", v.text(), nullable=True),
        sa.Column("surprise_score", v.double(), nullable=True),
        sa.Column("created_at", v.utc(), server_default=v.now(), nullable=False),
        sa.CheckConstraint(
            "from_tier IN ('fast', 'medium', 'slow', 'glacial')", name=op.f("ck_tier_transitions_from_tier")
        ),
        sa.CheckConstraint(
            "to_tier IN ('fast', 'medium', 'slow', 'glacial')", name=op.f("ck_tier_transitions_to_tier")
        ),
        sa.ForeignKeyConstraint(
            ["memory_id"],
            ["continuum_memory.id"],
            name=op.f("fk_tier_transitions_memory_id_continuum_memory"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tier_transitions")),
        v.sqlite_check("utc", "created_at", name=op.f("ck_tier_transitions_created_at")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index("ix_tier_transitions_created_at", "tier_transitions", ["created_at"], unique=False)
    op.create_index(
        "ix_tier_transitions_memory",
        "tier_transitions",
        ["memory_id", sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
