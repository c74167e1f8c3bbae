"""The documented data migration, from the revision before it; its slices are small here."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from aragora_db import Database, Settings

pytestmark = pytest.mark.slow

REVISION = "20260116_backfill_workspace_id"
SLICE = 50
ROWS = SLICE + 10
"""Two slices: the second is not full."""

INSERT = sa.text(
    "INSERT INTO debates (id, slug, task, agents, artifact_json, org_id) VALUES (:id, :id, 'task', '[]', '{}', :org)"
)


@pytest.mark.parametrize("rows", [0, SLICE, ROWS], ids=["none", "one full slice", "two slices"])
def test_every_debate_of_an_organisation_gets_its_workspace(rows, dialect, at_revision, revisions):
    """A slice that is left out leaves debates that no workspace lists; nobody would miss them for months."""
    revisions.unseal()
    revisions.edit(REVISION, "SLICE = 5_000", f"SLICE = {SLICE}")
    database = Database(Settings.explicit(database_url=at_revision(dialect, "20260115_add_workspace_id")))
    given = [{"id": f"debate-{n:05}", "org": f"org-{n % 7}"} for n in range(rows)]
    others = [{"id": f"private-{n}", "org": None} for n in range(3)]
    with database.engine.begin() as connection:
        connection.execute(INSERT, [*given, *others])
        connection.execute(
            sa.text("UPDATE debates SET workspace_id = 'chosen', org_id = 'org-9' WHERE id = 'private-0'")
        )
    assert database.migrate(REVISION) == [REVISION]
    with database.engine.connect() as connection:
        found = connection.execute(sa.text("SELECT id, workspace_id FROM debates ORDER BY id")).all()
    expected = {row["id"]: row["org"] for row in [*given, *others]} | {"private-0": "chosen"}
    assert {row.id: row.workspace_id for row in found} == expected
    database.close()
