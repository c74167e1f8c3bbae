"""Full-text indexes and what fills them: interrupted, tampered with, and printed as SQL."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from aragora_db import Database, Settings
from aragora_db.migrations import vocabulary
from aragora_db.migrations.status import drift, status
from aragora_db.migrations.upgrade import inspect_state
from aragora_db.models import ContinuumKeywords, ContinuumMemory, DebateKeywords, InsightKeywords
from aragora_db.search.keywords import matches

pytestmark = pytest.mark.slow

BEFORE = "20260121_drop_index_debates_task"
KEYWORD_TABLES = ("continuum_keywords", "debate_keywords", "insight_keywords")
POISON = "poisonous"

OLD_ROWS = (
    "INSERT INTO continuum_memory (id, content) VALUES ('m1', 'first'), ('m2', 'second'), ('m3', 'third')",
    "INSERT INTO debates (id, slug, task, agents, artifact_json) VALUES ('d1', 'd1', 'the first task', '[]', '{}')",
    "INSERT INTO insights (id, type, title, debate_id) VALUES ('i1', 'pattern', 'a first title', 'd1')",
    """
    INSERT INTO consensus (id, topic, topic_hash, conclusion, strength, data)
    VALUES ('c1', 'a topic', 'h', 'c', 'strong', '{}'), ('c2', 'another topic', 'h', 'c', 'strong', '{}')
    """,
)


@pytest.fixture
def before(dialect, at_revision):
    """A database of the release before full-text search, with rows."""
    database = Database(Settings.explicit(database_url=at_revision(dialect, BEFORE)))
    execute(database, *OLD_ROWS)
    yield database
    database.close()


@pytest.fixture
def database(dialect, fresh_databases):
    """A database at head."""
    database = Database(Settings.explicit(database_url=fresh_databases.url(dialect)))
    yield database
    database.close()


def execute(database: Database, *statements: str) -> None:
    """SQL by hand."""
    with database.engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def objects(database: Database) -> set[tuple[str, str]]:
    """Everything the catalogue lists, indexes, triggers and FTS5's own tables too."""
    catalogue = {
        "sqlite": "SELECT type, name FROM sqlite_master",
        "postgresql": "SELECT relkind::text, relname FROM pg_class WHERE relnamespace = 'public'::regnamespace",
    }
    with database.engine.connect() as connection:
        return {(kind, name) for kind, name in connection.exec_driver_sql(catalogue[database.engine.dialect.name])}


def owners(database: Database, table, *searched: str) -> list[str]:
    """What a search finds."""
    query = sa.select(table.owner_id).where(matches(table, searched)).order_by(table.owner_id)
    return database.transact(lambda session: list(session.scalars(query)))


FAILS_IN = {
    "20260203_continuum_search": "UPDATE continuum_memory SET content = 'poisonous' WHERE id = 'm3'",
    "20260206_debate_and_insight_keywords": "UPDATE insights SET title = 'poisonous'",
}


@pytest.mark.parametrize("revision", FAILS_IN)
def test_an_interrupted_fill_leaves_nothing(revision, before, monkeypatch, dialect, at_revision):
    """Half of the words under an index that looks whole, or a table that makes the next attempt fail."""
    execute(before, FAILS_IN[revision])
    real = vocabulary.words

    def words(text):
        if POISON in text:
            raise RuntimeError("half way")
        return real(text)

    monkeypatch.setattr(vocabulary, "_SLICE", 1)
    monkeypatch.setattr(vocabulary, "words", words)
    with pytest.raises(RuntimeError, match="half way"):
        before.migrate()
    state = inspect_state(before._target)
    assert revision in state.pending
    monkeypatch.setattr(vocabulary, "words", real)
    # PostgreSQL keeps the revisions that were finished, SQLite none.
    clean = Database(Settings.explicit(database_url=at_revision(dialect, state.current)))
    assert objects(before) == objects(clean)
    clean.close()
    assert before.migrate() == list(state.pending)
    assert status(before._target).good
    assert owners(before, ContinuumKeywords, "second") == ["m2"]
    assert owners(before, DebateKeywords, "task") == ["d1"]
    assert owners(before, ContinuumKeywords, POISON) + owners(before, InsightKeywords, POISON) in (["m3"], ["i1"])


def test_interrupted_topics_leave_nothing(before, revisions):
    """As above, for the words of topics."""
    stem, stop = "20260205_consensus_topics", "    while rows:\n        raise RuntimeError('half way')"
    revisions.unseal()
    revisions.edit(stem, "SLICE = 5_000", "SLICE = 1")
    revisions.edit(stem, "    while rows:", stop)
    with pytest.raises(RuntimeError, match="half way"):
        before.migrate()
    assert not [name for _, name in objects(before) if "consensus_topic_words" in name or "proofs_archive" in name]
    revisions.edit(stem, stop, "    while rows:")
    assert stem in before.migrate()
    assert status(before._target).good
    with before.engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT consensus_id, word FROM consensus_topic_words ORDER BY 1, 2").all()
    assert [tuple(row) for row in found] == [("c1", "a"), ("c1", "topic"), ("c2", "another"), ("c2", "topic")]


