"""The revisions that came with the stores, over a database of the release before them that has rows."""

from __future__ import annotations

import random
from collections import Counter
from itertools import combinations
from typing import Any

import pytest
import sqlalchemy as sa

from aragora_db import Database, Settings
from aragora_db.migrations import vocabulary
from aragora_db.migrations.status import status
from aragora_db.models import ContinuumKeywords, DebateKeywords, InsightKeywords
from aragora_db.rules.words import words
from aragora_db.search import index
from aragora_db.search.keywords import matches

pytestmark = pytest.mark.slow

BEFORE = "20260121_drop_index_debates_task"

# Keys in no order of any language: slices that go on from the last key must still see each row once.
CONTENTS = {
    "a": "Rate limiting for the API gateway",
    "A": "Die STRASSE ist gesperrt",
    "Z": "Straße, Ärger und ﬁne print",
    "z": "हिन्दी में लिखा",
    "ä": "gpt-4 beat claude_3; again and again",
    "e\u0301": "quotes ' \" and a back\\slash\nnew line\ttab",
    "": "no key at all",
    "🙂": "",
    "\uffff": "— … !? 🙂",
    " ": "ΌΣΟΣ και άλλα",
}

INSIGHTS: dict[str, tuple[str, str | None, str | None]] = {
    "plain": ("Caching helps", "measured twice", '["claude", "gpt-4"]'),
    "escaped": ("Ünïcode", None, r'["Zo\u00eb", "line\nbreak", "say \"hi\"", "back\\slash"]'),
    "nested": ("Nested", "", '[{"name": "gemini"}, ["grok", 7, null, true]]'),
    "nobody": ("Nobody", "description only", None),
    "empty": ("", None, "[]"),
}

TOPICS = {
    "c1": "Should we cache?  should WE",
    "c2": "Größe der ÄNDERUNG",
    "c3": " \t\n",
    "c4": f"{'x' * 128}one {'x' * 128}two {'🙂' * 200}",
    "C5": "İstanbul\u00a0cache?",
}

INSERTS = {
    "continuum_memory": "INSERT INTO continuum_memory (id, content) VALUES (:id, :text)",
    "debates": "INSERT INTO debates (id, slug, task, agents, artifact_json) VALUES (:id, :id, :text, '[]', '{}')",
    "consensus": (
        "INSERT INTO consensus (id, topic, topic_hash, conclusion, strength, data)"
        " VALUES (:id, :text, 'h', 'c', 'strong', '{}')"
    ),
    "insights": (
        "INSERT INTO insights (id, type, title, description, debate_id, agents_involved)"
        " VALUES (:id, 'pattern', :title, :description, 'd', :agents)"
    ),
    "elo_matches": "INSERT INTO elo_matches (id, debate_id, winner) VALUES (:id, :debate, :winner)",
    "elo_match_participants": (
        "INSERT INTO elo_match_participants (match_id, agent_name, position, score) VALUES (:id, :name, :position, 0.5)"
    ),
}


def keyed(texts: dict[str, str]) -> list[dict[str, Any]]:
    """Rows of a key and a text."""
    return [{"id": key, "text": text} for key, text in texts.items()]


def fill(database: Database, **more: list[dict[str, Any]]) -> None:
    """Insert the rows above, and more by table, as SQL by hand."""
    insights = [
        {"id": key, "title": title, "description": description, "agents": agents}
        for key, (title, description, agents) in INSIGHTS.items()
    ]
    rows = {
        "continuum_memory": keyed(CONTENTS),
        "debates": keyed(CONTENTS),
        "consensus": keyed(TOPICS),
        "insights": insights,
    }
    with database.engine.begin() as connection:
        for table, given in (rows | more).items():
            connection.execute(sa.text(INSERTS[table]), given)


@pytest.fixture
def before(dialect, at_revision):
    """A database of the release before, without rows."""
    database = Database(Settings.explicit(database_url=at_revision(dialect, BEFORE)))
    yield database
    database.close()


def read(database: Database, query: str) -> list[tuple[Any, ...]]:
    """Rows of a query."""
    with database.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


