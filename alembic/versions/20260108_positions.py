"""Positions, flips and debate outcomes.

Revision: 20260108_positions
Follows: 20260107_personas
Created: 2026-11-22
"""

import sqlalchemy as sa
from alembic import op

from aragora_db.migrations import vocabulary as v
from aragora_db.migrations.forward_only import no_way_back as __getattr__  # noqa: F401 -- answers for `downgrade`

revision = "20260108_positions"
down_revision = "20260107_personas"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Positions, flips and debate outcomes."""
    op.create_table(
        "debate_outcomes",
        sa.Column("debate_id", v.text(), nullable=False),
        sa.Column("winning_agent", v.text(), nullable=True),
        sa.Column("winning_position", v.text(), nullable=True),
        sa.Column("consensus_confidence", v.double(), nullable=True),
        sa.Column("verified_at", v.utc(), nullable=True),
        sa.Column("verification_result", v.boolean(), nullable=True),
        sa.Column("verification_source", v.text(), nullable=True),
        sa.Column("created_at", v.utc(), server_default=v.now(), nullable=False),
        sa.PrimaryKeyConstraint("debate_id", name=op.f("pk_debate_outcomes")),
        v.sqlite_check("boolean", "verification_result", name=op.f("ck_debate_outcomes_verification_result")),
        v.sqlite_check("utc", "created_at", name=op.f("ck_debate_outcomes_created_at")),
        v.sqlite_check("utc", "verified_at", name=op.f("ck_debate_outcomes_verified_at")),
        sqlite_strict=True,
    )
    op.create_index("ix_debate_outcomes_created_at", "debate_outcomes", ["created_at"], unique=False)
    op.create_index(
        "ix_debate_outcomes_winner",
        "debate_outcomes",
        ["winning_agent", sa.literal_column("created_at DESC")],
        unique=False,
    )
    op.create_table(
        "detected_flips",
        sa.Column("id", v.text(), nullable=False),
        sa.Column("agent_name", v.text(), nullable=False),
        sa.Column("original_claim", v.text(), nullable=False),
        sa.Column("new_claim", v.text(), nullable=False),
        sa.Column("original_confidence", v.double(), nullable=True),
        sa.Column("new_confidence", v.double(), nullable=True),
        sa.Column("original_debate_id", v.text(), nullable=True),
        sa.Column("new_debate_id", v.text(), nullable=True),
        sa.Column("original_position_id", v.text(), nullable=True),
        sa.Column("new_position_id", v.text(), nullable=True),
        sa.Column("similarity_score", v.double(), nullable=True),
        sa.Column("flip_type", v.text(), nullable=True),
        sa.Column("domain", v.text(), nullable=True),
        sa.Column("detected_at", v.utc(), server_default=v.now(), nullable=False),
        sa.CheckConstraint(
            "flip_type IN ('contradiction', 'retraction', 'qualification', 'refinement')",
            name=op.f("ck_detected_flips_flip_type"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_detected_flips")),
        v.sqlite_check("utc", "detected_at", name=op.f("ck_detected_flips_detected_at")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_detected_flips_agent",
        "detected_flips",
        ["agent_name", sa.literal_column("detected_at DESC"), "id"],
        unique=False,
    )
    op.create_index(
        "ix_detected_flips_positions", "detected_flips", ["original_position_id", "new_position_id"], unique=False
    )
    op.create_index(
        "ix_detected_flips_type",
        "detected_flips",
        ["flip_type", sa.literal_column("detected_at DESC"), "id"],
        unique=False,
    )
    op.create_table(
        "position_history",
        sa.Column("id", v.bigint(), sa.Identity(always=False), nullable=False),
        sa.Column("debate_id", v.text(), nullable=False),
        sa.Column("agent_name", v.text(), nullable=False),
        sa.Column("position_type", v.text(), nullable=False),
        sa.Column("position_text", v.text(), nullable=False),
        sa.Column("round_num", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("confidence", v.double(), server_default=sa.text("0.5"), nullable=False),
        sa.Column("created_at", v.utc(), server_default=v.now(), nullable=False),
        sa.Column("was_winning_position", v.boolean(), nullable=True),
        sa.Column("verified_correct", v.boolean(), nullable=True),
        sa.CheckConstraint("length(position_type) <= 64", name=op.f("ck_position_history_position_type_length")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_position_history")),
        sa.UniqueConstraint(
            "debate_id",
            "agent_name",
            "position_type",
            "round_num",
            name=op.f("uq_position_history_statement"),
        ),
        v.sqlite_check("boolean", "verified_correct", name=op.f("ck_position_history_verified_correct")),
        v.sqlite_check("boolean", "was_winning_position", name=op.f("ck_position_history_was_winning_position")),
        v.sqlite_check("utc", "created_at", name=op.f("ck_position_history_created_at")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index(
        "ix_position_history_agent",
        "position_history",
        ["agent_name", sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_table(
        "positions",
        sa.Column("id", v.text(), nullable=False),
        sa.Column("agent_name", v.text(), nullable=False),
        sa.Column("claim", v.text(), nullable=False),
        sa.Column("confidence", v.double(), nullable=False),
        sa.Column("debate_id", v.text(), nullable=False),
        sa.Column("round_num", v.bigint(), nullable=False),
        sa.Column("outcome", v.text(), server_default=sa.text("'pending'"), nullable=False),
        sa.Column("reversed", v.boolean(), server_default=sa.false(), nullable=False),
        sa.Column("reversal_debate_id", v.text(), nullable=True),
        sa.Column("domain", v.text(), nullable=True),
        sa.Column("created_at", v.utc(), server_default=v.now(), nullable=False),
        sa.Column("resolved_at", v.utc(), nullable=True),
        sa.CheckConstraint(
            "outcome IN ('pending', 'correct', 'incorrect', 'unresolved')", name=op.f("ck_positions_outcome")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_positions")),
        v.sqlite_check("boolean", "reversed", name=op.f("ck_positions_reversed")),
        v.sqlite_check("utc", "created_at", name=op.f("ck_positions_created_at")),
        v.sqlite_check("utc", "resolved_at", name=op.f("ck_positions_resolved_at")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_positions_agent", "positions", ["agent_name", sa.literal_column("created_at DESC"), "id"], unique=False
    )
    op.create_index("ix_positions_agent_debate", "positions", ["agent_name", "debate_id"], unique=False)
    op.create_index("ix_positions_debate", "positions", ["debate_id", "round_num"], unique=False)
    op.create_index(
        "ix_positions_outcome", "positions", ["outcome", sa.literal_column("created_at DESC")], unique=False
    )
