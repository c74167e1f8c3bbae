"""What `GenesisStore.save` takes, and the checked row that it makes of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from aragora_db.rules import genesis as rules
from aragora_db.stores import checks

__all__ = ["NewGenome", "genome_row"]

_COUNTERS: Final = ("consensus_contributions", "critiques_accepted", "predictions_correct", "debates_participated")


@dataclass(frozen=True)
class NewGenome:
    """A genome to save.

    Attributes:
        name: the agent's name; several genomes can have it.
        genome_id: its id; None makes one (`aragora_db.rules.genesis.genome_id`), and with it a new genome.
        traits: weights, 0 to 1, by trait; None means none.
        expertise: weights, 0 to 1, by domain; None means none.
        model_preference: the model it runs on best.
        parent_genomes: ids of the genomes it came from; they need not be stored.
        generation: the number of generations before it, 0 for the first.
        birth_debate_id: the debate it was born in.
        fitness_score: 0 to 1; None keeps what is stored, 0.5 for a new one.
        consensus_contributions: debates in which it contributed to the consensus. For this and the next three, None
            keeps what is stored, 0 for a new one.
        critiques_accepted: debates in which a critique of it was accepted.
        predictions_correct: debates in which its prediction was right.
        debates_participated: debates it took part in.
        created_at: the time of its birth; None keeps what is stored, the time of saving for a new one.
    """

    name: str
    genome_id: str | None = None
    traits: Mapping[str, float] | None = None
    expertise: Mapping[str, float] | None = None
    model_preference: str | None = None
    parent_genomes: Iterable[str] = ()
    generation: int = 0
    birth_debate_id: str | None = None
    fitness_score: float | None = None
    consensus_contributions: int | None = None
    critiques_accepted: int | None = None
    predictions_correct: int | None = None
    debates_participated: int | None = None
    created_at: datetime | None = None


def genome_row(genome: NewGenome, updated_at: datetime) -> dict[str, Any]:
    """Check a genome and return its values by attribute, without those that keep what is stored.

    Args:
        genome: what the caller gave.
        updated_at: the time of saving; part of an id that is made.

    Raises:
        InvalidValue: a value is out of range.
    """
    genes = rules.Genes(_weights("traits", genome.traits), _weights("expertise", genome.expertise))
    parents = checks.names("parent_genomes", genome.parent_genomes)
    row: dict[str, Any] = {
        "name": checks.name("name", genome.name),
        "traits": genes.traits,
        "expertise": genes.expertise,
        "model_preference": genome.model_preference,
        "parent_genomes": parents,
        "generation": checks.count("generation", genome.generation),
        "birth_debate_id": genome.birth_debate_id,
        "updated_at": updated_at,
    }
    for counter in _COUNTERS:
        value = getattr(genome, counter)
        if value is not None:
            row[counter] = checks.count(counter, value)
    if genome.fitness_score is not None:
        row["fitness_score"] = checks.share("fitness_score", genome.fitness_score)
    if genome.created_at is not None:
        row["created_at"] = checks.instant("created_at", genome.created_at)
    if genome.genome_id is None:
        row["genome_id"] = rules.genome_id(genome.name, genes, parents, updated_at.isoformat())
    else:
        row["genome_id"] = checks.name("genome_id", genome.genome_id)
    return row


def _weights(argument: str, weights: Mapping[str, float] | None) -> dict[str, float]:
    return {
        checks.name(argument, name): checks.share(f"{argument}[{name!r}]", weight)
        for name, weight in (weights or {}).items()
    }
