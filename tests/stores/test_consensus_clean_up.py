"""Clean-up: what moves, what stays, what is written anew; and the numbers of what is there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from aragora_db.errors import InvalidValue, NotFoundError
from aragora_db.models import (
    Consensus,
    ConsensusArchive,
    ConsensusTopicWord,
    Dissent,
    DissentArchive,
    VerifiedProof,
    VerifiedProofArchive,
)
from aragora_db.stores import ConsensusStore
from aragora_db.stores.consensus import NewConsensus, NewDissent, NewProof

NOW = datetime(2026, 6, 1, tzinfo=UTC)
PAIRS = ((Consensus, ConsensusArchive), (Dissent, DissentArchive), (VerifiedProof, VerifiedProofArchive))


def fill(session, rows, *, now=NOW, conclusion="yes"):
    """Consensus rows with two dissents and a proof each."""
    store = ConsensusStore(session)
    for number in range(rows):
        id_ = f"c{number:04}"
        store.store(NewConsensus(f"topic {number}", conclusion, "strong", 0.5, id=id_), timestamp=now)
        for agent in "xy":
            dissent = NewDissent(id_, agent, "abstention", conclusion, id=f"d-{id_}-{agent}")
            store.store_dissent(dissent, timestamp=now + timedelta(days=300))
        store.store_proof(NewProof(id_, "failed", formal_statement=conclusion, id=f"p-{id_}"), timestamp=now)


def values(session, model):
    """All columns but the time of archiving, by id."""
    names = [column.key for column in sa.inspect(model).column_attrs if column.key != "archived_at"]
    return {row.id: {name: getattr(row, name) for name in names} for row in session.scalars(sa.select(model))}


def test_rows_arrive_as_they_were(database):
    """An archive that loses a column is no archive."""
    database.run(lambda session: fill(session, 3))

    def work(session):
        before = [values(session, live) for live, _ in PAIRS]
        moved = ConsensusStore(session).clean_up(now=NOW + timedelta(days=90, seconds=1))
        return moved, before, [values(session, archive) for _, archive in PAIRS]

    moved, before, after = database.run(work)
    assert moved == (3, 6, 3)
    assert after == before
    left = (Consensus, Dissent, VerifiedProof, ConsensusTopicWord)
    assert [database.run(lambda session, m=m: len(session.scalars(sa.select(m)).all())) for m in left] == [0] * 4
    archived_at = database.run(lambda session: session.scalar(sa.select(sa.func.max(ConsensusArchive.archived_at))))
    assert archived_at == NOW + timedelta(days=90, seconds=1)


def test_what_stays(database):
    """Ninety days to the moment are not more than ninety; and nobody knows how old a row without a time is."""

    def work(session):
        fill(session, 2)
        session.get_one(Consensus, "c0001").timestamp = None
        session.flush()
        store = ConsensusStore(session)
        early = store.clean_up(now=NOW + timedelta(days=90))
        late = store.clean_up(now=NOW + timedelta(days=4000))
        return early, late, [row.id for row in store.history().items]

    assert database.run(work) == ((0, 0, 0), (1, 2, 1), ["c0001"])


def test_the_archive_holds_what_was_moved_last(database):
    """Keeping the first row instead would throw away what was stored since, without a word."""
    for number, conclusion in enumerate(("first", "second")):

        def work(session, number=number, conclusion=conclusion):
            fill(session, 1, now=NOW + timedelta(days=number), conclusion=conclusion)
            return ConsensusStore(session).clean_up(older_than_days=0, now=NOW + timedelta(days=500 + number))

        assert database.run(work) == (1, 2, 1)
    row = database.run(lambda session: session.get_one(ConsensusArchive, "c0000"))
    assert (row.conclusion, row.data["conclusion"]) == ("second", "second")
    assert (row.timestamp, row.archived_at) == (NOW + timedelta(days=1), NOW + timedelta(days=501))
    contents = database.run(lambda session: set(session.scalars(sa.select(DissentArchive.content))))
    proofs = database.run(lambda session: set(session.scalars(sa.select(VerifiedProofArchive.formal_statement))))
    assert contents == proofs == {"second"}


def test_a_limit_keeps_the_transaction_short(database):
    """The first clean-up of a large file must not hold the writer's lock for minutes."""
    database.run(lambda session: fill(session, 5))
    later = NOW + timedelta(days=100)
    moved = []
    while not moved or moved[-1] != (0, 0, 0):
        moved.append(database.run(lambda session: ConsensusStore(session).clean_up(limit=2, now=later)))
    assert moved == [(2, 4, 2), (2, 4, 2), (1, 2, 1), (0, 0, 0)]
    assert database.run(lambda session: ConsensusStore(session).clean_up(limit=0, now=later)) == (0, 0, 0)


