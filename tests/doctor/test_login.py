"""Logins that a server refuses, each for a reason of its own, named without reading a word of its language."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

import pytest
from psycopg import sql

from aragora_db.testing.workspace import give

pytestmark = pytest.mark.slow


def test_a_wrong_password(healthy_url, examine):
    """An operator would look for a firewall while the password has a typing error."""
    wrong = healthy_url.replace(urlsplit(healthy_url).password, "Zk9-wrong")
    report = examine(database_url=wrong)
    assert report.errors == ["wrong-password"]
    user = urlsplit(healthy_url).username
    assert user in report["wrong-password"].message
    assert report["version"].message == "not tried, because login has to be in order first"


def test_a_password_beyond_ascii(own_healthy_url, admin, examine):
    """A login that doctor repeats in another encoding would blame the password for everything."""
    user, right = urlsplit(own_healthy_url).username, urlsplit(own_healthy_url).password
    admin().execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(user), "Zk9-%é"))
    assert examine(database_url=own_healthy_url).errors == ["wrong-password"]
    changed = own_healthy_url.replace(right, quote("Zk9-%é"))
    assert examine(database_url=changed).errors == []
    assert examine(database_url=changed.rsplit("/", 1)[0] + "/nowhere").errors == ["wrong-database"]


def test_a_role_that_does_not_exist(healthy_url, examine):
    """The server does not tell, and doctor must not pretend to know."""
    report = examine(database_url=re.sub("//[^:]+:", "//nobody:", healthy_url))
    assert report.errors == ["wrong-password"]


def test_no_password(healthy_url, examine):
    """The variable did not arrive in the unit file: nothing is wrong with the password itself."""
    report = examine(database_url=re.sub(":[^:/@]+@", "@", healthy_url))
    assert report.errors == ["no-password"]
    assert "ARAGORA_PG_PASSWORD" in report["no-password"].fix


def test_a_wrong_database(healthy_url, examine):
    """Role and password are right: whoever changes them makes it worse."""
    report = examine(database_url=healthy_url.rsplit("/", 1)[0] + "/nowhere")
    assert report.errors == ["wrong-database"]
    assert "has no database nowhere" in report["wrong-database"].message
    assert "CREATE DATABASE nowhere OWNER" in report["wrong-database"].fix
    odd = examine(database_url=healthy_url.rsplit("/", 1)[0] + "/no%22where")
    assert 'CREATE DATABASE "no""where" OWNER' in odd["wrong-database"].fix


def test_no_right_to_connect(own_healthy_url, admin, examine):
    """The database is there, and another person has to open it."""
    name = urlsplit(own_healthy_url).path[1:]
    admin().execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))
    report = examine(database_url=own_healthy_url)
    assert report.errors == ["no-connect-right"]
    fix = report["no-connect-right"].fix
    assert fix.startswith(f"as its owner: GRANT CONNECT ON DATABASE {name}")
    admin().execute(fix.removeprefix("as its owner: "))
    assert examine(database_url=own_healthy_url).errors == []


def test_too_many_connections(own_healthy_url, admin, examine):
    """The pool of another instance took them all; a restart of this one helps nobody."""
    user = sql.Identifier(urlsplit(own_healthy_url).username)
    admin().execute(sql.SQL("ALTER ROLE {} CONNECTION LIMIT 0").format(user))
    report = examine(database_url=own_healthy_url)
    assert report.errors == ["too-many-connections"]
    assert "pg_stat_activity" in report["too-many-connections"].fix


@pytest.fixture
def access(own_postgres):
    """Puts a line at the head of pg_hba.conf for the time of a test."""
    hba = own_postgres.data / "pg_hba.conf"
    before = hba.read_text()

    def line(text):
        hba.write_text(f"{text}\n{before}")
        own_postgres.sql("SELECT pg_reload_conf()")

    yield line
    hba.write_text(before)
    own_postgres.sql("SELECT pg_reload_conf()")


def test_the_access_list(own_postgres, access, examine, eventually):
    """pg_hba.conf refuses before it asks for a password: no password will ever help."""
    access("host all postgres 127.0.0.1/32 reject")
    report = eventually(
        lambda: (found := examine(database_url=own_postgres.url())).errors and found, "the access list is in force"
    )
    assert report.errors == ["refused-by-pg-hba"]
    assert "hostssl postgres postgres" in report["refused-by-pg-hba"].fix


@pytest.mark.parametrize("method", ["password", "md5"])
def test_other_ways_to_ask_for_a_password(method, own_postgres, access, examine, eventually, request):
    """RDS asks for IAM tokens in the clear, old servers for MD5: what speaks SCRAM only would call them broken."""
    restored = f"SET password_encryption = 'scram-sha-256'; ALTER ROLE postgres PASSWORD '{own_postgres.password}'"
    request.addfinalizer(lambda: own_postgres.sql(restored))
    access(f"host all postgres 127.0.0.1/32 {method}")
    own_postgres.sql(f"SET password_encryption = 'md5'; ALTER ROLE postgres PASSWORD '{own_postgres.password}'")
    asked = {"password": 3, "md5": 5}[method]
    eventually(lambda: own_postgres.asks_for() == asked, "the access list is in force")
    assert examine(database_url=own_postgres.url()).errors == []
    assert examine(database_url=own_postgres.url(dbname="nowhere")).errors == ["wrong-database"]
    wrong = own_postgres.url().replace(own_postgres.password, "Zk9-wrong")
    assert examine(database_url=wrong).errors == ["wrong-password"]


def test_a_server_that_takes_nobody_in(own_postgres, examine):
    """During a failover every login is refused for a minute: no reason to change anything."""
    own_postgres.set(hot_standby="off")
    signal = own_postgres.data / "standby.signal"
    signal.touch()
    give(signal, own_postgres.account)
    own_postgres.restart(ready=lambda: "entering standby mode" in own_postgres.log)
    try:
        assert examine(database_url=own_postgres.url()).errors == ["server-not-ready"]
    finally:
        signal.unlink()
        own_postgres.restart()
        own_postgres.set(hot_standby="on")


def test_a_pooler_that_refuses_our_options(fresh_databases, pgbouncer, examine):
    """PgBouncer on another port than 6543: every connection fails, and libpq only says "unsupported parameter"."""
    url = pgbouncer.url_for(urlsplit(fresh_databases.url("postgresql")).path[1:])
    report = examine(database_url=url)
    assert report.errors == ["pooler-not-recognised"]
    assert report["pooler-not-recognised"].fix.startswith("export ARAGORA_DB_POOLER=transaction")
    mended = examine(database_url=url, pooler="transaction")
    assert mended.errors == []
    assert mended["pooler"].message == "a transaction pooler, and treated as one"


def test_a_wish_that_the_server_does_not_meet(healthy_url, examine):
    """The DSN wants a standby and finds a primary: nothing is wrong with role, password or network."""
    report = examine(database_url=f"{healthy_url}?target_session_attrs=standby")
    assert report.errors == ["login-refused"]
    assert report["login-refused"].message.endswith("target_session_attrs=standby")


def test_through_a_unix_socket(postgres_server, fresh_databases, examine):
    """On one machine there is no name, no port and no TLS to be wrong."""
    if postgres_server.socket_url is None:
        pytest.skip("no unix socket here: ARAGORA_TEST_POSTGRES_URL names a server by address")
    name = urlsplit(fresh_databases.url("postgresql")).path
    report = examine(database_url=postgres_server.socket_url.replace("/postgres?", f"{name}?"))
    assert report.errors == []
    assert "unix socket" in report["tls"].message
