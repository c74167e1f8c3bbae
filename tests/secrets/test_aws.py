"""Secrets Manager: which secret, which region, how long an answer is good, and what happens when there is none."""

from __future__ import annotations

import logging
import os
import pickle
import select
import subprocess
import sys
import traceback

import pytest
from concurrent_work import Job, forked
from support import HANG_SECONDS, clean_environment

from aragora_db.config import Settings, parse_dsn
from aragora_db.config.resolve import resolve
from aragora_db.config.secrets.aws import SecretsManager, secrets_manager
from aragora_db.config.secrets.rds_iam import IamTokens
from aragora_db.config.secrets.source import RotatingSource, SecretSource
from aragora_db.errors import ConfigurationError, SecretUnavailable
from aragora_db.testing.process import free_port

pytestmark = pytest.mark.slow

EAST, WEST = "us-east-1", "us-west-2"
ONE, TWO = "postgresql://u:first@db/arena", "postgresql://u:second@db/arena"


def test_is_a_rotating_source(source):
    """What takes a source asks what it can do."""
    assert isinstance(source, RotatingSource)
    assert isinstance(source, SecretSource)


# -- which secret -----------------------------------------------------------------------------------------------------


def test_the_four_names(put, source, secret_name, aws):
    """The guide keeps all of them in one secret; the old code never looked for Redis there."""
    names = ("ARAGORA_POSTGRES_DSN", "DATABASE_URL", "ARAGORA_REDIS_URL", "REDIS_URL")
    put(secret_name, {name: f"value of {name}" for name in names})
    assert [source.get(name) for name in names] == [f"value of {name}" for name in names]
    assert aws.asked == [(WEST, secret_name)]


def test_no_such_key(put, source, secret_name):
    """Absent is an answer: a deployment without Redis must start."""
    put(secret_name, {"DATABASE_URL": ONE})
    assert source.get("REDIS_URL") is None
    assert source.get("ARAGORA_POSTGRES_DSN") is None


def test_the_environment_wins(put, aws, secret_name):
    """An operator who sets DATABASE_URL to get out of trouble must not be overruled by AWS."""
    put(secret_name, {"ARAGORA_POSTGRES_DSN": ONE, "ARAGORA_REDIS_URL": "redis://cache:6379"})
    settings = Settings.explicit(use_secrets_manager=True, secret_name=secret_name, aws_region=WEST, database_url=TWO)
    manager = secrets_manager(settings)
    assert "second" in resolve(settings, manager).url()
    assert aws.asked == []


def test_aws_fills_what_is_missing(put, settings, secret_name):
    """The whole point: no password in a file."""
    put(secret_name, {"DATABASE_URL": ONE})
    assert "first" in resolve(settings, secrets_manager(settings)).url()
    put(secret_name, {"DATABASE_URL": ONE, "ARAGORA_POSTGRES_DSN": TWO})
    secrets_manager(settings).refresh()
    assert "second" in resolve(settings, secrets_manager(settings)).url()


def test_the_database_secret(put, source, secret_name, aws):
    """The guide's other form, `aragora/production/database` with `url`, asked only when a database is looked for."""
    put(secret_name, {"REDIS_URL": "redis://cache:6379"})
    put(f"{secret_name}/database", {"url": ONE})
    assert source.get("REDIS_URL") == "redis://cache:6379"
    assert source.get("ARAGORA_REDIS_URL") is None
    assert aws.asked == [(WEST, secret_name)]
    assert source.get("ARAGORA_POSTGRES_DSN") is None
    assert source.get("DATABASE_URL") == ONE
    assert aws.asked == [(WEST, secret_name), (WEST, f"{secret_name}/database")]


def test_only_the_database_secret(put, source, secret_name):
    """Seed A's ExternalSecret knows no other secret."""
    put(f"{secret_name}/database", {"host": "db", "port": 5432, "username": "u", "password": "first"})
    assert source.get("DATABASE_URL") == "postgresql://u:first@db:5432/aragora?sslmode=require"
    assert source.get("REDIS_URL") is None


def test_url_in_the_main_secret(put, source, secret_name, aws):
    """ARAGORA_SECRET_NAME may name the database's secret itself."""
    put(secret_name, {"url": ONE})
    assert source.get("DATABASE_URL") == ONE
    assert aws.asked == [(WEST, secret_name)]


def test_no_database_anywhere(put, settings, secret_name):
    """A secret without a database must not end in SQLite."""
    put(secret_name, {"REDIS_URL": "redis://cache:6379"})
    with pytest.raises(ConfigurationError, match="neither ARAGORA_POSTGRES_DSN nor DATABASE_URL"):
        resolve(settings, secrets_manager(settings))


