"""Debates, their results and critiques.

Revision: 20260112_debates
Follows: 20260111_genesis
Created: 2026-11-22
"""

import sqlalchemy as sa
from alembic import op

from aragora_db.migrations import vocabulary as v
from aragora_db.migrations.forward_only import no_way_back as __getattr__  # noqa: F401 -- answers for `downgrade`

revision = "20260112_debates"
down_revision = "20260111_genesis"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Debates, their results and critiques."""
    op.create_table(
        "debate_results",
        sa.Column("id", v.text(), nullable=False),
        sa.Column("task", v.text(), nullable=False),
        sa.Column("final_answer", v.text(), nullable=True),
        sa.Column("consensus_reached", v.boolean(), nullable=True),
        sa.Column("confidence", v.double(), nullable=True),
        sa.Column("rounds_used", v.bigint(), nullable=True),
        sa.Column("duration_seconds", v.double(), nullable=True),
        sa.Column("grounded_verdict", v.json(), nullable=True),
        sa.Column("created_at", v.utc(), server_default=v.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_debate_results")),
        v.sqlite_check("boolean", "consensus_reached", name=op.f("ck_debate_results_consensus_reached")),
        v.sqlite_check("json", "grounded_verdict", name=op.f("ck_debate_results_grounded_verdict")),
        v.sqlite_check("utc", "created_at", name=op.f("ck_debate_results_created_at")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_debate_results_created_at",
        "debate_results",
        [sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_table(
        "debates",
        sa.Column("id", v.text(), nullable=False),
        sa.Column("slug", v.text(), nullable=False),
        sa.Column("task", v.text(), nullable=False),
        sa.Column("agents", v.json(), nullable=False),
        sa.Column("artifact_json", v.json(), nullable=False),
        sa.Column("consensus_reached", v.boolean(), nullable=True),
        sa.Column("confidence", v.double(), nullable=True),
        sa.Column("created_at", v.utc(), server_default=v.now(), nullable=False),
        sa.Column("view_count", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("audio_path", v.text(), nullable=True),
        sa.Column("audio_generated_at", v.utc(), nullable=True),
        sa.Column("audio_duration_seconds", v.bigint(), nullable=True),
        sa.Column("org_id", v.text(), nullable=True),
        sa.Column("is_public", v.boolean(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_debates")),
        sa.UniqueConstraint("slug", name=op.f("uq_debates_slug")),
        v.sqlite_check("boolean", "consensus_reached", name=op.f("ck_debates_consensus_reached")),
        v.sqlite_check("boolean", "is_public", name=op.f("ck_debates_is_public")),
        v.sqlite_check("json", "agents", name=op.f("ck_debates_agents")),
        v.sqlite_check("json", "artifact_json", name=op.f("ck_debates_artifact_json")),
        v.sqlite_check("utc", "audio_generated_at", name=op.f("ck_debates_audio_generated_at")),
        v.sqlite_check("utc", "created_at", name=op.f("ck_debates_created_at")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_debates_created_at",
        "debates",
        [sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_index(
        "ix_debates_org",
        "debates",
        ["org_id", sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_table(
        "critiques",
        sa.Column("id", v.bigint(), sa.Identity(always=False), nullable=False),
        sa.Column("debate_id", v.text(), nullable=True),
        sa.Column("agent", v.text(), nullable=False),
        sa.Column("target_agent", v.text(), nullable=True),
        sa.Column("issues", v.json(), nullable=True),
        sa.Column("suggestions", v.json(), nullable=True),
        sa.Column("severity", v.double(), nullable=True),
        sa.Column("reasoning", v.text(), nullable=True),
        sa.Column("led_to_improvement", v.boolean(), server_default=sa.false(), nullable=False),
        sa.Column("expected_usefulness", v.double(), server_default=sa.text("0.5"), nullable=False),
        sa.Column("actual_usefulness", v.double(), nullable=True),
        sa.Column("prediction_error", v.double(), nullable=True),
        sa.Column("created_at", v.utc(), server_default=v.now(), nullable=False),
        sa.ForeignKeyConstraint(
            ["debate_id"], ["debate_results.id"], name=op.f("fk_critiques_debate_id_debate_results"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_critiques")),
        v.sqlite_check("boolean", "led_to_improvement", name=op.f("ck_critiques_led_to_improvement")),
        v.sqlite_check("json", "issues", name=op.f("ck_critiques_issues")),
        v.sqlite_check("json", "suggestions", name=op.f("ck_critiques_suggestions")),
        v.sqlite_check("utc", "created_at", name=op.f("ck_critiques_created_at")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index(
        "ix_critiques_agent",
        "critiques",
        ["agent", sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_index("ix_critiques_debate", "critiques", ["debate_id", "created_at"], unique=False)
    op.create_index(
        "ix_critiques_target",
        "critiques",
        ["target_agent", sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
