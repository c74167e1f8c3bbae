"""Genomes, populations and the ledger of events.

Revision: 20260111_genesis
Follows: 20260110_insights
Created: 2026-11-22
"""

import sqlalchemy as sa
from alembic import op

from aragora_db.migrations import vocabulary as v
from aragora_db.migrations.forward_only import no_way_back as __getattr__  # noqa: F401 -- answers for `downgrade`

revision = "20260111_genesis"
down_revision = "20260110_insights"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Genomes, populations and the ledger of events."""
    op.create_table(
        "genesis_events",
        sa.Column("event_id", v.text(), nullable=False),
        sa.Column("event_type", v.text(), nullable=False),
        sa.Column("timestamp", v.utc(), nullable=False),
        sa.Column("parent_event_id", v.text(), nullable=True),
        sa.Column("content_hash", v.text(), nullable=False),
        sa.Column("data", v.json(), nullable=True),
        sa.Column("hashed_text", v.text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["parent_event_id"],
            ["genesis_events.event_id"],
            name=op.f("fk_genesis_events_parent_event_id_genesis_events"),
        ),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_genesis_events")),
        v.sqlite_check("json", "data", name=op.f("ck_genesis_events_data")),
        v.sqlite_check("utc", "timestamp", name=op.f("ck_genesis_events_timestamp")),
        sqlite_strict=True,
    )
    op.create_index("ix_genesis_events_parent", "genesis_events", ["parent_event_id"], unique=False)
    op.create_index("ix_genesis_events_timestamp", "genesis_events", ["timestamp", "event_id"], unique=False)
    op.create_index("ix_genesis_events_type", "genesis_events", ["event_type", "timestamp", "event_id"], unique=False)
    op.create_table(
        "genomes",
        sa.Column("genome_id", v.text(), nullable=False),
        sa.Column("name", v.text(), nullable=False),
        sa.Column("traits", v.json(), nullable=True),
        sa.Column("expertise", v.json(), nullable=True),
        sa.Column("model_preference", v.text(), nullable=True),
        sa.Column("parent_genomes", v.json(), nullable=True),
        sa.Column("generation", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("fitness_score", v.double(), server_default=sa.text("0.5"), nullable=False),
        sa.Column("birth_debate_id", v.text(), nullable=True),
        sa.Column("created_at", v.utc(), server_default=v.now(), nullable=False),
        sa.Column("updated_at", v.utc(), server_default=v.now(), nullable=False),
        sa.Column("consensus_contributions", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("critiques_accepted", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("predictions_correct", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("debates_participated", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("genome_id", name=op.f("pk_genomes")),
        v.sqlite_check("json", "expertise", name=op.f("ck_genomes_expertise")),
        v.sqlite_check("json", "parent_genomes", name=op.f("ck_genomes_parent_genomes")),
        v.sqlite_check("json", "traits", name=op.f("ck_genomes_traits")),
        v.sqlite_check("utc", "created_at", name=op.f("ck_genomes_created_at")),
        v.sqlite_check("utc", "updated_at", name=op.f("ck_genomes_updated_at")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_genomes_fitness", "genomes", [sa.literal_column("fitness_score DESC"), "genome_id"], unique=False
    )
    op.create_index(
        "ix_genomes_generation",
        "genomes",
        ["generation", sa.literal_column("fitness_score DESC"), "genome_id"],
        unique=False,
    )
    op.create_index("ix_genomes_name", "genomes", ["name"], unique=False)
    op.create_table(
        "populations",
        sa.Column("population_id", v.text(), nullable=False),
        sa.Column("genome_ids", v.json(), nullable=True),
        sa.Column("generation", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", v.utc(), server_default=v.now(), nullable=False),
        sa.Column("debate_history", v.json(), nullable=True),
        sa.PrimaryKeyConstraint("population_id", name=op.f("pk_populations")),
        v.sqlite_check("json", "debate_history", name=op.f("ck_populations_debate_history")),
        v.sqlite_check("json", "genome_ids", name=op.f("ck_populations_genome_ids")),
        v.sqlite_check("utc", "created_at", name=op.f("ck_populations_created_at")),
        sqlite_strict=True,
    )
    op.create_table(
        "active_population",
        sa.Column("id", v.bigint(), autoincrement=False, nullable=False),
        sa.Column("population_id", v.text(), nullable=True),
        sa.CheckConstraint("id = 1", name=op.f("ck_active_population_singleton")),
        sa.ForeignKeyConstraint(
            ["population_id"],
            ["populations.population_id"],
            name=op.f("fk_active_population_population_id_populations"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_active_population")),
        sqlite_strict=True,
    )
