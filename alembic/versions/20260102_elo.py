"""Ratings, matches, history and relationships.

Revision: 20260102_elo
Follows: 20260101_schema_history
Created: 2026-11-22
"""

import sqlalchemy as sa
from alembic import op

from aragora_db.migrations import vocabulary as v
from aragora_db.migrations.forward_only import no_way_back as __getattr__  # noqa: F401 -- answers for `downgrade`

revision = "20260102_elo"
down_revision = "20260101_schema_history"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Ratings, matches, history and relationships."""
    op.create_table(
        "elo_agent_relationships",
        sa.Column("agent_a", v.text(), nullable=False),
        sa.Column("agent_b", v.text(), nullable=False),
        sa.Column("debate_count", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("agreement_count", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("critique_count_a_to_b", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("critique_count_b_to_a", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("critique_accepted_a_to_b", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("critique_accepted_b_to_a", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("position_changes_a_after_b", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("position_changes_b_after_a", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("a_wins_over_b", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("b_wins_over_a", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("updated_at", v.utc(), server_default=v.now(), nullable=False),
        sa.CheckConstraint("agent_a < agent_b", name=op.f("ck_elo_agent_relationships_agent_order")),
        sa.PrimaryKeyConstraint("agent_a", "agent_b", name=op.f("pk_elo_agent_relationships")),
        v.sqlite_check("utc", "updated_at", name=op.f("ck_elo_agent_relationships_updated_at")),
        sqlite_strict=True,
    )
    op.create_index("ix_elo_agent_relationships_agent_b", "elo_agent_relationships", ["agent_b"], unique=False)
    op.create_table(
        "elo_history",
        sa.Column("id", v.bigint(), sa.Identity(always=False), nullable=False),
        sa.Column("agent_name", v.text(), nullable=False),
        sa.Column("elo", v.double(), nullable=False),
        sa.Column("debate_id", v.text(), nullable=True),
        sa.Column("created_at", v.utc(), server_default=v.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_elo_history")),
        v.sqlite_check("utc", "created_at", name=op.f("ck_elo_history_created_at")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index(
        "ix_elo_history_agent",
        "elo_history",
        ["agent_name", sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_index("ix_elo_history_created_at", "elo_history", ["created_at"], unique=False)
    op.create_index(
        "ix_elo_history_debate",
        "elo_history",
        ["debate_id", sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_table(
        "elo_matches",
        sa.Column("id", v.bigint(), sa.Identity(always=False), nullable=False),
        sa.Column("debate_id", v.text(), nullable=True),
        sa.Column("winner", v.text(), nullable=True),
        sa.Column("domain", v.text(), nullable=True),
        sa.Column("created_at", v.utc(), server_default=v.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_elo_matches")),
        sa.UniqueConstraint("debate_id", name=op.f("uq_elo_matches_debate_id")),
        v.sqlite_check("utc", "created_at", name=op.f("ck_elo_matches_created_at")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index(
        "ix_elo_matches_domain",
        "elo_matches",
        ["domain", sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_index(
        "ix_elo_matches_recent",
        "elo_matches",
        [sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_index(
        "ix_elo_matches_winner",
        "elo_matches",
        ["winner", sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_table(
        "elo_ratings",
        sa.Column("agent_name", v.text(), nullable=False),
        sa.Column("elo", v.double(), server_default=sa.text("1500.0"), nullable=False),
        sa.Column("wins", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("losses", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("draws", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("debates_count", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("critiques_accepted", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("critiques_total", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("calibration_correct", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("calibration_total", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("calibration_brier_sum", v.double(), server_default=sa.text("0.0"), nullable=False),
        sa.Column("updated_at", v.utc(), server_default=v.now(), nullable=False),
        sa.PrimaryKeyConstraint("agent_name", name=op.f("pk_elo_ratings")),
        v.sqlite_check("utc", "updated_at", name=op.f("ck_elo_ratings_updated_at")),
        sqlite_strict=True,
    )
    op.create_index("ix_elo_ratings_calibration_total", "elo_ratings", ["calibration_total"], unique=False)
    op.create_index(
        "ix_elo_ratings_leaderboard", "elo_ratings", [sa.literal_column("elo DESC"), "agent_name"], unique=False
    )
    op.create_table(
        "elo_domain_ratings",
        sa.Column("agent_name", v.text(), nullable=False),
        sa.Column("domain", v.text(), nullable=False),
        sa.Column("elo", v.double(), server_default=sa.text("1500.0"), nullable=False),
        sa.ForeignKeyConstraint(
            ["agent_name"],
            ["elo_ratings.agent_name"],
            name=op.f("fk_elo_domain_ratings_agent_name_elo_ratings"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("agent_name", "domain", name=op.f("pk_elo_domain_ratings")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_elo_domain_ratings_leaderboard",
        "elo_domain_ratings",
        ["domain", sa.literal_column("elo DESC"), "agent_name"],
        unique=False,
    )
    op.create_table(
        "elo_match_participants",
        sa.Column("match_id", v.bigint(), nullable=False),
        sa.Column("agent_name", v.text(), nullable=False),
        sa.Column("position", v.bigint(), nullable=False),
        sa.Column("score", v.double(), nullable=True),
        sa.Column("elo_change", v.double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["match_id"],
            ["elo_matches.id"],
            name=op.f("fk_elo_match_participants_match_id_elo_matches"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("match_id", "agent_name", name=op.f("pk_elo_match_participants")),
        sa.UniqueConstraint("match_id", "position", name=op.f("uq_elo_match_participants_match_id_position")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_elo_match_participants_agent",
        "elo_match_participants",
        ["agent_name", sa.literal_column("match_id DESC")],
        unique=False,
    )