def test_more_than_one_slice(plain_database):
    """Ids travel in slices of a thousand: the second one has to follow."""

    def work(session):
        rows = [
            {
                "id": f"c{number}",
                "topic": "t",
                "topic_hash": "h",
                "conclusion": "",
                "strength": "weak",
                "timestamp": NOW,
                "data": {},
            }
            for number in range(2300)
        ]
        session.execute(sa.insert(Consensus), rows)
        store = ConsensusStore(session)
        return [
            store.clean_up(older_than_days=0, limit=limit, now=NOW + timedelta(days=1)).consensus
            for limit in (1100, None, None)
        ]

    assert plain_database.transact(work) == [1100, 1200, 0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"older_than_days": -1},
        {"older_than_days": float("nan")},
        {"older_than_days": 1e9},
        {"older_than_days": True},
        {"limit": -1},
        {"limit": 1.5},
        {"now": datetime(2026, 1, 1)},  # noqa: DTZ001 -- that is the point
    ],
    ids=str,
)
def test_bad_arguments_are_refused(database, wrong):
    """A negative age would archive what is said tomorrow."""
    database.run(lambda session: fill(session, 1))
    with pytest.raises(InvalidValue):
        database.run(lambda session: ConsensusStore(session).clean_up(**wrong))
    assert database.run(lambda session: len(ConsensusStore(session).history().items)) == 1


def test_cleaning_while_others_write(race, plain_database):
    """A dissent is in the archive with its consensus, or it is refused; it is never lost between the two."""
    plain_database.transact(lambda session: fill(session, 8))
    later = NOW + timedelta(days=200)

    def dissent(number):
        def work(session):
            new = NewDissent(f"c{number:04}", "late", "abstention", "no", id=f"late{number}")
            try:
                return ConsensusStore(session).store_dissent(new).id
            except NotFoundError:
                return None

        return work

    clean = lambda session: ConsensusStore(session).clean_up(now=later)  # noqa: E731
    *stored, one, two = race([*(dissent(number) for number in range(8)), clean, clean])
    kept = {id_ for id_ in stored if id_ is not None}
    assert one.consensus + two.consensus == 8
    archived = plain_database.transact(lambda session: values(session, DissentArchive))
    records = plain_database.transact(lambda session: values(session, ConsensusArchive))
    assert {id_ for id_ in archived if id_.startswith("late")} == kept
    assert {id_ for row in records.values() for id_ in row["data"]["dissent_ids"]} == set(archived)


def test_stats(database):
    """Counts by what one filters by; rows without a confidence do not pull the average down."""
    empty = database.run(lambda session: ConsensusStore(session).stats())
    assert (empty.consensus, empty.dissents, empty.proofs, empty.average_confidence) == (0, 0, 0, None)

    def work(session):
        fill(session, 2)
        store = ConsensusStore(session)
        store.store(NewConsensus("t", "", "weak", 0.25, domain=None, id="w"))
        store.store(NewConsensus("t", "", "strong", 1.0, domain="x", id="n")).confidence = None
        store.store_dissent(NewDissent("w", "z", "risk_warning", ""))
        return store.stats()

    found = database.run(work)
    assert (found.consensus, found.dissents, found.proofs) == (4, 5, 2)
    assert found.average_confidence == pytest.approx((0.5 + 0.5 + 0.25) / 3)
    assert found.by_strength == {"strong": 3, "weak": 1}
    assert found.by_domain == {"general": 2, "x": 1, None: 1}
    assert found.by_dissent_type == {"abstention": 4, "risk_warning": 1}
