"""What a debate's address looks like, and how much a vote in it weighs."""

from __future__ import annotations

import unicodedata
from datetime import date
from typing import Final

from aragora_db.rules.words import words

__all__ = ["SLUG_WORDS", "slug", "vote_weight"]

SLUG_WORDS: Final = 4
"""Words of the task that a slug has at most (Aragora 2.8.0, server/storage.py; 400 real slugs agree)."""

_LEFT_OUT: Final = frozenset(
    """a an and are as at be by can design do for from how in is it of on or our that the this to we what which who why
    will with""".split()  # noqa: SIM905 -- a list of words reads as words
)
"""Words that tell nothing: a list of our own. None of them is in a slug of Aragora's real files."""

_LOWEST, _HIGHEST = 0.4, 1.6


def slug(task: str, day: date) -> str:
    """The first four telling words of a task and the day, such as ``verify-audit-log-quorum-2026-11-22``.

    In ASCII: accents are dropped, and a task with no Latin letters or digits is a ``debate``. A word counts once.
    (Aragora kept other scripts and repeated words.) Not unique by itself; `DebateStore.create` adds a number.
    """
    telling = [plain for word in words(task) if word not in _LEFT_OUT and (plain := _ascii(word))]
    return "-".join([*(telling[:SLUG_WORDS] or ["debate"]), day.isoformat()])


def vote_weight(acceptance: float, critique_quality: float, calibration: float = 0.5) -> float:
    """How much an agent's vote counts, 0.4 to 1.6.

    ``0.5 + (0.6 * acceptance + 0.4 * critique_quality) + (calibration - 0.5) * 0.2``, brought into that range.

    Source: Aragora 2.8.0, memory/store.py (critique store).

    Args:
        acceptance: the share of the agent's proposals that were accepted, 0 to 1.
        critique_quality: the share of its critiques that were valuable, 0 to 1.
        calibration: how well it knows what it knows, 0 to 1.
    """
    weight = 0.5 + (0.6 * acceptance + 0.4 * critique_quality) + (calibration - 0.5) * 0.2
    return min(_HIGHEST, max(_LOWEST, weight))


def _ascii(word: str) -> str:
    plain = unicodedata.normalize("NFKD", word).encode("ascii", "ignore").decode()
    return "".join(character for character in plain if character.isalnum())
