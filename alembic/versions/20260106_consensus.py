"""Consensus, dissent and proofs, with their archives.

Revision: 20260106_consensus
Follows: 20260105_continuum
Created: 2026-11-22
"""

import sqlalchemy as sa
from alembic import op

from aragora_db.migrations import vocabulary as v
from aragora_db.migrations.forward_only import no_way_back as __getattr__  # noqa: F401 -- answers for `downgrade`

revision = "20260106_consensus"
down_revision = "20260105_continuum"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Consensus, dissent and proofs, with their archives."""
    op.create_table(
        "consensus",
        sa.Column("id", v.text(), nullable=False),
        sa.Column("topic", v.text(), nullable=False),
        sa.Column("topic_hash", v.text(), nullable=False),
        sa.Column("conclusion", v.text(), nullable=False),
        sa.Column("strength", v.text(), nullable=False),
        sa.Column("confidence", v.double(), nullable=True),
        sa.Column("domain", v.text(), nullable=True),
        sa.Column("tags", v.json(), nullable=True),
        sa.Column("timestamp", v.utc(), nullable=True),
        sa.Column("data", v.json(), nullable=False),
        sa.CheckConstraint(
            "strength IN ('unanimous', 'strong', 'moderate', 'weak', 'split', 'contested')",
            name=op.f("ck_consensus_strength"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consensus")),
        v.sqlite_check("json", "data", name=op.f("ck_consensus_data")),
        v.sqlite_check("json", "tags", name=op.f("ck_consensus_tags")),
        v.sqlite_check("utc", "timestamp", name=op.f("ck_consensus_timestamp")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_consensus_confidence",
        "consensus",
        [v.newest_first("confidence"), v.newest_first("timestamp")],
        unique=False,
    )
    op.create_index("ix_consensus_domain", "consensus", ["domain", v.newest_first("timestamp"), "id"], unique=False)
    op.create_index("ix_consensus_timestamp", "consensus", [v.newest_first("timestamp"), "id"], unique=False)
    op.create_index("ix_consensus_topic_hash", "consensus", ["topic_hash", v.newest_first("timestamp")], unique=False)
    op.create_table(
        "consensus_archive",
        sa.Column("id", v.text(), nullable=False),
        sa.Column("topic", v.text(), nullable=False),
        sa.Column("topic_hash", v.text(), nullable=False),
        sa.Column("conclusion", v.text(), nullable=False),
        sa.Column("strength", v.text(), nullable=False),
        sa.Column("confidence", v.double(), nullable=True),
        sa.Column("domain", v.text(), nullable=True),
        sa.Column("tags", v.json(), nullable=True),
        sa.Column("timestamp", v.utc(), nullable=True),
        sa.Column("data", v.json(), nullable=False),
        sa.Column("archived_at", v.utc(), server_default=v.now(), nullable=False),
        sa.CheckConstraint(
            "strength IN ('unanimous', 'strong', 'moderate', 'weak', 'split', 'contested')",
            name=op.f("ck_consensus_archive_strength"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consensus_archive")),
        v.sqlite_check("json", "data", name=op.f("ck_consensus_archive_data")),
        v.sqlite_check("json", "tags", name=op.f("ck_consensus_archive_tags")),
        v.sqlite_check("utc", "archived_at", name=op.f("ck_consensus_archive_archived_at")),
        v.sqlite_check("utc", "timestamp", name=op.f("ck_consensus_archive_timestamp")),
        sqlite_strict=True,
    )
    op.create_index("ix_consensus_archive_archived_at", "consensus_archive", ["archived_at"], unique=False)
    op.create_table(
        "dissent_archive",
        sa.Column("id", v.text(), nullable=False),
        sa.Column("debate_id", v.text(), nullable=False),
        sa.Column("agent_id", v.text(), nullable=False),
        sa.Column("dissent_type", v.text(), nullable=False),
        sa.Column("content", v.text(), nullable=False),
        sa.Column("confidence", v.double(), nullable=True),
        sa.Column("timestamp", v.utc(), nullable=True),
        sa.Column("data", v.json(), nullable=False),
        sa.Column("archived_at", v.utc(), server_default=v.now(), nullable=False),
        sa.CheckConstraint(
            "dissent_type IN ('minor_quibble', 'alternative_approach', 'fundamental_disagreement', 'edge_case_concern', 'risk_warning', 'abstention')",
            name=op.f("ck_dissent_archive_dissent_type"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dissent_archive")),
        v.sqlite_check("json", "data", name=op.f("ck_dissent_archive_data")),
        v.sqlite_check("utc", "archived_at", name=op.f("ck_dissent_archive_archived_at")),
        v.sqlite_check("utc", "timestamp", name=op.f("ck_dissent_archive_timestamp")),
        sqlite_strict=True,
    )
    op.create_index("ix_dissent_archive_archived_at", "dissent_archive", ["archived_at"], unique=False)
    op.create_index("ix_dissent_archive_debate", "dissent_archive", ["debate_id"], unique=False)
    op.create_table(
        "dissent",
        sa.Column("id", v.text(), nullable=False),
        sa.Column("debate_id", v.text(), nullable=False),
        sa.Column("agent_id", v.text(), nullable=False),
        sa.Column("dissent_type", v.text(), nullable=False),
        sa.Column("content", v.text(), nullable=False),
        sa.Column("confidence", v.double(), nullable=True),
        sa.Column("timestamp", v.utc(), nullable=True),
        sa.Column("data", v.json(), nullable=False),
        sa.CheckConstraint(
            "dissent_type IN ('minor_quibble', 'alternative_approach', 'fundamental_disagreement', 'edge_case_concern', 'risk_warning', 'abstention')",
            name=op.f("ck_dissent_dissent_type"),
        ),
        sa.ForeignKeyConstraint(
            ["debate_id"], ["consensus.id"], name=op.f("fk_dissent_debate_id_consensus"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dissent")),
        v.sqlite_check("json", "data", name=op.f("ck_dissent_data")),
        v.sqlite_check("utc", "timestamp", name=op.f("ck_dissent_timestamp")),
        sqlite_strict=True,
    )
    op.create_index("ix_dissent_agent", "dissent", ["agent_id", v.newest_first("timestamp")], unique=False)
    op.create_index("ix_dissent_debate", "dissent", ["debate_id", v.newest_first("timestamp")], unique=False)
    op.create_index("ix_dissent_timestamp", "dissent", [v.newest_first("timestamp"), "id"], unique=False)
    op.create_index("ix_dissent_type", "dissent", ["dissent_type", v.newest_first("timestamp")], unique=False)
    op.create_table(
        "verified_proofs",
        sa.Column("id", v.text(), nullable=False),
        sa.Column("debate_id", v.text(), nullable=False),
        sa.Column("proof_status", v.text(), nullable=False),
        sa.Column("language", v.text(), nullable=True),
        sa.Column("formal_statement", v.text(), nullable=True),
        sa.Column("is_verified", v.boolean(), server_default=sa.false(), nullable=False),
        sa.Column("proof_hash", v.text(), nullable=True),
        sa.Column("translation_time_ms", v.double(), nullable=True),
        sa.Column("proof_search_time_ms", v.double(), nullable=True),
        sa.Column("prover_version", v.text(), nullable=True),
        sa.Column("error_message", v.text(), nullable=True),
        sa.Column("timestamp", v.utc(), nullable=False),
        sa.Column("data", v.json(), nullable=False),
        sa.ForeignKeyConstraint(
            ["debate_id"], ["consensus.id"], name=op.f("fk_verified_proofs_debate_id_consensus"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verified_proofs")),
        v.sqlite_check("boolean", "is_verified", name=op.f("ck_verified_proofs_is_verified")),
        v.sqlite_check("json", "data", name=op.f("ck_verified_proofs_data")),
        v.sqlite_check("utc", "timestamp", name=op.f("ck_verified_proofs_timestamp")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_verified_proofs_debate", "verified_proofs", ["debate_id", sa.literal_column("timestamp DESC")], unique=False
    )
    op.create_index(
        "ix_verified_proofs_status",
        "verified_proofs",
        ["proof_status", sa.literal_column("timestamp DESC")],
        unique=False,
    )
    op.create_index(
        "ix_verified_proofs_verified",
        "verified_proofs",
        ["is_verified", sa.literal_column("timestamp DESC")],
        unique=False,
    )
