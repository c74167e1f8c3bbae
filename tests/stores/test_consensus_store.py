"""ConsensusStore: what was agreed is kept once, who objected is never lost, and what is old goes together."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from aragora_db.errors import ConflictError, InvalidValue, NotFoundError
from aragora_db.models import (
    Consensus,
    ConsensusArchive,
    ConsensusTopicWord,
    Dissent,
    DissentArchive,
    VerifiedProof,
    VerifiedProofArchive,
)
from aragora_db.rules.consensus import topic_words
from aragora_db.stores import ConsensusStore
from aragora_db.stores.consensus import NewConsensus, NewDissent, NewProof

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def new(topic="cache the ratings", **others):
    """A consensus to store."""
    values = {"conclusion": "yes", "strength": "strong", "confidence": 0.8, **others}
    return NewConsensus(topic, **values)


def store(session, topic="cache the ratings", now=NOW, **others):
    """Store one; its id."""
    return ConsensusStore(session).store(new(topic, **others), timestamp=now).id


def count(session, model):
    """Rows of a table."""
    return session.scalar(sa.select(sa.func.count()).select_from(model))


def test_record_and_columns_are_one_value(database):
    """Aragora writes both apart, and reads only one of them: they can disagree."""
    agents = {"participating_agents": ["a", "b"], "agreeing_agents": ["a"], "dissenting_agents": ["b"]}
    id_ = database.run(lambda session: store(session, domain="x", tags=["t"], rounds=3, **agents))
    row = database.run(lambda session: ConsensusStore(session).get(id_))
    assert (row.topic, row.conclusion, row.strength, row.confidence, row.domain, row.tags, row.timestamp) == (
        row.data["topic"],
        row.data["conclusion"],
        row.data["strength"],
        row.data["confidence"],
        row.data["domain"],
        row.data["tags"],
        NOW,
    )
    assert {name: row.data[name] for name in agents} == agents
    assert row.topic_hash == database.run(
        lambda session: ConsensusStore(session).get(store(session, "RATINGS the cache")).topic_hash
    )


def test_an_id_is_one_consensus(database):
    """A retry returns what is there; another conclusion under the same id is somebody's mistake."""
    assert database.run(lambda session: store(session, id="c1")) == "c1"
    assert database.run(lambda session: store(session, id="c1", now=NOW + timedelta(days=1))) == "c1"
    with pytest.raises(ConflictError, match="c1"):
        database.run(lambda session: store(session, id="c1", conclusion="no"))
    assert database.run(lambda session: count(session, Consensus)) == 1


@pytest.mark.parametrize(
    "bad",
    [
        {"strength": "mild"},
        {"confidence": 1.5},
        {"confidence": math.nan},
        {"participating_agents": ["a", "a"]},
        {"participating_agents": "ab"},
        {"rounds": -1},
        {"belief_cruxes": [{}] * 6},
        {"metadata": {"x": math.inf}},
        {"id": "c\x00"},
        {"domain": ""},
    ],
    ids=str,
)
def test_bad_input_is_refused(database, bad):
    """Before anything is written."""
    with pytest.raises(InvalidValue):
        database.run(lambda session: store(session, **bad))
    assert database.run(lambda session: count(session, Consensus)) == 0


@pytest.mark.parametrize(
    ("argument", "verb"),
    [
        ("consensus_id", lambda store_: store_.get("")),
        ("consensus_id", lambda store_: store_.chain("")),
        ("consensus_id", lambda store_: store_.delete("")),
        ("consensus_ids", lambda store_: store_.get_many("one text")),
        ("old_id", lambda store_: store_.supersede("", "a")),
        ("dissent_id", lambda store_: store_.acknowledge("")),
        ("debate_id", lambda store_: store_.latest_proof("")),
        ("timestamp", lambda store_: store_.store(new(), timestamp=datetime(2026, 1, 1))),  # noqa: DTZ001
    ],
)
def test_a_refusal_names_the_argument(plain_database, argument, verb):
    """The message names what the caller wrote; a column's name would send them to another place."""
    with pytest.raises(InvalidValue, match=rf"^{argument}\b"):
        plain_database.transact(lambda session: verb(ConsensusStore(session)))


