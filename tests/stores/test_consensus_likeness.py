"""Similar topics: whichever words are called common, the result is that of comparing everything with everything."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from random import Random

import pytest
import sqlalchemy as sa

from aragora_db.errors import InvalidValue
from aragora_db.models import Consensus
from aragora_db.rules import consensus as rules
from aragora_db.search.similar_topics import most_similar, topics_per_word
from aragora_db.stores import ConsensusStore
from aragora_db.stores.consensus import NewConsensus

pytestmark = pytest.mark.slow

NOW = datetime(2026, 6, 1, tzinfo=UTC)
WORDS = ["the", "a", "for", "of", "cache", "lock", "retry", "token", "shard", "quorum"]
WEIGHTS = [60, 50, 40, 20, 8, 6, 5, 4, 2, 1]


def fill(session, rows=150, seed=3):
    """Topics of one to eight words, the first of them very frequent; few times, so that many tie; some unknown."""
    random = Random(seed)
    store = ConsensusStore(session)
    for number in range(rows):
        topic = " ".join(random.choices(WORDS, WEIGHTS, k=random.randint(1, 8)))
        new = NewConsensus(
            topic, "", "weak", random.choice([0.25, 0.5, 1.0]), domain=random.choice("xy"), id=f"{number:03}"
        )
        row = store.store(new, timestamp=NOW + timedelta(days=number % 3))
        if number % 7 == 0:
            row.timestamp = None
        if number % 11 == 0:
            row.confidence = None


def brute_force(session, topic, limit, condition):
    """Every row compared in Python."""
    rows = [row for row in session.scalars(sa.select(Consensus)) if condition(row)]
    scores = {row: rules.similarity(topic, row.topic) for row in rows}

    def order(row):
        return -scores[row], -(row.timestamp.timestamp() if row.timestamp else 0.0), row.id

    return [(row.id, scores[row]) for row in sorted(rows, key=order) if scores[row] > rules.SIMILAR_ABOVE][:limit]


FILTERS = {
    "all": ((), lambda _row: True),
    "sure": ((Consensus.confidence >= 0.5,), lambda row: (row.confidence or 0) >= 0.5),
    "both": (
        (Consensus.confidence >= 0.5, Consensus.domain == "x"),
        lambda row: (row.confidence or 0) >= 0.5 and row.domain == "x",
    ),
}


@pytest.mark.parametrize("filters", FILTERS)
def test_common_words_change_nothing_but_the_time(plain_database, filters):
    """The search leaves topics out uncounted: one too many, and the most similar debate is never found again."""
    plain_database.transact(fill)
    conditions, condition = FILTERS[filters]
    topics = ["the a for cache", "the a for of", "quorum the", "lock retry the a for shard quorum"]

    def compare(session):
        found = 0
        for topic, limit in product(topics, (1, 4, 500)):
            words = rules.indexed_words(topic)
            expected = brute_force(session, topic, limit, condition)
            frequent = sorted(words, key=WORDS.index)
            # The most frequent ones, as intended, and the rarest ones, which is slow but has to be right.
            for common in [frequent[:k] for k in range(len(words))] + [frequent[k:] for k in range(1, len(words))]:
                rows = session.execute(most_similar(words, common, conditions, limit)).all()
                result = [(row.id, score) for row, score in rows]
                assert result == expected, (topic, limit, common)
            found += len(expected)
        return found

    assert plain_database.transact(compare) > 50


def test_the_verb_filters(database):
    """A debate nobody was sure about is no precedent."""
    database.run(fill)
    for topic in ("the a for cache", "quorum"):
        for min_confidence, domain in product((None, 0.5), (None, "x")):

            def compare(session, topic=topic, min_confidence=min_confidence, domain=domain):
                def condition(row):
                    sure = min_confidence is None or (row.confidence is not None and row.confidence >= min_confidence)
                    return sure and domain in {None, row.domain}

                found = ConsensusStore(session).similar(topic, min_confidence=min_confidence, domain=domain)
                return [(each.consensus.id, each.score) for each in found], brute_force(session, topic, 50, condition)

            found, expected = database.run(compare)
            assert found == expected


def test_frequencies_are_counted_to_a_limit(database):
    """Else a word of a million topics is counted to the end before each search."""
    database.run(fill)

    def count(session):
        there = dict.fromkeys([*WORDS, "nowhere"], 0)
        for topic in session.scalars(sa.select(Consensus.topic)):
            for word in rules.topic_words(topic):
                there[word] += 1
        return [min(20, times) for times in there.values()], list(
            session.execute(topics_per_word(list(there), 20)).one()
        )

    expected, found = database.run(count)
    assert found == expected
    assert {0, 20} <= set(found)


def test_a_topic_that_changes_is_found_under_its_new_words(database):
    """The words follow the topic, and go with the row."""

    def work(session):
        store = ConsensusStore(session)
        row = store.store(NewConsensus("old words", "", "weak", 0.5, id="c"))
        row.topic = "new words"
        session.flush()
        found = [[each.score for each in store.similar(topic)] for topic in ("new words", "old")]
        store.delete("c")
        return [*found, list(store.similar("new words"))]

    assert database.run(work) == [[1.0], [], []]


@pytest.mark.parametrize(
    "wrong",
    [
        {"topic": " "},
        {"topic": "a\x00b"},
        {"topic": "\ud800"},
        {"topic": " ".join(map(str, range(1001)))},
        {"topic": "a", "limit": 0},
        {"topic": "a", "min_confidence": 1.5},
        {"topic": "a", "domain": ""},
    ],
    ids=lambda wrong: str(sorted(wrong.items()))[:40].encode("ascii", "replace").decode(),
)
def test_bad_questions_are_refused(database, wrong):
    """With the name of the argument, not with an error of the driver."""
    with pytest.raises(InvalidValue, match=list(wrong)[-1]):
        database.run(lambda session: ConsensusStore(session).similar(**wrong))


def test_the_longest_topic(database):
    """A thousand different words are asked for in one statement on both databases."""
    topic = " ".join(f"w{number}" for number in range(1000))

    def work(session):
        ConsensusStore(session).store(NewConsensus(topic, "", "weak", 0.5, id="c"))
        return [each.score for each in ConsensusStore(session).similar(topic)]

    assert database.run(work) == [1.0]
