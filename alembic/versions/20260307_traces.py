"""Recordings of debates.

Revision: 20260307_traces
Follows: 20260306_nomic_evolution
Created: 2026-11-24
"""

import sqlalchemy as sa
from alembic import op

from aragora_db.migrations import vocabulary as v
from aragora_db.migrations.forward_only import no_way_back as __getattr__  # noqa: F401 -- answers for `downgrade`

revision = "20260307_traces"
down_revision = "20260306_nomic_evolution"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Recordings of debates."""
    op.create_table(
        "traces",
        sa.Column("trace_id", v.text(), nullable=False),
        sa.Column("debate_id", v.text(), nullable=True),
        sa.Column("task", v.text(), nullable=True),
        sa.Column("agents", v.json(), nullable=True),
        sa.Column("random_seed", v.bigint(), nullable=True),
        sa.Column("started_at", v.utc(), nullable=True),
        sa.Column("completed_at", v.utc(), nullable=True),
        sa.Column("checksum", v.text(), nullable=True),
        sa.Column("trace_json", v.json(), nullable=True),
        sa.PrimaryKeyConstraint("trace_id", name=op.f("pk_traces")),
        v.sqlite_check("json", "agents", name=op.f("ck_traces_agents")),
        v.sqlite_check("json", "trace_json", name=op.f("ck_traces_trace_json")),
        v.sqlite_check("utc", "completed_at", name=op.f("ck_traces_completed_at")),
        v.sqlite_check("utc", "started_at", name=op.f("ck_traces_started_at")),
        sqlite_strict=True,
    )
    op.create_index("ix_traces_debate", "traces", ["debate_id", v.newest_first("started_at")], unique=False)
    op.create_table(
        "trace_events",
        sa.Column("event_id", v.text(), nullable=False),
        sa.Column("trace_id", v.text(), nullable=True),
        sa.Column("event_type", v.text(), nullable=True),
        sa.Column("timestamp", v.utc(), nullable=True),
        sa.Column("round_num", v.bigint(), nullable=True),
        sa.Column("agent", v.text(), nullable=True),
        sa.Column("content", v.json(), nullable=True),
        sa.ForeignKeyConstraint(
            ["trace_id"], ["traces.trace_id"], name=op.f("fk_trace_events_trace_id_traces"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_trace_events")),
        v.sqlite_check("json", "content", name=op.f("ck_trace_events_content")),
        v.sqlite_check("utc", "timestamp", name=op.f("ck_trace_events_timestamp")),
        sqlite_strict=True,
    )
    op.create_index("ix_trace_events_trace", "trace_events", ["trace_id", "timestamp"], unique=False)
