"""RDS IAM tokens in place of a password, over TLS to a real server."""

from __future__ import annotations

import asyncio
import secrets
import time
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
import trustme
from concurrent_work import forked
from postgres_tls import postgres_speaks_tls
from psycopg import sql

from aragora_db.config import Settings, parse_dsn
from aragora_db.config.secrets.rds_iam import IamTokens, iam_tokens
from aragora_db.database import Database
from aragora_db.engine import Target, create_async_engine, create_engine
from aragora_db.errors import ConfigurationError, DatabaseUnavailable, SecretUnavailable
from aragora_db.testing.binaries import find_postgres
from aragora_db.testing.plugin import missing
from aragora_db.testing.process import server_account
from aragora_db.testing.servers import start_postgresql
from aragora_db.testing.workspace import give, make_workspace, remove_workspace

RDS = "postgresql://arena@games.abc123.eu-west-3.rds.amazonaws.com:5433/arena?sslmode=verify-full"


# -- tokens -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def tokens():
    """Tokens for hosts that do not name their region are for the west."""
    return IamTokens("us-west-2")


def test_the_form_of_a_token(tokens):
    """RDS takes a token for this host, port, user and region only, and never says which of them is wrong."""
    token = tokens.sign(parse_dsn(RDS)).parameters["password"]
    parts = urlsplit(f"//{token}")
    query = parse_qs(parts.query)
    assert parts.netloc == "games.abc123.eu-west-3.rds.amazonaws.com:5433"
    assert query["Action"] == ["connect"]
    assert query["DBUser"] == ["arena"]
    assert query["X-Amz-Expires"] == ["900"]
    assert "/eu-west-3/rds-db/aws4_request" in query["X-Amz-Credential"][0]


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("games.cluster-abc123.ap-southeast-2.rds.amazonaws.com", "ap-southeast-2"),
        ("GAMES.proxy-abc123.us-gov-west-1.RDS.amazonaws.com", "us-gov-west-1"),
        ("10.0.0.7", "us-west-2"),
        ("db.example", "us-west-2"),
    ],
)
def test_the_region(tokens, host, region):
    """A token for another region is refused as a wrong password."""
    token = tokens.sign(parse_dsn(f"postgresql://u@{host}/arena?sslmode=require")).parameters["password"]
    assert f"%2F{region}%2Frds-db%2F" in token


def test_tokens_are_kept(tokens, monkeypatch):
    """Signing needs AWS's credentials, which may have to be fetched; every new connection would wait for that."""
    first = tokens.sign(parse_dsn(RDS))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    tokens._clients.reset_after_fork()
    assert tokens.sign(parse_dsn(RDS)) == first
    # Ten minutes later a new one cannot be made; the old one is valid for five more.
    place, token = next(iter(tokens._tokens.items()))
    tokens._tokens[place] = type(token)(token.text, time.monotonic() - 700)
    assert tokens.sign(parse_dsn(RDS)) == first
    tokens._tokens[place] = type(token)(token.text, time.monotonic() - 901)
    with pytest.raises(SecretUnavailable, match=r"arena at games.*NoCredentialsError"):
        tokens.sign(parse_dsn(RDS))


def test_old_tokens_are_replaced(tokens, monkeypatch):
    """A token is refused after a quarter of an hour."""
    first = tokens.sign(parse_dsn(RDS))
    place, token = next(iter(tokens._tokens.items()))
    tokens._tokens[place] = type(token)(token.text, time.monotonic() - 601)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
    tokens._clients.reset_after_fork()
    assert tokens.sign(parse_dsn(RDS)) != first


def test_no_token_is_shown(tokens):
    """A token is a password."""
    dsn = tokens.sign(parse_dsn(RDS))
    assert "X-Amz-Signature" not in repr(dsn) + repr(tokens._tokens)


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer", None])
def test_only_encrypted(tokens, mode):
    """Whoever reads a token on the network can log in with it."""
    query = f"?sslmode={mode}" if mode else ""
    dsn = parse_dsn(f"postgresql://u@games.abc123.eu-west-3.rds.amazonaws.com/arena{query}")
    with pytest.raises(ConfigurationError, match=f"sslmode={mode or 'prefer'} .* unencrypted"):
        tokens.sign(dsn)
    with pytest.raises(ConfigurationError, match="unencrypted"):
        create_engine(Target(Settings.explicit(pg_iam_auth=True), dsn))


@pytest.mark.parametrize("where", ["u@a,b/arena", "u@/arena?host=/run/postgresql&", "a/arena"])
def test_one_host_and_a_user(tokens, where):
    """A token is made for one host and one user."""
    mode = "sslmode=require" if where.endswith("&") else "?sslmode=require"
    with pytest.raises(ConfigurationError, match="one host and a user"):
        tokens.sign(parse_dsn(f"postgresql://{where}{mode}"))


