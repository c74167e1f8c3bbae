"""Each way to run Redis: sockets, TLS, ACL users, rotated passwords, Sentinel, Cluster."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import ExitStack

import pytest
import trustme
from concurrent_work import forked
from redis_tls import NO_TLS, redis_speaks_tls
from support import HANG_SECONDS, clean_environment

from aragora_db.errors import ConfigurationError
from aragora_db.shared import DEBATE_CREATED, GAP, Event
from aragora_db.testing.plugin import missing

pytestmark = pytest.mark.slow

TOPIC = "leaderboard"
OLD, SECRET, GUARD, SIGNS = "old", "secret", "guard", "pa#ss/word"


def works(state):
    """Everything, once: cache, invalidation, lock, leader, events."""
    assert state.health()["connected"], state.health()
    state.cache.invalidate(TOPIC)
    state.cache.get_or_load(TOPIC, "key", lambda: "kept")
    assert state.cache.get_or_load(TOPIC, "key", lambda: "loaded again") == "kept"
    with state.lock("job", wait=0) as held:
        held.extend()
        state._transact(held.guard)
    with state.leader("job") as leader:
        assert leader.wait(HANG_SECONDS)
    with state.events.subscribe() as subscription:
        assert state.events.publish(Event(DEBATE_CREATED))
        assert subscription.get(HANG_SECONDS).type == DEBATE_CREATED
    return True


def test_tcp(instances):
    """The plain case."""
    works(instances(1)[0])


def test_unix_socket(make, redis_server):
    """A Redis beside us that has no port."""
    if redis_server.socket_url is None:
        pytest.skip("no unix socket here: ARAGORA_TEST_REDIS_URL names the Redis")
    works(make(redis_server.socket_url, redis_namespace="test-unix"))


def test_the_database_of_the_url(make, servers):
    """Two deployments in one Redis would share their keys."""
    server = servers.start()
    works(make(f"redis://127.0.0.1:{server.port}/3"))
    with server.client(db=3) as there, server.client(db=0) as here:
        assert there.dbsize() > 0
        assert here.dbsize() == 0


# -- TLS --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority():
    """Who signs the certificates of the tests."""
    return trustme.CA()


@pytest.fixture
def encrypted(servers, authority):
    """Starts a Redis that speaks TLS only, under the names given: ``encrypted("127.0.0.1")``."""
    if not redis_speaks_tls():
        missing(NO_TLS)

    def encrypted(*names, password=None, ask_clients=False):
        certificate = authority.issue_cert(*names)
        chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
        options = [
            *("--port", "0", "--tls-port", "{port}", "--tls-auth-clients", "yes" if ask_clients else "no"),
            *("--tls-cert-file", "{folder}/cert.pem", "--tls-key-file", "{folder}/key.pem"),
            *("--tls-ca-cert-file", "{folder}/ca.pem"),
            *(("--requirepass", password) if password else ()),
        ]
        files = {
            "cert.pem": chain,
            "key.pem": certificate.private_key_pem.bytes(),
            "ca.pem": authority.cert_pem.bytes(),
        }
        return servers.start(*options, files=files)

    return encrypted


def pem(authority, folder):
    """The authority's certificate as a file."""
    path = folder / "authority.pem"
    authority.cert_pem.write_to_path(path)
    return path


@pytest.mark.parametrize("where", ["settings", "url"])
def test_tls_of_an_authority_that_we_know(make, encrypted, authority, tmp_path, where):
    """ElastiCache, as the guide sets it up: rediss:// with an AUTH token; and a private authority."""
    server = encrypted("127.0.0.1", password=SIGNS)
    path = pem(authority, tmp_path)
    url = f"rediss://:pa%23ss%2Fword@127.0.0.1:{server.port}/0"
    if where == "settings":
        works(make(url, redis_ssl_ca_certs=path))
    else:
        works(make(f"{url}?ssl_ca_certs={path}"))


def test_tls_of_another_authority_is_refused(make, encrypted, tmp_path):
    """Anybody in between could read the AUTH token."""
    server = encrypted("127.0.0.1")
    url = f"rediss://127.0.0.1:{server.port}/0"
    other = pem(trustme.CA(), tmp_path)
    for state in (make(url, redis_ssl_ca_certs=other), make(url)):
        health = state.health()
        assert (health["connected"], health["error"]) == (False, "SSLCertVerificationError")


