"""Every public verb of every store, on all four drivers; the other tests of this folder run on the two sync ones.

The stores are one sync code behind `run_sync`. What a driver can do differently (types of values and of arrays, row
counts, RETURNING, isolation) shows in one realistic call of each verb. What the verbs promise is tested elsewhere.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any

import pytest

import aragora_db.stores
from aragora_db.stores import NewGenome, NewInteraction, NewMatch
from aragora_db.stores.consensus import NewConsensus, NewDissent, NewProof
from aragora_db.stores.continuum import NewMemory
from aragora_db.stores.debates import NewCritique, NewDebate, NewResult
from aragora_db.stores.insights import NewInsight, NewPattern, NewPerformance, NewSummary
from aragora_db.stores.positions import NewPosition, NewStatement
from aragora_db.testing.engines import EngineCase, EngineDatabase
from aragora_db.testing.fresh import FreshDatabases

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)


class Step:
    """One call of a verb, in a unit of work of its own.

    Attributes:
        verb: the method of the store.
        arguments: its positional arguments; a `Found` is looked up in the store first.
        expect: what `of` makes of the result.
        of: what is compared of the result; all of it by default.
        options: its keyword arguments.
    """

    def __init__(
        self, verb: str, *arguments: Any, expect: Any, of: Callable[[Any], Any] = lambda result: result, **options: Any
    ) -> None:
        self.verb, self.arguments, self.options = verb, arguments, options
        self.expect, self.of = expect, of

    def run(self, store: Any) -> Any:
        """Call the verb and return what is compared."""
        arguments = [each.find(store) if isinstance(each, Found) else each for each in self.arguments]
        return self.of(getattr(store, self.verb)(*arguments, **self.options))


class Found:
    """An argument that the database made up, such as the id of a row."""

    def __init__(self, find: Callable[[Any], Any]) -> None:
        self.find = find


def each(*names: str) -> Callable[[Any], list[Any]]:
    """Attributes of each row of a page or list; tuples of them if there are several."""
    return lambda rows: [attrgetter(*names)(row) for row in getattr(rows, "items", rows)]


def matches(agent: str, count: int) -> list[NewMatch]:
    """Matches that an agent wins against new opponents, an hour apart."""
    return [
        NewMatch(
            f"{agent}-{number}",
            [agent, f"{agent}-rival-{number}"],
            {agent: 1.0, f"{agent}-rival-{number}": 0.0},
            created_at=NOON + timedelta(hours=number),
        )
        for number in range(1, count + 1)
    ]


# A step is one or two lines; the formatter would make a line of each argument.
# fmt: off

ELO = [
    Step("record_match", "m", ["ada", "bob"], {"ada": 1.0, "bob": 0.0}, "law", created_at=NOON,
         expect={"ada": 16.0, "bob": -16.0}),
    Step("match", "m", of=attrgetter("winner", "domain", "created_at"), expect=("ada", "law", NOON)),
    Step("rating", "ada", of=attrgetter("elo", "wins", "domain_elos"), expect=(1516.0, 1, {"law": 1516.0})),
    Step("get_ratings", ["bob", "nobody"], of=lambda found: {name: row.losses for name, row in found.items()},
         expect={"bob": 1}),
    Step("leaderboard", of=each("agent_name", "elo"), expect=[("ada", 1516.0), ("bob", 1484.0)]),
    Step("domain_leaderboard", "law", of=each("agent_name", "elo"), expect=[("ada", 1516.0), ("bob", 1484.0)]),
    Step("rank", "bob", expect=2),
    Step("neighbours", "bob", of=lambda near: (each("agent_name")(near.above), near.own.elo, near.below),
         expect=(["ada"], 1484.0, ())),
    Step("stats", expect=(2, 1500.0, 1516.0, 1484.0, 1)),
    Step("recent_matches", domain="law", of=each("debate_id"), expect=["m"]),
    Step("head_to_head", "bob", "ada", expect=(1, 0, 1, 0)),
    Step("head_to_head_matches", "bob", "ada", of=each("debate_id"), expect=["m"]),
    Step("history", "ada", of=each("elo", "debate_id", "created_at"), expect=[(1516.0, "m", NOON)]),
    Step("record_critique", "bob", accepted=True, updated_at=LATER, expect=None),
    Step("rating", "bob", of=attrgetter("critiques_total", "critiques_accepted", "updated_at"), expect=(1, 1, LATER)),
    Step("record_vote", "bob", "m", correct=True, domain="law", created_at=LATER,
         of=attrgetter("tag", "elo", "created_at"), expect=("voting:m:correct", 1484.0, LATER)),
    Step("events", "voting:", agent_name="bob", of=each("debate_id"), expect=["voting:m:correct"]),
    Step("record_verification", "bob", "law", verified=3, disproven=1, event_id="v",
         of=attrgetter("elo", "change"), expect=(1500.0, 16.0)),
    Step("record_redteam", "bob", 0.0, 3, 4, 1, session_id="s", of=attrgetter("tag", "change"),
         expect=("redteam_s", -14.0)),
    Step("record_matches", matches("cyd", 6), of=lambda changes: [change["cyd"] > 10 for change in changes],
         expect=[True] * 6),
    Step("learning", "cyd", of=attrgetter("category", "consistency", "ratings"), expect=("rapid", 1.0, 6)),
    Step("record_learning", "cyd", "cyd-6", domain="law", of=attrgetter("tag", "change"),
         expect=("learning:cyd-6:rapid", 1.5)),
]

RELATIONSHIPS = [
    Step("record", NewInteraction("ada", "bob", debate_count=10, agreement_count=1, a_wins_over_b=5, b_wins_over_a=5),
         updated_at=NOON, expect=None),
    Step("record_many", [NewInteraction("cyd", "ada", debate_count=4, agreement_count=4)], updated_at=NOON,
         expect=None),
    Step("get", "bob", "ada", of=attrgetter("debates", "agreements", "wins", "losses", "updated_at"),
         expect=(10, 1, 5, 5, NOON)),
    Step("list", "ada", of=each("other_name", "debates"), expect=[("bob", 10), ("cyd", 4)]),
    Step("rivals", "ada", min_score=0.6, of=each("other_name"), expect=["bob"]),
    Step("allies", "ada", of=each("other_name"), expect=["cyd"]),
]

CALIBRATION = [
    *[
        Step("record_domain_prediction", "eve", "law", 0.75, correct=correct, expect=score)
        for correct, score in [(True, 0.0625)] * 8 + [(False, 0.5625)] * 2
    ],
    Step("calibration", "eve", of=attrgetter("predictions", "correct", "brier_sum"), expect=(10, 8, 1.625)),
    Step("curve", "eve", of=each("key", "accuracy", "expected"), expect=[("0.7-0.8", 0.8, 0.75)]),
    Step("domains", "eve", of=each("domain", "predictions"), expect=[("law", 10)]),
    Step("best_domains", "eve", of=each("domain", "brier"), expect=[("law", 0.1625)]),
    Step("expected_calibration_error", "eve", expect=pytest.approx(0.05)),
    Step("leaderboard", of=each("agent_name", "quality"), expect=[("eve", 0.8375)]),
    Step("k_multipliers", ["ada", "eve"], expect={"ada": 1.0, "eve": 1.1}),
    Step("predict", "cup", "eve", "ada", 0.5, created_at=NOON, of=attrgetter("predicted_winner", "created_at"),
         expect=("ada", NOON)),
    Step("prediction", "cup", "eve", of=attrgetter("confidence", "actual_winner"), expect=(0.5, None)),
    Step("resolve_predictions", "cup", "ada", domain="law", resolved_at=LATER, expect={"eve": 0.25}),
    Step("predictions", "eve", of=each("actual_winner", "resolved_at"), expect=[("ada", LATER)]),
    Step("tournament_predictions", "cup", of=each("predictor_agent"), expect=["eve"]),
]

OPEN_MATCH = Found(lambda store: store.matches("cup", completed=False).items[0].match_id)

TOURNAMENTS = [
    Step("create", "Cup", ["ada", "bob"], tournament_id="cup", created_at=NOON,
         of=attrgetter("status", "total_rounds", "participants", "created_at"),
         expect=("pending", 1, ["ada", "bob"], NOON)),
    Step("record_result", OPEN_MATCH, 1.0, 0.5, "final", completed_at=LATER,
         of=attrgetter("winner", "score2", "debate_id", "completed_at"), expect=("ada", 0.5, "final", LATER)),
    Step("get", "cup", of=attrgetter("status", "rounds_completed"), expect=("completed", 1)),
    Step("matches", "cup", completed=True, of=each("agent1", "agent2"), expect=[("ada", "bob")]),
    Step("agent_matches", "bob", of=each("tournament_id", "winner"), expect=[("cup", "ada")]),
    Step("standings", "cup", of=each("agent_name", "points"), expect=[("ada", 1.0), ("bob", 0.0)]),
    Step("events", "cup", of=each("event_type"), expect=["created", "match_completed", "completed"]),
    Step("create", "Off", ["ada", "bob"], tournament_id="off", created_at=LATER, of=attrgetter("name"), expect="Off"),
    Step("cancel", "off", expect=True),
    Step("list", of=each("tournament_id", "status"), expect=[("off", "cancelled"), ("cup", "completed")]),
    Step("get_many", ["off", "none", "cup"], of=list, expect=["off", "cup"]),
]

CONSENSUS = [
    Step("store", NewConsensus("Cache the ratings", "yes", "strong", 0.75, ["ada"], tags=["db"], id="a"),
         timestamp=NOON, of=attrgetter("id", "strength", "tags", "timestamp"), expect=("a", "strong", ["db"], NOON)),
    Step("get", "a", of=attrgetter("conclusion", "confidence"), expect=("yes", 0.75)),
    Step("get_many", ["none", "a"], of=list, expect=["a"]),
    Step("similar", "cache ratings", of=each("consensus.id", "score"), expect=[("a", 2 / 3)]),
    Step("store_dissent", NewDissent("a", "bob", "abstention", "stale", confidence=0.5, id="d"), timestamp=NOON,
         of=attrgetter("debate_id", "dissent_type"), expect=("a", "abstention")),
    Step("dissent", "d", of=attrgetter("agent_id", "content", "confidence"), expect=("bob", "stale", 0.5)),
    Step("acknowledge", "d", of=lambda row: row.data["acknowledged"], expect=True),
    Step("rebut", "d", "it expires", of=lambda row: row.data["rebuttal"], expect="it expires"),
    Step("dissents", debate_id="a", agent_id="bob", of=each("id"), expect=["d"]),
    Step("store_proof", NewProof("a", "verified", is_verified=True, language="lean4", id="p"), timestamp=NOON,
         of=attrgetter("id", "is_verified"), expect=("p", True)),
    Step("latest_proof", "a", of=attrgetter("id", "language"), expect=("p", "lean4")),
    Step("proofs", is_verified=True, of=each("id", "timestamp"), expect=[("p", NOON)]),
    Step("supersede", "a", NewConsensus("Cache the ratings", "no", "weak", 0.25, id="b"), timestamp=LATER,
         of=lambda row: (row.id, row.data["supersedes"]), expect=("b", "a")),
    Step("chain", "b", of=each("id"), expect=["a", "b"]),
    Step("history", of=each("id"), expect=["b", "a"]),
    Step("stats", of=attrgetter("consensus", "dissents", "proofs", "average_confidence", "by_strength"),
         expect=(2, 1, 1, 0.5, {"strong": 1, "weak": 1})),
    Step("delete", "b", expect=None),
    Step("get", "b", expect=None),
    Step("clean_up", older_than_days=90, now=NOON + timedelta(days=91), expect=(1, 1, 1)),
]

ARCHIVED = Found(lambda store: store.archived(memory_id="s").items[0].archive_id)

CONTINUUM = [
    Step("add", NewMemory("m", "quorum of votes", "medium", 0.5, {"by": ["ada"]}, surprise_score=1.0), now=NOON,
         of=attrgetter("tier", "importance", "metadata_", "created_at"), expect=("medium", 0.5, {"by": ["ada"]}, NOON)),
    Step("add_many", [NewMemory("s", "stale cache", "slow", expires_at=LATER), NewMemory("t", "vote", "fast")],
         now=NOON, expect=2),
    Step("get", "s", of=attrgetter("content", "expires_at"), expect=("stale cache", LATER)),
    Step("get_many", ["t", "none", "m"], of=list, expect=["t", "m"]),
    Step("update_outcome", "t", success=True, prediction_error=0.5, now=NOON,
         of=attrgetter("update_count", "success_count", "surprise_score"), expect=(2, 1, pytest.approx(0.15))),
    Step("set_embedding", "m", [1.0, 0.0], expect=None),
    Step("set_embeddings", {"s": [0.0, 1.0], "t": [0.6, 0.8]}, expect=None),
    Step("get_embedding", "m", of=list, expect=[1.0, 0.0]),
    Step("similar", [1.0, 0.0], limit=2, of=each("memory.id", "score"),
         expect=[("m", pytest.approx(1.0)), ("t", pytest.approx(0.6))]),
    Step("hybrid", ["vote"], [0.6, 0.8], limit=1, now=NOON, of=each("memory.id"), expect=["t"]),
    Step("retrieve", keywords=["QUORUM"], now=NOON, of=each("memory.id"), expect=["m"]),
    Step("timeline", since=NOON, limit=2, oldest_first=True, of=each("id"), expect=["m", "s"]),
    Step("promote", "m", now=NOON, expect="fast"),
    Step("demote", "m", now=NOON, expect=None),
    Step("transitions", "m", of=each("from_tier", "to_tier", "reason"), expect=[("medium", "fast", "high_surprise")]),
    Step("add", NewMemory("x", "surprising", "slow", surprise_score=0.9), now=NOON, of=attrgetter("surprise_score"),
         expect=0.9),
    Step("consolidate", now=NOON, expect={("slow", "medium"): 1}),
    Step("mark_red_line", "x", "keep", now=NOON, of=attrgetter("red_line", "tier", "importance"),
         expect=(True, "glacial", 1.0)),
    Step("red_lined", of=each("id", "red_line_reason"), expect=[("x", "keep")]),
    Step("stats", of=lambda stats: {tier: (found.memories, found.red_lined) for tier, found in stats.items()
                                    if found.memories},
         expect={"fast": (2, 0), "slow": (1, 0), "glacial": (1, 1)}),
    Step("enforce_limits", now=NOON, expect={}),
    Step("delete", "t", now=NOON, expect=None),
    Step("expire", now=LATER, expect={"slow": 1}),
    Step("archived", of=each("id", "archive_reason"), expect=[("s", "expired"), ("t", "user_deleted")]),
    Step("restore", ARCHIVED, now=LATER, of=attrgetter("id", "content", "expires_at"),
         expect=("s", "stale cache", None)),
]

FIRST_CRITIQUE = Found(lambda store: store.critiques("d").items[0].id)
SLUG = "cache-ratings-2026-03-01"

DEBATES = [
    Step("create", NewDebate("Cache the ratings", ["ada", "bob"], {"n": [1]}, id="d", org_id="acme"), created_at=NOON,
         of=attrgetter("id", "slug", "agents"), expect=("d", SLUG, ["ada", "bob"])),
    Step("get", "d", of=attrgetter("artifact_json", "created_at"), expect=({"n": [1]}, NOON)),
    Step("get_many", ["none", "d"], of=list, expect=["d"]),
    Step("by_slug", SLUG, of=attrgetter("id"), expect="d"),
    Step("view", SLUG, of=attrgetter("view_count"), expect=1),
    Step("update", "d", confidence=0.5, consensus_reached=True, of=attrgetter("confidence", "consensus_reached"),
         expect=(0.5, True)),
    Step("set_visibility", "d", is_public=True, of=attrgetter("is_public"), expect=True),
    Step("attach_audio", "d", "d.mp3", audio_duration_seconds=60, audio_generated_at=LATER,
         of=attrgetter("audio_path", "audio_duration_seconds", "audio_generated_at"), expect=("d.mp3", 60, LATER)),
    Step("list", is_public=True, of=each("id"), expect=["d"]),
    Step("search", "CACHE rat*", of=each("id"), expect=["d"]),
    Step("stats", expect=(1, 1, 1, 1)),
    Step("record_result", NewResult("d", "Cache the ratings", "yes", confidence=0.5, grounded_verdict={"by": "ada"},
         critiques=[NewCritique("ada", "bob", ["vague"], severity=3), NewCritique("bob", "ada")]), created_at=LATER,
         of=attrgetter("final_answer", "grounded_verdict"), expect=("yes", {"by": "ada"})),
    Step("result", "d", of=attrgetter("confidence", "created_at"), expect=(0.5, LATER)),
    Step("critiques", "d", of=each("agent", "issues"), expect=[("ada", ["vague"]), ("bob", [])]),
    Step("critiques_by", "ada", of=each("severity"), expect=[3.0]),
    Step("critiques_of", "ada", of=each("agent"), expect=["bob"]),
    Step("judge_critique", FIRST_CRITIQUE, led_to_improvement=True, actual_usefulness=0.75,
         of=attrgetter("led_to_improvement", "prediction_error"), expect=(True, 0.25)),
    Step("delete", "d", expect=None),
    Step("get", "d", expect=None),
]

GENESIS = [
    Step("save", NewGenome("ada", "g", traits={"direct": 0.5}, expertise={"law": 1.0}), updated_at=NOON,
         of=attrgetter("traits", "expertise", "fitness_score", "created_at"),
         expect=({"direct": 0.5}, {"law": 1.0}, 0.5, NOON)),
    Step("save", NewGenome("ada", "h", parent_genomes=["g", "gone"], generation=1, fitness_score=0.75),
         of=attrgetter("parent_genomes"), expect=["g", "gone"]),
    Step("get", "h", of=attrgetter("generation", "fitness_score"), expect=(1, 0.75)),
    Step("get_many", ["h", "none", "g"], of=list, expect=["h", "g"]),
    Step("record_outcome", "g", consensus=True, updated_at=LATER,
         of=attrgetter("fitness_score", "debates_participated", "updated_at"), expect=(0.4, 1, LATER)),
    Step("fittest", of=each("genome_id"), expect=["h", "g"]),
    Step("named", "ada", of=each("genome_id"), expect=["h", "g"]),
    Step("lineage", "h", of=lambda found: ([each("genome_id")(row) for row in found.generations], found.missing),
         expect=([["g"]], ("gone",))),
    Step("save_population", "p", ["h", "g"], generation=2, created_at=NOON, of=attrgetter("genome_ids", "created_at"),
         expect=(["h", "g"], NOON)),
    Step("population", "p", of=lambda found: (found.population.generation, each("genome_id")(found.genomes)),
         expect=(2, ["h", "g"])),
    Step("populations", of=each("population_id"), expect=["p"]),
    Step("set_active_population", "p", expect=None),
    Step("active_population", of=attrgetter("population.population_id"), expect="p"),
    Step("append_debate", "p", "d", of=attrgetter("debate_history"), expect=["d"]),
    Step("append_event", "birth", {"n": 1}, event_id="1", timestamp=NOON, of=attrgetter("parent_event_id", "timestamp"),
         expect=(None, NOON)),
    Step("append_event", "death", {"n": 1.5}, event_id="2", timestamp=LATER, of=attrgetter("parent_event_id"),
         expect="1"),
    Step("event", "2", of=attrgetter("event_type", "data", "timestamp"), expect=("death", {"n": 1.5}, LATER)),
    Step("events", since=LATER, of=each("event_id"), expect=["2"]),
    Step("children", "1", of=each("event_id"), expect=["2"]),
    Step("verify_ledger", of=attrgetter("events", "intact"), expect=(2, True)),
    Step("set_active_population", None, expect=None),
    Step("delete_population", "p", expect=None),
    Step("population", "p", expect=None),
    Step("delete", "g", expect=None),
    Step("get_many", ["g", "h"], of=list, expect=["h"]),
]

OLDEST_WISDOM = Found(lambda store: store.unused_wisdom("loop").items[-1].id)
LEARNED = [NewInsight("decision", "Cache ratings", confidence=0.75, agents_involved=["ada"], id="i"),
           NewInsight("decision", "Log less", id="j")]
PERFORMED = [NewPerformance("ada", 2, 1, proposal_accepted=True, contribution_score=0.75), NewPerformance("bob")]

INSIGHTS = [
    Step("record_debate", NewSummary("d", "task", consensus_reached=True), LEARNED, PERFORMED,
         [NewPattern("vague", "clarity", 0.25)], created_at=NOON, of=attrgetter("total_insights", "created_at"),
         expect=(2, NOON)),
    Step("summary", "d", of=attrgetter("task", "consensus_reached"), expect=("task", True)),
    Step("summaries", of=each("debate_id"), expect=["d"]),
    Step("get", "i", of=attrgetter("title", "agents_involved", "created_at"),
         expect=("Cache ratings", ["ada"], NOON)),
    Step("get_many", ["j", "none", "i"], of=list, expect=["j", "i"]),
    Step("of_debate", "d", of=lambda page: sorted(each("id")(page)), expect=["i", "j"]),
    Step("recent", limit=10, of=lambda page: sorted(each("id")(page)), expect=["i", "j"]),
    Step("most_confident", type="decision", of=each("id", "confidence"), expect=[("i", 0.75), ("j", 0.5)]),
    Step("search", "RATINGS", of=each("id"), expect=["i"]),
    Step("patterns", category="clarity", of=each("pattern_text", "occurrence_count", "avg_severity", "debate_ids"),
         expect=[("vague", 1, 0.25, ["d"])]),
    Step("agent_stats", "ada", of=attrgetter("debates", "acceptance_rate", "proposals_made"), expect=(1, 1.0, 2)),
    Step("ranking", of=each("agent_name", "average_contribution"), expect=[("ada", 0.75), ("bob", 0.5)]),
    Step("record_usage", "i", "e", was_successful=True, created_at=LATER, of=attrgetter("was_successful", "created_at"),
         expect=(True, LATER)),
    Step("usage", "i", of=attrgetter("uses", "successes"), expect=(1, 1)),
    Step("submit_wisdom", "loop", "be brief", context_tags=["style"], created_at=NOON,
         of=attrgetter("text", "context_tags", "used"), expect=("be brief", ["style"], False)),
    Step("submit_wisdom", "loop", "be kind", created_at=LATER, of=attrgetter("submitter_id"), expect="anonymous"),
    Step("unused_wisdom", "loop", of=each("text"), expect=["be kind", "be brief"]),
    Step("take_wisdom", "loop", of=attrgetter("text", "used"), expect=("be kind", True)),
    Step("mark_wisdom_used", OLDEST_WISDOM, expect=True),
    Step("take_wisdom", "loop", expect=None),
]

PERSONAS = [
    Step("upsert", "ada", description="careful", traits=["thorough"], expertise={"law": 0.5}, updated_at=NOON,
         of=attrgetter("description", "traits", "expertise", "created_at"),
         expect=("careful", ["thorough"], {"law": 0.5}, NOON)),
    Step("record_performance", "ada", "law", success=True, debate_id="d", action="critique", created_at=LATER,
         expect=pytest.approx(0.85)),
    Step("get", "ada", of=attrgetter("updated_at"), expect=LATER),
    Step("get_many", ["none", "ada"], of=list, expect=["ada"]),
    Step("list", of=each("agent_name"), expect=["ada"]),
    Step("history", "ada", domain="law", of=each("success", "action", "created_at"),
         expect=[(True, "critique", LATER)]),
    Step("expertise", "ada", expect=(("ada", "law", pytest.approx(0.85)),)),
    Step("ranking", "law", of=list, expect=[("ada", "law", pytest.approx(0.85))]),
    Step("domain_records", "ada", of=each("domain", "actions", "successes"), expect=[("law", 1, 1)]),
    Step("infer_traits", "ada", expect=("pragmatic",)),
]

FIRST_POSITION = Found(lambda store: store.of_agent("ada").items[-1].id)
SECOND_POSITION = Found(lambda store: store.of_agent("ada").items[0].id)

POSITIONS = [
    Step("record", NewPosition("ada", "The plan is safe", 0.75, "d1", 0, "law"), created_at=NOON,
         of=attrgetter("confidence", "outcome", "created_at"), expect=(0.75, "pending", NOON)),
    Step("record_many", [NewPosition("ada", "The plan is not safe", 0.5, "d2", 1)], created_at=LATER, of=each("claim"),
         expect=["The plan is not safe"]),
    Step("get", FIRST_POSITION, of=attrgetter("claim", "domain"), expect=("The plan is safe", "law")),
    Step("get_many", ["none"], expect={}),
    Step("of_agent", "ada", of=each("debate_id"), expect=["d2", "d1"]),
    Step("of_debate", "d2", of=each("round_num"), expect=[1]),
    Step("resolve", SECOND_POSITION, "correct", resolved_at=LATER, of=attrgetter("outcome", "resolved_at"),
         expect=("correct", LATER)),
    Step("with_outcome", "correct", of=each("debate_id"), expect=["d2"]),
    Step("reverse", FIRST_POSITION, "d2", of=attrgetter("reversed", "reversal_debate_id"), expect=(True, "d2")),
    Step("detect_flips", "ada", detected_at=LATER, of=lambda found: (found.new, each("flip_type")(found.flips)),
         expect=(1, ["contradiction"])),
    Step("flips", agent_name="ada", of=each("original_claim", "detected_at"), expect=[("The plan is safe", LATER)]),
    Step("consistency", "ada", of=attrgetter("positions", "contradictions", "score"), expect=(2, 1, 0.5)),
    Step("consistency_ranking", of=each("agent_name", "score"), expect=[("ada", 0.5)]),
    Step("record_statement", NewStatement("d", "ada", "vote", "yes", 1, 0.75), created_at=NOON,
         of=attrgetter("position_text", "was_winning_position", "created_at"), expect=("yes", None, NOON)),
    Step("finalize_debate", "d", "ada", winning_position="yes", consensus_confidence=0.75, created_at=NOON,
         of=attrgetter("winning_agent", "consensus_confidence"), expect=("ada", 0.75)),
    Step("verify_debate", "d", verification_result=True, verification_source="audit", verified_at=LATER,
         of=attrgetter("verification_result", "verification_source", "verified_at"), expect=(True, "audit", LATER)),
    Step("outcome", "d", of=attrgetter("winning_position", "verification_result"), expect=("yes", True)),
    Step("statements_of_debate", "d", of=each("agent_name", "was_winning_position"), expect=[("ada", True)]),
    Step("statements_of_agent", "ada", verified_only=True, of=each("debate_id", "verified_correct"),
         expect=[("d", True)]),
    Step("accuracy", "ada", position_type="vote",
         of=attrgetter("statements", "winning", "verified", "correct", "accuracy"), expect=(1, 1, 1, 1, 1.0)),
]

# fmt: on

STORES = {
    "CalibrationStore": CALIBRATION,
    "ConsensusStore": CONSENSUS,
    "ContinuumStore": CONTINUUM,
    "DebateStore": DEBATES,
    "EloStore": ELO,
    "GenesisStore": GENESIS,
    "InsightStore": INSIGHTS,
    "PersonaStore": PERSONAS,
    "PositionStore": POSITIONS,
    "RelationshipStore": RELATIONSHIPS,
    "TournamentStore": TOURNAMENTS,
}


@pytest.mark.parametrize("name", STORES)
def test_every_verb(name: str, engine_case: EngineCase, fresh_databases: FreshDatabases):
    """A driver that returns other types, or loses a row count, would break a verb for half of our users."""
    store = getattr(aragora_db.stores, name)
    database = EngineDatabase(fresh_databases.url(engine_case.dialect), engine_case)
    try:
        for step in STORES[name]:
            found = database.run(lambda session, step=step: step.run(store(session)))
            assert found == step.expect, step.verb
    finally:
        database.end()


def test_no_store_is_missing():
    """A store that the table forgets would run on two drivers only."""
    assert set(STORES) == {name for name in aragora_db.stores.__all__ if name.endswith("Store") and name != "Store"}


@pytest.mark.parametrize("name", STORES)
def test_no_verb_is_missing(name: str):
    """Each public method has a step, and each step names a public method."""
    members = inspect.getmembers(getattr(aragora_db.stores, name), callable)
    assert {step.verb for step in STORES[name]} == {verb for verb, _ in members if not verb.startswith("_")}