def test_dissent_belongs_to_a_consensus(database):
    """168 of 775 real dissents belong to nothing, because nobody looked."""
    database.run(lambda session: store(session, id="c1"))
    with pytest.raises(NotFoundError):
        database.run(lambda session: ConsensusStore(session).store_dissent(NewDissent("c2", "a", "abstention", "no")))
    objection = NewDissent("c1", "a", "risk_warning", "it expires", confidence=0.4, id="d1")
    for _ in range(2):
        database.run(lambda session: ConsensusStore(session).store_dissent(objection, timestamp=NOW))
    assert database.run(lambda session: ConsensusStore(session).get("c1").data["dissent_ids"]) == ["d1"]
    other = NewDissent("c1", "a", "risk_warning", "something else", id="d1")
    with pytest.raises(ConflictError):
        database.run(lambda session: ConsensusStore(session).store_dissent(other))

    def answer(session):
        store_ = ConsensusStore(session)
        store_.acknowledge("d1")
        return store_.rebut("d1", "it is renewed").data

    data = database.run(answer)
    assert (data["acknowledged"], data["rebuttal"]) == (True, "it is renewed")


def test_dissents_by_agent_and_type(database):
    """What an agent objects to again and again is what one learns from it."""

    def work(session):
        store(session, id="c1")
        store_ = ConsensusStore(session)
        for number, (agent, kind) in enumerate([("a", "risk_warning"), ("b", "abstention"), ("a", "abstention")]):
            store_.store_dissent(
                NewDissent("c1", agent, kind, "no", id=f"d{number}"), timestamp=NOW + timedelta(hours=number)
            )
        return (
            [each.id for each in store_.dissents(debate_id="c1").items],
            [each.id for each in store_.dissents(agent_id="a").items],
            [each.id for each in store_.dissents(dissent_type="abstention").items],
            [each.id for each in store_.dissents(agent_id="a", dissent_type="abstention").items],
        )

    assert database.run(work) == (["d2", "d1", "d0"], ["d2", "d0"], ["d2", "d1"], ["d2"])


def test_proofs(database):
    """The newest proof is the one that counts."""

    def work(session):
        store(session, id="c1")
        store_ = ConsensusStore(session)
        for number, verified in enumerate([False, True]):
            proof = NewProof("c1", "verified" if verified else "failed", is_verified=verified, id=f"p{number}")
            store_.store_proof(proof, timestamp=NOW + timedelta(hours=number))
        return (
            store_.latest_proof("c1").id,
            [each.id for each in store_.proofs(debate_id="c1").items],
            [each.id for each in store_.proofs(is_verified=True).items],
        )

    assert database.run(work) == ("p1", ["p1", "p0"], ["p1"])


def test_a_chain_is_kept_on_both_ends(database):
    """Aragora wrote one end only, and lost the other with the next successor."""

    def work(session):
        store_ = ConsensusStore(session)
        for number in range(3):
            store(session, id=f"c{number}", topic=f"topic {number}")
        store_.supersede("c0", "c1")
        store_.supersede("c1", "c2")
        store_.supersede("c0", "c1")  # once more changes nothing
        for old, fresh in (("c0", "c2"), ("c2", "c0"), ("c1", "c0")):
            with pytest.raises(ConflictError):
                store_.supersede(old, fresh)
        with pytest.raises(NotFoundError):
            store_.supersede("c2", "none")
        return [[link.id for link in store_.chain(id_)] for id_ in ("c0", "c1", "c2")], store_.get("c1").data

    chains, data = database.run(work)
    assert chains == [["c0", "c1", "c2"]] * 3
    assert (data["supersedes"], data["superseded_by"]) == ("c0", "c2")

    def shorten(session):
        ConsensusStore(session).delete("c1")
        return [link.id for link in ConsensusStore(session).chain("c0")]

    assert database.run(shorten) == ["c0", "c2"]