def test_an_arn(put, aws, secret_name, shared_moto):
    """An ARN is what the console offers to copy; its region comes first, and a replica's differs in the region only."""
    put(secret_name, {"DATABASE_URL": ONE}, EAST)
    arn = shared_moto.client(EAST).describe_secret(SecretId=secret_name)["ARN"]
    assert SecretsManager(arn, [WEST], 300).get("DATABASE_URL") == ONE
    aws.faults[EAST] = "hang up"
    aws.asked.clear()
    with pytest.raises(SecretUnavailable):
        SecretsManager(arn, [WEST], 300).get("DATABASE_URL")
    assert (WEST, arn.replace(EAST, WEST)) in aws.asked


# -- regions ----------------------------------------------------------------------------------------------------------


def test_the_first_region_answers(put, source, secret_name, aws):
    """A replica in another region may be older."""
    put(secret_name, {"DATABASE_URL": ONE}, WEST)
    put(secret_name, {"DATABASE_URL": TWO}, EAST)
    assert source.get("DATABASE_URL") == ONE
    assert {region for region, _ in aws.asked} == {WEST}


@pytest.mark.parametrize("fault", [None, "hang up", "deny", "login page"])
def test_failover(put, source, secret_name, aws, fault):
    """A region without the secret, without an answer, or without permission must not be the end."""
    put(secret_name, {"DATABASE_URL": TWO}, EAST)
    if fault is not None:
        put(secret_name, {"DATABASE_URL": ONE}, WEST)
        aws.faults[WEST] = fault
    assert source.get("DATABASE_URL") == TWO
    assert list(dict.fromkeys(region for region, _ in aws.asked)) == [WEST, EAST]
    assert not source.health()["stale"]


def test_the_order_of_settings(aws, secret_name):
    """AWS_REGION first, then ARAGORA_SECRET_REGIONS; a region that is named twice would cost its timeout twice."""
    settings = Settings.explicit(
        use_secrets_manager=True,
        secret_name=secret_name,
        aws_region="eu-west-1",
        secret_regions=f" {WEST}, eu-west-1,,{EAST},{WEST}",
    )
    with pytest.raises(SecretUnavailable):
        secrets_manager(settings).get("REDIS_URL")
    main = [region for region, name in aws.asked if name == secret_name]
    assert main == ["eu-west-1", WEST, EAST]


def test_bad_content_does_not_fail_over(put, source, secret_name, aws):
    """A stale replica in another region would be taken for the secret that somebody just broke."""
    put(secret_name, {"DATABASE_URL": 17}, WEST)
    put(secret_name, {"DATABASE_URL": TWO}, EAST)
    with pytest.raises(ConfigurationError, match=f"{secret_name} has no string under 'DATABASE_URL'"):
        source.get("DATABASE_URL")
    assert {region for region, _ in aws.asked} == {WEST}


def test_a_binary_secret(put, source, secret_name):
    """A file that was uploaded as it is would end as `KeyError: SecretString`."""
    put(secret_name, b"Zk9")
    with pytest.raises(ConfigurationError, match=f"{secret_name} is binary") as caught:
        source.get("DATABASE_URL")
    assert "Zk9" not in "".join(traceback.format_exception(caught.value))


def test_nobody_answers(aws, source, secret_name):
    """The first thing that goes wrong in a deployment is the policy; the error has to say so, and for which region."""
    aws.faults.update({WEST: "deny", EAST: "hang up"})
    with pytest.raises(SecretUnavailable) as caught:
        source.get("DATABASE_URL")
    error = caught.value
    assert secret_name in str(error)
    assert f"{WEST}: AccessDeniedException, {EAST}: ConnectionClosedError" in str(error)
    assert (error.code, error.exit_code, error.__cause__, error.__context__) == ("AccessDeniedException", 3, None, None)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301 -- our own bytes


def test_no_such_secret(source, secret_name):
    """A typing error in ARAGORA_SECRET_NAME would pass for a secret without a database, and Redis would stay off."""
    for name in ("DATABASE_URL", "REDIS_URL"):
        with pytest.raises(SecretUnavailable, match=f"neither a secret {secret_name} nor {secret_name}/database"):
            source.get(name)


def test_a_closed_port(monkeypatch, secret_name):
    """AWS_ENDPOINT_URL of a laptop's moto that is not running."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(SecretUnavailable, match="EndpointConnectionError"):
        SecretsManager(secret_name, [WEST], 300).get("DATABASE_URL")


def test_a_malformed_endpoint(monkeypatch, secret_name):
    """A typing error in AWS_ENDPOINT_URL would come as a bare ValueError out of botocore."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "moto:5000")
    with pytest.raises(SecretUnavailable, match=f"{WEST}: ValueError"):
        SecretsManager(secret_name, [WEST], 300).get("DATABASE_URL")


