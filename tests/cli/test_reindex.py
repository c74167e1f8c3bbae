"""``aragora-db reindex``: what was written past the ORM is found afterwards."""

from __future__ import annotations

from contextlib import closing

import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db import Database, Settings, instrument
from aragora_db.models import ContinuumMemory
from aragora_db.stores import DebateStore


def test_rows_by_hand_are_indexed_once(dialect, fresh_databases, aragora_db):
    """The guide's own SQL would otherwise fill a table that no search looks into."""
    url = fresh_databases.url(dialect)
    database = Database(Settings.explicit(database_url=url))
    with database.session() as session:
        session.execute(sa.text("INSERT INTO continuum_memory (id, content) VALUES ('m1', 'Quorum'), ('m2', 'Retry')"))
    database.close()
    first = aragora_db("reindex", "--json", DATABASE_URL=url)
    assert (first.code, first.document["version"]) == (0, 1)
    assert first.document["indexed"]["continuum_keywords"] == 2
    again = aragora_db("reindex", DATABASE_URL=url)
    assert (again.code, again.err) == (0, "")
    assert "continuum_keywords: 0 rows indexed" in again.out


def test_what_it_finds_is_searched_for(dialect, fresh_databases, aragora_db):
    """A row that is counted as indexed and is not found would send the operator in circles."""
    url = fresh_databases.url(dialect)
    row = "INSERT INTO debates (id, slug, task, agents, artifact_json) VALUES ('d', 's', 'Straße', '[]', '{}')"
    with closing(Database(Settings.explicit(database_url=url))) as database:
        database.transact(lambda session: session.execute(sa.text(row)) and None)
        assert database.transact(lambda session: DebateStore(session).search("strasse").items) == ()
        assert aragora_db("reindex", DATABASE_URL=url).code == 0
        found = database.transact(lambda session: [each.id for each in DebateStore(session).search("strasse").items])
    assert found == ["d"]


def test_the_document_names_every_table(aragora_db):
    """A program reads it: nothing else on stdout, and a table is there also when nothing was missing in it."""
    ended = aragora_db("reindex", "--json")
    tables = {"consensus_topic_words", "continuum_keywords", "debate_keywords", "insight_keywords"}
    assert (ended.code, ended.document) == (0, {"version": 1, "indexed": dict.fromkeys(tables, 0)})


def test_the_help_says_when(aragora_db):
    """Nobody looks for a command of which they do not know that they need it."""
    told = aragora_db("reindex", "--help").out
    for reason in (r"\copy", "SQL by hand", "bulk inserts", "migrate --sql"):
        assert reason in told
    assert "reindex" in aragora_db("--help").out


def test_no_server(aragora_db):
    """An operator's script tells "try later" from "done" by the exit code."""
    ended = aragora_db("reindex", "--json", DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing")
    assert (ended.code, ended.out) == (3, "")


def test_it_counts_what_sessions_and_instrument_missed(dialect, fresh_databases, aragora_db):
    """An application learns from the number that one of its ways to write is indexed by nobody."""
    url = fresh_databases.url(dialect)
    engine = sa.create_engine(
        sa.make_url(url).set(drivername={"postgresql": "postgresql+psycopg"}.get(dialect, dialect))
    )
    instrument(engine)
    with Session(engine) as session:
        session.add(ContinuumMemory(id="seen", content="Quorum"))
        session.flush()
        session.execute(sa.insert(ContinuumMemory), [{"id": "m1", "content": "Retry"}, {"id": "m2", "content": "Lock"}])
        session.commit()
    engine.dispose()
    found = aragora_db("reindex", "--json", DATABASE_URL=url).document["indexed"]
    assert found == dict.fromkeys(found, 0) | {"continuum_keywords": 2}
