"""The nomic loop: rollbacks, cycles and the files they changed.

Revision: 20260306_nomic_evolution
Follows: 20260305_meta_learning
Created: 2026-11-24
"""

import sqlalchemy as sa
from alembic import op

from aragora_db.migrations import vocabulary as v
from aragora_db.migrations.forward_only import no_way_back as __getattr__  # noqa: F401 -- answers for `downgrade`

revision = "20260306_nomic_evolution"
down_revision = "20260305_meta_learning"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The nomic loop: rollbacks, cycles and the files they changed."""
    op.create_table(
        "nomic_rollbacks",
        sa.Column("id", v.text(), nullable=False),
        sa.Column("loop_id", v.text(), nullable=False),
        sa.Column("cycle_number", v.bigint(), nullable=False),
        sa.Column("phase", v.text(), nullable=False),
        sa.Column("reason", v.text(), nullable=False),
        sa.Column("severity", v.text(), nullable=False),
        sa.Column("rolled_back_commit", v.text(), nullable=True),
        sa.Column("preserved_branch", v.text(), nullable=True),
        sa.Column("files_affected", v.json(), nullable=True),
        sa.Column("diff_summary", v.text(), nullable=True),
        sa.Column("error_message", v.text(), nullable=True),
        sa.Column("created_at", v.utc(), server_default=v.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_nomic_rollbacks")),
        v.sqlite_check("json", "files_affected", name=op.f("ck_nomic_rollbacks_files_affected")),
        v.sqlite_check("utc", "created_at", name=op.f("ck_nomic_rollbacks_created_at")),
        sqlite_strict=True,
    )
    op.create_index("ix_nomic_rollbacks_loop", "nomic_rollbacks", ["loop_id", "cycle_number"], unique=False)
    op.create_index(
        "ix_nomic_rollbacks_severity",
        "nomic_rollbacks",
        ["severity", sa.literal_column("created_at DESC")],
        unique=False,
    )
    op.create_table(
        "cycle_evolutions",
        sa.Column("id", v.text(), nullable=False),
        sa.Column("loop_id", v.text(), nullable=False),
        sa.Column("cycle_number", v.bigint(), nullable=False),
        sa.Column("debate_artifact_id", v.text(), nullable=True),
        sa.Column("winning_proposal_summary", v.text(), nullable=True),
        sa.Column("files_changed", v.json(), nullable=True),
        sa.Column("git_commit", v.text(), nullable=True),
        sa.Column("rollback_id", v.text(), nullable=True),
        sa.Column("created_at", v.utc(), server_default=v.now(), nullable=False),
        sa.ForeignKeyConstraint(
            ["rollback_id"], ["nomic_rollbacks.id"], name=op.f("fk_cycle_evolutions_rollback_id_nomic_rollbacks")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cycle_evolutions")),
        sa.UniqueConstraint("loop_id", "cycle_number", name=op.f("uq_cycle_evolutions_loop_id_cycle_number")),
        v.sqlite_check("json", "files_changed", name=op.f("ck_cycle_evolutions_files_changed")),
        v.sqlite_check("utc", "created_at", name=op.f("ck_cycle_evolutions_created_at")),
        sqlite_strict=True,
    )
    op.create_index("ix_cycle_evolutions_rollback", "cycle_evolutions", ["rollback_id"], unique=False)
    op.create_table(
        "cycle_file_changes",
        sa.Column("loop_id", v.text(), nullable=False),
        sa.Column("cycle_number", v.bigint(), autoincrement=False, nullable=False),
        sa.Column("file_path", v.text(), nullable=False),
        sa.Column("change_type", v.text(), nullable=False),
        sa.Column("insertions", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("deletions", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("loop_id", "cycle_number", "file_path", name=op.f("pk_cycle_file_changes")),
        sqlite_strict=True,
    )
    op.create_index("ix_cycle_file_changes_path", "cycle_file_changes", ["file_path"], unique=False)
