"""Tournaments.

Revision: 20260202_tournaments
Follows: 20260201_elo_pairs_and_weights
Created: 2026-11-24
"""

import sqlalchemy as sa
from alembic import op

from aragora_db.migrations import vocabulary as v
from aragora_db.migrations.forward_only import no_way_back as __getattr__  # noqa: F401 -- answers for `downgrade`

revision = "20260202_tournaments"
down_revision = "20260201_elo_pairs_and_weights"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Tournaments."""
    op.create_table(
        "tournaments",
        sa.Column("tournament_id", v.text(), nullable=False),
        sa.Column("name", v.text(), nullable=False),
        sa.Column("bracket_type", v.text(), server_default=sa.text("'round_robin'"), nullable=False),
        sa.Column("participants", v.json(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("rounds_completed", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("total_rounds", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("status", v.text(), server_default=sa.text("'pending'"), nullable=False),
        sa.Column("created_at", v.utc(), server_default=v.now(), nullable=False),
        sa.CheckConstraint(
            "status IN ('pending', 'in_progress', 'completed', 'cancelled')", name=op.f("ck_tournaments_status")
        ),
        sa.PrimaryKeyConstraint("tournament_id", name=op.f("pk_tournaments")),
        v.sqlite_check("json", "participants", name=op.f("ck_tournaments_participants")),
        v.sqlite_check("utc", "created_at", name=op.f("ck_tournaments_created_at")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_tournaments_created_at",
        "tournaments",
        [sa.literal_column("created_at DESC"), sa.literal_column("tournament_id DESC")],
        unique=False,
    )
    op.create_index(
        "ix_tournaments_status",
        "tournaments",
        ["status", sa.literal_column("created_at DESC"), sa.literal_column("tournament_id DESC")],
        unique=False,
    )
    op.create_table(
        "tournament_matches",
        sa.Column("match_id", v.text(), nullable=False),
        sa.Column("tournament_id", v.text(), nullable=False),
        sa.Column("round_num", v.bigint(), nullable=False),
        sa.Column("agent1", v.text(), nullable=False),
        sa.Column("agent2", v.text(), nullable=False),
        sa.Column("winner", v.text(), nullable=True),
        sa.Column("score1", v.double(), server_default=sa.text("0.0"), nullable=False),
        sa.Column("score2", v.double(), server_default=sa.text("0.0"), nullable=False),
        sa.Column("debate_id", v.text(), nullable=True),
        sa.Column("bracket_position", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("is_losers_bracket", v.boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created_at", v.utc(), server_default=v.now(), nullable=False),
        sa.Column("completed_at", v.utc(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tournament_id"],
            ["tournaments.tournament_id"],
            name=op.f("fk_tournament_matches_tournament_id_tournaments"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("match_id", name=op.f("pk_tournament_matches")),
        v.sqlite_check("boolean", "is_losers_bracket", name=op.f("ck_tournament_matches_is_losers_bracket")),
        v.sqlite_check("utc", "completed_at", name=op.f("ck_tournament_matches_completed_at")),
        v.sqlite_check("utc", "created_at", name=op.f("ck_tournament_matches_created_at")),
        sqlite_strict=True,
    )
    op.create_index("ix_tournament_matches_agent1", "tournament_matches", ["agent1"], unique=False)
    op.create_index("ix_tournament_matches_agent2", "tournament_matches", ["agent2"], unique=False)
    op.create_index(
        "ix_tournament_matches_tournament",
        "tournament_matches",
        ["tournament_id", "round_num", "bracket_position"],
        unique=False,
    )
    op.create_table(
        "tournament_history",
        sa.Column("entry_id", v.text(), nullable=False),
        sa.Column("tournament_id", v.text(), nullable=False),
        sa.Column("event_type", v.text(), nullable=False),
        sa.Column("timestamp", v.utc(), server_default=v.now(), nullable=False),
        sa.Column("details", v.json(), server_default=sa.text("'{}'"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tournament_id"],
            ["tournaments.tournament_id"],
            name=op.f("fk_tournament_history_tournament_id_tournaments"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_tournament_history")),
        v.sqlite_check("json", "details", name=op.f("ck_tournament_history_details")),
        v.sqlite_check("utc", "timestamp", name=op.f("ck_tournament_history_timestamp")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_tournament_history_tournament",
        "tournament_history",
        ["tournament_id", "timestamp", "entry_id"],
        unique=False,
    )
