"""Leaderboards and personas through the cache; a failure is an answer that the database would not give."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, nullcontext
from pathlib import Path

import pytest
import sqlalchemy as sa

from aragora_db.config import Settings
from aragora_db.database import Database
from aragora_db.database.cached_stores import CachedElo, CachedPersonas
from aragora_db.errors import InvalidValue
from aragora_db.models import EloRating
from aragora_db.stores import EloStore, PersonaStore
from aragora_db.transfer import Options, run

pytestmark = pytest.mark.slow

FIXTURES = Path(__file__).parent.parent / "fixtures" / "layout_a"


def match(number: int, winner: str = "ada"):
    """A unit of work that records a match."""
    scores = {"ada": 0.0, "bob": 0.0} | {winner: 1.0}
    return lambda session: EloStore(session).record_match(f"d{number}", ["ada", "bob"], scores, domain="security")


@pytest.fixture
def namespace() -> str:
    """Keys that no other test has."""
    return f"test-{uuid.uuid4().hex}"


@pytest.fixture
def instances(dialect, fresh_databases, redis_server, namespace) -> Iterator[list[Database]]:
    """Two instances over one database and one Redis."""
    settings = Settings.explicit(
        database_url=fresh_databases.url(dialect), redis_url=redis_server.url, redis_namespace=namespace
    )
    made = [Database(settings), Database(settings)]
    yield made
    for each in made:
        each.close()


def test_the_same_as_the_store_says(instances) -> None:
    """A cached line would differ from the one that the database gives."""
    a, _ = instances
    a.transact(match(1))
    with a.session(read_only=True) as session:
        expected = EloStore(session).leaderboard(limit=1)
        in_domain = EloStore(session).domain_leaderboard("security")
    cached = CachedElo(a)
    for _ in range(2):
        page = cached.leaderboard(limit=1)
        assert page == expected
        assert cached.leaderboard(limit=1, after=page.next).items[0].agent_name == "bob"
        assert cached.domain_leaderboard("security") == in_domain


def test_a_commit_on_one_instance_reaches_the_other(instances) -> None:
    """A user would see a match on one instance, and not on the other, for five minutes."""
    a, b = instances
    a.transact(match(1))
    assert CachedElo(b).leaderboard().items[0].agent_name == "ada"
    for number in range(2, 6):
        a.transact(match(number, "bob"))
    assert CachedElo(b).leaderboard().items[0].agent_name == "bob"
    assert CachedElo(b).domain_leaderboard("security").items[0].agent_name == "bob"
    with b.session() as session:
        session.execute(sa.text("UPDATE elo_ratings SET elo = 3000 WHERE agent_name = 'ada'"))
    assert CachedElo(a).leaderboard().items[0].elo == 3000
    with pytest.raises(ZeroDivisionError):
        b.transact(lambda s: (s.execute(sa.update(EloRating).values(elo=1.0)), 1 / 0))
    assert CachedElo(a).leaderboard().items[0].elo == 3000


def test_hits_do_not_ask_the_database(instances) -> None:
    """The cache would cost a round trip and save nothing."""
    a, b = instances
    a.transact(match(1))
    expected = CachedElo(a).leaderboard()
    with b.engine.connect():  # ready
        before = b.pool_metrics().checkouts
    assert CachedElo(b).leaderboard() == expected
    assert b.pool_metrics().checkouts == before


def test_personas(instances) -> None:
    """A persona would come back with other values, or stay as it was after a change."""
    a, b = instances
    cached = CachedPersonas(b)
    assert cached.get("ada") is None
    assert cached.get("ada") is None
    a.transact(
        lambda s: PersonaStore(s).upsert("ada", description="careful", traits=["thorough"], expertise={"security": 0.5})
    )
    with a.session(read_only=True) as session:
        stored = PersonaStore(session).get("ada")
    for _ in range(2):
        card = cached.get("ada")
        assert card is not None
        for name in ("agent_name", "description", "traits", "expertise", "created_at", "updated_at"):
            assert getattr(card, name) == getattr(stored, name)
        assert cached.list().items == (card,)
    a.transact(lambda s: PersonaStore(s).upsert("bob"))
    assert [card.agent_name for card in cached.list(limit=1).items] == ["ada"]
    assert [card.agent_name for card in cached.list(limit=1, after=cached.list(limit=1).next).items] == ["bob"]


@pytest.mark.parametrize("damaged", [False, True])
def test_an_import_reaches_the_caches(instances, tmp_path, monkeypatch, damaged) -> None:
    """What was moved out of the old files would not show for five minutes, on any instance."""
    a, b = instances
    assert CachedElo(b).leaderboard().items == ()
    with closing(sqlite3.connect(tmp_path / "agent_elo.db")) as source:
        source.executescript((FIXTURES / "agent_elo.sql").read_text(encoding="utf-8"))
    if damaged:
        monkeypatch.setattr(run, "reindex", _killed)
    with pytest.raises(KeyboardInterrupt) if damaged else nullcontext():
        run.import_folder(a, Options(source_dir=tmp_path, timezone="UTC", output_dir=tmp_path))
    with b.session(read_only=True) as session:
        expected = EloStore(session).leaderboard()
    assert expected.items
    assert CachedElo(b).leaderboard() == expected


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_without_redis(dialect, fresh_databases) -> None:
    """The laptop would need a server."""
    database = Database(fresh_databases.url(dialect))
    database.transact(match(1))
    assert CachedElo(database).leaderboard().items[0].agent_name == "ada"
    database.transact(match(2, "bob"))
    database.transact(match(3, "bob"))
    assert CachedElo(database).leaderboard().items[0].agent_name == "bob"
    database.close()


def test_bad_input_is_refused(instances) -> None:
    """A wrong limit would be cached under a key of its own."""
    a, _ = instances
    with pytest.raises(InvalidValue):
        CachedElo(a).leaderboard(limit=0)
    with pytest.raises(InvalidValue):
        CachedPersonas(a).list(limit=-1)