def test_tls_of_another_name_is_refused(make, encrypted, authority, tmp_path):
    """Any server with a certificate of the same authority could pose as our Redis."""
    server = encrypted("cache.example")
    state = make(f"rediss://127.0.0.1:{server.port}/0", redis_ssl_ca_certs=pem(authority, tmp_path))
    assert state.health()["error"] == "SSLCertVerificationError"
    unchecked = make(f"rediss://127.0.0.1:{server.port}/0?ssl_cert_reqs=none")
    assert unchecked.health()["connected"]


def test_no_tls_where_tls_is_spoken(make, encrypted, servers):
    """A wrong scheme has to be an error, and not a wait."""
    server, plain = encrypted("127.0.0.1"), servers.start()
    assert not make(f"redis://127.0.0.1:{server.port}/0").health()["connected"]
    assert make(f"rediss://127.0.0.1:{plain.port}/0").health()["error"] in {"SSLError", "SSLEOFError", "TimeoutError"}


def test_a_missing_authority_is_a_mistake_and_no_outage(make, tmp_path):
    """A typing error in a path would look like a Redis that is away, for ever."""
    (tmp_path / "empty.pem").write_text("")
    url = "rediss://:hunter2@127.0.0.1:1/0"
    for path in (tmp_path / "missing.pem", tmp_path / "empty.pem"):
        state = make(url, redis_ssl_ca_certs=path)
        with pytest.raises(ConfigurationError, match="ARAGORA_REDIS_SSL_CA_CERTS") as caught:
            state.cache.get_or_load(TOPIC, "key", lambda: 1)
        assert "hunter2" not in str(caught.value)
        assert state.health()["error"] == "ConfigurationError"


def test_certificate_of_our_own(make, encrypted, authority, tmp_path):
    """A Redis that asks its clients for certificates."""
    server = encrypted("127.0.0.1", ask_clients=True)
    authority.issue_cert("client").private_key_and_cert_chain_pem.write_to_path(tmp_path / "ours.pem")
    url = f"rediss://127.0.0.1:{server.port}/0"
    path = pem(authority, tmp_path)
    assert not make(url, redis_ssl_ca_certs=path).health()["connected"]
    assert make(f"{url}?ssl_certfile={tmp_path / 'ours.pem'}", redis_ssl_ca_certs=path).health()["connected"]


# -- users and passwords ----------------------------------------------------------------------------------------------


def test_an_acl_user_that_may_touch_our_namespace_only(make, servers):
    """The guide's least privilege: what we need has to be known, and enough."""
    server = servers.start()
    with server.client() as admin:
        admin.execute_command(
            *("ACL", "SETUSER", "app", "on", ">secret", "resetkeys", "~aragora:*", "resetchannels", "&aragora:*"),
            *("-@all", "+@read", "+@write", "+@connection", "+@pubsub", "+@scripting", "+time", "-@dangerous"),
        )
    works(make(f"redis://app:secret@127.0.0.1:{server.port}/0"))
    refused = make(f"redis://app:secret@127.0.0.1:{server.port}/0", redis_namespace="other")
    assert refused.cache.get_or_load(TOPIC, "key", lambda: 1) == 1
    assert refused.health() | {"latency_ms": 0} == {
        "configured": True,
        "connected": True,
        "latency_ms": 0,
        "breaker": "closed",
        "error": None,
    }


def test_a_wrong_password_is_named(make, servers):
    """It would look like a network that is down."""
    server = servers.start("--requirepass", "right")
    for url in (f"redis://:wrong@127.0.0.1:{server.port}/0", server.url):
        state = make(url)
        assert state.health()["error"] == "AuthenticationError"
        assert state.cache.get_or_load(TOPIC, "key", lambda: 1) == 1


def test_a_rotated_password_reaches_new_connections(make, servers):
    """AUTH tokens are rotated while we run; a restart of every instance would be needed."""
    server = servers.start("--requirepass", "old")
    passwords = ["old"]
    state = make(redis_url=lambda: f"redis://:{passwords[-1]}@127.0.0.1:{server.port}/0")
    works(state)
    with server.client(password=OLD) as admin:
        admin.config_set("requirepass", "new")
        passwords.append("new")
        admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        works(state)
        assert state.health()["breaker"] == "closed"


def test_a_rotation_that_the_secrets_do_not_tell_yet(make, servers):
    """The secret is cached for minutes: a refused password has to ask for it at once."""
    server = servers.start("--requirepass", "old")
    passwords, asked = ["old"], []

    def refresh():
        asked.append(1)
        passwords.append("new")
        return True

    state = make(redis_url=lambda: f"redis://:{passwords[-1]}@127.0.0.1:{server.port}/0", refresh=refresh)
    works(state)
    assert not asked
    with server.client(password=OLD) as admin:
        admin.config_set("requirepass", "new")
        admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        works(state)
    assert len(asked) == 1


