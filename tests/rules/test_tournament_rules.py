"""Who meets whom, and who leads. A mistake here lets somebody play twice, or not at all."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aragora_db.errors import ConflictError
from aragora_db.rules import tournaments as rules
from aragora_db.rules.tournaments import Result, TournamentStanding

COUNTS = st.integers(2, 40)


def names(count: int) -> list[str]:
    """Participants whose order is not that of the alphabet."""
    return [f"agent-{(7 * number) % 128}" for number in range(count)]


def test_round_robin_by_hand():
    """Four agents: three rounds of two matches; three agents: three rounds, each sits out once."""
    assert rules.round_robin(["a", "b", "c", "d"]) == [
        [("a", "d"), ("b", "c")],
        [("a", "c"), ("b", "d")],
        [("a", "b"), ("c", "d")],
    ]
    assert rules.round_robin(["c", "b", "a"]) == [[("b", "a")], [("c", "a")], [("c", "b")]]
    assert rules.round_robin(["a", "b"]) == [[("a", "b")]]


@given(COUNTS)
def test_round_robin(count: int):
    """Everybody meets everybody exactly once, and nobody plays twice in a round."""
    agents = names(count)
    rounds = rules.round_robin(agents)
    assert len(rounds) == (count if count % 2 else count - 1)
    assert sorted(pair for each in rounds for pair in each) == sorted(combinations(agents, 2))
    for each in rounds:
        playing = Counter(name for pair in each for name in pair)
        assert len(each) == count // 2
        assert max(playing.values()) == 1


@pytest.mark.parametrize(
    ("count", "rounds", "slots"),
    [
        (2, 1, ["ab"]),
        (3, 2, ["ab", "c"]),
        (4, 2, ["ab", "cd"]),
        (5, 3, ["ab", "c", "d", "e"]),
        (6, 3, ["ab", "cd", "e", "f"]),
        (7, 3, ["ab", "cd", "ef", "g"]),
        (8, 3, ["ab", "cd", "ef", "gh"]),
        (9, 4, ["ab", "c", "d", "e", "f", "g", "h", "i"]),
    ],
)
def test_first_round(count: int, rounds: int, slots: list[str]):
    """As many matches as it takes to leave a power of two."""
    assert rules.elimination_rounds(count) == rounds
    assert rules.elimination_first_round("abcdefghi"[:count]) == [tuple(slot) for slot in slots]


@given(COUNTS, st.randoms(use_true_random=False))
def test_elimination_to_the_end(count: int, random: Any):
    """Everybody but one loses exactly one match, in the promised number of rounds."""
    agents = names(count)
    slots = rules.elimination_first_round(agents)
    lost: list[str] = []
    for number in range(1, rules.elimination_rounds(count) + 1):
        winners: dict[int, str | None] = {}
        for position, slot in enumerate(slots):
            if len(slot) > 1:
                winners[position] = random.choice(slot)
                lost += [name for name in slot if name != winners[position]]
        left = rules.elimination_entrants(agents, number, winners)
        slots = list(zip(left[::2], left[1::2], strict=False))
    assert len(left) == 1
    assert sorted([*lost, *left]) == sorted(agents)


@pytest.mark.parametrize(
    ("number", "winners"), [(1, {}), (1, {0: None}), (2, {0: "a"}), (2, {0: "a", 1: None}), (2, {0: "a", 7: "b"})]
)
def test_brackets_of_others(number: int, winners: dict[int, str | None]):
    """Where nobody can tell who comes next, nobody is made up."""
    with pytest.raises(ConflictError, match="create a tournament of those who are left"):
        rules.elimination_entrants("abcde" if number == 1 else "abcdefgh", number, winners)


@pytest.mark.parametrize(("score1", "score2", "winner"), [(1.0, 0.4, "a"), (0.4, 1.0, "b"), (0.0, 0.0, None)])
def test_match_winner(score1: float, score2: float, winner: str | None):
    """Strictly more wins."""
    assert rules.match_winner("a", "b", score1, score2) == winner


def test_standings_by_hand():
    """Points, then win rate, then scores, then names; strangers are left out."""
    results = [
        Result("a", "b", "a", 1.0, 0.5),
        Result("c", "a", None, 0.25, 0.25),
        Result("b", "BYE", "BYE", 0.0, 1.0),
        Result("d", "b", None, 0.5, 0.5),
    ]
    assert rules.standings(["e", "d", "c", "b", "a"], results) == [
        TournamentStanding("a", 1.5, 1, 0, 1, 1.25),
        TournamentStanding("b", 0.5, 0, 2, 1, 1.0),
        TournamentStanding("d", 0.5, 0, 0, 1, 0.5),
        TournamentStanding("c", 0.5, 0, 0, 1, 0.25),
        TournamentStanding("e"),
    ]
    assert [own.win_rate for own in rules.standings(["a", "e"], results)] == [0.5, 0.0]
    ordered = rules.standings("xwv", [Result("x", "v", "v", 0.0, 1.0), Result("x", "w", None, 0, 0)])
    assert [own.agent_name for own in ordered] == ["v", "w", "x"]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd"), st.sampled_from([-1, 0, 1]))))
def test_standings(played: list[tuple[str, str, int]]):
    """Each match gives one point, and the order is total."""
    results = [Result(a, b, {-1: b, 0: None, 1: a}[outcome], 1.0 + outcome, 1.0) for a, b, outcome in played if a != b]
    table = rules.standings("abcd", results)
    assert sum(own.points for own in table) == len(results)
    assert sum(own.wins for own in table) == sum(own.losses for own in table)
    assert table == rules.standings("dcba", results)
