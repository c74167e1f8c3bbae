"""How agents change their minds: how alike two claims are, what kind of flip it is, and who is consistent."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from aragora_db.rules.words import words

__all__ = [
    "CONTRADICTION_BELOW",
    "REFINEMENT_ABOVE",
    "WEIGHTS",
    "Accuracy",
    "Consistency",
    "Flip",
    "classify",
    "flip_id",
    "similarity",
    "won",
]

# Aragora 2.8.0, insights/flip_detector.py.
REFINEMENT_ABOVE: Final = 0.7
"""Claims that are more alike than this are the same claim, refined."""

CONTRADICTION_BELOW: Final = 0.3
"""Claims that are less alike than this contradict each other."""


class Flip(StrEnum):
    """How an agent's new claim relates to its old one."""

    CONTRADICTION = "contradiction"
    RETRACTION = "retraction"
    QUALIFICATION = "qualification"
    REFINEMENT = "refinement"


WEIGHTS: Final = {
    Flip.CONTRADICTION: 1.0,
    Flip.RETRACTION: 0.7,
    Flip.QUALIFICATION: 0.3,
    Flip.REFINEMENT: 0.1,
}
"""How much a flip takes away from an agent's consistency (Aragora 2.8.0, insights/flip_detector.py)."""

_OPPOSITES: Final = (
    ("good", "bad"),
    ("right", "wrong"),
    ("true", "false"),
    ("agree", "disagree"),
    ("support", "oppose"),
)
_NEGATIONS: Final = frozenset({"not", "never", "no"})
_WITHDRAWS: Final = re.compile(r"\b(?:was wrong|take back|reconsider|withdr[ae]w|retract)")
_LIMITS: Final = re.compile(r"\b(?:sometimes|partially|in some cases|under certain|with caveats)\b")
# "isn't" is "is not"; "can't", "won't" and "cannot" have no such ending, or lose a letter before it.
_SHORT: Final = (
    (re.compile(r"\bcan(?:['\u2019]t|not)\b"), "can not"),
    (re.compile(r"\bwon['\u2019]t\b"), "will not"),
    (re.compile(r"n['\u2019]t\b"), " not"),
)


@dataclass(frozen=True)
class Consistency:
    """How an agent keeps to its claims.

    Attributes:
        agent_name: the agent.
        positions: how many positions it took.
        contradictions: flips of this type, as the next three.
        retractions: as above.
        qualifications: as above.
        refinements: as above.
        other: flips without a type, which old rows can have; they weigh nothing.
    """

    agent_name: str
    positions: int
    contradictions: int = 0
    retractions: int = 0
    qualifications: int = 0
    refinements: int = 0
    other: int = 0

    @property
    def flips(self) -> int:
        """How many flips there are."""
        return self.contradictions + self.retractions + self.qualifications + self.refinements + self.other

    @property
    def score(self) -> float:
        """``max(0, 1 - (c + 0.7 r + 0.3 q + 0.1 f) / positions)``, 0 to 1; without positions 1.

        Source: Aragora 2.8.0, insights/flip_detector.py.
        """
        if not self.positions:
            return 1.0
        weighed = (
            WEIGHTS[Flip.CONTRADICTION] * self.contradictions
            + WEIGHTS[Flip.RETRACTION] * self.retractions
            + WEIGHTS[Flip.QUALIFICATION] * self.qualifications
            + WEIGHTS[Flip.REFINEMENT] * self.refinements
        )
        return max(0.0, 1.0 - weighed / self.positions)


@dataclass(frozen=True)
class Accuracy:
    """How often an agent's statements won, and how often they turned out to be correct.

    Attributes:
        agent_name: the agent.
        statements: how many it made.
        winning: how many of them were the winner's.
        verified: of how many it is known whether they were correct.
        correct: how many were correct.
    """

    agent_name: str
    statements: int
    winning: int
    verified: int
    correct: int

    @property
    def accuracy(self) -> float | None:
        """Share of the verified statements that were correct, 0 to 1; None when none is verified."""
        return self.correct / self.verified if self.verified else None


def similarity(one: str, other: str) -> float:
    """How alike two claims are, 0 to 1: the words they share among all the words they have (Jaccard).

    Case and punctuation do not count, nor how often a word is said (`aragora_db.rules.words.words`). Claims without
    any word are alike when they are equal. Every similarity in Aragora's real file is of this kind.
    """
    return _shared(words(one), words(other)) if words(one) or words(other) else float(one.strip() == other.strip())


def classify(original: str, new: str) -> Flip:
    """What kind of flip leads from the original claim to the new one.

    The first of these that holds:

    1. Contradiction: one claim has a word (good, right, true, agree, support), the other its opposite (bad, wrong,
       false, disagree, oppose), and neither has both.
    2. Contradiction: one of them is negated (not, never, no, -n't), the other is not, and apart from that they are
       more alike than 0.7.
    3. Retraction: the new claim takes something back (was wrong, take back, reconsider, withdraw, retract).
    4. Qualification: the new claim limits itself (sometimes, partially, in some cases, under certain, with caveats).
    5. By similarity: above 0.7 a refinement, below 0.3 a contradiction, and a qualification between.

    Steps and thresholds are those of Aragora 2.8.0 (insights/flip_detector.py). Mended: it looks for letters instead
    of words, so that "disagree" contains "agree" and contradicts itself, "isn't" contradicts whatever has the letters
    of "is", and "safe" against "not safe" is a refinement. Confidence decides nothing, there and here: the real file
    has drops of 0.47 among its qualifications.
    """
    before, after = set(words(original)), set(words(new))
    if any(_apart(before, after, *pair) or _apart(after, before, *pair) for pair in _OPPOSITES):
        return Flip.CONTRADICTION
    plain, negated = _without_negation(original)
    new_plain, new_negated = _without_negation(new)
    if negated != new_negated and _shared(plain, new_plain) > REFINEMENT_ABOVE:
        return Flip.CONTRADICTION
    if _WITHDRAWS.search(new.lower()):
        return Flip.RETRACTION
    if _LIMITS.search(new.lower()):
        return Flip.QUALIFICATION
    alike = similarity(original, new)
    if alike > REFINEMENT_ABOVE:
        return Flip.REFINEMENT
    return Flip.CONTRADICTION if alike < CONTRADICTION_BELOW else Flip.QUALIFICATION


def flip_id(original_position_id: str, new_position_id: str) -> str:
    """The id of the flip between two positions, always the same.

    Aragora 2.8.0 names the original position only, so that of several flips of one position the last remains (138 of
    176 in its real file).
    """
    return f"flip-{original_position_id}-{new_position_id}"


def won(agent_name: str, winner: str | None) -> bool | None:
    """Whether an agent's statements won; None when nobody did (Aragora 2.8.0, agents/truth_grounding.py)."""
    return None if winner is None else agent_name == winner


def _shared(one: Sequence[str], other: Sequence[str]) -> float:
    ours, theirs = set(one), set(other)
    together = ours | theirs
    return len(ours & theirs) / len(together) if together else 1.0


def _apart(one: set[str], other: set[str], word: str, opposite: str) -> bool:
    return word in one and opposite not in one and opposite in other and word not in other


def _without_negation(claim: str) -> tuple[list[str], bool]:
    text = claim.lower()
    for short, spelled in _SHORT:
        text = short.sub(spelled, text)
    found = words(text)
    plain = [word for word in found if word not in _NEGATIONS]
    return plain, len(plain) < len(found)
