"""The rules that keep shared state from ending up on one machine; the table of docs/guide/shared-state.md."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from aragora_db.config import Settings
from aragora_db.config.guard import distributed_required
from aragora_db.config.resolve import resolve
from aragora_db.errors import ConfigurationError, DistributedStateError

POSTGRESQL = {"database_url": "postgresql://ann:Zk9secret@b.example/arena"}
SQLITE = {"database_url": "sqlite:///x.db"}
REDIS = {"redis_url": "redis://:Zk9secret@c.example"}

UNSAID = (None, True, False)
ENVIRONMENTS = ("development", "test", "staging", "production")

# Require-distributed, multi-instance, single-instance, environment -> the setting that requires shared state. None in
# a rule matches everything but what is written; the first line that matches decides.
ANY = "any"
RULES: list[tuple[Any, Any, Any, Any, str | None]] = [
    (ANY, True, True, ANY, "contradiction"),
    (True, ANY, ANY, ANY, "ARAGORA_REQUIRE_DISTRIBUTED=true"),
    (ANY, True, ANY, ANY, "ARAGORA_MULTI_INSTANCE=true"),
    (False, ANY, ANY, ANY, None),
    (ANY, ANY, True, ANY, None),
    (ANY, ANY, ANY, "production", "ARAGORA_ENV=production"),
    (ANY, ANY, ANY, "staging", "ARAGORA_ENV=staging"),
    (ANY, ANY, ANY, ANY, None),
]

CASES = list(itertools.product(UNSAID, UNSAID, UNSAID, ENVIRONMENTS))


def expected(case: tuple[Any, ...]) -> str | None:
    """What the first rule that matches says."""
    return next(
        answer
        for *rule, answer in RULES
        if all(wanted in (ANY, given) for wanted, given in zip(rule, case, strict=True))
    )


def settings(case: tuple[Any, ...], *parts: dict[str, str]) -> Settings:
    """The settings of a case with a database and a Redis, or without."""
    names = ("require_distributed", "multi_instance", "single_instance", "env")
    given: dict[str, Any] = {name: value for name, value in zip(names, case, strict=True) if value is not None}
    for part in parts:
        given |= part
    return Settings.explicit(**given)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_combination(case: tuple[Any, ...]) -> None:
    """Two instances would each keep their own ratings, or one that may stand alone would not start."""
    reason = expected(case)
    if reason == "contradiction":
        with pytest.raises(
            ConfigurationError, match="ARAGORA_MULTI_INSTANCE and ARAGORA_SINGLE_INSTANCE are both true"
        ):
            settings(case, POSTGRESQL, REDIS)
        return
    for database in (POSTGRESQL, SQLITE, {}):
        for redis in (REDIS, {}):
            found = settings(case, database, redis)
            assert distributed_required(found) is (reason is not None)
            missing = [
                name
                for name, is_missing in (("ARAGORA_POSTGRES_DSN", database is not POSTGRESQL), ("Redis", not redis))
                if is_missing
            ]
            if reason is None or not missing:
                assert resolve(found).backend == ("postgresql" if database is POSTGRESQL else "sqlite")
                continue
            with pytest.raises(DistributedStateError) as caught:
                resolve(found)
            message = str(caught.value)
            assert message.startswith(reason)
            assert [name for name in ("ARAGORA_POSTGRES_DSN", "Redis") if name in message] == missing
            assert "Zk9" not in message


def test_there_are_enough_combinations() -> None:
    """The table would have lost a dimension."""
    assert len(CASES) * 6 == 648


@pytest.mark.parametrize("nowhere", [{"backend": "postgresql"}, {"backend": "supabase"}])
def test_everything_that_is_missing_is_named_at_once(nowhere: dict[str, str]) -> None:
    """An operator would mend one variable, deploy, and meet the next error."""
    with pytest.raises(DistributedStateError) as caught:
        resolve(settings((None, True, None, "production"), nowhere))
    assert "nothing says where it is" in str(caught.value)
    assert "ARAGORA_REDIS_URL" in str(caught.value)


@pytest.mark.parametrize(
    "redis",
    [REDIS, {"redis_sentinel_hosts": "a.example,b.example"}, {"redis_cluster_nodes": "a.example:7000"}],
)
def test_every_kind_of_redis_counts(redis: dict[str, str]) -> None:
    """A deployment with Sentinel or Cluster would not start."""
    assert resolve(settings((True, True, False, "production"), POSTGRESQL, redis)).backend == "postgresql"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"redis_mode": "sentinel"}, "ARAGORA_REDIS_SENTINEL_HOSTS is unset"),
        ({"redis_mode": "cluster", "redis_url": "redis://a"}, "ARAGORA_REDIS_CLUSTER_NODES is unset"),
        ({"redis_mode": "standalone", "redis_sentinel_hosts": "a"}, "ARAGORA_REDIS_SENTINEL_HOSTS is set"),
        ({"redis_mode": "cluster", "redis_sentinel_hosts": "a"}, "ARAGORA_REDIS_CLUSTER_NODES is unset"),
        ({"redis_sentinel_hosts": "a", "redis_cluster_nodes": "b"}, "Redis is one or the other"),
    ],
)
def test_contradicting_redis_settings(given: dict[str, str], says: str) -> None:
    """The process would use another Redis than the one that was meant."""
    with pytest.raises(ConfigurationError, match=says):
        Settings.explicit(**given)