def keywords(database: Database) -> dict[str, dict[str, str]]:
    """The words by owner, of each keyword table."""
    tables = ("continuum_keywords", "debate_keywords", "insight_keywords")
    return {table: dict(read(database, f"SELECT owner_id, words FROM {table}")) for table in tables}


def topics(database: Database) -> list[tuple[Any, ...]]:
    """The words of every topic."""
    return sorted(read(database, "SELECT consensus_id, word, topic_size FROM consensus_topic_words"))


def everything(database: Database) -> dict[str, tuple[list[str], list[tuple[Any, ...]]]]:
    """The columns and rows of every table but the schema's own record."""
    tables = set(sa.inspect(database.engine).get_table_names()) - {"schema_history", "aragora_schema_version"}
    found = {}
    for table in tables:
        columns = [column["name"] for column in sa.inspect(database.engine).get_columns(table)]
        found[table] = columns, rows_of(database, table, columns)
    return found


def rows_of(database: Database, table: str, columns: list[str]) -> list[tuple[Any, ...]]:
    """The rows of a table, in an order of their own."""
    return sorted(read(database, f"SELECT {', '.join(columns)} FROM {table}"), key=repr)


@pytest.fixture(params=[1, 3, 5_000])
def slices(request, monkeypatch, revisions):
    """Data migrations that take so many rows at once: each alone, some left over at the end, all of them."""
    monkeypatch.setattr(vocabulary, "_SLICE", request.param)
    revisions.unseal()
    revisions.edit("20260205_consensus_topics", "SLICE = 5_000", f"SLICE = {request.param}")


@pytest.mark.usefixtures("slices")
def test_every_text_that_is_there_gets_its_words(before):
    """A memory that a slice leaves out is never found again, and nobody knows that it is there to be missed."""
    fill(before)
    before.migrate()
    found = keywords(before)
    expected = {key: " ".join(words(text)) for key, text in CONTENTS.items()}
    assert (found["continuum_keywords"], found["debate_keywords"]) == (expected, expected)
    assert found["insight_keywords"] == {
        "plain": "caching helps measured twice claude gpt 4",
        "escaped": "ünïcode zoë line break say hi back slash",
        "nested": "nested gemini grok",
        "nobody": "nobody description only",
        "empty": "",
    }
    assert topics(before) == sorted(
        [
            *[("c1", word, 3) for word in ("should", "we", "cache?")],
            *[("c2", word, 3) for word in ("größe", "der", "änderung")],
            *[("c4", word, 2) for word in ("x" * 128, "🙂" * 128)],
            *[("C5", word, 2) for word in ("i\u0307stanbul", "cache?")],
        ]
    )


def test_the_revisions_write_what_the_orm_writes(before):
    """Two spellings of one rule: a search would find what was stored before the upgrade, or what came after it."""
    fill(before)
    before.migrate()
    by_revision = keywords(before), topics(before)
    with before.engine.begin() as connection:
        for table in (*by_revision[0], "consensus_topic_words"):
            connection.execute(sa.text(f"DELETE FROM {table}"))
    before.transact(index.rebuild)
    assert (keywords(before), topics(before)) == by_revision
    assert before.transact(index.rebuild) == {  # "c3" has no word, so it looks unfilled for ever
        "continuum_keywords": 0,
        "debate_keywords": 0,
        "insight_keywords": 0,
        "consensus_topic_words": 1,
    }


SEARCHES = {
    ("strasse",): {"A", "Z"},
    ("rate", "ÄRGER"): {"a", "Z"},
    ("gpt-4",): {"ä"},
    ("claude",): set(),
    ("claude*",): {"ä"},
    ("हिन्दी",): {"z"},
    ("όσος",): {" "},
    ("FINE",): {"Z"},
    ("back\\slash", "nothing"): {"e\u0301"},
    ("key",): {""},
    ("🙂",): set(),
}


