"""Who plays whom in a tournament, and who leads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from aragora_db.errors import ConflictError

__all__ = [
    "DRAW_POINTS",
    "MAX_PARTICIPANTS",
    "MIN_PARTICIPANTS",
    "WIN_POINTS",
    "BracketType",
    "Result",
    "TournamentStanding",
    "elimination_entrants",
    "elimination_first_round",
    "elimination_rounds",
    "match_winner",
    "round_robin",
    "standings",
]

MIN_PARTICIPANTS: Final = 2
MAX_PARTICIPANTS: Final = 128
"""The most agents in a tournament: 8,128 matches of a round robin (Aragora 2.8.0, ranking/tournaments.py)."""

WIN_POINTS: Final = 1.0
DRAW_POINTS: Final = 0.5
"""Half of a win; a loss is worth nothing (Aragora 2.8.0, ranking/tournaments.py, get_current_standings)."""

Pair = tuple[str, str]


class BracketType(StrEnum):
    """How participants are paired.

    Aragora also takes ``double_elimination``, but never makes a match of its losers' bracket.
    """

    ROUND_ROBIN = "round_robin"
    SINGLE_ELIMINATION = "single_elimination"


class Result(NamedTuple):
    """A match that was played.

    Attributes:
        agent1: who was named first.
        agent2: who was named second.
        winner: one of them; None is a draw.
        score1: what the first one scored.
        score2: what the second one scored.
    """

    agent1: str
    agent2: str
    winner: str | None
    score1: float
    score2: float


class TournamentStanding(NamedTuple):
    """A participant's place in a tournament.

    Attributes:
        agent_name: the participant.
        points: a win is 1, a draw 0.5.
        wins: matches won.
        losses: matches lost.
        draws: matches without a winner.
        total_score: the sum of its scores.
    """

    agent_name: str
    points: float = 0.0
    wins: int = 0
    losses: int = 0
    draws: int = 0
    total_score: float = 0.0

    @property
    def win_rate(self) -> float:
        """Share of its matches that it won; 0 before the first."""
        played = self.wins + self.losses + self.draws
        return self.wins / played if played else 0.0


def round_robin(participants: Sequence[str]) -> list[list[Pair]]:
    """Rounds in which everybody meets everybody once, and nobody plays twice in a round (the circle method).

    One round fewer than there are participants; with an odd number as many as participants, and each of them sits out
    once. Of each pair, the one who was named earlier comes first.

    Mended: Aragora 2.8.0 (ranking/tournaments.py) puts all matches into round 1 of ``n - 1``.
    """
    place = {name: number for number, name in enumerate(participants)}
    circle: list[str | None] = list(participants)
    if len(circle) % 2:
        circle.append(None)
    half = len(circle) // 2
    rounds: list[list[Pair]] = []
    for _ in range(len(circle) - 1):
        facing = zip(circle[:half], reversed(circle[half:]), strict=True)
        pairs = [(a, b) if place[a] < place[b] else (b, a) for a, b in facing if a is not None and b is not None]
        rounds.append(sorted(pairs, key=lambda pair: (place[pair[0]], place[pair[1]])))
        circle.insert(1, circle.pop())
    return rounds


def elimination_rounds(participants: int) -> int:
    """How many rounds it takes until one is left: the logarithm to base 2, rounded up."""
    return (participants - 1).bit_length()


def elimination_first_round(participants: Sequence[str]) -> list[tuple[str, ...]]:
    """The slots of the first round, in order: two who play each other, or one who goes through.

    Slots are filled in the order of the participants. From the second round on everybody has an opponent, so that
    those who go through, the last ones named, do so once.

    Mended: Aragora 2.8.0 (ranking/tournaments.py) fills up with agents called BYE, who can meet each other.
    """
    slots = 1 << (elimination_rounds(len(participants)) - 1)
    playing = 2 * (len(participants) - slots)
    pairs: list[tuple[str, ...]] = [tuple(participants[i : i + 2]) for i in range(0, playing, 2)]
    return pairs + [(name,) for name in participants[playing:]]


def elimination_entrants(participants: Sequence[str], round_num: int, winners: Mapping[int, str | None]) -> list[str]:
    """Who is left after a round, in the order in which they meet: first and second, third and fourth, and so on.

    Args:
        participants: all who began, in their order.
        round_num: the round that is over, from 1.
        winners: the winners of its matches, by position.

    Raises:
        ConflictError: a match is missing or has no winner, as in brackets that were made elsewhere.
    """
    through: dict[int, str | None] = {}
    if round_num == 1:
        slots = enumerate(elimination_first_round(participants))
        through = {position: slot[0] for position, slot in slots if len(slot) == 1}
    found = [
        name
        for position in range(1 << (elimination_rounds(len(participants)) - round_num))
        if (name := (through | dict(winners)).get(position)) is not None
    ]
    if len(found) != 1 << (elimination_rounds(len(participants)) - round_num):
        raise ConflictError(
            f"round {round_num} lacks matches, or winners of matches, so that nobody can tell who comes next: "
            "the bracket was not made by TournamentStore.create; create a tournament of those who are left"
        )
    return found


def match_winner(agent1: str, agent2: str, score1: float, score2: float) -> str | None:
    """Who scored strictly more; None is a draw."""
    if score1 == score2:
        return None
    return agent1 if score1 > score2 else agent2


def standings(participants: Iterable[str], results: Iterable[Result]) -> list[TournamentStanding]:
    """Most points first; then by win rate, by total score, and by name.

    Source: Aragora 2.8.0, ranking/tournaments.py, get_current_standings, which ends at the win rate. Results of others
    than the participants are left out, as there.
    """
    table = {name: TournamentStanding(name) for name in participants}
    for result in results:
        for name, score in ((result.agent1, result.score1), (result.agent2, result.score2)):
            if name not in table:
                continue
            own = table[name]
            drawn, won = result.winner is None, result.winner == name
            table[name] = TournamentStanding(
                name,
                own.points + (DRAW_POINTS if drawn else WIN_POINTS if won else 0.0),
                own.wins + won,
                own.losses + (not won and not drawn),
                own.draws + drawn,
                own.total_score + score,
            )
    return sorted(table.values(), key=lambda own: (-own.points, -own.win_rate, -own.total_score, own.agent_name))
