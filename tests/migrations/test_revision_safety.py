"""A revision that fails leaves nothing, and one that rebuilds a table loses nothing."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from aragora_db import Database, Settings
from aragora_db.errors import MigrationError
from aragora_db.migrations import scripts
from aragora_db.migrations.status import status
from aragora_db.migrations.upgrade import inspect_state

pytestmark = pytest.mark.slow

HEAD = scripts.head()
NOTES = """
    op.create_table("notes", sa.Column("id", v.bigint(), primary_key=True), sqlite_strict=True)
    op.execute("INSERT INTO notes VALUES (1)")
"""
RESULTS = "INSERT INTO debate_results (id, task) VALUES ('d1', 'one'), ('d2', 'two')"
CRITIQUES = "INSERT INTO critiques (debate_id, agent) VALUES ('d1', 'claude'), ('d1', 'gpt'), ('d2', 'claude')"


@pytest.fixture
def database(dialect, fresh_databases):
    """A database at head of the released revisions."""
    database = Database(Settings.explicit(database_url=fresh_databases.url(dialect)))
    yield database
    database.close()


def run(database: Database, *statements: str) -> list[list]:
    """Run SQL in one transaction; returns the rows of each statement."""
    with database.engine.begin() as connection:
        results = [connection.exec_driver_sql(statement) for statement in statements]
        return [[tuple(row) for row in result] if result.returns_rows else [] for result in results]


def tables(database: Database) -> set[str]:
    """Every table."""
    return set(sa.inspect(database.engine).get_table_names())


def test_a_failing_revision_leaves_nothing(database, revisions):
    """A table left behind makes every later run fail with "already exists"; only somebody with a shell can help."""
    before = tables(database)
    stem = revisions.add("20991231_notes", f"{NOTES}\n    raise RuntimeError('half way')")
    with pytest.raises(RuntimeError, match="half way"):
        database.migrate()
    assert tables(database) == before
    state = inspect_state(database._target)
    assert (state.current, state.history[-1].revision, state.pending) == (HEAD, HEAD, (stem,))

    revisions.edit(stem, "raise RuntimeError('half way')", "pass")
    assert database.migrate() == [stem]
    assert run(database, "SELECT * FROM notes") == [[(1,)]]
    assert inspect_state(database._target).pending == ()


def test_a_failure_in_the_first_revision_of_all_leaves_an_empty_database(dialect, fresh_databases, revisions):
    """The version table is made before the first revision; left alone, it would make the database look like ours."""
    database = Database(Settings.explicit(database_url=fresh_databases.url(dialect, migrated=False)))
    first, guard = "20260101_schema_history", "    for statement in _GUARD"
    revisions.unseal()
    revisions.edit(first, guard, f"    raise RuntimeError('half way')\n{guard}")
    with pytest.raises(RuntimeError, match="half way"):
        database.migrate()
    assert tables(database) == set()
    revisions.edit(first, "    raise RuntimeError('half way')\n", "")
    database.migrate()
    assert status(database._target).good
    database.close()


def test_finished_revisions_of_a_failed_run_are_kept_or_gone_as_a_whole(database, revisions):
    """PostgreSQL commits each revision, SQLite all of them: both leave a state that the next run goes on from."""
    first = revisions.add("20991230_notes", NOTES)
    second = revisions.add("20991231_fails", "raise RuntimeError")
    with pytest.raises(RuntimeError):
        database.migrate()
    state = inspect_state(database._target)
    assert ("notes" in tables(database)) == (first not in state.pending)
    assert [row.revision for row in state.history if row.revision == state.current] == [state.current]
    revisions.edit(second, "raise RuntimeError", "pass")
    assert database.migrate() == list(state.pending)
    assert run(database, "SELECT * FROM notes") == [[(1,)]]


def test_rebuilding_a_parent_keeps_its_children(database, revisions):
    """SQLite rebuilds a table to change a column; ON DELETE CASCADE emptied the children, with exit code 0."""
    run(database, RESULTS, CRITIQUES)
    revisions.add(
        "20991231_rebuild",
        """
        with op.batch_alter_table("debate_results") as batch:
            batch.alter_column("task", existing_type=v.text(), nullable=True)
        """,
    )
    database.migrate()
    columns = {
        column["name"]: column["nullable"] for column in sa.inspect(database.engine).get_columns("debate_results")
    }
    assert columns["task"]
    counts = run(database, "SELECT count(*) FROM debate_results", "SELECT count(*) FROM critiques")
    assert counts == [[(2,)], [(3,)]]
    run(database, "DELETE FROM debate_results WHERE id = 'd1'")
    assert run(database, "SELECT debate_id FROM critiques") == [[("d2",)]]


def test_a_revision_that_orphans_rows_is_refused(database, revisions):
    """On SQLite foreign keys are off while a table is rebuilt: without a check, orphans would be committed."""
    run(database, RESULTS, CRITIQUES)
    body = """
        if op.get_context().dialect.name == "postgresql":
            op.drop_constraint("fk_critiques_debate_id_debate_results", "critiques")
        op.execute("DELETE FROM debate_results WHERE id = 'd1'")
        if op.get_context().dialect.name == "postgresql":
            op.create_foreign_key(
                "fk_critiques_debate_id_debate_results", "critiques", "debate_results", ["debate_id"], ["id"],
                ondelete="CASCADE",
            )
    """
    stem = revisions.add("20991231_orphans", body)
    with pytest.raises(Exception, match="debate_results") as refused:
        database.migrate()
    assert getattr(refused.value, "exit_code", None) == MigrationError.exit_code
    assert inspect_state(database._target).pending == (stem,)
    counts = run(database, "SELECT count(*) FROM debate_results", "SELECT count(*) FROM critiques")
    assert counts == [[(2,)], [(3,)]]
