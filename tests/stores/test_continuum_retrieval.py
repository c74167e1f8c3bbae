"""Retrieval by score gives exactly what scoring every memory in Python gives; by keywords, in any script."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from aragora_db import Database
from aragora_db.errors import InvalidValue
from aragora_db.models import ContinuumMemory, Tier
from aragora_db.rules import retrieval
from aragora_db.sql import best_memories
from aragora_db.stores import ContinuumStore
from aragora_db.stores.continuum import NewMemory
from aragora_db.testing.engines import EngineDatabase

NOW = datetime(2026, 1, 15, 9, 30, 0, 123_457, tzinfo=UTC)

# Few values, so that many are equal; some are negative, next to nothing, or a microsecond apart.
WEIGHTS = st.sampled_from([-1.0, 0.0, 5e-324, 1e-299, 0.1, 0.5, 0.5000000000000001, 1.0]) | st.floats(-2, 2)
SURPRISES = st.sampled_from([-2.0, -1.0, 0.0, 0.5]) | st.floats(0, 1)
AGES = st.sampled_from([0, 1, -1, -(10**12), 10**9, retrieval.DAY, 90 * retrieval.DAY]) | st.integers(-(10**9), 10**13)
ROWS = st.lists(st.tuples(st.sampled_from(list(Tier)), WEIGHTS, SURPRISES, AGES, st.sampled_from("ab")), max_size=60)


def expected(rows: list[ContinuumMemory], limit: int, now: datetime = NOW) -> list[tuple[str, float]]:
    """Every memory scored, sorted, cut off."""
    scores = {
        row.id: retrieval.score(
            retrieval.weight(row.importance, row.surprise_score),
            row.tier,
            (now - row.updated_at) // timedelta(microseconds=1),
        )
        for row in rows
    }
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:limit]


def retrieved(session: Session, **arguments: Any) -> list[tuple[str, float]]:
    """What the store finds."""
    return [(found.memory.id, found.score) for found in ContinuumStore(session).retrieve(**{"now": NOW} | arguments)]


@pytest.fixture
def few_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three rows of each kind give the bound, so that sixty rows take every way that a million do."""
    monkeypatch.setattr(best_memories, "SEEDS", 3)


@pytest.mark.usefixtures("few_seeds")
def test_like_scoring_every_row(plain_database: Database):
    """A difference is a memory that an agent should have been reminded of, and was not."""

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        ROWS,
        st.integers(1, 7),
        st.none() | st.sets(st.sampled_from(list(Tier)), min_size=1),
        st.none() | st.sampled_from([-0.5, 0.5, 1.0]),
        st.none() | st.sampled_from(["a", "c"]),
    )
    def compare(
        rows: list[tuple[Tier, float, float, int, str]],
        limit: int,
        tiers: set[Tier] | None,
        least: float | None,
        tenant: str | None,
    ) -> None:
        def work(session: Session) -> None:
            session.execute(sa.delete(ContinuumMemory))
            memories = [
                ContinuumMemory(
                    id=f"m{number * 7 % 61:02}",
                    content="x",
                    tier=tier,
                    importance=importance,
                    surprise_score=surprise,
                    updated_at=NOW - timedelta(microseconds=age),
                    metadata_={"tenant_id": owner},
                )
                for number, (tier, importance, surprise, age, owner) in enumerate(rows)
            ]
            session.add_all(memories)
            session.flush()
            meeting = [
                memory
                for memory in memories
                if (tiers is None or memory.tier in tiers)
                and (least is None or memory.importance >= least)
                and (tenant is None or memory.metadata_["tenant_id"] == tenant)
            ]
            found = retrieved(session, limit=limit, tiers=tiers, min_importance=least, tenant_id=tenant)
            assert found == expected(meeting, limit)

        plain_database.transact(work)

    compare()


@pytest.mark.usefixtures("few_seeds")
@pytest.mark.parametrize("spread", ["same weight", "same time", "old and heavy, new and light"])
def test_many_of_a_kind(plain_database: Database, spread: str):
    """Tables in which one of the two orders says nothing: the bounds must not cut into equal scores."""
    shapes: dict[str, Callable[[int], tuple[float, int]]] = {
        "same weight": lambda number: (0.5, number % 9 * 10**9),
        "same time": lambda number: (number % 7 / 10, 30 * retrieval.DAY),
        "old and heavy, new and light": lambda number: (
            (0.9, 20 * retrieval.DAY + number % 2) if number % 3 else (0.3, number % 5)
        ),
    }

    def work(session: Session) -> None:
        memories: list[ContinuumMemory] = []
        for number in range(400):
            importance, age = shapes[spread](number)
            updated_at = NOW - timedelta(microseconds=age)
            tier = list(Tier)[number % 4]
            memory = ContinuumMemory(id=f"{number:03}", content="x", tier=tier, importance=importance)
            memory.surprise_score, memory.updated_at = 0.0, updated_at
            memories.append(memory)
        session.add_all(memories)
        session.flush()
        for limit in (1, 10, 50):
            assert retrieved(session, limit=limit) == expected(memories, limit)

    plain_database.transact(work)


