"""Rows that follow from others: whatever an ORM session writes is found at once, and by nobody before the commit."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from aragora_db.errors import UniqueViolation
from aragora_db.models import (
    Consensus,
    ConsensusTopicWord,
    ContinuumKeywords,
    ContinuumMemory,
    Debate,
    DebateKeywords,
    Insight,
    InsightKeywords,
)
from aragora_db.search import index

OWNERS = {
    "memory": (ContinuumMemory, ContinuumKeywords, {"content": "Quorum beats retry"}),
    "debate": (Debate, DebateKeywords, {"slug": "s", "task": "Quorum beats retry", "agents": [], "artifact_json": {}}),
    "insight": (
        Insight,
        InsightKeywords,
        {"type": "t", "title": "Quorum", "description": "beats retry", "debate_id": "d"},
    ),
}


@pytest.fixture(params=OWNERS)
def kind(request):
    """Model, its keyword table, and the values of a row."""
    return OWNERS[request.param]


def words(session, table):
    """The words of every owner."""
    return dict(session.execute(sa.select(table.owner_id, table.words)).all())


def test_added_changed_and_removed(database, kind):
    """A search that finds what is gone, or misses what is there, is worse than none."""
    model, table, values = kind
    text = next(name for name in ("content", "task", "title") if name in values)
    database.run(lambda session: session.add(model(id="x", **values)))
    assert database.run(lambda session: words(session, table)) == {"x": "quorum beats retry"}
    database.run(lambda session: setattr(session.get(model, "x"), text, "Another"))
    assert database.run(lambda session: words(session, table))["x"].startswith("another")
    database.run(lambda session: session.merge(model(id="x", **values | {text: "Merged"})))
    assert database.run(lambda session: words(session, table))["x"].startswith("merged")
    database.run(lambda session: session.delete(session.get(model, "x")))
    assert database.run(lambda session: words(session, table)) == {}


def test_many_at_once(database):
    """One statement for all of them, and within the same transaction."""

    def work(session):
        session.add_all([ContinuumMemory(id=f"m{number}", content=f"word{number}") for number in range(300)])
        session.flush()
        return words(session, ContinuumKeywords)

    assert database.run(work) == {f"m{number}": f"word{number}" for number in range(300)}


def test_what_is_rolled_back_was_never_found(database):
    """The words are part of the same unit of work."""

    def work(session):
        session.add(ContinuumMemory(id="m", content="first"))
        session.flush()
        try:
            with session.begin_nested():
                session.add(ContinuumMemory(id="n", content="second"))
                session.flush()
                session.execute(sa.insert(ContinuumMemory), [{"id": "m", "content": "again"}])
        except UniqueViolation:
            pass
        return words(session, ContinuumKeywords)

    assert database.run(work) == {"m": "first"}


def test_other_changes_write_nothing(database, monkeypatch):
    """A memory's scores change all the time; its words do not."""
    database.run(lambda session: session.add(ContinuumMemory(id="m", content="first")))
    followed = []
    monkeypatch.setattr(index, "follow", lambda *arguments, **_: followed.append(arguments))

    def touch(session):
        session.get(ContinuumMemory, "m").surprise_score = 0.5

    database.run(touch)
    assert followed == []


