"""How agents breed. A mistake here kills the wrong genome, or lets a weight leave its range for ever."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aragora_db.errors import InvalidValue
from aragora_db.rules import genesis
from aragora_db.rules.genesis import Genes

WEIGHTS = st.dictionaries(st.text(max_size=3), st.floats(0, 1), max_size=6)
COUNTS = st.integers(0, 1000)


@pytest.mark.parametrize(
    ("counters", "expected"),
    [((1, 2, 3, 5), 0.38), ((2, 1, 2, 3), 0.566666666666667), ((0, 0, 0, 1), 0.0), ((1, 0, 1, 3), 0.233333333333333)],
)
def test_fitness_of_real_genomes(counters, expected):
    """Four rows of Aragora's real file."""
    assert genesis.fitness(*counters) == pytest.approx(expected, abs=1e-12)


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_fitness_stays_between_0_and_1(consensus, critiques, predictions, debates):
    """Imported counters can be larger than the debates; a fitness of 3 would win for ever."""
    assert 0.0 <= genesis.fitness(consensus, critiques, predictions, debates) <= 1.0
    assert genesis.fitness(consensus, critiques, predictions, 0) == genesis.INITIAL_FITNESS
    assert genesis.fitness(debates + 1, debates + 1, debates + 1, debates + 1) == 1.0


@given(WEIGHTS, WEIGHTS, st.integers(), st.floats(0, 1))
def test_mutation_keeps_its_bounds(traits, expertise, seed, rate):
    """A mutation moves weights by its step at most, within 0 to 1, and invents or loses no name."""
    before = Genes(traits, expertise)
    after = genesis.mutate(before, Random(seed), rate)
    for old, new, step in (
        (before.traits, after.traits, genesis.TRAIT_STEP),
        (before.expertise, after.expertise, genesis.EXPERTISE_STEP),
    ):
        assert old.keys() == new.keys()
        assert all(0 <= new[name] <= 1 for name in new)
        assert all(abs(new[name] - old[name]) <= step + 1e-12 for name in new)


@given(WEIGHTS, st.integers())
def test_the_same_seed_gives_the_same_genes(traits, seed):
    """PostgreSQL gives the keys back in another order than SQLite; an experiment must be repeatable on both."""
    turned = dict(reversed(traits.items()))
    one = genesis.mutate(Genes(traits, {}), Random(seed), 0.5)
    assert one == genesis.mutate(Genes(turned, {}), Random(seed), 0.5)
    assert genesis.mutate(one, Random(seed), 0.0) == one


def test_the_rate_of_mutations():
    """One weight in ten changes; with a rate of 1 all do."""
    genes = Genes({str(number): 0.5 for number in range(10_000)}, {"x": 0.5})
    mutated = genesis.mutate(genes, Random(7))
    changed = sum(mutated.traits[name] != 0.5 for name in mutated.traits)
    assert 900 < changed < 1100
    assert genesis.mutate(genes, Random(7), 1.0).expertise["x"] != 0.5
    assert set(genes.traits.values()) == {0.5}
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(InvalidValue, match="rate"):
            genesis.mutate(genes, Random(7), wrong)


def test_ids_of_genomes():
    """Twelve digits that depend on everything the genome is made of, and not on the order of its keys."""
    base = ("a", Genes({"x": 0.1, "y": 0.2}, {"z": 0.3}), ["p"], "2026-03-01")
    assert genesis.genome_id(*base) == "6cfdd30e64b1"
    turned = Genes({"y": 0.2, "x": 0.1}, {"z": 0.3})
    assert genesis.genome_id("a", turned, ["p"], "2026-03-01") == genesis.genome_id(*base)
    others = [("b", *base[1:]), ("a", Genes({}, {}), *base[2:]), ("a", base[1], [], base[3]), (*base[:3], "2027")]
    assert len({genesis.genome_id(*each) for each in (base, *others)}) == 5
