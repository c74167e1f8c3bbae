"""``aragora-db reindex``: what was written past the ORM is found afterwards."""

from __future__ import annotations

import sqlalchemy as sa

from aragora_db import Database, Settings


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