def test_rebuild_finds_what_sessions_did_not_see(database):
    r"""Rows from \copy, bulk inserts and SQL by hand are searched for after `aragora-db reindex`."""

    def fill(session):
        session.add(ContinuumMemory(id="known", content="first"))
        session.flush()
        session.execute(sa.insert(ContinuumMemory), [{"id": "bulk", "content": "Second"}])
        session.execute(sa.text("INSERT INTO insights (id, type, title, debate_id) VALUES ('i', 't', 'Ünder', 'd')"))
        topic = {"topic": "b a A", "topic_hash": "", "conclusion": "", "strength": "weak", "data": {}}
        session.execute(sa.insert(Consensus), [{"id": "c", **topic}, {"id": "blank", **topic, "topic": " "}])

    database.run(fill)
    assert database.run(index.rebuild) == {
        "continuum_keywords": 1,
        "debate_keywords": 0,
        "insight_keywords": 1,
        "consensus_topic_words": 2,
    }
    assert database.run(lambda session: words(session, ContinuumKeywords)) == {"known": "first", "bulk": "second"}
    assert database.run(lambda session: words(session, InsightKeywords)) == {"i": "ünder"}
    found = database.run(
        lambda session: session.execute(sa.select(ConsensusTopicWord.word, ConsensusTopicWord.topic_size)).all()
    )
    assert sorted(map(tuple, found)) == [("a", 2), ("b", 2)]


def test_changes_past_the_unit_of_work_go_unnoticed(database, kind):
    """The guide says so (docs/guide/search.md): old words stay, also for `reindex`, until the row is saved again."""
    model, table, values = kind
    text = next(name for name in ("content", "task", "title") if name in values)
    database.run(lambda session: session.add(model(id="x", **values)))
    database.run(lambda session: session.execute(sa.update(model).where(model.id == "x").values({text: "Another"})))
    assert database.run(index.rebuild)[table.__tablename__] == 0
    assert database.run(lambda session: words(session, table)) == {"x": "quorum beats retry"}
    database.run(lambda session: setattr(session.get(model, "x"), text, "A third"))
    assert database.run(lambda session: words(session, table))["x"].startswith("a third")
    database.run(lambda session: session.execute(sa.delete(model)))
    assert database.run(lambda session: words(session, table)) == {}


def test_an_aborted_rebuild_leaves_nothing_half_done(database):
    """It is one unit of work: what fails after it undoes it, and it may be said again."""
    database.run(lambda session: session.execute(sa.insert(ContinuumMemory), [{"id": "m", "content": "first"}]))

    def work(session):
        assert index.rebuild(session)["continuum_keywords"] == 1
        raise LookupError

    with pytest.raises(LookupError):
        database.run(work)
    assert database.run(lambda session: words(session, ContinuumKeywords)) == {}
    assert database.run(index.rebuild)["continuum_keywords"] == 1
    assert database.run(index.rebuild)["continuum_keywords"] == 0


def test_a_text_without_words_is_no_missing_row(database):
    """Otherwise each `reindex` would find the same rows again."""
    database.run(lambda session: session.execute(sa.insert(ContinuumMemory), [{"id": "m", "content": "!? …"}]))
    assert database.run(index.rebuild)["continuum_keywords"] == 1
    assert database.run(index.rebuild)["continuum_keywords"] == 0
    assert database.run(lambda session: words(session, ContinuumKeywords)) == {"m": ""}


def test_rebuild_in_slices(database, monkeypatch):
    """A million rows do not fit into memory at once."""
    monkeypatch.setattr(index, "_SLICE", 7)
    rows = [{"id": f"m{number:03}", "content": f"w{number}"} for number in range(30)]
    database.run(lambda session: session.execute(sa.insert(ContinuumMemory), rows))
    assert database.run(index.rebuild)["continuum_keywords"] == 30
    assert len(database.run(lambda session: words(session, ContinuumKeywords))) == 30


def test_lists_and_objects_count_with_their_texts(database):
    """Imported insights hold agents as lists, as objects, and as nothing."""
    for number, agents in enumerate((["gpt-4", "claude"], {"a": "llama", "b": ["qwen", 1, None]}, None, [])):
        row = {"id": str(number), "type": "t", "title": "x", "debate_id": "d", "agents_involved": agents}
        database.run(lambda session, row=row: session.add(Insight(**row)))
    assert database.run(lambda session: words(session, InsightKeywords)) == {
        "0": "x gpt 4 claude",
        "1": "x llama qwen",
        "2": "x",
        "3": "x",
    }