def test_secrets_that_are_away_leave_the_last_password(make, servers):
    """An outage of the secrets manager would become one of Redis."""
    server = servers.start("--requirepass", "old")
    urls = [f"redis://:old@127.0.0.1:{server.port}/0"]

    def redis_url():
        if not urls:
            raise ConfigurationError("the secrets manager is away")
        return urls[0]

    state = make(redis_url=redis_url)
    works(state)
    urls.clear()
    with server.client(password=OLD) as admin:
        admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    works(state)


# -- Sentinel and Cluster ---------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_sentinel_failover(make, servers, eventually):
    """The primary dies, Sentinel names another one, and we go there by ourselves."""
    options = ("--requirepass", "secret", "--masterauth", "secret")
    first = servers.start(*options)
    second = servers.start(*options, "--replicaof", "127.0.0.1", str(first.port))
    configuration = (
        "port {port}\nrequirepass guard\n"
        f"sentinel monitor main 127.0.0.1 {first.port} 2\nsentinel auth-pass main secret\n"
        "sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 2000\n"
    )
    guards = [servers.sentinel(configuration) for _ in range(3)]
    for each in guards:
        with each.client(password=GUARD) as guard:
            # Sentinels greet each other every two seconds, and ask servers about replicas every ten.
            guard.execute_command("SENTINEL", "DEBUG", "PUBLISH-PERIOD", "100", "INFO-PERIOD", "100")
    for each in guards:
        with each.client(password=GUARD) as guard:
            eventually(
                lambda guard=guard: guard.sentinel_master("main")["num-other-sentinels"] == 2, "Sentinels have met"
            )
            eventually(lambda guard=guard: guard.sentinel_master("main")["num-slaves"] == 1, "it knows the replica")
    state = make(
        "redis://:secret@127.0.0.1/0",
        redis_sentinel_hosts=",".join(f"127.0.0.1:{each.port}" for each in guards),
        redis_sentinel_master="main",
        redis_sentinel_password=GUARD,
    )
    works(state)
    with second.client(password=SECRET) as replica:
        eventually(lambda: replica.info("replication")["master_link_status"] == "up", "the replica follows")
        with state.events.subscribe() as subscription:
            first.stop()
            assert state.cache.get_or_load(TOPIC, "other", lambda: 1) == 1
            eventually(lambda: replica.info("replication")["role"] == "master", "the replica is promoted")
            eventually(lambda: state.health()["connected"], "we have followed")
            assert subscription.get(HANG_SECONDS).type == GAP
    for each in guards:  # one that has not heard of it yet would send us to the dead primary
        with each.client(password=GUARD) as guard:
            eventually(lambda guard=guard: guard.sentinel_master("main")["port"] == second.port, "it knows the new one")
    works(state)


def test_sentinels_that_speak_tls(make, encrypted, servers, authority, tmp_path):
    """The AUTH token would be encrypted, and where to send it anybody's word."""
    primary = encrypted("127.0.0.1", password=SIGNS)
    folder = primary.folder
    guard = servers.sentinel(
        f"sentinel monitor main 127.0.0.1 {primary.port} 1\nsentinel auth-pass main {SIGNS}\n",
        *("--port", "0", "--tls-port", "{port}", "--tls-auth-clients", "no", "--tls-replication", "yes"),
        *("--tls-cert-file", f"{folder}/cert.pem", "--tls-key-file", f"{folder}/key.pem"),
        *("--tls-ca-cert-file", f"{folder}/ca.pem"),
    )
    where = {
        "redis_sentinel_hosts": f"127.0.0.1:{guard.port}",
        "redis_sentinel_master": "main",
        "redis_ssl_ca_certs": pem(authority, tmp_path),
    }
    url = "rediss://:pa%23ss%2Fword@127.0.0.1/0"
    works(make(url, **where, redis_sentinel_tls=True))
    assert not make(url, **where).health()["connected"]
    another = where | {"redis_ssl_ca_certs": pem(trustme.CA(), tmp_path)}
    assert not make(url, **another, redis_sentinel_tls=True).health()["connected"]


def test_sentinels_that_are_away(make, servers):
    """Nothing would start before the Sentinels do."""
    server = servers.new()
    state = make(redis_sentinel_hosts=f"127.0.0.1:{server.port}", redis_sentinel_master="main")
    assert state.configured
    assert state.cache.get_or_load(TOPIC, "key", lambda: 1) == 1
    assert state.health()["error"] in {"MasterNotFoundError", "ConnectionRefusedError"}


