"""Keyword search means the same on both databases, and uses the index on both."""

from __future__ import annotations

import itertools
import string

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aragora_db.errors import InvalidValue
from aragora_db.models import ContinuumKeywords, ContinuumMemory
from aragora_db.rules.words import terms, words
from aragora_db.search import index
from aragora_db.search.keywords import MAX_KEYWORDS, matches

WORDS = [
    "rate",
    "Rating",
    "STRASSE",
    "straße",
    "gpt-4",
    "gpt_4",
    "日本語",
    "naïve",
    "AND",
    "NEAR",
    "NOT",
    "or",
    "हिन्दी",
]
TEXTS = st.lists(
    st.sampled_from([*WORDS, '"', "'", "*", "(", ")", ":", "^", "-", "\\", "&", "|", "!"]), max_size=8
).map(" ".join)
KEYWORDS = st.lists(
    st.one_of(st.sampled_from(WORDS), st.sampled_from(WORDS).map(lambda word: word[:3] + "*"), st.text(max_size=6)),
    max_size=4,
)


def found(session, keywords):
    """Ids of the memories that match."""
    statement = sa.select(ContinuumKeywords.owner_id).where(matches(ContinuumKeywords, keywords))
    return sorted(session.scalars(statement))


def expected(texts, keywords):
    """The same in plain Python."""

    def has(text, keyword):
        asked, there = terms(keyword), words(text)
        return bool(asked) and all(
            any(word.startswith(term.word) if term.prefix else word == term.word for word in there) for term in asked
        )

    return sorted(id_ for id_, text in texts.items() if any(has(text, keyword) for keyword in keywords))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(TEXTS, max_size=6), keywords=KEYWORDS)
def test_both_databases_find_what_python_finds(both, texts, keywords):
    """FTS5 and tsquery have operators and quotes of their own; none of them may come through."""
    by_id = {f"m{number}": text or "-" for number, text in enumerate(texts)}
    storable = [keyword for keyword in keywords if "\x00" not in keyword]

    def work(session):
        session.execute(sa.delete(ContinuumMemory))
        session.add_all([ContinuumMemory(id=id_, content=text) for id_, text in by_id.items()])
        session.flush()
        return found(session, storable)

    for database in both.values():
        assert database.transact(work) == expected(by_id, storable)


# Letters, marks, digits, compatibility forms and signs of every script, long runs of them, and pieces that fold oddly.
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
ODD = st.sampled_from(
    ["ß", "ẞ", "İ", "\u0131", "\u017f", "ﬁ", "ŉ", "ΐ", "Σ", "ς", "\u0345", "\u0308", "ﷺ", "\u00ad", "\u200d", "😀", "_"]
)
ANY_TEXTS = st.lists(st.text(st.one_of(ODD, CHARACTERS), min_size=1, max_size=8), min_size=1, max_size=5).map(" ".join)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(ANY_TEXTS, min_size=1, max_size=4), data=st.data())
def test_any_script(both, texts, data):
    """A tokenizer of the server's own splits where Python does not: such a word would be stored and never found."""
    by_id = {f"m{number}": text for number, text in enumerate(texts)}
    there = sorted({word for text in texts for word in words(text)}) or ["none"]
    asked = st.sampled_from(there).flatmap(
        lambda word: st.sampled_from(
            [word, word.upper(), word.title(), f"{word}*", f"{word[:1]}*", f"{word} {there[0]}"]
        )
    )
    keywords = data.draw(st.lists(asked, min_size=1, max_size=3))

    def work(session):
        session.execute(sa.delete(ContinuumMemory))
        session.add_all([ContinuumMemory(id=id_, content=text) for id_, text in by_id.items()])
        session.flush()
        return found(session, keywords)

    for database in both.values():
        assert database.transact(work) == expected(by_id, keywords)


def test_by_hand(database):
    """What users type, on every engine: the driver's own quoting must not come between."""
    texts = {
        "a": "The Straße and NEAR it",
        "b": "rating of gpt-4",
        "c": 'O\'Brien said "quorum" AND left',
        "d": "İstanbul, 日本語テスト",
        "e": "x" * 70,
    }
    asked = {
        "STRASSE": ["a"],
        "strass*": ["a"],
        "near": ["a"],
        "and": ["a", "c"],
        'NEAR("a", 5)': [],
        "rat*": ["b"],
        "4-GPT": ["b"],
        "gpt-5": [],
        "-gpt": ["b"],
        "words : rating": [],
        "^rating": ["b"],
        '"quorum': ["c"],
        "o'brien": ["c"],
        "quorum' OR 'rating": [],
        "İSTANBUL": ["d"],
        "日本語テスト": ["d"],
        "日本*": ["d"],
        "本語": [],
        "*": [],
        "x" * 64: ["e"],
        "x" * 90: ["e"],
        "x" * 63: [],
    }

    def work(session):
        session.add_all([ContinuumMemory(id=id_, content=text) for id_, text in texts.items()])
        session.flush()
        return {keyword: found(session, [keyword]) for keyword in asked}

    assert database.run(work) == asked


def test_too_many_keywords(database):
    """A search of a thousand words is a mistake, and an expensive one."""
    for bad in (["a"] * (MAX_KEYWORDS + 1), "one text", [1]):
        with pytest.raises(InvalidValue, match="keywords"):
            matches(ContinuumKeywords, bad)
    assert database.run(lambda session: found(session, ["a"] * MAX_KEYWORDS)) == []


MEMORIES = 1_500


def test_the_index_serves_it(both, dialect):
    """Without the index a search reads every memory there is."""
    statement = sa.select(ContinuumKeywords.owner_id).where(matches(ContinuumKeywords, ["word7", "word1234*"]))
    with both[dialect].session() as session:
        session.execute(sa.delete(ContinuumMemory))
        filler = ["".join(pair) for pair in itertools.product(string.ascii_lowercase, repeat=2)]
        rows = [
            {"id": f"m{number}", "content": " ".join([f"word{number}", *filler[number % 600 : number % 600 + 60]])}
            for number in range(MEMORIES)
        ]
        session.execute(sa.insert(ContinuumMemory), rows)
        assert index.rebuild(session)["continuum_keywords"] == MEMORIES
        session.execute(sa.text("ANALYZE"))
        sql = str(statement.compile(session.connection(), compile_kwargs={"literal_binds": True}))
        explain = "EXPLAIN QUERY PLAN" if dialect == "sqlite" else "EXPLAIN"
        plan = session.connection().exec_driver_sql(f"{explain} {sql}")
        text = "\n".join(" ".join(map(str, row)) for row in plan)
        session.rollback()
    assert "ix_continuum_keywords_words" in text or "continuum_keywords_fts VIRTUAL TABLE INDEX" in text, text
    assert "Seq Scan" not in text
    assert "SCAN continuum_keywords\n" not in f"{text}\n"