def test_similar_topics_over_all_rows(database):
    """Jaccard of the topic words, as documented; Aragora looked at the newest thirty rows only."""
    topics = [f"word{number} shared extra" for number in range(60)] + [
        "shared topic exactly",
        "EXACTLY shared topic",
        "x",
    ]

    def work(session):
        for number, topic in enumerate(topics):
            store(session, topic, id=f"c{number:02}", now=NOW + timedelta(minutes=number))
        return [
            (each.consensus.id, each.score)
            for each in ConsensusStore(session).similar("shared topic exactly", limit=100)
        ]

    found = database.run(work)
    asked = set(topic_words("shared topic exactly"))
    scores = {}
    for number, topic in enumerate(topics):
        there = set(topic_words(topic))
        scores[f"c{number:02}"] = len(asked & there) / len(asked | there)
    expected = {id_: score for id_, score in scores.items() if score > 0.1}
    assert dict(found) == pytest.approx(expected)
    assert [id_ for id_, _ in found[:2]] == ["c61", "c60"]
    assert [score for _, score in found] == sorted(expected.values(), reverse=True)


def test_history_is_paged_and_ordered(database):
    """Rows without a time exist in imported data; they come last, and none is skipped."""

    def fill(session):
        for number in range(7):
            store(session, id=f"c{number}", domain="x", now=NOW + timedelta(days=number // 2))
        for number in range(3):
            row = session.get(Consensus, store(session, id=f"n{number}", domain="x"))
            row.timestamp = None

    database.run(fill)
    seen, after = [], None
    while True:
        page = database.run(
            lambda session, after=after: ConsensusStore(session).history(domain="x", limit=3, after=after)
        )
        seen += [each.id for each in page.items]
        after = page.next
        if after is None:
            break
    assert seen == ["c6", "c4", "c5", "c2", "c3", "c0", "c1", "n0", "n1", "n2"]


def test_clean_up_moves_everything_that_belongs_together(database):
    """Aragora moved dissents by their own age and left proofs behind: 190 orphans in one real file."""

    def fill(session):
        store_ = ConsensusStore(session)
        for id_, age in (("old", 100), ("new", 10)):
            store(session, id=id_, now=NOW - timedelta(days=age))
            store_.store_dissent(NewDissent(id_, "a", "abstention", "no", id=f"d-{id_}"), timestamp=NOW)
            store_.store_proof(NewProof(id_, "verified", id=f"p-{id_}"), timestamp=NOW)
        store_.supersede("old", "new")

    database.run(fill)
    assert tuple(database.run(lambda session: ConsensusStore(session).clean_up(now=NOW))) == (1, 1, 1)
    assert tuple(database.run(lambda session: ConsensusStore(session).clean_up(now=NOW))) == (0, 0, 0)
    models = (Consensus, Dissent, VerifiedProof), (ConsensusArchive, DissentArchive, VerifiedProofArchive)
    left, gone = (database.run(lambda session, some=some: [count(session, model) for model in some]) for some in models)
    assert set(left) == {1}
    assert set(gone) == {1}
    owners = database.run(lambda session: set(session.scalars(sa.select(ConsensusTopicWord.consensus_id))))
    assert owners == {"new"}
    chain = database.run(lambda session: [link.id for link in ConsensusStore(session).chain("new")])
    assert chain == ["old", "new"]
    database.run(lambda session: store(session, id="old", now=NOW - timedelta(days=95)))
    assert database.run(lambda session: ConsensusStore(session).clean_up(now=NOW)).consensus == 1


def test_races(race, plain_database):
    """Two successors of one consensus: one wins; dissents at once are all counted; two clean-ups move each row once."""
    plain_database.migrate()
    plain_database.transact(lambda session: [store(session, id=id_, topic=id_) for id_ in ("a", "b", "c")])

    def supersede(new_id):
        def work(session):
            try:
                return ConsensusStore(session).supersede("a", new_id).id
            except ConflictError:
                return None

        return work

    assert sorted(map(str, race([supersede("b"), supersede("c")]))) in (["None", "b"], ["None", "c"])
    race(
        [
            lambda session, number=number: ConsensusStore(session).store_dissent(
                NewDissent("a", "x", "abstention", "no", id=f"d{number}")
            )
            for number in range(6)
        ]
    )
    kept = plain_database.transact(lambda session: ConsensusStore(session).get("a").data["dissent_ids"])
    assert sorted(kept) == [f"d{number}" for number in range(6)]
    later = NOW + timedelta(days=200)
    moved = race([lambda session: ConsensusStore(session).clean_up(now=later)] * 2)
    assert sum(each.consensus for each in moved) == 3
    assert sum(each.dissents for each in moved) == 6
