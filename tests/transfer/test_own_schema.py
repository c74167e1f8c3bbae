"""A database of our own as the source: growing out of SQLite, or back from a laptop."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from aragora_db import Database
from aragora_db.models import (
    Base,
    ContinuumEmbedding,
    DebateEmbedding,
    Dissent,
    DissentType,
    EloDomainRating,
    EloMatch,
    EloMatchParticipant,
    LegacyRow,
)
from aragora_db.stores import ConsensusStore, ContinuumStore, EloStore, GenesisStore, NewMemory
from aragora_db.stores.consensus import NewConsensus

pytestmark = pytest.mark.slow

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
OTHER_NUMBERS = ("continuum_keywords", "debate_keywords", "insight_keywords")
BOOKKEEPING = ("schema_history", "import_ledger")

Own = Callable[[], Any]


def fill(session: Any) -> None:
    """Rows of many kinds, as the stores write them."""
    elo, ledger = EloStore(session), GenesisStore(session)
    for number in range(3):
        scores = {"kimi": 1.0, "grok": 0.0, "zoë": number / 3}
        elo.record_match(f"debate-{number}", list(scores), scores, "ux", created_at=NOON)
    ContinuumStore(session).add(NewMemory("m", "the quorum decides", metadata={"n": [1, 2.5, None]}), now=NOON)
    session.add(ContinuumEmbedding(memory_id="m", embedding=[0.1, -2.5, 1e-30], updated_at=NOON))
    session.add(DebateEmbedding(id="e", text_hash="h", text="t", embedding=[1 / 3], created_at=NOON))
    agreed = NewConsensus(topic="Shard the cache", conclusion="yes", strength="strong", confidence=0.5)
    consensus = ConsensusStore(session).store(agreed, timestamp=NOON).id
    warning = {"agent_id": "grok", "dissent_type": DissentType.RISK_WARNING, "content": "no", "timestamp": NOON}
    session.add(Dissent(id="d", debate_id=consensus, data={"why": "cost"}, **warning))
    for event in ("debate_start", "debate_end"):
        ledger.append_event(event, {"pi": 3.14, "n": "naïve 🙂"}, timestamp=NOON)
    kept = {"name": "ann", "x": {"base64": "AAE="}}
    source = {"source_file": "old.db", "table_name": "users", "row_key": "1", "reason": "a table without a place"}
    session.add(LegacyRow(row=kept, fingerprint="f" * 64, **source))


@pytest.fixture
def own(sources) -> Own:
    """Opens our own database among the sources, which was lived in."""

    def database() -> Any:
        return closing(Database(f"sqlite:///{sources.folder}/aragora.db"))

    with database() as made:
        made.migrate()
        with made.session() as session:
            fill(session)
    return database


def everything(importer: Any, database: Database | None = None) -> dict[str, list[tuple[Any, ...]]]:
    """All rows but of bookkeeping, and of keywords without their numbers, which follow from nothing."""
    reader = type(importer)(database or importer.database, importer.sources, importer.output)
    found = {name: reader.rows(name) for name in Base.metadata.tables if name not in BOOKKEEPING + OTHER_NUMBERS}
    return found | {name: reader.rows(name, "owner_id", "words") for name in OTHER_NUMBERS}


def test_everything_as_it_was(own, importer):
    """Growing out of a SQLite file must change nothing at all: not a number, not an instant, not a hash."""
    with own() as database:
        expected = everything(importer, database)
    report = importer()
    assert report.good
    assert report.total("noted") == 0
    assert report.total("carried") == report.total("rows")
    assert everything(importer) == expected
    assert all(expected[model.__tablename__] for model in (EloMatch, EloMatchParticipant, EloDomainRating, LegacyRow))
    assert importer.count("elo_head_to_head") == 3
    with importer.database.session(read_only=True) as session:
        found = GenesisStore(session).verify_ledger()
        assert (found.events, found.broken, found.unverifiable) == (2, 0, 0)
    assert importer(verify_only=True).good
    assert importer().nothing_to_do


def test_a_day_later(own, importer):
    """The file went on living: the second import brings what is new and what changed, and doubles nothing."""
    importer()
    with own() as database, database.session() as session:
        EloStore(session).record_match("debate-9", ["kimi", "grok"], {"kimi": 0.0, "grok": 1.0})
        session.execute(sa.update(ContinuumEmbedding).values(embedding=[5.0], updated_at=datetime.now(UTC)))
    report = importer()
    assert report.good
    with own() as database:
        assert everything(importer) == everything(importer, database)
    figures = {each.table: (each.carried, each.merged) for each in report.tables if each.carried}
    assert figures == {
        "continuum_embeddings": (1, 0),
        "elo_history": (2, 9),
        "elo_match_participants": (2, 9),
        "elo_matches": (1, 3),
        "elo_ratings": (2, 1),
    }


@pytest.mark.usefixtures("own")
def test_a_number_that_is_taken(importer):
    """Match 2 over there is another debate than match 2 here: its participants must not join the wrong one."""
    with importer.database.session() as session:
        for number in (7, 8):
            EloStore(session).record_match(f"here-{number}", ["qwen", "yi"], {"qwen": 1.0, "yi": 0.0}, created_at=NOON)
    report = importer()
    tables = {each.table: each for each in report.tables}
    matches, participants = tables["elo_matches"], tables["elo_match_participants"]
    assert (matches.rows, matches.carried, matches.parked) == (3, 1, 2)
    assert (participants.rows, participants.carried, participants.parked) == (9, 3, 6)
    assert participants.proven
    assert matches.reasons.total() == 2
    assert importer.rows("elo_matches", "id", "debate_id") == [(1, "here-7"), (2, "here-8"), (3, "debate-2")]
    assert importer.rows("elo_match_participants", "match_id", "agent_name") == [
        *((1, "qwen"), (1, "yi"), (2, "qwen"), (2, "yi")),
        *((3, "grok"), (3, "kimi"), (3, "zoë")),
    ]
    assert importer.rows("elo_head_to_head", "agent_a", "agent_b", "matches") == [
        *(("grok", "kimi", 1), ("grok", "zoë", 1), ("kimi", "zoë", 1), ("qwen", "yi", 2))
    ]
    assert importer(verify_only=True).good


@pytest.mark.usefixtures("own")
def test_a_match_under_another_number(importer):
    """Match 1 over there is match 2 here, and match 1 here is another one, which its participants must not join."""
    with importer.database.session() as session:
        elo = EloStore(session)
        elo.record_match("here-7", ["qwen", "yi"], {"qwen": 1.0, "yi": 0.0}, created_at=NOON)
        scores = {"kimi": 1.0, "grok": 0.0, "zoë": 0.0}
        elo.record_match("debate-0", list(scores), scores, "ux", created_at=NOON)
    importer()
    assert importer.rows("elo_matches", "id", "debate_id") == [(1, "here-7"), (2, "debate-0"), (3, "debate-2")]
    here = [row for row in importer.rows("elo_match_participants", "match_id", "agent_name") if row[0] < 3]
    assert here == [(1, "qwen"), (1, "yi"), (2, "grok"), (2, "kimi"), (2, "zoë")]
    assert importer(verify_only=True).good
