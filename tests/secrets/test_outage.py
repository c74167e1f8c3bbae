"""AWS goes away and comes back, as a process that is killed and started again."""

from __future__ import annotations

import pytest

from aragora_db.config.aws import SecretsManager
from aragora_db.engine import Target, create_engine
from aragora_db.errors import SecretUnavailable
from aragora_db.testing.process import free_port

WEST = "us-west-2"


@pytest.fixture
def own_moto(tmp_path, start_moto):
    """Starts a moto on always the same port; what runs at the end of the test is stopped."""
    port = free_port()
    started = []

    def start():
        started.append(start_moto(tmp_path, port))
        return started[-1]

    yield start
    for moto in started:
        moto.process.stop()


def test_an_outage_after_a_good_value(own_moto, monkeypatch, secret_name, role, settings, eventually, caplog):
    """The old code forgot its secrets when AWS was away for a moment, and every new connection failed from then on."""
    moto = own_moto()
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto.url)
    moto.put(secret_name, {"DATABASE_URL": role.dsn("first")})
    source = SecretsManager(secret_name, [WEST], 0.2)
    target = Target(settings, settings.resolve(source), where=lambda: settings.resolve(source), renew=source.refresh)
    engine = create_engine(target, pool_size=1, pool_recycle=0)

    def user():
        with engine.connect() as connection:
            return connection.exec_driver_sql("SELECT current_user").scalar()

    assert user() == role.name
    assert source.health()["stale"] is False

    moto.process.stop()
    # Each health check has an old answer asked for again; nobody needs to open a connection for it.
    eventually(lambda: source.health()["stale"], "health says that the source does not answer")
    assert source.health()["error"] == "EndpointConnectionError"
    assert source.health()["age_seconds"] > 0
    assert user() == role.name
    assert caplog.text.count("going on with the last good answer") == 1

    moto = own_moto()  # it has forgotten the secret, like a region that was built again
    eventually(lambda: source.health()["error"] == "ResourceNotFoundException", "it answers, without the secret")
    assert user() == role.name
    role.change_password("second")
    moto.put(secret_name, {"DATABASE_URL": role.dsn("second")})
    eventually(lambda: not source.health()["stale"], "health says that all is well")
    assert user() == role.name
    assert source.health()["error"] is None
    engine.dispose()


def test_an_outage_at_the_start(own_moto, monkeypatch, secret_name, eventually):
    """A process that starts while AWS is away must be able to try again, and must not remember the failure."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    source = SecretsManager(secret_name, [WEST], 0.2)
    with pytest.raises(SecretUnavailable):
        source.get("REDIS_URL")
    assert source.health() == {
        "source": "aws",
        "age_seconds": None,
        "stale": True,
        "error": "EndpointConnectionError",
    }
    moto = own_moto()
    moto.put(secret_name, {"REDIS_URL": "redis://cache:6379"})
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto.url)
    source.forget_parent()
    source._clients.forget_parent()

    def answers():
        try:
            return source.get("REDIS_URL") == "redis://cache:6379"
        except SecretUnavailable:
            return False

    eventually(answers, "the secret is found")
    assert source.health()["stale"] is False
