"""What the verbs of `EloStore` return."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

__all__ = ["EloStats", "HeadToHead", "HistoryEntry", "Neighbours", "RatingEvent", "Standing"]


class Standing(NamedTuple):
    """A line of a leaderboard.

    Without a rank: on the first page it is the place in the list, and `EloStore.rank` counts anybody's.

    Attributes:
        agent_name: the agent.
        elo: the rating that the leaderboard is ordered by: overall, or of one domain.
        wins: matches won, in all domains; as are the others.
        losses: matches that another agent won.
        draws: matches without a winner.
        debates_count: all matches.
    """

    agent_name: str
    elo: float
    wins: int
    losses: int
    draws: int
    debates_count: int


@dataclass(frozen=True)
class Neighbours:
    """An agent among those who stand next to it.

    Attributes:
        above: those before it, best first, so that the last one is next to the agent.
        own: the agent.
        below: those after it, best first.
    """

    above: tuple[Standing, ...]
    own: Standing
    below: tuple[Standing, ...]


class EloStats(NamedTuple):
    """All ratings in a few numbers.

    Attributes:
        agents: rated agents.
        average: mean overall rating; None without agents, as are the next two.
        highest: the best overall rating.
        lowest: the worst overall rating.
        matches: recorded matches.
    """

    agents: int
    average: float | None
    highest: float | None
    lowest: float | None
    matches: int


class HistoryEntry(NamedTuple):
    """An agent's overall rating after a match or another event.

    Attributes:
        id: grows with every entry.
        agent_name: the agent.
        elo: the overall rating after it.
        debate_id: the match's debate, or the tag of another event, such as ``verification:law:2v0d``; see
            `aragora_db.rules.elo_events`.
        created_at: when.
    """

    id: int
    agent_name: str
    elo: float
    debate_id: str | None
    created_at: datetime


class HeadToHead(NamedTuple):
    """How an agent fared in matches with another one.

    Attributes:
        matches: matches in which both took part.
        wins: how many of them the agent won.
        losses: how many of them the other one won.
        draws: how many of them nobody won. What is left was won by a third agent.
    """

    matches: int
    wins: int
    losses: int
    draws: int


@dataclass(frozen=True)
class RatingEvent:
    """What an event did, or had done when it was recorded before.

    Attributes:
        agent_name: the agent.
        tag: how the history names the event.
        elo: the overall rating after it.
        change: by how many points it moved the rating (in the domain, for votes and learning). None when the event had
            been recorded before: the history keeps ratings, no changes.
        created_at: when it was first recorded.
    """

    agent_name: str
    tag: str
    elo: float
    change: float | None
    created_at: datetime
