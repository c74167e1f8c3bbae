"""Any sequence of publishing, viewing, changing and removing debates, against a model of plain dictionaries."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from aragora_db.errors import ConflictError, NotFoundError
from aragora_db.rules import debates as rules
from aragora_db.stores import DebateStore
from aragora_db.stores.debates import NewDebate

pytestmark = pytest.mark.slow

DAY = datetime(2026, 1, 15, tzinfo=UTC)
TASKS = st.sampled_from(["cache the ratings", "Cache ratings", "a slower migration", "漢字"])
TENANTS = st.sampled_from([None, "acme", "other"])
IDS = st.integers(0, 7).map("debate-{}".format)


class DebateMachine(RuleBasedStateMachine):
    """The model: debates by id, and how many slugs of each base were ever handed out and are still there."""

    def __init__(self, database):
        super().__init__()
        self.database = database

    @initialize()
    def begin(self):
        """Nothing is published."""
        self.debates = {}
        self.clock = DAY

    def run(self, verb, tenant=None):
        """One unit of work, confined to a tenant if there is one."""
        return self.database.transact(lambda session: verb(DebateStore(session, org_id=tenant)))

    @rule(id_=IDS, task=TASKS, tenant=TENANTS, confined=st.booleans())
    def create(self, id_, task, tenant, confined):
        """Publish, or say the same or another thing again."""
        self.clock += timedelta(seconds=1)
        known = self.debates.get(id_)
        try:
            new = NewDebate(task, ["ada"], {}, id=id_, org_id=tenant)
            made = self.run(lambda store: store.create(new, created_at=self.clock), tenant if confined else None)
        except ConflictError:
            assert known is not None
            assert (known["task"], known["tenant"]) != (task, tenant)
            return
        if known is not None:
            assert (known["task"], known["tenant"], known["slug"]) == (task, tenant, made.slug)
            return
        base = rules.slug(task, DAY.date())
        taken = {each["slug"] for each in self.debates.values()}
        numbers = [int(slug.removeprefix(f"{base}-")) for slug in taken if slug.startswith(f"{base}-")]
        assert made.slug == (base if base not in taken else f"{base}-{max(numbers, default=1) + 1}")
        self.debates[id_] = {
            "task": task,
            "tenant": tenant,
            "slug": made.slug,
            "views": 0,
            "at": self.clock,
            "public": None,
            "agreed": None,
        }

    @rule(id_=IDS, tenant=TENANTS)
    def view(self, id_, tenant):
        """Count a view, if the tenant may see the debate."""
        debate = self.debates.get(id_)
        slug = debate["slug"] if debate else "nothing"
        seen = self.run(lambda store: store.view(slug), tenant)
        if debate is None or tenant not in {None, debate["tenant"]}:
            assert seen is None
            return
        debate["views"] += 1
        assert seen.view_count == debate["views"]

    @rule(id_=IDS, tenant=TENANTS, public=st.sampled_from([None, True, False]), agreed=st.booleans())
    def update(self, id_, tenant, public, agreed):
        """Decide who sees it and how it ended, if the tenant may."""
        debate = self.debates.get(id_)
        try:
            changed = self.run(lambda store: store.update(id_, is_public=public, consensus_reached=agreed), tenant)
        except NotFoundError:
            assert debate is None or tenant not in {None, debate["tenant"]}
            return
        assert tenant in {None, debate["tenant"]}
        debate["public"], debate["agreed"] = changed.is_public, changed.consensus_reached
        assert (debate["public"], debate["agreed"]) == (public, agreed)

    @rule(id_=IDS, tenant=TENANTS)
    def delete(self, id_, tenant):
        """Remove, if the tenant may."""
        debate = self.debates.get(id_)
        allowed = debate is not None and tenant in {None, debate["tenant"]}
        try:
            self.run(lambda store: store.delete(id_), tenant)
        except NotFoundError:
            assert not allowed
            return
        assert allowed
        del self.debates[id_]

    @invariant()
    def agrees(self):
        """Lists, searches and figures, for everybody and for one tenant; no address twice."""
        self.database.transact(
            lambda session: [self.compare(DebateStore(session, org_id=tenant), tenant) for tenant in (None, "acme")]
        )
        assert max(Counter(each["slug"] for each in self.debates.values()).values(), default=1) == 1

    def compare(self, store, tenant):
        """Compare what one tenant sees."""
        mine = {id_: each for id_, each in self.debates.items() if tenant in {None, each["tenant"]}}
        newest = sorted(mine, key=lambda id_: (mine[id_]["at"], id_), reverse=True)
        listed = store.list()
        assert [each.id for each in listed.items] == newest
        words = ("CACHE", "ratings", "migrat*")
        found = [store.search(word).items for word in words]
        for word, debates in zip(words, found, strict=True):
            stem = word.casefold().rstrip("*")
            matching = [
                id_ for id_ in newest if any(part.startswith(stem) for part in mine[id_]["task"].lower().split())
            ]
            assert [each.id for each in debates] == matching
        for public in (True, False):
            listed = store.list(is_public=public)
            assert [each.id for each in listed.items] == [id_ for id_ in newest if mine[id_]["public"] is public]
        assert store.stats() == (
            len(mine),
            sum(each["public"] is True for each in mine.values()),
            sum(each["agreed"] is True for each in mine.values()),
            sum(each["views"] for each in mine.values()),
        )


def test_any_sequence_of_debates(play):
    """A difference here is an address given twice, a view lost, or a debate shown to another tenant."""
    play(DebateMachine)
