"""Insights, summaries, patterns and wisdom.

Revision: 20260110_insights
Follows: 20260109_persona_lab
Created: 2026-11-22
"""

import sqlalchemy as sa
from alembic import op

from aragora_db.migrations import vocabulary as v
from aragora_db.migrations.forward_only import no_way_back as __getattr__  # noqa: F401 -- answers for `downgrade`

revision = "20260110_insights"
down_revision = "20260109_persona_lab"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Insights, summaries, patterns and wisdom."""
    op.create_table(
        "debate_summaries",
        sa.Column("debate_id", v.text(), nullable=False),
        sa.Column("task", v.text(), nullable=True),
        sa.Column("consensus_reached", v.boolean(), nullable=True),
        sa.Column("duration_seconds", v.double(), nullable=True),
        sa.Column("total_insights", v.bigint(), nullable=True),
        sa.Column("key_takeaway", v.text(), nullable=True),
        sa.Column("agent_performances", v.json(), nullable=True),
        sa.Column("created_at", v.utc(), server_default=v.now(), nullable=False),
        sa.PrimaryKeyConstraint("debate_id", name=op.f("pk_debate_summaries")),
        v.sqlite_check("boolean", "consensus_reached", name=op.f("ck_debate_summaries_consensus_reached")),
        v.sqlite_check("json", "agent_performances", name=op.f("ck_debate_summaries_agent_performances")),
        v.sqlite_check("utc", "created_at", name=op.f("ck_debate_summaries_created_at")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_debate_summaries_created_at",
        "debate_summaries",
        [sa.literal_column("created_at DESC"), "debate_id"],
        unique=False,
    )
    op.create_table(
        "insights",
        sa.Column("id", v.text(), nullable=False),
        sa.Column("type", v.text(), nullable=False),
        sa.Column("title", v.text(), nullable=False),
        sa.Column("description", v.text(), nullable=True),
        sa.Column("confidence", v.double(), server_default=sa.text("0.5"), nullable=False),
        sa.Column("debate_id", v.text(), nullable=False),
        sa.Column("agents_involved", v.json(), nullable=True),
        sa.Column("evidence", v.json(), nullable=True),
        sa.Column("created_at", v.utc(), server_default=v.now(), nullable=False),
        sa.Column("metadata", v.json(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_insights")),
        v.sqlite_check("json", "agents_involved", name=op.f("ck_insights_agents_involved")),
        v.sqlite_check("json", "evidence", name=op.f("ck_insights_evidence")),
        v.sqlite_check("json", "metadata", name=op.f("ck_insights_metadata")),
        v.sqlite_check("utc", "created_at", name=op.f("ck_insights_created_at")),
        sqlite_strict=True,
    )
    op.create_index("ix_insights_confidence", "insights", [sa.literal_column("confidence DESC"), "id"], unique=False)
    op.create_index("ix_insights_created_at", "insights", [sa.literal_column("created_at DESC"), "id"], unique=False)
    op.create_index("ix_insights_debate", "insights", ["debate_id"], unique=False)
    op.create_index(
        "ix_insights_type_confidence", "insights", ["type", sa.literal_column("confidence DESC"), "id"], unique=False
    )
    op.create_table(
        "pattern_clusters",
        sa.Column("id", v.bigint(), sa.Identity(always=False), nullable=False),
        sa.Column("category", v.text(), nullable=False),
        sa.Column("pattern_text", v.text(), nullable=False),
        sa.Column("occurrence_count", v.bigint(), server_default=sa.text("1"), nullable=False),
        sa.Column("avg_severity", v.double(), server_default=sa.text("0.5"), nullable=False),
        sa.Column("debate_ids", v.json(), nullable=True),
        sa.Column("first_seen", v.utc(), nullable=True),
        sa.Column("last_seen", v.utc(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pattern_clusters")),
        sa.UniqueConstraint("category", "pattern_text", name=op.f("uq_pattern_clusters_category_pattern_text")),
        v.sqlite_check("json", "debate_ids", name=op.f("ck_pattern_clusters_debate_ids")),
        v.sqlite_check("utc", "first_seen", name=op.f("ck_pattern_clusters_first_seen")),
        v.sqlite_check("utc", "last_seen", name=op.f("ck_pattern_clusters_last_seen")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index(
        "ix_pattern_clusters_category",
        "pattern_clusters",
        ["category", sa.literal_column("occurrence_count DESC"), "id"],
        unique=False,
    )
    op.create_index(
        "ix_pattern_clusters_last_seen", "pattern_clusters", [v.newest_first("last_seen"), "id"], unique=False
    )
    op.create_index(
        "ix_pattern_clusters_occurrence",
        "pattern_clusters",
        [sa.literal_column("occurrence_count DESC"), "id"],
        unique=False,
    )
    op.create_table(
        "wisdom_submissions",
        sa.Column("id", v.bigint(), sa.Identity(always=False), nullable=False),
        sa.Column("loop_id", v.text(), nullable=False),
        sa.Column("text", v.text(), nullable=False),
        sa.Column("submitter_id", v.text(), server_default=sa.text("'anonymous'"), nullable=False),
        sa.Column("context_tags", v.json(), nullable=True),
        sa.Column("used", v.boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created_at", v.utc(), server_default=v.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_wisdom_submissions")),
        v.sqlite_check("boolean", "used", name=op.f("ck_wisdom_submissions_used")),
        v.sqlite_check("json", "context_tags", name=op.f("ck_wisdom_submissions_context_tags")),
        v.sqlite_check("utc", "created_at", name=op.f("ck_wisdom_submissions_created_at")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index(
        "ix_wisdom_submissions_loop",
        "wisdom_submissions",
        ["loop_id", "used", sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_table(
        "agent_performance_history",
        sa.Column("id", v.bigint(), sa.Identity(always=False), nullable=False),
        sa.Column("agent_name", v.text(), nullable=False),
        sa.Column("debate_id", v.text(), nullable=False),
        sa.Column("proposals_made", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("critiques_given", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("critiques_received", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("proposal_accepted", v.boolean(), server_default=sa.false(), nullable=False),
        sa.Column("vote_aligned", v.boolean(), server_default=sa.false(), nullable=False),
        sa.Column("avg_critique_severity", v.double(), server_default=sa.text("0.0"), nullable=False),
        sa.Column("contribution_score", v.double(), server_default=sa.text("0.5"), nullable=False),
        sa.Column("created_at", v.utc(), server_default=v.now(), nullable=False),
        sa.ForeignKeyConstraint(
            ["debate_id"],
            ["debate_summaries.debate_id"],
            name=op.f("fk_agent_performance_history_debate_id_debate_summaries"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agent_performance_history")),
        v.sqlite_check("boolean", "proposal_accepted", name=op.f("ck_agent_performance_history_proposal_accepted")),
        v.sqlite_check("boolean", "vote_aligned", name=op.f("ck_agent_performance_history_vote_aligned")),
        v.sqlite_check("utc", "created_at", name=op.f("ck_agent_performance_history_created_at")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index(
        "ix_agent_performance_history_agent_debate",
        "agent_performance_history",
        ["agent_name", "debate_id"],
        unique=False,
    )
    op.create_index("ix_agent_performance_history_debate", "agent_performance_history", ["debate_id"], unique=False)
    op.create_table(
        "insight_usage",
        sa.Column("id", v.bigint(), sa.Identity(always=False), nullable=False),
        sa.Column("insight_id", v.text(), nullable=False),
        sa.Column("debate_id", v.text(), nullable=False),
        sa.Column("was_successful", v.boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created_at", v.utc(), server_default=v.now(), nullable=False),
        sa.ForeignKeyConstraint(
            ["insight_id"], ["insights.id"], name=op.f("fk_insight_usage_insight_id_insights"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_insight_usage")),
        sa.UniqueConstraint("insight_id", "debate_id", name=op.f("uq_insight_usage_insight_id_debate_id")),
        v.sqlite_check("boolean", "was_successful", name=op.f("ck_insight_usage_was_successful")),
        v.sqlite_check("utc", "created_at", name=op.f("ck_insight_usage_created_at")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index("ix_insight_usage_debate", "insight_usage", ["debate_id"], unique=False)