def test_no_credentials(monkeypatch, aws, secret_name):
    """An instance without a role."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(SecretUnavailable, match="NoCredentialsError"):
        SecretsManager(secret_name, [WEST], 300).get("DATABASE_URL")
    assert aws.asked == []


def test_after_a_failure_nobody_asks_for_a_while(aws, source):
    """A start that is tried in a loop would ask three regions each time, and be throttled by AWS."""
    aws.faults["*"] = "deny"
    for _ in range(5):
        with pytest.raises(SecretUnavailable):
            source.get("DATABASE_URL")
    assert len(aws.asked) == 2


# -- cache ------------------------------------------------------------------------------------------------------------


def test_cached(put, source, secret_name, aws):
    """Each new connection asks; AWS bills each question and limits their rate."""
    put(secret_name, {"DATABASE_URL": ONE})
    for _ in range(100):
        source.get("DATABASE_URL")
    assert len(aws.asked) == 1


@pytest.mark.usefixtures("aws")
def test_old_answers_are_asked_for_again(put, secret_name, eventually):
    """A rotated password would never arrive."""
    source = SecretsManager(secret_name, [WEST], 0.05)
    put(secret_name, {"DATABASE_URL": ONE})
    assert source.get("DATABASE_URL") == ONE
    put(secret_name, {"DATABASE_URL": TWO})
    eventually(lambda: source.get("DATABASE_URL") == TWO, "the new value arrives")


def test_the_first_load_is_shared(put, source, secret_name, aws):
    """Fifty threads at the start of a server would ask fifty times."""
    put(secret_name, {"DATABASE_URL": ONE})
    aws.gate.clear()
    jobs = [Job(lambda: source.get("DATABASE_URL")) for _ in range(20)]
    aws.gate.set()
    assert [job.result() for job in jobs] == [ONE] * 20
    assert len(aws.asked) == 1


def test_nobody_waits_for_a_refresh(put, aws, secret_name, eventually):
    """With AWS slow, every new connection of every thread would be slow as well."""
    source = SecretsManager(secret_name, [WEST], 0.05)
    put(secret_name, {"DATABASE_URL": ONE})
    source.get("DATABASE_URL")
    put(secret_name, {"DATABASE_URL": TWO})
    aws.gate.clear()
    eventually(lambda: source.get("DATABASE_URL") == ONE and len(aws.asked) == 2, "somebody asks, nobody waits")
    assert [source.get("DATABASE_URL") for _ in range(100)] == [ONE] * 100
    assert len(aws.asked) == 2
    aws.gate.set()
    eventually(lambda: source.get("DATABASE_URL") == TWO, "the new value arrives")


def test_forced(put, source, secret_name, aws):
    """After a refused login the cache has to be passed by, and the answer says whether that helped."""
    put(secret_name, {"DATABASE_URL": ONE})
    source.get("DATABASE_URL")
    put(secret_name, {"DATABASE_URL": TWO})
    assert source.refresh() is True
    assert source.get("DATABASE_URL") == TWO
    assert source.refresh() is False
    assert len(aws.asked) == 3


def test_forced_refreshes_are_shared(put, source, secret_name, aws):
    """A pool whose fifty connections are refused at once must not ask fifty times."""
    put(secret_name, {"DATABASE_URL": ONE})
    source.get("DATABASE_URL")
    put(secret_name, {"DATABASE_URL": TWO})
    aws.gate.clear()
    jobs = [Job(source.refresh) for _ in range(30)]
    aws.gate.set()
    for job in jobs:
        job.result()
    # The one that was under way, and one that began after the last of them had been called.
    assert len(aws.asked) <= 3
    assert source.get("DATABASE_URL") == TWO


def test_health_before_the_first_answer(source, aws):
    """A health check must not be what loads a secret."""
    assert source.health() == {"source": "aws", "age_seconds": None, "stale": False, "error": None}
    assert aws.asked == []


def test_a_broken_secret_keeps_the_last_good_one(put, source, secret_name, caplog):
    """An editor's slip in the console would take every instance down within five minutes."""
    put(secret_name, {"DATABASE_URL": ONE})
    source.get("DATABASE_URL")
    put(secret_name, '{"DATABASE_URL": "Zk9')
    assert source.refresh() is False
    assert source.get("DATABASE_URL") == ONE
    health = source.health()
    assert (health["stale"], health["error"]) == (True, "ConfigurationError")
    assert "no JSON object" in caplog.text
    assert "Zk9" not in caplog.text


