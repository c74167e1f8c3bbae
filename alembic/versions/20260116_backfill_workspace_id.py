"""Give each debate the workspace of its organisation.

A data migration: SQL on the tables as they are now, in slices of the primary key, so that it takes the same memory
for a thousand rows and for a hundred million, and locks few at a time.

Revision: 20260116_backfill_workspace_id
Follows: 20260115_add_workspace_id
Created: 2026-11-22
"""

import sqlalchemy as sa
from alembic import op

from aragora_db.migrations.forward_only import no_way_back as __getattr__  # noqa: F401 -- answers for `downgrade`

revision = "20260116_backfill_workspace_id"
down_revision = "20260115_add_workspace_id"
branch_labels = None
depends_on = None

SLICE = 5_000


def upgrade() -> None:
    """Give each debate the workspace of its organisation."""
    debates = sa.table("debates", sa.column("id"), sa.column("org_id"), sa.column("workspace_id"))
    waiting = sa.and_(debates.c.workspace_id.is_(None), debates.c.org_id.is_not(None))
    if op.get_context().as_sql:
        op.execute(sa.update(debates).where(waiting).values(workspace_id=debates.c.org_id))
        return
    connection = op.get_bind()
    slice_of_ids = sa.select(debates.c.id).where(waiting).order_by(debates.c.id).limit(SLICE).scalar_subquery()
    fill = sa.update(debates).where(debates.c.id.in_(slice_of_ids)).values(workspace_id=debates.c.org_id)
    while connection.execute(fill).rowcount == SLICE:
        pass
