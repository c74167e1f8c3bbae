"""Prompts: versions, patterns, steps and weaknesses.

Revision: 20260304_prompt_evolution
Follows: 20260303_calibration_tracker
Created: 2026-11-24
"""

import sqlalchemy as sa
from alembic import op

from aragora_db.migrations import vocabulary as v
from aragora_db.migrations.forward_only import no_way_back as __getattr__  # noqa: F401 -- answers for `downgrade`

revision = "20260304_prompt_evolution"
down_revision = "20260303_calibration_tracker"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Prompts: versions, patterns, steps and weaknesses."""
    op.create_table(
        "prompt_versions",
        sa.Column("id", v.bigint(), sa.Identity(always=False), nullable=False),
        sa.Column("agent_name", v.text(), nullable=False),
        sa.Column("version", v.bigint(), nullable=False),
        sa.Column("prompt", v.text(), nullable=False),
        sa.Column("performance_score", v.double(), server_default=sa.text("0.0"), nullable=False),
        sa.Column("debates_count", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("consensus_rate", v.double(), server_default=sa.text("0.0"), nullable=False),
        sa.Column("metadata", v.json(), nullable=True),
        sa.Column("created_at", v.utc(), server_default=v.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prompt_versions")),
        sa.UniqueConstraint("agent_name", "version", name=op.f("uq_prompt_versions_agent_name_version")),
        v.sqlite_check("json", "metadata", name=op.f("ck_prompt_versions_metadata")),
        v.sqlite_check("utc", "created_at", name=op.f("ck_prompt_versions_created_at")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_table(
        "extracted_patterns",
        sa.Column("id", v.bigint(), sa.Identity(always=False), nullable=False),
        sa.Column("pattern_type", v.text(), nullable=False),
        sa.Column("pattern_text", v.text(), nullable=False),
        sa.Column("source_debate_id", v.text(), nullable=True),
        sa.Column("effectiveness_score", v.double(), server_default=sa.text("0.5"), nullable=False),
        sa.Column("usage_count", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", v.utc(), server_default=v.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_extracted_patterns")),
        v.sqlite_check("utc", "created_at", name=op.f("ck_extracted_patterns_created_at")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index(
        "ix_extracted_patterns_type",
        "extracted_patterns",
        ["pattern_type", sa.literal_column("effectiveness_score DESC"), "id"],
        unique=False,
    )
    op.create_table(
        "prompt_evolution_history",
        sa.Column("id", v.bigint(), sa.Identity(always=False), nullable=False),
        sa.Column("agent_name", v.text(), nullable=False),
        sa.Column("from_version", v.bigint(), nullable=True),
        sa.Column("to_version", v.bigint(), nullable=True),
        sa.Column("strategy", v.text(), nullable=True),
        sa.Column("patterns_applied", v.json(), nullable=True),
        sa.Column("created_at", v.utc(), server_default=v.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prompt_evolution_history")),
        v.sqlite_check("json", "patterns_applied", name=op.f("ck_prompt_evolution_history_patterns_applied")),
        v.sqlite_check("utc", "created_at", name=op.f("ck_prompt_evolution_history_created_at")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index(
        "ix_prompt_evolution_history_agent",
        "prompt_evolution_history",
        ["agent_name", sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_table(
        "vulnerability_patterns",
        sa.Column("id", v.bigint(), sa.Identity(always=False), nullable=False),
        sa.Column("agent_name", v.text(), nullable=False),
        sa.Column("vulnerability_type", v.text(), nullable=False),
        sa.Column("severity", v.text(), nullable=False),
        sa.Column("category", v.text(), nullable=False),
        sa.Column("trigger_prompt", v.text(), nullable=True),
        sa.Column("agent_response", v.text(), nullable=True),
        sa.Column("mitigation_strategy", v.text(), nullable=True),
        sa.Column("gauntlet_id", v.text(), nullable=True),
        sa.Column("occurrence_count", v.bigint(), server_default=sa.text("1"), nullable=False),
        sa.Column("last_seen", v.utc(), server_default=v.now(), nullable=False),
        sa.Column("created_at", v.utc(), server_default=v.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vulnerability_patterns")),
        v.sqlite_check("utc", "created_at", name=op.f("ck_vulnerability_patterns_created_at")),
        v.sqlite_check("utc", "last_seen", name=op.f("ck_vulnerability_patterns_last_seen")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index(
        "ix_vulnerability_patterns_agent",
        "vulnerability_patterns",
        ["agent_name", sa.literal_column("last_seen DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
