"""How agents breed: ids of genomes, fitness and mutation. A genome's weights lie between 0 and 1."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from random import Random
from typing import Final, NamedTuple

from aragora_db.errors import InvalidValue

__all__ = [
    "EXPERTISE_STEP",
    "INITIAL_FITNESS",
    "MAX_POPULATION",
    "MUTATION_RATE",
    "TRAIT_STEP",
    "Genes",
    "fitness",
    "genome_id",
    "mutate",
]

# From the fact sheet of Aragora 2.8.0, genesis/.
INITIAL_FITNESS: Final = 0.5
"""The fitness of a genome that took part in no debate yet."""

MUTATION_RATE: Final = 0.1
"""How likely a mutation changes one weight."""

TRAIT_STEP: Final = 0.2
"""The most that a mutation changes the weight of a trait."""

EXPERTISE_STEP: Final = 0.15
"""The most that a mutation changes the weight of an expertise."""

MAX_POPULATION: Final = 8
"""The most genomes that one population has."""

_CONSENSUS, _CRITIQUES, _PREDICTIONS = 0.4, 0.3, 0.3
_ID_DIGITS = 12


class Genes(NamedTuple):
    """What a genome passes on: weights (0 to 1) by the name of the trait, and by the domain of the expertise."""

    traits: Mapping[str, float]
    expertise: Mapping[str, float]


def genome_id(name: str, genes: Genes, parents: Sequence[str], born: str) -> str:
    """A genome's id: the first 12 hexadecimal digits of a SHA-256 of what it is made of and when it was born.

    Aragora 2.8.0 takes the same digits of the same hash; which text it hashed cannot be told from its files, where
    two siblings with equal genes have two ids. So the time of birth is part of ours. 48 bits: among a million genomes
    two are equal once in 560 times.

    Args:
        name: the agent's name.
        genes: its weights.
        parents: ids of the genomes it came from.
        born: when, as text.
    """
    made_of = {
        "born": born,
        "expertise": dict(genes.expertise),
        "name": name,
        "parents": list(parents),
        "traits": dict(genes.traits),
    }
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:_ID_DIGITS]


def fitness(consensus: int, critiques: int, predictions: int, debates: int) -> float:
    """How well a genome does, 0 to 1: ``0.4 * consensus + 0.3 * critiques + 0.3 * predictions``, each per debate.

    A rate above 1, which imported counters can have, counts as 1. No debates: `INITIAL_FITNESS`.

    Source: Aragora 2.8.0, genesis/ (fitness of a genome); every row of its real file agrees.

    Args:
        consensus: debates in which it contributed to the consensus.
        critiques: debates in which a critique of it was accepted.
        predictions: debates in which its prediction was right.
        debates: debates it took part in.
    """
    if debates <= 0:
        return INITIAL_FITNESS
    weighted = ((_CONSENSUS, consensus), (_CRITIQUES, critiques), (_PREDICTIONS, predictions))
    # fsum: 0.4 + 0.3 + 0.3 is exactly 1, in whatever order.
    return math.fsum(weight * min(1.0, max(0, counted) / debates) for weight, counted in weighted)


def mutate(genes: Genes, random: Random, rate: float = MUTATION_RATE) -> Genes:
    """The genes after one mutation: each weight changes with probability ``rate``, within its step and 0 to 1.

    Names are gone through in order, so that the same seed gives the same genes on every database: they do not keep
    the order of keys.

    Source: Aragora 2.8.0, genesis/ (mutation of a genome).

    Args:
        genes: the weights before; they stay as they are.
        random: where the chance comes from, such as ``Random(seed)``.
        rate: how likely each weight changes, 0 to 1.

    Raises:
        InvalidValue: the rate lies outside 0 to 1.
    """
    if not 0.0 <= rate <= 1.0:
        raise InvalidValue(f"rate is {rate!r}; it must lie between 0 and 1")
    return Genes(
        _changed(genes.traits, random, rate, TRAIT_STEP), _changed(genes.expertise, random, rate, EXPERTISE_STEP)
    )


def _changed(weights: Mapping[str, float], random: Random, rate: float, step: float) -> dict[str, float]:
    changed = dict(weights)
    for name in sorted(weights):
        if random.random() < rate:
            changed[name] = min(1.0, max(0.0, weights[name] + random.uniform(-step, step)))
    return changed
