"""Chains: as Aragora wrote them, across the archive, with gaps and circles, and when links are removed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from aragora_db.errors import ConflictError, InvalidValue, NotFoundError
from aragora_db.models import Consensus
from aragora_db.stores import ConsensusStore
from aragora_db.stores.consensus import NewConsensus, NewDissent, NewProof

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def new(id_=None, **others):
    """A consensus to store."""
    return NewConsensus(f"topic {id_}", "yes", "strong", 0.8, id=id_, **others)


def imported(session, id_, **links):
    """A row as the importer writes it: the record as Aragora left it."""
    row = ConsensusStore(session).store(new(id_), timestamp=NOW)
    row.data = {**row.data, **links}
    session.flush()


def ids(chain):
    """The ids of a chain."""
    return [link.id for link in chain]


def test_new_content_takes_the_place(database):
    """The new one is stored and linked in one call, and a retry of it changes nothing."""

    def work(session):
        store = ConsensusStore(session)
        store.store(new("a"), timestamp=NOW)
        made = store.supersede("a", new(), timestamp=NOW).id
        again = [store.supersede(made, new("c"), timestamp=NOW + timedelta(days=day)).timestamp for day in range(2)]
        return made, ids(store.chain("a")), again, store.get(made).data

    made, chain, again, data = database.run(work)
    assert chain == ["a", made, "c"]
    assert again == [NOW, NOW]
    assert (data["supersedes"], data["superseded_by"], data["metadata"]) == ("a", "c", {})


def test_nothing_is_stored_when_the_old_one_cannot_be_superseded(database):
    """A consensus without a place in the chain would be a second last word."""

    def work(session):
        store = ConsensusStore(session)
        store.store(new("a"))
        store.supersede("a", new("b"))
        for old, fresh, error in (
            ("none", new("x"), NotFoundError),
            ("a", new("x"), ConflictError),
            ("a", new(), ConflictError),
            ("b", NewConsensus("other", "", "weak", 0.1, id="a"), ConflictError),
            ("b", new("x", rounds=-1), InvalidValue),
            ("b", new("x", metadata={"supersedes": "a"}), InvalidValue),
            ("b", "none", NotFoundError),
            ("b", "b", ConflictError),
            ("b", "a", ConflictError),
            ("", "a", InvalidValue),
            ("b", "", InvalidValue),
        ):
            with pytest.raises(error):
                store.supersede(old, fresh)
        return ids(store.history().items), ids(store.chain("a"))

    history, chain = database.run(work)
    assert sorted(history) == chain == ["a", "b"]


def test_chains_of_aragora(database):
    """It notes the older one in the metadata only: read from the newer end, every imported chain would be cut."""

    def work(session):
        store = ConsensusStore(session)
        imported(session, "a", superseded_by="b")
        imported(session, "b", metadata={"supersedes": "a", "n": 1})
        chains = [ids(store.chain(id_)) for id_ in "ab"]
        imported(session, "x")
        with pytest.raises(ConflictError, match="supersedes a already"):
            store.supersede("x", "b")
        store.supersede("b", new("c"))
        return [*chains, ids(store.chain("c"))], store.get("b").data, store.store(new("b", metadata={"n": 1})).id

    chains, data, again = database.run(work)
    assert chains == [["a", "b"], ["a", "b"], ["a", "b", "c"]]
    assert (data["supersedes"], data["metadata"], again) == ("a", {"n": 1}, "b")


def test_one_end_is_missing(database):
    """A link that only one of two rows knows is completed, not refused."""

    def work(session):
        store = ConsensusStore(session)
        imported(session, "a", superseded_by="b")
        imported(session, "b")
        store.supersede("a", "b")
        imported(session, "c", supersedes="b")
        store.supersede("b", "c")
        return [
            store.get(id_).data[end]
            for id_, end in (("a", "superseded_by"), ("b", "supersedes"), ("b", "superseded_by"))
        ]

    assert database.run(work) == ["b", "a", "c"]


def test_gaps_and_circles_in_imported_rows(database):
    """Aragora deletes without mending and checks nothing: a walk has to end all the same."""

    def work(session):
        store = ConsensusStore(session)
        imported(session, "a", superseded_by="lost")
        imported(session, "b", supersedes="lost")
        imported(session, "c", superseded_by="d", supersedes="d")
        imported(session, "d", superseded_by="c", supersedes="c")
        imported(session, "e", superseded_by="e", supersedes="e")
        chains = [ids(store.chain(id_)) for id_ in "abe"], sorted(ids(store.chain("c")))
        for id_ in "ecdab":
            store.delete(id_)
        return chains

    assert database.run(work) == ([["a"], ["b"], ["e"]], ["c", "d"])
    with pytest.raises(NotFoundError):
        database.run(lambda session: ConsensusStore(session).chain("a"))


def test_a_long_chain_is_one_walk(plain_database, count_statements):
    """Two statements for four hundred links, and in order."""

    def fill(session):
        ConsensusStore(session).store(new("000"))
        record = session.get_one(Consensus, "000")
        rows = [
            {
                "id": f"{number:03}",
                "topic": "t",
                "topic_hash": "h",
                "conclusion": "",
                "strength": "weak",
                "data": {**record.data, "superseded_by": f"{number + 1:03}", "supersedes": f"{number - 1:03}"},
            }
            for number in range(1, 400)
        ]
        record.data = {**record.data, "superseded_by": "001"}
        session.execute(sa.insert(Consensus), rows)

    plain_database.transact(fill)
    with count_statements(plain_database) as sent:
        chain = plain_database.transact(lambda session: ids(ConsensusStore(session).chain("123")))
    assert chain == [f"{number:03}" for number in range(400)]
    assert len(sent) == 2


def test_archived_links(database):
    """What clean-up moved is still part of the story, and what is deleted next to it leaves no dead end."""

    def work(session):
        store = ConsensusStore(session)
        for number, id_ in enumerate("abcd"):
            store.store(new(id_), timestamp=NOW + timedelta(days=number))
        for old, fresh in ("ab", "bc", "cd"):
            store.supersede(old, fresh)
        store.clean_up(older_than_days=0, now=NOW + timedelta(days=1, hours=1))
        whole = [(type(link).__name__, link.id) for link in store.chain("d")]
        from_the_archive = ids(store.chain("a"))
        with pytest.raises(NotFoundError, match="archived"):
            store.supersede("b", "d")
        with pytest.raises(ConflictError):
            store.supersede("d", new("d"))
        store.delete("c")
        return whole, from_the_archive, [ids(store.chain(id_)) for id_ in "abd"]

    whole, from_the_archive, healed = database.run(work)
    assert whole == [("ConsensusArchive", "a"), ("ConsensusArchive", "b"), ("Consensus", "c"), ("Consensus", "d")]
    assert from_the_archive == ["a", "b", "c", "d"]
    assert healed == [["a", "b", "d"]] * 3


def test_delete_takes_what_belongs_to_it(database):
    """Aragora leaves the proofs; and the one before could never be superseded again."""

    def work(session):
        store = ConsensusStore(session)
        store.store(new("a"))
        store.supersede("a", new("b"))
        store.store_dissent(NewDissent("b", "x", "abstention", "no", id="d"))
        store.store_proof(NewProof("b", "failed", id="p"))
        store.delete("b")
        left = store.get("b"), store.dissent("d"), store.latest_proof("b"), store.get("a").data["superseded_by"]
        with pytest.raises(NotFoundError):
            store.delete("b")
        # In the same session, which still knows the old rows: what is stored anew is what is returned.
        fresh = store.supersede("a", NewConsensus("another topic", "", "weak", 0.1, id="b"))
        dissent = store.store_dissent(NewDissent("b", "y", "abstention", "no", id="d"))
        return left, (fresh.topic, dissent.agent_id), ids(store.chain("b"))

    assert database.run(work) == ((None, None, None, None), ("another topic", "y"), ["a", "b"])


def test_crosswise(race, plain_database):
    """Two calls that lock four different rows would close a circle: one of them has to be refused."""

    def fill(session):
        store = ConsensusStore(session)
        for id_ in "abcd":
            store.store(new(id_))
        store.supersede("a", "b")
        store.supersede("c", "d")

    def link(old, fresh):
        def work(session):
            try:
                return ConsensusStore(session).supersede(old, fresh).id
            except ConflictError:
                return "refused"

        return work

    for _ in range(3):
        plain_database.transact(fill)
        assert sorted(race([link("b", "c"), link("d", "a")])) in (["a", "refused"], ["c", "refused"])
        assert len(plain_database.transact(lambda session: ConsensusStore(session).chain("a"))) == 4
        for id_ in "abcd":
            plain_database.transact(lambda session, id_=id_: ConsensusStore(session).delete(id_))


def test_deleting_neighbours_at_the_same_time(race, plain_database):
    """Each delete mends the chain next to the other: no link may name one that is gone, and nobody deadlocks."""

    def fill(session):
        store = ConsensusStore(session)
        store.store(new("0"))
        for number in range(1, 8):
            store.supersede(str(number - 1), new(str(number)))

    plain_database.transact(fill)
    race([lambda session, number=number: ConsensusStore(session).delete(str(number)) for number in range(1, 7)])
    assert ids(plain_database.transact(lambda session: ConsensusStore(session).chain("0"))) == ["0", "7"]
    rows = plain_database.transact(lambda session: [session.get(Consensus, id_).data for id_ in "07"])
    assert [(row["supersedes"], row["superseded_by"]) for row in rows] == [(None, "7"), ("0", None)]


def test_superseding_with_new_content_at_the_same_time(race, plain_database):
    """Two loops improve on the same conclusion: one wins, the other is told, and only one row is added."""
    plain_database.transact(lambda session: ConsensusStore(session).store(new("a")))

    def improve(session):
        try:
            return ConsensusStore(session).supersede("a", new()).id
        except ConflictError:
            return "refused"

    assert sorted(race([improve] * 4)).count("refused") == 3
    assert len(plain_database.transact(lambda session: ConsensusStore(session).history()).items) == 2