def test_the_first_and_the_last_day(database: EngineDatabase):
    """Ages at the ends of the calendar: bounds that overflow would make retrieval fail."""
    times = {"first": datetime(1, 1, 1, tzinfo=UTC), "last": datetime(9999, 12, 31, tzinfo=UTC)}

    def work(session: Session) -> None:
        for name, updated_at in times.items():
            session.add(ContinuumMemory(id=name, content="x", tier=Tier.GLACIAL, updated_at=updated_at))
        session.flush()
        for now in times.values():
            rows = list(session.scalars(sa.select(ContinuumMemory)))
            assert retrieved(session, now=now) == expected(rows, 50, now)

    database.run(work)


@pytest.mark.parametrize(
    ("keyword", "found"),
    [
        ("STRASSE", ["de"]),
        ("κόσμος", ["gr"]),
        ("ΚΌΣΜΟΣ", ["gr"]),
        ("हिन्दी", ["hi"]),
        ("東京", ["jp"]),
        ("gpt-4", ["en"]),
        ("quor*", ["en"]),
        ("quor", []),
        ("%", []),
        ("' OR 1=1", []),
    ],
)
def test_keywords_in_any_script(database: EngineDatabase, keyword: str, found: list[str]):
    """Where case is folded by ASCII alone, a memory in another script is never found."""
    texts = {
        "de": "Die Straße",
        "gr": "Γειά, Κόσμος",
        "hi": "यह हिन्दी है",
        "jp": "東京 は 日本",
        "en": "Quorum of GPT-4",
    }

    def work(session: Session) -> list[str]:
        ContinuumStore(session).add_many([NewMemory(key, text) for key, text in texts.items()])
        return [each.memory.id for each in ContinuumStore(session).retrieve(keywords=[keyword])]

    assert database.run(work) == found


def test_keywords_and_filters_together(database: EngineDatabase):
    """One search within a tenant, a tier and a keyword; another tenant's memories must never appear."""

    def work(session: Session) -> list[str]:
        store = ContinuumStore(session)
        for number in range(12):
            tier, tenant = ("fast", "slow")[number % 2], {"tenant_id": f"t{number % 3}"}
            store.add(NewMemory(f"m{number:02}", "vote" if number < 9 else "other", tier, number / 12, tenant), now=NOW)
        arguments: dict[str, Any] = {"tenant_id": "t0", "tiers": ["slow"], "min_importance": 0.25}
        assert [key for key, _ in retrieved(session, **arguments)] == ["m09", "m03"]
        return [key for key, _ in retrieved(session, **arguments, keywords=["vote", "nothing"])]

    assert database.run(work) == ["m03"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"limit": 0},
        {"limit": True},
        {"tiers": []},
        {"tiers": ["warm"]},
        {"min_importance": float("nan")},
        {"tenant_id": ""},
        {"keywords": "one text"},
        {"keywords": ["w"] * 51},
        {"now": datetime(2026, 1, 1)},  # noqa: DTZ001 -- that is what is refused
    ],
)
def test_what_is_refused(plain_database: Database, arguments: dict[str, Any]):
    """Nothing is guessed: an empty list of tiers is not all of them."""
    with pytest.raises(InvalidValue):
        plain_database.transact(lambda session: ContinuumStore(session).retrieve(**arguments))


def test_indexes_serve_it(plain_database: Database, count_statements, plan_of):
    """With a million memories, reading them all takes seconds for every reminder."""

    def fill(session: Session) -> None:
        rows = [
            {
                "id": f"{number:05}",
                "content": "x",
                "tier": list(Tier)[number % 4],
                "importance": number % 997 / 997,
                "updated_at": NOW - timedelta(minutes=number * 37 % 20_011),
            }
            for number in range(20_000)
        ]
        session.execute(sa.insert(ContinuumMemory), rows)
        store = ContinuumStore(session)
        store.add_many([NewMemory(f"k{number}", f"rare {number}") for number in range(20)])
        store.add_many([NewMemory(f"n{number}", f"else {number}") for number in range(5_000)])

    plain_database.transact(fill)
    plain_database.transact(lambda session: session.execute(sa.text("ANALYZE")))
    for arguments in ({}, {"tiers": ["slow"]}, {"keywords": ["rare"]}):
        with count_statements(plain_database) as sent:
            plain_database.transact(lambda session: retrieved(session, **arguments))  # noqa: B023
        assert 1 <= len(sent) <= 3
        for statement in sent:
            plan = plain_database.transact(lambda session: plan_of(session, statement))  # noqa: B023
            assert plan.scanned == (), plan.lines