def test_one_in_a_process():
    """A sync and an async engine would each sign their own."""
    assert iam_tokens("us-west-2") is iam_tokens("us-west-2")


# -- a server ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tls_server():
    """A PostgreSQL with TLS: its superuser's URL, and the authority that signed its certificate."""
    binaries = find_postgres()
    if binaries is None:
        missing("no PostgreSQL here: Install the package postgresql")
    if not postgres_speaks_tls(binaries.bindir):
        missing("no PostgreSQL with TLS here: the one found was built without OpenSSL. Install the package postgresql")
    account = server_account()
    workspace = make_workspace(account)
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    server = None
    try:
        server, address = start_postgresql(binaries, workspace, account)
        data = workspace / "postgresql" / "data"
        certificate.cert_chain_pems[0].write_to_path(data / "server.crt")
        certificate.private_key_pem.write_to_path(data / "server.key")
        for name in ("server.crt", "server.key"):
            (data / name).chmod(0o600)
            give(data / name, account)
        authority.cert_pem.write_to_path(workspace / "ca.pem")
        with psycopg.connect(address.admin_url, autocommit=True) as admin:
            admin.execute("ALTER SYSTEM SET ssl = on")
            admin.execute("SELECT pg_reload_conf()")
        yield address.admin_url, workspace / "ca.pem"
    finally:
        if server is not None:
            server.stop()
        remove_workspace(workspace)


@pytest.fixture
def iam(tls_server, eventually):
    """Settings and DSN of a role that logs in with a token, and a function that makes the server accept the latest."""
    url, authority = tls_server
    parts = urlsplit(url)
    user = f"iam_{secrets.token_hex(4)}"
    dsn = parse_dsn(f"postgresql://{user}@127.0.0.1:{parts.port}/postgres?sslmode=verify-full&sslrootcert={authority}")

    def encrypted():
        with psycopg.connect(url) as connection:
            return connection.pgconn.ssl_in_use

    eventually(encrypted, "the server has loaded its certificate")
    tokens = iam_tokens("us-west-2")
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(user)))

        def accept():
            token = tokens.sign(dsn).parameters["password"]
            admin.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(user), sql.Literal(token)))
            return token

        settings = Settings.explicit(pg_iam_auth=True, aws_region="us-west-2")
        yield Target(settings, dsn), accept, tokens
        admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(user)))


def _logged_in(engine):
    with engine.connect() as connection:
        return connection.exec_driver_sql(
            "SELECT current_user, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        ).one()


def test_log_in_with_a_token(iam):
    """The whole way: token, TLS, server."""
    target, accept, _ = iam
    accept()
    engine = create_engine(target)
    assert tuple(_logged_in(engine)) == (target.dsn.parameters["user"], True)
    engine.dispose()


def test_log_in_with_a_token_async(iam):
    """As above, for the other driver."""
    target, accept, _ = iam
    accept()

    async def run():
        engine = create_async_engine(target)
        async with engine.connect() as connection:
            user = (await connection.exec_driver_sql("SELECT current_user")).scalar()
        await engine.dispose()
        return user

    assert asyncio.run(run()) == target.dsn.parameters["user"]


def test_a_refused_token_is_replaced(iam, monkeypatch, eventually):
    """AWS's own credentials were replaced: the tokens that they signed are worth nothing, for ten more minutes."""
    target, accept, tokens = iam
    old = accept()
    engine = create_engine(target, pool_recycle=0)
    _logged_in(engine)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
    tokens._clients.reset_after_fork()
    place, token = next((place, token) for place, token in tokens._tokens.items() if token.text == old)

    def replaced():
        # The server takes the token that is made this second; ours is still the old one.
        tokens._tokens.pop(place)
        assert accept() != old
        tokens._tokens[place] = token
        try:
            return _logged_in(engine)[0] == target.dsn.parameters["user"]
        except DatabaseUnavailable:
            return False  # the next second has begun, and the new token is another one

    eventually(replaced, "a login with a new token")
    assert tokens._tokens[place].text != old
    engine.dispose()


def test_a_role_that_is_gone(iam):
    """Trying again must end, with what the server said."""
    target, _, _ = iam
    engine = create_engine(target)
    with pytest.raises(DatabaseUnavailable, match="password authentication failed"):
        _logged_in(engine)
    engine.dispose()


def test_after_a_fork(iam):
    """A worker signs tokens of its own, over sockets of its own."""
    target, accept, tokens = iam
    accept()

    def logs_in() -> bool:
        engine = create_engine(target)
        return _logged_in(engine)[0] == target.dsn.parameters["user"] and tokens._clients._clients == {}

    assert forked(logs_in)


def test_health_never_raises():
    """A login that the settings do not allow would be a stack trace in place of an answer."""
    database = Database(Settings.explicit(database_url="postgresql://arena@db/arena", pg_iam_auth=True))
    assert database.health()["error"] == "ConfigurationError"
    assert not database.health_check()
