"""Keep what a match was computed from, and how often two agents met.

The meetings so far are counted once, in SQL.

Revision: 20260201_elo_pairs_and_weights
Follows: 20260121_drop_index_debates_task
Created: 2026-11-24
"""

import sqlalchemy as sa
from alembic import op

from aragora_db.migrations import vocabulary as v
from aragora_db.migrations.forward_only import no_way_back as __getattr__  # noqa: F401 -- answers for `downgrade`

revision = "20260201_elo_pairs_and_weights"
down_revision = "20260121_drop_index_debates_task"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Keep what a match was computed from, and how often two agents met."""
    op.add_column("elo_matches", sa.Column("confidence_weight", v.double(), nullable=True))
    op.add_column("elo_match_participants", sa.Column("k_multiplier", v.double(), nullable=True))
    op.create_table(
        "elo_head_to_head",
        sa.Column("agent_a", v.text(), nullable=False),
        sa.Column("agent_b", v.text(), nullable=False),
        sa.Column("matches", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("a_wins", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("b_wins", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("draws", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("agent_a < agent_b", name=op.f("ck_elo_head_to_head_agent_order")),
        sa.PrimaryKeyConstraint("agent_a", "agent_b", name=op.f("pk_elo_head_to_head")),
        sqlite_strict=True,
    )
    op.execute(
        """
        INSERT INTO elo_head_to_head (agent_a, agent_b, matches, a_wins, b_wins, draws)
        SELECT a.agent_name, b.agent_name, count(*),
            sum(CASE WHEN m.winner = a.agent_name THEN 1 ELSE 0 END),
            sum(CASE WHEN m.winner = b.agent_name THEN 1 ELSE 0 END),
            sum(CASE WHEN m.winner IS NULL THEN 1 ELSE 0 END)
        FROM elo_match_participants a
        JOIN elo_match_participants b ON b.match_id = a.match_id AND a.agent_name < b.agent_name
        JOIN elo_matches m ON m.id = a.match_id
        GROUP BY a.agent_name, b.agent_name
        """
    )