def test_sentinels_that_hang_are_asked_once(make):
    """Each would cost every caller two timeouts, until the breaker opens."""
    with ExitStack() as stack:
        silent = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]
        hosts = ",".join(f"127.0.0.1:{each.getsockname()[1]}" for each in silent)
        state = make(redis_sentinel_hosts=hosts, redis_sentinel_master="main", redis_timeout=0.1)
        assert not state.health()["connected"]
        for each in silent:
            each.settimeout(0)
            stack.enter_context(each.accept()[0])
            with pytest.raises(BlockingIOError):
                each.accept()


@pytest.fixture
def cluster(servers, eventually):
    """Three nodes, not started; and how to make a cluster of them."""
    nodes = [
        servers.new("--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--requirepass", "secret")
        for _ in range(3)
    ]

    def start():
        """What ``redis-cli --cluster create`` does; not every machine has it."""
        bounds = (0, 5461, 10923, 16384)
        for number, node in enumerate(nodes):
            with node.start().client(password=SECRET) as client:
                client.execute_command("CLUSTER", "ADDSLOTS", *range(*bounds[number : number + 2]))
                client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
                client.execute_command("CLUSTER", "MEET", "127.0.0.1", nodes[0].port)
        for node in nodes:
            with node.client(password=SECRET) as client:
                eventually(
                    lambda client=client: client.execute_command("CLUSTER INFO")["cluster_state"] == "ok",
                    "the node knows who has which slot",
                )

    nodes[0].cluster_nodes = ",".join(f"127.0.0.1:{node.port}" for node in nodes)
    return nodes, start


@pytest.mark.slow
def test_cluster(make, cluster, eventually):
    """ElastiCache with cluster mode: keys of a topic on one node, topics on all of them; down at start; a node dies."""
    nodes, start = cluster
    state = make("redis://:secret@127.0.0.1/0", redis_cluster_nodes=nodes[0].cluster_nodes)
    assert state.cache.get_or_load(TOPIC, "key", lambda: 1) == 1
    assert not state.health()["connected"]
    start()
    eventually(lambda: state.health()["connected"], "the cluster is found")
    works(state)
    topics = [f"topic{number}" for number in range(30)]
    for topic in topics:
        assert state.cache.get_or_load(topic, "key", lambda topic=topic: topic) == topic
        assert state.cache.get_or_load(topic, "key", lambda: "loaded again") == topic
        with state.lock(topic, wait=0):
            pass
    assert state.cache.invalidate(*topics)
    for topic in topics:
        assert state.cache.get_or_load(topic, "key", lambda: "new") == "new"
    for node in nodes:
        with node.client(password=SECRET) as client:
            assert client.dbsize() > 0
    nodes[2].stop()
    for topic in topics:
        assert state.cache.get_or_load(topic, "another", lambda topic=topic: topic) == topic
    nodes[2].start()
    eventually(lambda: state.health()["connected"], "the node is back")
    for topic in topics:
        eventually(lambda topic=topic: state.cache.invalidate(topic), "its topics can be invalidated")
    works(state)


# -- the extra, and forks ---------------------------------------------------------------------------------------------


def test_redis_py_is_imported_when_redis_is_used():
    """Whoever runs on SQLite alone would have to install it, and pay for it at each start."""
    code = """
import sys
sys.modules["redis"] = None  # as if it were not installed
from aragora_db import Settings
from aragora_db.errors import ConfigurationError
from aragora_db.shared import SharedState
alone = SharedState(Settings.explicit(), lambda: None, None)
assert alone.cache.get_or_load("t", "k", lambda: 1) == 1
assert not alone.health()["connected"]
state = SharedState(Settings.explicit(), lambda: "redis://127.0.0.1:1/0", None)
assert state.configured
try:
    state.cache.get_or_load("t", "k", lambda: 1)
except ConfigurationError as error:
    assert "pip install 'aragora_db[redis]'" in str(error)
else:
    raise SystemExit("it did not say what is missing")
assert state.health()["error"] == "ConfigurationError"
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_forked_child_has_connections_of_its_own(instances):
    """Parent and child would read each other's answers."""
    [state] = instances(1)
    assert state.cache.get_or_load(TOPIC, "key", lambda: "parent's") == "parent's"
    assert forked(
        lambda: state.cache.get_or_load(TOPIC, "key", lambda: "child's") == "parent's" and state.health()["connected"]
    )
    assert state.cache.get_or_load(TOPIC, "key", lambda: "again") == "parent's"