TAMPERED = {
    "sqlite": [
        *(
            ([f"DROP TRIGGER {table}_{event}"], ("trigger", table, f"{table}_{event}", "missing"))
            for table in KEYWORD_TABLES
            for event in ("added", "removed", "changed")
        ),
        *(([f"DROP TABLE {table}_fts"], ("trigger", table, f"{table}_fts", "missing")) for table in KEYWORD_TABLES),
        (
            [
                "DROP TRIGGER continuum_keywords_added",
                "CREATE TRIGGER continuum_keywords_added AFTER INSERT ON continuum_keywords BEGIN SELECT 1; END",
            ],
            ("trigger", "continuum_keywords", "continuum_keywords_added", "changed"),
        ),
        (
            [
                "DROP TRIGGER debate_keywords_added",
                """
                CREATE TRIGGER debate_keywords_added AFTER INSERT ON debate_keywords WHEN 0
                BEGIN INSERT INTO debate_keywords_fts (rowid, words) VALUES (new.id, new.words); END
                """,
            ],
            ("trigger", "debate_keywords", "debate_keywords_added", "changed"),
        ),
        (
            [
                "DROP TABLE insight_keywords_fts",
                """
                CREATE VIRTUAL TABLE insight_keywords_fts
                USING fts5(words, content='insight_keywords', content_rowid='id')
                """,
            ],
            ("trigger", "insight_keywords", "insight_keywords_fts", "changed"),
        ),
        (
            ["CREATE TRIGGER mine AFTER INSERT ON debate_keywords BEGIN SELECT 1; END"],
            ("trigger", "debate_keywords", "mine", "unexpected"),
        ),
    ],
    "postgresql": [
        *(
            ([f"DROP INDEX ix_{table}_words"], ("index", table, f"ix_{table}_words", "missing"))
            for table in KEYWORD_TABLES
        ),
        (
            ["UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_debate_keywords_words'::regclass"],
            ("index", "debate_keywords", "ix_debate_keywords_words", "changed"),
        ),
        (
            ["ALTER INDEX ix_continuum_keywords_words RESET (fastupdate)"],
            ("index", "continuum_keywords", "ix_continuum_keywords_words", "changed"),
        ),
        (
            [
                "DROP INDEX ix_insight_keywords_words",
                "CREATE INDEX ix_insight_keywords_words ON insight_keywords USING gin (to_tsvector('simple', words))",
            ],
            ("index", "insight_keywords", "ix_insight_keywords_words", "changed"),
        ),
        (
            ["CREATE RULE silent AS ON INSERT TO continuum_keywords DO INSTEAD NOTHING"],
            ("trigger", "continuum_keywords", "silent", "unexpected"),
        ),
    ],
}


def test_tampering_is_drift(database):
    """Without one of these, searches leave out what is stored from then on, and say nothing."""
    for statements, expected in TAMPERED[database.engine.dialect.name]:
        found = tampered(database, statements)
        assert [(each.kind, each.table, each.name, each.change) for each in found] == [expected], statements
    assert status(database._target).good


def tampered(database: Database, statements: list[str]):
    """The drift while these are done, which is undone."""
    with database.engine.connect() as connection, connection.begin() as transaction:
        for statement in statements:
            connection.exec_driver_sql(statement)
        found = drift(connection)
        transaction.rollback()
    return found


def test_the_index_follows_its_rows(database):
    """An index that keeps what was deleted finds memories that are gone; one that misses an update, the old text."""
    database.transact(lambda session: session.add(ContinuumMemory(id="m", content="old words")))
    assert owners(database, ContinuumKeywords, "old") == ["m"]
    execute(database, "UPDATE continuum_keywords SET words = 'new words'")
    assert (owners(database, ContinuumKeywords, "old"), owners(database, ContinuumKeywords, "new")) == ([], ["m"])
    execute(database, "DELETE FROM continuum_memory WHERE id = 'm'")  # and, by the foreign key, its words
    assert owners(database, ContinuumKeywords, "new") == []
    execute(
        database,
        "INSERT INTO continuum_memory (id, content) VALUES ('n', '')",
        "INSERT INTO continuum_keywords (owner_id, words) VALUES ('n', 'words by hand')",
    )
    assert owners(database, ContinuumKeywords, "new", "hand") == ["n"]
