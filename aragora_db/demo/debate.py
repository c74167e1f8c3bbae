"""One debate, made up from a seed: who claims what, who criticises whom, who wins and who does not agree."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from aragora_db.demo.cast import AGENTS, TOPICS, Agent, Topic
from aragora_db.models import ConsensusStrength, DissentType
from aragora_db.rules import elo

__all__ = ["Argued", "Criticism", "Objection", "argue", "number_of"]

_PREFIX = "demo-"
# An agent that scored this much less than the winner (of 10 points) was not convinced.
_NOT_CONVINCED = 2.0
_STRENGTHS = (
    (1.0, ConsensusStrength.UNANIMOUS),
    (0.75, ConsensusStrength.STRONG),
    (0.6, ConsensusStrength.MODERATE),
    (0.5, ConsensusStrength.SPLIT),
    (0.0, ConsensusStrength.CONTESTED),
)
_ISSUES = (
    "The claim leaves out what happens on the second day.",
    "The cost is named, but not who pays it.",
    "The example is the easy case.",
    "Two of the three reasons are the same reason.",
)


@dataclass(frozen=True)
class Criticism:
    """What one agent said about another's claim; when it helped, the target's score went up."""

    agent: str
    target: str
    issue: str
    severity: float
    helped: bool


@dataclass(frozen=True)
class Objection:
    """Why an agent did not agree with the winner."""

    agent: str
    kind: DissentType
    content: str
    confidence: float


@dataclass(frozen=True)
class Argued:
    """A debate from question to end. Scores are 0..10 in half points, `confidence` is 0..1; no winner is a draw."""

    id: str
    topic: Topic
    claims: dict[str, str]
    criticisms: tuple[Criticism, ...]
    scores: dict[str, float]
    winner: str | None
    confidence: float
    objections: tuple[Objection, ...]

    @property
    def strength(self) -> ConsensusStrength:
        """How united the agents were behind the winner."""
        agreeing = 1 - len(self.objections) / len(self.claims)
        return next(strength for share, strength in _STRENGTHS if agreeing >= share)


def number_of(debate_id: str) -> int:
    """Which debate an id of the demo stands for, counted over all runs from 1."""
    return int(debate_id.removeprefix(_PREFIX))


def argue(number: int, seed: int) -> Argued:
    """The n-th debate of a seed: always the same one."""
    random = Random(f"{seed}:{number}")  # noqa: S311 -- a story, not a secret
    topic = random.choice(TOPICS)
    agents = random.sample(AGENTS, random.randint(3, len(topic.claims)))
    claims = {agent.name: claim for agent, claim in zip(agents, random.sample(topic.claims, len(agents)), strict=True)}
    criticisms = tuple(_criticise(random, *pair) for pair in zip(agents, agents[1:] + agents[:1], strict=True))
    scores = {agent.name: _score(random, agent, topic.domain, criticisms) for agent in agents}
    winner = elo.winner(scores)
    return Argued(
        id=f"{_PREFIX}{number:06d}",  # so that ids sort in this order
        topic=topic,
        claims=claims,
        criticisms=criticisms,
        scores=scores,
        winner=winner,
        confidence=round(random.uniform(0.6, 0.95), 2),
        objections=tuple(_object(random, topic, scores, winner)) if winner else (),
    )


def _criticise(random: Random, agent: Agent, target: Agent) -> Criticism:
    severity = round(random.uniform(0.2, 0.9), 2)
    return Criticism(agent.name, target.name, random.choice(_ISSUES), severity, helped=random.random() < severity)


def _score(random: Random, agent: Agent, domain: str, criticisms: tuple[Criticism, ...]) -> float:
    helped = 0.4 * sum(each.helped for each in criticisms if each.target == agent.name)
    points = 10 * random.gauss(agent.expertise[domain], 0.15) + helped
    return round(2 * min(10.0, max(0.0, points))) / 2


def _object(random: Random, topic: Topic, scores: dict[str, float], winner: str) -> list[Objection]:
    behind = [name for name in scores if scores[winner] - scores[name] > _NOT_CONVINCED]
    reasons = random.sample(topic.objections, len(topic.objections))
    # Whoever has no reason of their own joins the majority.
    return [
        Objection(name, kind, content, round(random.uniform(0.4, 0.9), 2))
        for name, (kind, content) in zip(behind, reasons, strict=False)
    ]
