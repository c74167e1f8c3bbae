"""A server whose locale sorts like a dictionary, as most do: the tests' own server has the locale C, which hides it."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
import sqlalchemy as sa

from aragora_db import Database
from aragora_db.models import ContinuumMemory, Persona
from aragora_db.sql.text import contains, starts_with
from aragora_db.testing.databases import drop_database
from aragora_db.testing.plugin import missing

NAMES = ["A", "Z", "a", "a b", "a-b", "b", "Ä", "ä", "é", "🙂"]


@pytest.fixture(scope="module")
def english(postgres_server) -> Iterator[Database]:
    """A database at head whose default collation is English."""
    name = postgres_server.unique_name()
    try:
        with psycopg.connect(postgres_server.admin_url, autocommit=True) as connection:
            connection.execute(
                f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en-US'"
            )
    except psycopg.errors.FeatureNotSupported:
        missing("this PostgreSQL is built without ICU, so no database with an English locale can be made")
    database = Database(postgres_server.url_for(name))
    database.migrate()
    with database.session() as session:
        session.add_all([Persona(agent_name=each) for each in NAMES])
        session.add_all([ContinuumMemory(id=each, content="", metadata_={"agent": each}) for each in NAMES])
    yield database
    database.close()
    drop_database(postgres_server.admin_url, name)


def _ask(database: Database, column, *conditions):
    with database.session(read_only=True) as session:
        return session.scalars(sa.select(column).where(*conditions).order_by(column)).all()


def test_the_locale_is_english(english):
    """Otherwise the tests below would show nothing."""
    with english.session(read_only=True) as session:
        assert session.scalar(sa.text("SELECT 'a' < 'B'")) is True


def test_order(english):
    """Lists, ranges and keyset pages follow code points, as on SQLite."""
    name = Persona.agent_name
    assert _ask(english, name) == sorted(NAMES)
    assert _ask(english, name, name > "Z", name < "b") == ["a", "a b", "a-b"]


def test_search(english):
    """Only A to Z fold, and a beginning is a range of code points: in columns and in fields of JSON values."""
    field = ContinuumMemory.metadata_["agent"].as_string()
    for column, searched in ((Persona.agent_name, Persona.agent_name), (ContinuumMemory.id, field)):
        assert _ask(english, column, contains(searched, "Ä", ignore_case=True)) == ["Ä"]
        assert _ask(english, column, contains(searched, "A", ignore_case=True)) == ["A", "a", "a b", "a-b"]
        assert _ask(english, column, starts_with(searched, "a")) == ["a", "a b", "a-b"]