def test_a_deleted_secret_keeps_the_last_good_one(put, source, secret_name, shared_moto):
    """Found nowhere is an answer at the start, and somebody's mistake later."""
    put(secret_name, {"DATABASE_URL": ONE})
    source.get("DATABASE_URL")
    shared_moto.client(WEST).delete_secret(SecretId=secret_name, ForceDeleteWithoutRecovery=True)
    assert source.refresh() is False
    assert source.get("DATABASE_URL") == ONE
    assert (source.health()["stale"], source.health()["error"]) == (True, "ResourceNotFoundException")


# -- process ----------------------------------------------------------------------------------------------------------


def test_one_in_a_process(settings):
    """Two engines would ask twice as often, and rotate at different times."""
    assert secrets_manager(settings) is secrets_manager(settings.model_copy())
    assert secrets_manager(settings) is not secrets_manager(settings.model_copy(update={"secret_ttl": 7}))


def test_repr_shows_no_secret(put, source, secret_name):
    """It ends up in tracebacks and logs."""
    put(secret_name, {"DATABASE_URL": "postgresql://u:Zk9@db/arena"})
    source.get("DATABASE_URL")
    assert repr(source) == f"SecretsManager({secret_name!r}, ({WEST!r}, {EAST!r}))"
    shown = repr(vars(source)) + repr(vars(source._main)) + repr(vars(source._clients))
    assert "Zk9" not in shown


def test_a_fork_while_a_refresh_is_under_way(put, aws, secret_name, eventually):
    """A worker that is forked while AWS is slow would wait for a thread that it does not have."""
    source = SecretsManager(secret_name, [WEST], 0.05)
    put(secret_name, {"DATABASE_URL": ONE})
    source.get("DATABASE_URL")
    aws.gate.clear()
    eventually(lambda: source.get("DATABASE_URL") == ONE and len(aws.asked) == 2, "somebody asks")
    put(secret_name, {"DATABASE_URL": TWO})
    reader, writer = os.pipe()

    def refreshes() -> bool:
        os.write(writer, b"x")
        return source.get("DATABASE_URL") == ONE and source.refresh() and source.get("DATABASE_URL") == TWO

    def open_the_gate() -> None:
        assert select.select([reader], [], [], HANG_SECONDS)[0], "there is no child"
        aws.gate.set()

    opens = Job(open_the_gate)  # in this process, once the child has begun
    assert forked(refreshes)
    opens.result()
    os.close(reader)
    os.close(writer)


def _output_of(code):
    """What a new interpreter prints."""
    command = [sys.executable, "-c", code]
    ran = subprocess.run(
        command, env=clean_environment(), capture_output=True, text=True, check=True, timeout=HANG_SECONDS
    )
    return ran.stdout.strip()


def test_boto3_is_not_loaded_before_it_is_needed():
    """It takes 200 ms, and SQLite users have no use for it."""
    code = (
        "import sys, aragora_db, aragora_db.database\n"
        "import aragora_db.config.secrets.aws, aragora_db.config.secrets.rds_iam\n"
        "from aragora_db.config import Settings\n"
        "aragora_db.config.secrets.aws.secrets_manager(Settings.explicit())\n"
        "print([name for name in sys.modules if name.startswith(('boto3', 'botocore'))])"
    )
    assert _output_of(code) == "[]"


def test_without_boto3():
    """ModuleNotFoundError: No module named 'boto3' says nothing about the extra."""
    code = (
        "import sys; sys.modules['boto3'] = sys.modules['botocore'] = None\n"
        "from aragora_db.config.secrets.aws import SecretsManager\n"
        "from aragora_db.errors import ConfigurationError\n"
        "try: SecretsManager('a', ['us-east-1'], 300).get('DATABASE_URL')\n"
        "except ConfigurationError as error: print(error, error.__context__)"
    )
    assert _output_of(code) == "AWS needs boto3, which is not installed; pip install 'aragora_db[aws]' None"


def test_debug_logs_hold_no_secret(put, source, secret_name, monkeypatch, caplog):
    """An operator who looks for an error at DEBUG would write passwords and credentials into the log."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "Zk9session")
    put(secret_name, {"DATABASE_URL": "postgresql://u:Zk9password@db/arena"})
    caplog.clear()
    with caplog.at_level(logging.DEBUG):
        assert "Zk9password" in source.get("DATABASE_URL")
        token = IamTokens(WEST).sign(parse_dsn("postgresql://u@db/arena?sslmode=require")).parameters["password"]
    assert any(record.name.startswith("botocore") for record in caplog.records)
    assert "Zk9" not in caplog.text
    assert token.rpartition("=")[2] not in caplog.text
