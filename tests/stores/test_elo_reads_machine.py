"""Any sequence of matches, events and encounters; then every listing, against plain lists and dictionaries."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from aragora_db.errors import ConflictError
from aragora_db.rules import elo
from aragora_db.rules import elo_events as rules
from aragora_db.stores import EloStats, EloStore, HeadToHead, NewInteraction, RelationshipStore

pytestmark = pytest.mark.slow

NAMES = ("ada", "bob", "Cy", "ada2", "эва")
AGENTS = st.sampled_from(NAMES)
DOMAINS = st.sampled_from(["law", "art"])
EVENTS = st.sampled_from([None, "e1", "e2"])
FEW = st.integers(0, 3)
TIMES = st.integers(0, 3).map(lambda minutes: datetime(2026, 3, 1, 12, tzinfo=UTC) + timedelta(minutes=minutes))


class ReadsMachine(RuleBasedStateMachine):
    """The model: ratings by agent, everything that happened as a list, counts by pair."""

    def __init__(self, database):
        super().__init__()
        self.database = database

    @initialize()
    def begin(self):
        """Nothing has happened."""
        self.ratings, self.domains = {}, {}
        self.counts = defaultdict(Counter)
        self.history, self.matches = [], []
        self.met, self.known = defaultdict(Counter), defaultdict(Counter)

    # -- what happens -------------------------------------------------------------------------------------------------

    @rule(names=st.lists(AGENTS, min_size=2, max_size=3, unique=True), scores=st.tuples(FEW, FEW, FEW), now=TIMES)
    def match(self, names, scores, now):
        """A match; how ratings move is another machine's business."""
        given = {name: float(score) for name, score in zip(names, scores, strict=False)}
        debate, domain = f"m{len(self.matches)}", ("law", None)[len(self.matches) % 2]
        changes = self.act(EloStore, "record_match", debate, names, given, domain, created_at=now)
        best = elo.winner(given)
        for name, change in changes.items():
            self.ratings[name] = self.ratings.get(name, 1500.0) + change
            self.history.append((name, self.ratings[name], debate, now))
            self.counts[name].update([outcome(best, name), "matches"])
            if domain:
                self.domains[name, domain] = self.domains.get((name, domain), 1500.0) + change
        for a, b in elo.pairs(names):
            self.met[a, b].update({"matches": 1, "draws" if best is None else best: 1})
        self.matches.append((debate, now, domain, names))

    @rule(agent=AGENTS, accepted=st.booleans(), now=TIMES)
    def critique(self, agent, accepted, now):
        """Counted, nothing else."""
        self.act(EloStore, "record_critique", agent, accepted=accepted, updated_at=now)
        self.ratings.setdefault(agent, 1500.0)
        self.counts[agent].update(["critiques"] + ["accepted"] * accepted)

    @rule(agent=AGENTS, debate=st.integers(0, 9), correct=st.booleans(), domain=DOMAINS, now=TIMES)
    def vote(self, agent, debate, correct, domain, now):
        """Once for each debate; the other outcome is a contradiction."""
        tags = [rules.vote_tag(str(debate), correct=each) for each in (correct, not correct)]
        call = partial(self.act, EloStore, "record_vote", agent, str(debate), correct=correct, domain=domain)
        if self.recorded(agent, tags[1]):
            assert call(created_at=now) is ConflictError
            return
        event = call(created_at=now)
        if self.is_new(agent, event, tags[0], now):
            self.counts[agent].update(["votes"] + ["correct"] * correct)
            total, right = self.counts[agent]["votes"], self.counts[agent]["correct"]
            change = rules.vote_change(correct=correct, total=total, total_correct=right)
            assert event.change == change
            if change:
                self.domains[agent, domain] = self.domains.get((agent, domain), 1500.0) + change

    @rule(agent=AGENTS, domain=DOMAINS, verified=FEW, disproven=FEW, event=EVENTS, now=TIMES)
    def verification(self, agent, domain, verified, disproven, event, now):
        """Overall and domain; with an id once."""
        tag = rules.verification_tag(domain, verified, disproven, event)
        others = [each[2] for each in self.history if each[0] == agent and f":{domain}:{event}:" in each[2]]
        call = partial(self.act, EloStore, "record_verification", agent, domain, verified, disproven, event_id=event)
        if verified == disproven == 0:
            assert call(created_at=now) is None
        elif event is not None and others not in ([], [tag]):
            assert call(created_at=now) is ConflictError
        else:
            change = rules.verification_change(verified, disproven)
            result = call(created_at=now)
            if self.is_new(agent, result, tag, now, change, once=event is not None) and change:
                self.domains[agent, domain] = max(100.0, self.domains.get((agent, domain), 1500.0) + change)

    @rule(agent=AGENTS, robustness=st.sampled_from([0.0, 0.6, 1.0]), session=EVENTS, now=TIMES)
    def redteam(self, agent, robustness, session, now):
        """Overall; with an id once."""
        result = self.act(EloStore, "record_redteam", agent, robustness, 1, 4, 1, session_id=session, created_at=now)
        change = rules.redteam_change(robustness, 1, 4, 1)
        self.is_new(agent, result, rules.redteam_tag(session), now, change, once=session is not None)

    @rule(agent=AGENTS, debate=st.integers(0, 2), now=TIMES)
    def learn(self, agent, debate, now):
        """Once for each debate, if there is a bonus."""
        result = self.act(EloStore, "record_learning", agent, str(debate), domain="art", created_at=now)
        before = [tag for tag in rules.learning_tags(str(debate)).values() if self.recorded(agent, tag)]
        entries = [each for each in self.newest(agent) if not each[2].startswith(("voting:", "learning:"))]
        found = rules.learning([each[1] for each in entries[:20]][::-1])
        bonus = rules.learning_bonus(found)
        if before or not bonus:
            assert (result is None) == (not before)
        elif self.is_new(agent, result, rules.learning_tags(str(debate))[found.category], now):
            self.domains[agent, "art"] = self.domains.get((agent, "art"), 1500.0) + bonus

    @rule(some=st.lists(st.tuples(st.permutations(NAMES), st.tuples(*[FEW] * 10)), max_size=3))
    def encounter(self, some):
        """Some pairs at once, in any order and direction."""
        self.act(RelationshipStore, "record_many", [NewInteraction(*pair[:2], *counts) for pair, counts in some])
        for (a, b, *_), (debates, agreements, *directed) in some:
            for side, turned in (((a, b), False), ((b, a), True)):
                self.known[side].update(debates=debates, agreements=agreements)
                names = ("given", "received", "accepted", "accepting", "changes", "caused", "wins", "losses")
                for i, name in enumerate(names):
                    self.known[side][name] += directed[i ^ 1 if turned else i]

    # -- the model ----------------------------------------------------------------------------------------------------

    def act(self, part, verb, *arguments, **options):
        """One unit of work; its value, or the class of the conflict."""
        try:
            return self.database.transact(lambda session: getattr(part(session), verb)(*arguments, **options))
        except ConflictError:
            return ConflictError

    def recorded(self, agent, tag):
        """Whether the history has it."""
        return any(each[0] == agent and each[2] == tag for each in self.history)

    def is_new(self, agent, event, tag, now, change=0.0, *, once=True):
        """Add an event to the model unless it is there."""
        assert event.tag == tag
        if once and self.recorded(agent, tag):
            assert event.change is None
            return False
        moved = self.ratings.get(agent, 1500.0) + change
        self.ratings[agent] = max(100.0, moved) if tag.startswith("verification") else moved
        self.history.append((agent, self.ratings[agent], tag, now))
        assert event.elo == self.ratings[agent]
        return True

    def newest(self, agent):
        """An agent's history, newest first, later entries of one time first."""
        return latest_first([each for each in self.history if each[0] == agent], 3)

    # -- every listing says the same ----------------------------------------------------------------------------------

    @invariant()
    def agrees(self):
        """Compared in one transaction."""
        self.database.transact(lambda session: (self.compare_ratings(session), self.compare_records(session)))

    def compare_ratings(self, session):
        """Leaderboards."""
        store = EloStore(session)
        board = pages(store.leaderboard)
        counts = {name: [self.counts[name][each] for each in ("wins", "losses", "draws", "matches")] for name in NAMES}
        expected = sorted(self.ratings.items(), key=lambda each: (-each[1], each[0]))
        assert [list(each) for each in board] == [[name, rating, *counts[name]] for name, rating in expected]
        for domain in ("law", "art"):
            rated = [(name, rating) for (name, where), rating in self.domains.items() if where == domain]
            listed = [(each.agent_name, each.elo) for each in pages(store.domain_leaderboard, domain)]
            assert listed == sorted(rated, key=lambda each: (-each[1], each[0]))
        for place, standing in enumerate(board):
            assert store.rank(standing.agent_name) == place + 1
            near = store.neighbours(standing.agent_name, above=1, below=2)
            assert [*near.above, near.own, *near.below] == board[max(0, place - 1) : place + 3]
        known = list(self.ratings.values())
        spread = (sum(known) / len(known), max(known), min(known)) if known else (None, None, None)
        stats = store.stats()
        assert stats == EloStats(len(known), stats.average, *spread[1:], len(self.matches))
        assert stats.average == pytest.approx(spread[0])
        for name, rating in store.get_ratings(NAMES).items():
            numbers = (rating.critiques_total, rating.critiques_accepted, rating.calibration_total)
            assert numbers == tuple(self.counts[name][each] for each in ("critiques", "accepted", "votes"))
            assert rating.calibration_correct == self.counts[name]["correct"]

    def compare_records(self, session):
        """Histories, matches and relationships."""
        store, relationships = EloStore(session), RelationshipStore(session)
        recent = latest_first(self.matches, 1)
        assert [each.debate_id for each in pages(store.recent_matches)] == [each[0] for each in recent]
        for name in NAMES:
            listed = [tuple(entry[1:]) for entry in pages(store.history, name)]
            assert listed == self.newest(name)
            votes = [entry.debate_id for entry in pages(partial(store.events, agent_name=name), "voting:")]
            assert votes == [each[2] for each in listed if each[2].startswith("voting:")]
            own = [each[0] for each in self.matches[::-1] if name in each[3]]
            assert [each.debate_id for each in pages(partial(store.recent_matches, agent_name=name))] == own
            with_others = {side[1]: counts for side, counts in self.known.items() if side[0] == name}
            listed = pages(relationships.list, name)
            order = sorted(with_others, key=lambda other: (-with_others[other]["debates"], other))
            assert [each.other_name for each in listed] == order
            for each in listed:
                numbers = [getattr(each, field.name) for field in fields(each)[2:-1]]
                assert numbers == list(with_others[each.other_name].values())
        for a, b in elo.pairs(NAMES):
            both = [each[0] for each in self.matches[::-1] if a in each[3] and b in each[3]]
            assert [each.debate_id for each in pages(store.head_to_head_matches, b, a)] == both
            met = self.met[a, b]
            assert store.head_to_head(a, b) == HeadToHead(met["matches"], met[a], met[b], met["draws"])


def latest_first(rows, time):
    """Rows by the time in one of their fields, of one time the later row first."""
    return [rows[place] for place in sorted(range(len(rows)), key=lambda i: (rows[i][time], i), reverse=True)]


def outcome(best, name):
    """How a match ended for somebody."""
    return "draws" if best is None else "wins" if best == name else "losses"


def pages(listing, *arguments):
    """A listing to its end, three rows at a time."""
    found, after = [], None
    while True:
        page = listing(*arguments, limit=3, after=after)
        found.extend(page.items)
        after = page.next
        if after is None:
            return found


def test_any_sequence_of_events(play):
    """A difference here is a listing that some history makes wrong, or an event that some order counts otherwise."""
    play(ReadsMachine, examples=8, steps=15)
