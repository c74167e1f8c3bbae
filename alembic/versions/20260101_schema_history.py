"""The record of the schema: schema_history, and the triggers that keep it honest.

The version row moves only to the newest row of the history, and from that row's predecessor; the history only grows.
So raw SQL, a foreign env.py and `stamp` are refused by the database itself. Whoever owns the tables can still drop the
triggers: give the application a role that does not (docs/guide/migrations.md).

Revision: 20260101_schema_history
Follows: nothing
Created: 2026-11-22
"""

import sqlalchemy as sa
from alembic import op

from aragora_db.migrations import vocabulary as v
from aragora_db.migrations.forward_only import no_way_back as __getattr__  # noqa: F401 -- answers for `downgrade`

revision = "20260101_schema_history"
down_revision = None
branch_labels = None
depends_on = None


_ADVICE = "the schema only moves forward: write a new revision, see docs/guide/migrations.md"

_NEWEST = "SELECT 1 FROM schema_history WHERE id = (SELECT max(id) FROM schema_history) AND revision = NEW.version_num"

_POSTGRESQL = f"""
CREATE FUNCTION aragora_forward_only() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $body$
BEGIN
    IF TG_TABLE_NAME = 'aragora_schema_version' THEN
        IF TG_OP = 'INSERT' AND NOT EXISTS (SELECT 1 FROM aragora_schema_version)
                AND EXISTS ({_NEWEST} AND predecessor IS NULL) THEN
            RETURN NEW;
        END IF;
        IF TG_OP = 'UPDATE' AND EXISTS ({_NEWEST} AND predecessor = OLD.version_num) THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION USING MESSAGE = TG_OP || ' of ' || TG_TABLE_NAME || ' refused', HINT = '{_ADVICE}';
END
$body$
"""

_GUARD = {
    "postgresql": [
        _POSTGRESQL,
        (
            "CREATE TRIGGER aragora_forward_only BEFORE INSERT OR UPDATE OR DELETE ON aragora_schema_version"
            " FOR EACH ROW EXECUTE FUNCTION aragora_forward_only()"
        ),
        (
            "CREATE TRIGGER aragora_no_truncate BEFORE TRUNCATE ON aragora_schema_version"
            " FOR EACH STATEMENT EXECUTE FUNCTION aragora_forward_only()"
        ),
        (
            "CREATE TRIGGER aragora_forward_only BEFORE UPDATE OR DELETE ON schema_history"
            " FOR EACH ROW EXECUTE FUNCTION aragora_forward_only()"
        ),
        (
            "CREATE TRIGGER aragora_no_truncate BEFORE TRUNCATE ON schema_history"
            " FOR EACH STATEMENT EXECUTE FUNCTION aragora_forward_only()"
        ),
    ],
    "sqlite": [
        (
            "CREATE TRIGGER aragora_version_insert BEFORE INSERT ON aragora_schema_version"
            f" WHEN EXISTS (SELECT 1 FROM aragora_schema_version) OR NOT EXISTS ({_NEWEST} AND predecessor IS NULL)"
            f" BEGIN SELECT RAISE(ABORT, 'INSERT of aragora_schema_version refused: {_ADVICE}'); END"
        ),
        (
            "CREATE TRIGGER aragora_version_update BEFORE UPDATE ON aragora_schema_version"
            f" WHEN NOT EXISTS ({_NEWEST} AND predecessor = OLD.version_num)"
            f" BEGIN SELECT RAISE(ABORT, 'UPDATE of aragora_schema_version refused: {_ADVICE}'); END"
        ),
        (
            "CREATE TRIGGER aragora_version_delete BEFORE DELETE ON aragora_schema_version"
            f" BEGIN SELECT RAISE(ABORT, 'DELETE of aragora_schema_version refused: {_ADVICE}'); END"
        ),
        (
            "CREATE TRIGGER aragora_history_insert BEFORE INSERT ON schema_history"
            " WHEN EXISTS (SELECT 1 FROM schema_history WHERE revision = NEW.revision OR id = NEW.id)"
            f" BEGIN SELECT RAISE(ABORT, 'REPLACE of schema_history refused: {_ADVICE}'); END"
        ),
        (
            "CREATE TRIGGER aragora_history_update BEFORE UPDATE ON schema_history"
            f" BEGIN SELECT RAISE(ABORT, 'UPDATE of schema_history refused: {_ADVICE}'); END"
        ),
        (
            "CREATE TRIGGER aragora_history_delete BEFORE DELETE ON schema_history"
            f" BEGIN SELECT RAISE(ABORT, 'DELETE of schema_history refused: {_ADVICE}'); END"
        ),
    ],
}


def upgrade() -> None:
    """Create the history, then the triggers; Alembic has made the version table already."""
    op.create_table(
        "schema_history",
        sa.Column("id", v.bigint(), sa.Identity(always=False), nullable=False),
        sa.Column("revision", v.text(), nullable=False),
        sa.Column("predecessor", v.text(), nullable=True),
        sa.Column("checksum", v.text(), nullable=False),
        sa.Column("applied_at", v.utc(), server_default=v.now(), nullable=False),
        sa.Column("applied_by", v.text(), nullable=False),
        sa.Column("duration_ms", v.double(), nullable=True),
        sa.Column("package_version", v.text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schema_history")),
        sa.UniqueConstraint("revision", name=op.f("uq_schema_history_revision")),
        v.sqlite_check("utc", "applied_at", name=op.f("ck_schema_history_applied_at")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    for statement in _GUARD[op.get_context().dialect.name]:
        op.execute(sa.DDL(statement.replace("%", "%%")))
