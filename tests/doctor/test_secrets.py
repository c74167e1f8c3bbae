"""Secrets in AWS: read from a real moto server, missing there, unreachable, and gone stale."""

from __future__ import annotations

import json
import sys
import uuid

import boto3
import pytest
import trustme

from aragora_db.config import Settings
from aragora_db.config.secrets.aws import secrets_manager
from aragora_db.testing.process import ServerProcess, free_port, launch, log_path

pytestmark = pytest.mark.slow


@pytest.fixture
def aws(monkeypatch) -> None:
    """Credentials that are nobody's, and no other machine to ask for some."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="module")
def moto(tmp_path_factory):
    """A process that answers like AWS: (its URL, the process)."""
    port, folder = free_port(), tmp_path_factory.mktemp("moto")
    server = ServerProcess(
        "moto", launch([sys.executable, "-m", "moto.server", "-p", str(port)], folder, None), log_path(folder)
    )
    server.wait_until(lambda: "Running on" in server.log.read_text(errors="replace"))
    yield f"http://127.0.0.1:{port}", server
    server.stop()


@pytest.fixture
def store(aws, moto, monkeypatch):  # noqa: ARG001 -- the credentials
    """Stores a secret, and has the settings ask there; returns its name."""
    url, _ = moto
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)

    def put(**values: str) -> str:
        name = f"aragora/{uuid.uuid4().hex}"
        client = boto3.session.Session().client("secretsmanager", region_name="us-east-1")
        client.create_secret(Name=name, SecretString=json.dumps(values))
        client.close()
        return name

    return put


def test_a_database_that_only_the_secret_names(store, healthy_url, redis_server, examine):
    """The whole walk goes by what AWS said; its password is in no line of the report."""
    name = store(DATABASE_URL=healthy_url, ARAGORA_REDIS_URL=redis_server.url)
    report = examine(use_secrets_manager=True, secret_name=name)
    assert report.errors == []
    assert report["secrets"].message == f"{name} can be read"
    assert report["login"].level == "ok"
    assert report["redis-login"].level == "ok"
    password = healthy_url.split(":")[2].split("@")[0]
    assert all(password not in finding.message + finding.fix for finding in report.findings)


def test_a_secret_that_does_not_exist(store, examine):
    """The name has a typing error, or the policy names another secret."""
    store()
    report = examine(use_secrets_manager=True, secret_name="aragora/nowhere")  # noqa: S106 -- a name
    assert report.errors == ["secrets-unreadable"]
    for check in ("database", "redis-settings"):
        assert report[check].level == "skipped"
        assert report[check].message == "not tried, because secrets has to be in order first"
    assert report["host"].message == "not tried, because database has to be in order first"
    assert "--secret-id aragora/nowhere --region us-east-1" in report["secrets-unreadable"].fix


def test_aws_is_away(aws, monkeypatch, examine):  # noqa: ARG001 -- the credentials
    """A private subnet without an endpoint: AWS is not reached at all. What the environment names is tried even so."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    settings = {"use_secrets_manager": True, "secret_name": f"aragora/{uuid.uuid4().hex}"}
    assert examine(**settings).errors == ["secrets-unreadable"]
    named = f"redis://127.0.0.1:{free_port()}"
    report = examine(**settings, database_url="sqlite://", redis_url=named)
    assert report.errors == ["secrets-unreadable", "redis-closed-port"]
    assert report["database"].level == "ok"
    alone = examine(**settings, database_url="postgresql://db.example/arena", require_distributed=True)
    assert alone.errors == ["secrets-unreadable"]
    assert alone["database"].level == "skipped"


def test_a_secret_that_went_stale(store, monkeypatch, examine):
    """AWS was there and is gone: the last good value works, and the next rotation will not arrive."""
    name = store(DATABASE_URL="sqlite://")
    settings = {"use_secrets_manager": True, "secret_name": name}
    assert examine(**settings)["secrets"].level == "ok"
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    source = secrets_manager(Settings.explicit(**settings))
    source._clients = type(source._clients)("secretsmanager")  # clients keep the address that they were made with
    source.refresh()
    report = examine(**settings)
    assert report["secrets-stale"].level == "warn"
    assert report.errors == []


def test_no_iam_token(own_postgres, certify, monkeypatch, tmp_path, examine):
    """The instance has no role of its own: nothing signs the token."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    certify(trustme.CA().issue_cert("localhost"))
    report = examine(database_url=own_postgres.url("localhost", sslmode="require"), pg_iam_auth=True)
    assert report.errors == ["no-iam-token"]
