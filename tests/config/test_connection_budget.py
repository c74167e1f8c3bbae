"""The connection arithmetic: what it says fits does fit, and what it tells to change is enough and no more."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aragora_db.config.budget import MIGRATION, PoolerSizes, connection_budget
from aragora_db.errors import UsageError

LOADS = st.fixed_dictionaries(
    {
        "instances": st.integers(1, 40),
        "pools": st.integers(1, 3),
        "pool_size": st.integers(1, 100),
        "max_overflow": st.integers(0, 100),
        "max_connections": st.integers(1, 3000),
        "superuser_reserved": st.integers(0, 10),
        "reserved": st.integers(0, 50),
    }
)
POOLERS = st.builds(PoolerSizes, st.integers(1, 300), st.integers(1, 2000), st.integers(1, 4))


def test_the_guides_two_instances():
    """The guide says 70 for each of them and 1600 on the server; who believes it plans for the wrong machine."""
    budget = connection_budget(instances=2, pool_size=20, max_overflow=15, max_connections=200)
    assert (budget.per_instance, budget.needed, budget.available, budget.fits) == (35, 72, 197, True)
    assert "they fit" in budget.advice


def test_a_server_as_it_comes_out_of_the_box():
    """100 connections do not carry two instances that use threads and a loop; the sentence has to say what does."""
    budget = connection_budget(instances=2, pool_size=20, max_overflow=15, max_connections=100, pools=2)
    assert not budget.fits
    assert budget.advice == (
        "2 instances with up to 70 connections each need 142, 2 of them for a migration; the server has 97 "
        "(max_connections 100 less 3 reserved): set ARAGORA_DB_POOL_SIZE=13 and ARAGORA_DB_POOL_MAX_OVERFLOW=10, or "
        "set max_connections = 145 on the server"
    )


def test_nothing_fits():
    """Where even pools of one connection are too many, a smaller pool would be a useless advice."""
    budget = connection_budget(instances=100, pool_size=20, max_overflow=15, max_connections=100)
    assert budget.largest_pool is None
    assert "run fewer instances" in budget.advice
    assert "POOL_SIZE" not in budget.advice


@given(LOADS)
def test_what_it_tells_to_change_is_enough_and_no_more(load):
    """Advice that falls short brings the operator back the same night; one that goes too far wastes the server."""
    budget = connection_budget(**load)
    assert budget.fits == (budget.needed <= budget.available)
    assert budget.needed == load["instances"] * budget.per_instance + MIGRATION
    needed = budget.max_connections_needed
    assert connection_budget(**{**load, "max_connections": needed}).fits
    assert not connection_budget(**{**load, "max_connections": needed - 1}).fits
    if budget.largest_pool is None:
        assert not connection_budget(**{**load, "pool_size": 1, "max_overflow": 0}).fits
    else:
        size, overflow = budget.largest_pool
        assert 1 <= size <= load["pool_size"]
        assert 0 <= overflow <= load["max_overflow"]
        assert connection_budget(**{**load, "pool_size": size, "max_overflow": overflow}).fits
        if not budget.fits:
            assert not connection_budget(**{**load, "pool_size": size + 1, "max_overflow": overflow}).fits


@given(LOADS, POOLERS)
def test_behind_a_pooler(load, pooler):
    """A pooler has two limits of its own; one that is forgotten refuses clients, or is refused by the server."""
    budget = connection_budget(**load, pooler=pooler)
    assert budget.needed == pooler.poolers * pooler.server_connections + MIGRATION
    assert budget.clients == load["instances"] * budget.per_instance
    assert budget.fits == (
        budget.needed <= budget.available and budget.clients <= pooler.poolers * pooler.max_client_conn
    )
    if found := re.search(r"max_connections = (\d+)", budget.advice):
        assert int(found.group(1)) == budget.max_connections_needed
    if found := re.search(r"reserve_pool_size to (\d+)", budget.advice):
        fitting = PoolerSizes(int(found.group(1)), pooler.max_client_conn, pooler.poolers)
        assert int(found.group(1)) == 0 or connection_budget(**load, pooler=fitting).needed <= budget.available


@given(LOADS)
def test_more_never_needs_less(load):
    """A budget that shrinks with another instance would let a deployment grow past its server."""
    before = connection_budget(**load).needed
    for name in ("instances", "pools", "pool_size", "max_overflow"):
        assert connection_budget(**{**load, name: load[name] + 1}).needed > before


@pytest.mark.parametrize("wrong", [{"instances": 0}, {"pool_size": 0}, {"max_overflow": -1}, {"pools": 0}])
def test_counts_that_make_no_sense(wrong):
    """Zero instances need nothing and always fit: a slip in the caller would read as a green light."""
    with pytest.raises(UsageError, match="at least one instance"):
        connection_budget(**{"instances": 1, "pool_size": 1, "max_overflow": 0, "max_connections": 100, **wrong})
