"""Calibration of predictions.

Revision: 20260103_calibration
Follows: 20260102_elo
Created: 2026-11-22
"""

import sqlalchemy as sa
from alembic import op

from aragora_db.migrations import vocabulary as v
from aragora_db.migrations.forward_only import no_way_back as __getattr__  # noqa: F401 -- answers for `downgrade`

revision = "20260103_calibration"
down_revision = "20260102_elo"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Calibration of predictions."""
    op.create_table(
        "elo_calibration_buckets",
        sa.Column("agent_name", v.text(), nullable=False),
        sa.Column("domain", v.text(), nullable=False),
        sa.Column("bucket_key", v.text(), nullable=False),
        sa.Column("predictions", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("correct", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("brier_sum", v.double(), server_default=sa.text("0.0"), nullable=False),
        sa.CheckConstraint("length(bucket_key) <= 16", name=op.f("ck_elo_calibration_buckets_bucket_key_length")),
        sa.PrimaryKeyConstraint("agent_name", "domain", "bucket_key", name=op.f("pk_elo_calibration_buckets")),
        sqlite_strict=True,
    )
    op.create_table(
        "elo_calibration_predictions",
        sa.Column("id", v.bigint(), sa.Identity(always=False), nullable=False),
        sa.Column("tournament_id", v.text(), nullable=False),
        sa.Column("predictor_agent", v.text(), nullable=False),
        sa.Column("predicted_winner", v.text(), nullable=False),
        sa.Column("confidence", v.double(), nullable=False),
        sa.Column("created_at", v.utc(), server_default=v.now(), nullable=False),
        sa.Column("actual_winner", v.text(), nullable=True),
        sa.Column("resolved_at", v.utc(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_elo_calibration_predictions")),
        sa.UniqueConstraint(
            "tournament_id",
            "predictor_agent",
            name=op.f("uq_elo_calibration_predictions_tournament_id_predictor_agent"),
        ),
        v.sqlite_check("utc", "created_at", name=op.f("ck_elo_calibration_predictions_created_at")),
        v.sqlite_check("utc", "resolved_at", name=op.f("ck_elo_calibration_predictions_resolved_at")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index(
        "ix_elo_calibration_predictions_predictor",
        "elo_calibration_predictions",
        ["predictor_agent", sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_table(
        "elo_domain_calibration",
        sa.Column("agent_name", v.text(), nullable=False),
        sa.Column("domain", v.text(), nullable=False),
        sa.Column("total_predictions", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("total_correct", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("brier_sum", v.double(), server_default=sa.text("0.0"), nullable=False),
        sa.Column("updated_at", v.utc(), server_default=v.now(), nullable=False),
        sa.PrimaryKeyConstraint("agent_name", "domain", name=op.f("pk_elo_domain_calibration")),
        v.sqlite_check("utc", "updated_at", name=op.f("ck_elo_domain_calibration_updated_at")),
        sqlite_strict=True,
    )
