"""AWS goes away and comes back: nobody listens on its port for a while."""

from __future__ import annotations

import pytest

from aragora_db.config.resolve import resolve
from aragora_db.config.secrets.aws import SecretsManager
from aragora_db.engine import Target, create_engine
from aragora_db.errors import SecretUnavailable

pytestmark = pytest.mark.slow

WEST = "us-west-2"


def test_an_outage_after_a_good_value(aws, shared_moto, secret_name, role, settings, eventually, caplog):
    """The old code forgot its secrets when AWS was away for a moment, and every new connection failed from then on."""
    shared_moto.put(secret_name, {"DATABASE_URL": role.dsn("first")})
    source = SecretsManager(secret_name, [WEST], 0.2)
    target = Target(settings, resolve(settings, source), where=lambda: resolve(settings, source), renew=source.refresh)
    engine = create_engine(target, pool_size=1, pool_recycle=0)

    def user():
        with engine.connect() as connection:
            return connection.exec_driver_sql("SELECT current_user").scalar()

    assert user() == role.name
    assert source.health()["stale"] is False

    port = aws.server.server_address[1]
    aws.stop()
    # Each health check has an old answer asked for again; nobody needs to open a connection for it.
    eventually(lambda: source.health()["stale"], "health says that the source does not answer")
    assert source.health()["error"] == "EndpointConnectionError"
    assert source.health()["age_seconds"] > 0
    assert user() == role.name
    assert caplog.text.count("going on with the last good answer") == 1

    # It has forgotten the secret, like a region that was built again.
    shared_moto.client(WEST).delete_secret(SecretId=secret_name, ForceDeleteWithoutRecovery=True)
    aws.start(port)
    eventually(lambda: source.health()["error"] == "ResourceNotFoundException", "it answers, without the secret")
    assert user() == role.name
    role.change_password("second")
    shared_moto.put(secret_name, {"DATABASE_URL": role.dsn("second")})
    eventually(lambda: not source.health()["stale"], "health says that all is well")
    assert user() == role.name
    assert source.health()["error"] is None
    engine.dispose()


def test_an_outage_at_the_start(aws, put, secret_name, eventually):
    """A process that starts while AWS is away must be able to try again, and must not remember the failure."""
    port = aws.server.server_address[1]
    aws.stop()
    source = SecretsManager(secret_name, [WEST], 0.2)
    with pytest.raises(SecretUnavailable):
        source.get("REDIS_URL")
    assert source.health() == {
        "source": "aws",
        "age_seconds": None,
        "stale": True,
        "error": "EndpointConnectionError",
    }
    put(secret_name, {"REDIS_URL": "redis://cache:6379"})
    aws.start(port)

    def answers():
        try:
            return source.get("REDIS_URL") == "redis://cache:6379"
        except SecretUnavailable:
            return False

    eventually(answers, "the secret is found")
    assert source.health()["stale"] is False
