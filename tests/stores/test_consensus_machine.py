"""Any sequence of storing, objecting, superseding, deleting and cleaning up, against a model of plain dictionaries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from aragora_db.errors import ConflictError, NotFoundError
from aragora_db.rules.consensus import topic_words
from aragora_db.stores import ConsensusStore
from aragora_db.stores.consensus import NewConsensus, NewDissent

pytestmark = pytest.mark.slow

DAY = datetime(2026, 1, 1, tzinfo=UTC)
IDS = st.integers(0, 6).map("c{}".format)
TOPICS = st.sampled_from(["cache the ratings", "RATINGS the cache", "cache tokens", "migrate forward"])


class ConsensusMachine(RuleBasedStateMachine):
    """The model: topics and times by id, who supersedes whom, dissents by consensus, and what is archived."""

    def __init__(self, database):
        super().__init__()
        self.database = database

    @initialize()
    def begin(self):
        """Nothing was agreed."""
        self.topics, self.times, self.after, self.dissents = {}, {}, {}, {}
        self.archived = set()
        self.day = DAY

    def run(self, verb):
        """One unit of work."""
        return self.database.transact(lambda session: verb(ConsensusStore(session)))

    @rule(id_=IDS, topic=TOPICS)
    def store(self, id_, topic):
        """Store, or say the same or another thing again."""
        self.day += timedelta(days=1)
        if id_ in self.archived:
            return
        new = NewConsensus(topic, "yes", "strong", 0.5, id=id_)
        if self.topics.get(id_, topic) != topic:
            with pytest.raises(ConflictError):
                self.run(lambda store: store.store(new, timestamp=self.day))
            return
        stored = self.run(lambda store: store.store(new, timestamp=self.day))
        self.times.setdefault(id_, self.day)
        self.topics[id_] = topic
        assert stored.timestamp == self.times[id_]

    @rule(id_=IDS, number=st.integers(0, 9))
    def object_to(self, id_, number):
        """Dissent from it, if it is there; the same objection counts once."""
        new = NewDissent(id_, "ada", "abstention", f"because {id_}", id=f"d{id_}{number}")
        if id_ not in self.topics:
            with pytest.raises(NotFoundError):
                self.run(lambda store: store.store_dissent(new, timestamp=self.day))
            return
        self.run(lambda store: store.store_dissent(new, timestamp=self.day))
        self.dissents.setdefault(id_, set()).add(new.id)

    @rule(old=IDS, new=IDS)
    def supersede(self, old, new):
        """Link two, where no chain is broken by it."""
        if not {old, new} <= self.topics.keys():
            with pytest.raises((NotFoundError, ConflictError)):
                self.run(lambda store: store.supersede(old, new))
            return
        taken = self.after.get(old, new) != new or any(self.after[each] == new for each in self.after if each != old)
        if taken or new in self.older(old) or old == new:
            with pytest.raises(ConflictError):
                self.run(lambda store: store.supersede(old, new))
            return
        self.run(lambda store: store.supersede(old, new))
        self.after[old] = new

    def older(self, id_):
        """The ids before this one in its chain, newest first."""
        before = {new: old for old, new in self.after.items()}
        found = []
        while id_ in before:
            id_ = before[id_]
            found.append(id_)
        return found

    @rule(days=st.integers(0, 12))
    def clean_up(self, days):
        """Archive what is older."""
        moved = self.run(lambda store: store.clean_up(older_than_days=days, now=self.day))
        gone = {id_ for id_, time in self.times.items() if time < self.day - timedelta(days=days)}
        dissents = sum(len(self.dissents.pop(id_, ())) for id_ in gone)
        assert (moved.consensus, moved.dissents) == (len(gone), dissents)
        for id_ in gone:
            del self.topics[id_], self.times[id_]
        self.archived |= gone

    @invariant()
    def agrees(self):
        """History, dissents, chains and similar topics, in one unit of work."""
        self.run(self.compare)

    def compare(self, store):
        """Compare everything."""
        newest = sorted(self.times, key=lambda id_: (-self.times[id_].timestamp(), id_))
        assert [each.id for each in store.history().items] == newest
        for id_ in self.topics:
            self.compare_one(store, id_)
        asked = set(topic_words("cache the ratings"))
        scores = {
            id_: len(asked & set(topic_words(each))) / len(asked | set(topic_words(each)))
            for id_, each in self.topics.items()
        }
        similar = store.similar("cache the ratings")
        assert {each.consensus.id: each.score for each in similar} == pytest.approx(
            {id_: score for id_, score in scores.items() if score > 0.1}
        )

    def compare_one(self, store, id_):
        """Compare one consensus."""
        dissents = store.dissents(debate_id=id_).items
        assert {each.id for each in dissents} == self.dissents.get(id_, set())
        later = []
        last = id_
        while last in self.after:
            last = self.after[last]
            later.append(last)
        chain = [link.id for link in store.chain(id_)]
        assert chain == [*reversed(self.older(id_)), id_, *later]


def test_any_sequence(play):
    """A difference here is a link, an objection or a whole consensus that some order of calls loses."""
    play(ConsensusMachine)
