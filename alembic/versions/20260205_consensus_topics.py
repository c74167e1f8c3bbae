"""Find similar topics by their words, and archive proofs with their consensus.

The words of the topics that are there are filled in by Python; ``--sql`` leaves that to `aragora-db reindex`.

Revision: 20260205_consensus_topics
Follows: 20260204_continuum_weight_index
Created: 2026-11-24
"""

import sqlalchemy as sa
from alembic import op

from aragora_db.migrations import vocabulary as v
from aragora_db.migrations.forward_only import no_way_back as __getattr__  # noqa: F401 -- answers for `downgrade`

revision = "20260205_consensus_topics"
down_revision = "20260204_continuum_weight_index"
branch_labels = None
depends_on = None

SLICE = 5_000
WORD = 128  # characters of a word that count


def upgrade() -> None:
    """Find similar topics by their words, and archive proofs with their consensus."""
    op.create_table(
        "consensus_topic_words",
        sa.Column("consensus_id", v.text(), nullable=False),
        sa.Column("word", v.text(), nullable=False),
        sa.Column("topic_size", v.bigint(), nullable=False),
        sa.CheckConstraint("length(word) <= 128", name=op.f("ck_consensus_topic_words_word_length")),
        sa.ForeignKeyConstraint(
            ["consensus_id"],
            ["consensus.id"],
            name=op.f("fk_consensus_topic_words_consensus_id_consensus"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("consensus_id", "word", name=op.f("pk_consensus_topic_words")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_consensus_topic_words_similar",
        "consensus_topic_words",
        ["word", "consensus_id", "topic_size"],
        unique=False,
    )
    op.create_table(
        "verified_proofs_archive",
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
        sa.Column("archived_at", v.utc(), server_default=v.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verified_proofs_archive")),
        v.sqlite_check("boolean", "is_verified", name=op.f("ck_verified_proofs_archive_is_verified")),
        v.sqlite_check("json", "data", name=op.f("ck_verified_proofs_archive_data")),
        v.sqlite_check("utc", "archived_at", name=op.f("ck_verified_proofs_archive_archived_at")),
        v.sqlite_check("utc", "timestamp", name=op.f("ck_verified_proofs_archive_timestamp")),
        sqlite_strict=True,
    )
    op.create_index("ix_verified_proofs_archive_archived_at", "verified_proofs_archive", ["archived_at"], unique=False)
    op.create_index("ix_verified_proofs_archive_debate", "verified_proofs_archive", ["debate_id"], unique=False)
    if not op.get_context().as_sql:
        _fill(op.get_bind())


def _fill(connection: sa.Connection) -> None:
    consensus = sa.table("consensus", sa.column("id"), sa.column("topic"))
    target = sa.table("consensus_topic_words", sa.column("consensus_id"), sa.column("word"), sa.column("topic_size"))
    some = sa.select(consensus).order_by(consensus.c.id).limit(SLICE)
    rows = connection.execute(some).all()
    while rows:
        found = [
            {"consensus_id": row.id, "word": word, "topic_size": len(words)}
            for row in rows
            if (words := {word[:WORD] for word in row.topic.lower().split()})
            for word in sorted(words)
        ]
        if found:
            connection.execute(target.insert(), found)
        rows = connection.execute(some.where(consensus.c.id > rows[-1].id)).all()
