"""The calibration tracker: predictions and temperatures.

Revision: 20260303_calibration_tracker
Follows: 20260302_memory_streams
Created: 2026-11-24
"""

import sqlalchemy as sa
from alembic import op

from aragora_db.migrations import vocabulary as v
from aragora_db.migrations.forward_only import no_way_back as __getattr__  # noqa: F401 -- answers for `downgrade`

revision = "20260303_calibration_tracker"
down_revision = "20260302_memory_streams"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The calibration tracker: predictions and temperatures."""
    op.create_table(
        "agent_predictions",
        sa.Column("id", v.bigint(), sa.Identity(always=False), nullable=False),
        sa.Column("agent", v.text(), nullable=False),
        sa.Column("confidence", v.double(), nullable=False),
        sa.Column("correct", v.boolean(), nullable=False),
        sa.Column("domain", v.text(), server_default=sa.text("'general'"), nullable=True),
        sa.Column("debate_id", v.text(), nullable=True),
        sa.Column("position_id", v.text(), nullable=True),
        sa.Column("created_at", v.utc(), server_default=v.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agent_predictions")),
        v.sqlite_check("boolean", "correct", name=op.f("ck_agent_predictions_correct")),
        v.sqlite_check("utc", "created_at", name=op.f("ck_agent_predictions_created_at")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index(
        "ix_agent_predictions_agent",
        "agent_predictions",
        ["agent", "domain", sa.literal_column("created_at DESC")],
        unique=False,
    )
    op.create_index("ix_agent_predictions_domain", "agent_predictions", ["domain", "confidence"], unique=False)
    op.create_table(
        "temperature_params",
        sa.Column("agent", v.text(), nullable=False),
        sa.Column("temperature", v.double(), server_default=sa.text("1.0"), nullable=False),
        sa.Column("domain_temperatures", v.json(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("last_tuned", v.utc(), nullable=True),
        sa.Column("predictions_at_tune", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("agent", name=op.f("pk_temperature_params")),
        v.sqlite_check("json", "domain_temperatures", name=op.f("ck_temperature_params_domain_temperatures")),
        v.sqlite_check("utc", "last_tuned", name=op.f("ck_temperature_params_last_tuned")),
        sqlite_strict=True,
    )