def test_what_was_there_is_found_by_search(before):
    """The index on SQLite is filled by triggers: one that comes after the rows leaves it empty without an error."""
    fill(before)
    before.migrate()

    def found(session, table, searched):
        return set(session.scalars(sa.select(table.owner_id).where(matches(table, searched))))

    for table in (ContinuumKeywords, DebateKeywords):
        for searched, expected in SEARCHES.items():
            got = before.transact(lambda session, t=table, s=searched: found(session, t, s))
            assert got == expected, (table, searched)
    assert before.transact(lambda session: found(session, InsightKeywords, ["Zoë", "grok"])) == {"escaped", "nested"}


def counted(played: list[tuple[str | None, list[str]]]) -> dict[tuple[str, str], list[int]]:
    """Matches, wins of both and draws, by pair."""
    totals: dict[tuple[str, str], Counter[str]] = {}
    for winner, names in played:
        for pair in combinations(sorted(names), 2):
            result = {pair[0]: "a", pair[1]: "b", None: "draw"}.get(winner, "another")
            totals.setdefault(pair, Counter()).update([result])
    return {pair: [each.total(), each["a"], each["b"], each["draw"]] for pair, each in totals.items()}


def play(database: Database, played: list[tuple[str | None, list[str]]]) -> None:
    """Insert matches by hand."""
    fill(
        database,
        elo_matches=[
            {"id": number, "debate": f"d{number}", "winner": winner} for number, (winner, _) in enumerate(played, 1)
        ],
        elo_match_participants=[
            {"id": number, "name": name, "position": position}
            for number, (_, names) in enumerate(played, 1)
            for position, name in enumerate(names)
        ],
    )


def head_to_head(database: Database) -> dict[tuple[str, str], list[int]]:
    """The counts by pair."""
    rows = read(database, "SELECT agent_a, agent_b, matches, a_wins, b_wins, draws FROM elo_head_to_head")
    return {(a, b): counts for a, b, *counts in rows}


def test_meetings_are_counted(before):
    """Who beat whom is shown beside every agent; a draw or a third winner counted as a win would be believed."""
    played = [
        ("a", ["a", "b"]),
        ("b", ["b", "a"]),
        (None, ["b", "a"]),
        ("c", ["c", "a", "b"]),
        ("ghost", ["a", "b"]),
        (None, ["alone"]),
        ("a", []),
        ("Z", ["z", "Z", "ä"]),
    ]
    play(before, played)
    before.migrate()
    assert head_to_head(before) == {
        ("a", "b"): [5, 1, 1, 1],
        ("a", "c"): [1, 0, 1, 0],
        ("b", "c"): [1, 0, 1, 0],
        ("Z", "z"): [1, 1, 0, 0],
        ("Z", "ä"): [1, 1, 0, 0],
        ("z", "ä"): [1, 0, 0, 0],
    }


def test_many_meetings_are_counted(before):
    """As above, for every mixture of agents and results."""
    numbers = random.Random(20260201)
    names = ["", "Agent", "agent", "ägent", "агент", "🙂", "agent 2"]
    played = []
    for _ in range(300):
        present = numbers.sample(names, numbers.randint(1, 5))
        played.append((numbers.choice([None, *present, "somebody else"]), present))
    play(before, played)
    before.migrate()
    assert head_to_head(before) == counted(played)


def test_nothing_else_changes(before):
    """An upgrade that loses or alters a row is found out when the row is needed."""
    play(before, [("a", ["a", "b"]), (None, ["b", "c"])])
    old = everything(before)
    before.migrate()
    assert {table: rows_of(before, table, columns) for table, (columns, _) in old.items()} == {
        table: rows for table, (_, rows) in old.items()
    }
    assert read(before, "SELECT DISTINCT confidence_weight FROM elo_matches") == [(None,)]
    assert read(before, "SELECT DISTINCT k_multiplier FROM elo_match_participants") == [(None,)]
    assert status(before._target).good


def test_a_database_without_rows(before):
    """A new installation goes the same way; there is nothing to fill."""
    before.migrate()
    assert keywords(before) == {"continuum_keywords": {}, "debate_keywords": {}, "insight_keywords": {}}
    assert (topics(before), head_to_head(before)) == ([], {})
    assert status(before._target).good
