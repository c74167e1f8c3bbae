"""Experiments, traits and the evolution of personas.

Revision: 20260109_persona_lab
Follows: 20260108_positions
Created: 2026-11-22
"""

import sqlalchemy as sa
from alembic import op

from aragora_db.migrations import vocabulary as v
from aragora_db.migrations.forward_only import no_way_back as __getattr__  # noqa: F401 -- answers for `downgrade`

revision = "20260109_persona_lab"
down_revision = "20260108_positions"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Experiments, traits and the evolution of personas."""
    op.create_table(
        "emergent_traits",
        sa.Column("id", v.bigint(), sa.Identity(always=False), nullable=False),
        sa.Column("trait_name", v.text(), nullable=False),
        sa.Column("source_agents", v.json(), nullable=False),
        sa.Column("supporting_evidence", v.json(), nullable=True),
        sa.Column("confidence", v.double(), server_default=sa.text("0.5"), nullable=False),
        sa.Column("first_detected", v.utc(), server_default=v.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_emergent_traits")),
        v.sqlite_check("json", "source_agents", name=op.f("ck_emergent_traits_source_agents")),
        v.sqlite_check("json", "supporting_evidence", name=op.f("ck_emergent_traits_supporting_evidence")),
        v.sqlite_check("utc", "first_detected", name=op.f("ck_emergent_traits_first_detected")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index(
        "ix_emergent_traits_confidence", "emergent_traits", [sa.literal_column("confidence DESC"), "id"], unique=False
    )
    op.create_table(
        "evolution_history",
        sa.Column("id", v.bigint(), sa.Identity(always=False), nullable=False),
        sa.Column("agent_name", v.text(), nullable=False),
        sa.Column("mutation_type", v.text(), nullable=False),
        sa.Column("before_state", v.json(), nullable=False),
        sa.Column("after_state", v.json(), nullable=False),
        sa.Column("reason", v.text(), nullable=True),
        sa.Column("created_at", v.utc(), server_default=v.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evolution_history")),
        v.sqlite_check("json", "after_state", name=op.f("ck_evolution_history_after_state")),
        v.sqlite_check("json", "before_state", name=op.f("ck_evolution_history_before_state")),
        v.sqlite_check("utc", "created_at", name=op.f("ck_evolution_history_created_at")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index(
        "ix_evolution_history_agent",
        "evolution_history",
        ["agent_name", sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_table(
        "experiments",
        sa.Column("experiment_id", v.text(), nullable=False),
        sa.Column("agent_name", v.text(), nullable=False),
        sa.Column("control_persona", v.json(), nullable=False),
        sa.Column("variant_persona", v.json(), nullable=False),
        sa.Column("hypothesis", v.text(), nullable=True),
        sa.Column("status", v.text(), server_default=sa.text("'running'"), nullable=False),
        sa.Column("control_successes", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("control_trials", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("variant_successes", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("variant_trials", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", v.utc(), server_default=v.now(), nullable=False),
        sa.Column("completed_at", v.utc(), nullable=True),
        sa.PrimaryKeyConstraint("experiment_id", name=op.f("pk_experiments")),
        v.sqlite_check("json", "control_persona", name=op.f("ck_experiments_control_persona")),
        v.sqlite_check("json", "variant_persona", name=op.f("ck_experiments_variant_persona")),
        v.sqlite_check("utc", "completed_at", name=op.f("ck_experiments_completed_at")),
        v.sqlite_check("utc", "created_at", name=op.f("ck_experiments_created_at")),
        sqlite_strict=True,
    )
    op.create_index("ix_experiments_agent", "experiments", ["agent_name", "status"], unique=False)
    op.create_table(
        "trait_transfers",
        sa.Column("id", v.bigint(), sa.Identity(always=False), nullable=False),
        sa.Column("from_agent", v.text(), nullable=False),
        sa.Column("to_agent", v.text(), nullable=False),
        sa.Column("trait", v.text(), nullable=False),
        sa.Column("expertise_domain", v.text(), nullable=True),
        sa.Column("success_rate_before", v.double(), nullable=True),
        sa.Column("success_rate_after", v.double(), nullable=True),
        sa.Column("transferred_at", v.utc(), server_default=v.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trait_transfers")),
        v.sqlite_check("utc", "transferred_at", name=op.f("ck_trait_transfers_transferred_at")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index(
        "ix_trait_transfers_from_agent",
        "trait_transfers",
        ["from_agent", sa.literal_column("transferred_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_index(
        "ix_trait_transfers_to_agent",
        "trait_transfers",
        ["to_agent", sa.literal_column("transferred_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
