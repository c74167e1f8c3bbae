"""Redis put out of order: names, ports, TLS, passwords, rights, replicas and memory, each by a real server."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
import trustme
from redis_tls import NO_TLS, redis_speaks_tls

from aragora_db.operate.doctor.context import DoctorContext
from aragora_db.operate.doctor.redis import judge_version
from aragora_db.testing.plugin import missing
from aragora_db.testing.process import free_port

pytestmark = pytest.mark.slow


@pytest.fixture
def of(examine, tmp_path):
    """Examines a Redis, beside a database that is not there yet."""
    return lambda url, **more: examine(data_dir=tmp_path / "none", redis_url=url, **more)


def test_no_redis(examine):
    """On a laptop there is none, and that is no fault."""
    report = examine()
    assert report["redis-login"].level == "skipped"
    assert "ARAGORA_REDIS_URL" in report["redis-login"].message


def test_an_unknown_host(of):
    """The private name of a cache, asked from outside its network."""
    assert of("redis://:Zk9-secret@nonexistent.invalid:6379").errors == ["redis-unknown-host"]


def test_a_closed_port(of):
    """Redis is down, or listens on its socket only."""
    report = of(f"redis://:Zk9-secret@127.0.0.1:{free_port()}")
    assert report.errors == ["redis-closed-port"]
    assert "redis-cli -h 127.0.0.1" in report["redis-closed-port"].fix


def test_a_firewall(of, silent_port, monkeypatch):
    """The cache's security group knows the other instance only."""
    monkeypatch.setattr(DoctorContext, "seconds", 0.3)
    assert of(f"redis://:Zk9-secret@127.0.0.1:{silent_port}").errors == ["redis-no-answer"]


def test_a_network_in_the_clear(of, start_redis):
    """A password that crosses a network in the clear is everybody's. 127.0.0.2 stands for another machine here."""
    report = of(f"redis://127.0.0.2:{start_redis({}, 'bind 127.0.0.2', 'protected-mode no')}")
    assert report["redis-not-encrypted"].level == "warn"
    assert report.errors == []


def test_an_unusable_url(of):
    """A # in the password cuts the URL: redis-py alone would ask localhost."""
    report = of("redis://:Zk9#secret@cache.example:6379")
    assert report.errors == ["redis-settings-refused"]


def test_a_healthy_redis(of, start_redis):
    """Everything is ticked, the password is not shown."""
    report = of(f"redis://:Zk9-secret@127.0.0.1:{start_redis({}, 'requirepass Zk9-secret')}")
    assert report.errors == []
    assert report["redis-memory"].level == "ok"


def test_passwords(of, start_redis):
    """A wrong one and a missing one are mended by different people."""
    port = start_redis({}, "requirepass Zk9-secret")
    wrong = of(f"redis://:Zk9-wrong@127.0.0.1:{port}")
    assert wrong.errors == ["redis-wrong-password"]
    missing = of(f"redis://127.0.0.1:{port}")
    assert missing.errors == ["redis-no-password"]


def test_rights(of, start_redis):
    """An ACL user who may nothing, and one who may all but look."""
    port = start_redis(
        {},
        "user nobody on >Zk9-secret &* -@all",  # what Redis 6 gives a new user
        "user quiet on >Zk9-secret ~* &* +@all -info",
        "user other on >Zk9-secret ~other:* +@all",
    )
    report = of(f"redis://nobody:Zk9-secret@127.0.0.1:{port}")
    assert report.errors == ["redis-not-permitted"]
    with closing(redis.Redis(port=port)) as client:
        client.execute_command(*report["redis-not-permitted"].fix.split())
    assert of(f"redis://nobody:Zk9-secret@127.0.0.1:{port}").errors == []
    assert of(f"redis://other:Zk9-secret@127.0.0.1:{port}").errors == ["redis-not-permitted"]
    quiet = of(f"redis://quiet:Zk9-secret@127.0.0.1:{port}")
    assert quiet.errors == []
    assert quiet["redis-memory"].level == "skipped"


def _fill(port: int) -> None:
    with closing(redis.Redis(port=port)) as client, client.pipeline(transaction=False) as pipeline:
        for number in range(3000):
            pipeline.set(f"key:{number}", b"x" * 4000)
        pipeline.execute()


def test_a_redis_that_evicts(of, start_redis):
    """The cache is smaller than what is cached: every answer is computed again and again."""
    port = start_redis({}, "maxmemory 5mb", "maxmemory-policy allkeys-lru")
    assert "redis-evicting" not in of(f"redis://127.0.0.1:{port}")
    _fill(port)
    report = of(f"redis://127.0.0.1:{port}")
    assert report.errors == []
    assert report["redis-evicting"].level == "warn"
    assert "keys were evicted (allkeys-lru" in report["redis-evicting"].message


def test_a_redis_that_would_refuse_writes(of, start_redis):
    """Redis's own default: full is full, and every lock and every cached answer fails."""
    port = start_redis({}, "maxmemory 5mb", "maxmemory-policy noeviction")
    report = of(f"redis://127.0.0.1:{port}")
    assert report["redis-noeviction"].level == "warn"
    with closing(redis.Redis(port=port)) as client:
        client.execute_command(*report["redis-noeviction"].fix.partition("  #")[0].split())
    assert of(f"redis://127.0.0.1:{port}")["redis-memory"].level == "ok"


def test_a_replica(of, start_redis):
    """The reader endpoint in the URL: reads work, every write fails."""
    report = of(f"redis://127.0.0.1:{start_redis({}, f'replicaof 127.0.0.1 {start_redis()}')}")
    assert report.errors == ["redis-replica"]


def test_an_old_redis(redis_server):
    """No older Redis is at hand: a real one's version is held against a minimum that is one higher."""
    with closing(redis.Redis.from_url(redis_server.url)) as client:
        version = client.info()["redis_version"]
    assert judge_version(version).level == "ok"
    assert judge_version(version, minimum=int(version.partition(".")[0]) + 1).name == "redis-old"


# -- Sentinel and Cluster ---------------------------------------------------------------------------------------------


def test_sentinel(examine, start_redis, tmp_path):
    """The Sentinels are what has to be reached first; what they call the primary comes after."""
    primary = start_redis()
    watched = f"sentinel monitor mymaster 127.0.0.1 {primary} 1"
    sentinel = start_redis({}, watched, sentinel=True)
    values = {"data_dir": tmp_path / "none", "redis_sentinel_hosts": f"127.0.0.1:{sentinel}"}
    report = examine(**values)
    assert report.errors == []
    assert report["redis-settings"].message == f"sentinel: 127.0.0.1:{sentinel}"
    assert report["redis-memory"].level == "ok"
    assert examine(**values, redis_sentinel_master="other").errors == ["redis-refused"]
    assert examine(data_dir=tmp_path, redis_sentinel_hosts=f"127.0.0.1:{free_port()}").errors == ["redis-closed-port"]


def test_cluster(examine, start_redis, tmp_path, eventually):
    """Every node is looked at, not only the one that the cluster was found by."""
    port = start_redis({}, "cluster-enabled yes")
    with closing(redis.Redis(port=port)) as client:
        client.execute_command("CLUSTER", "ADDSLOTS", *range(16_384))
        eventually(lambda: b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO"), "the cluster is up")
    report = examine(data_dir=tmp_path / "none", redis_cluster_nodes=f"127.0.0.1:{port}")
    assert report.errors == []
    assert report["redis-memory"].level == "ok"


# -- TLS --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def encrypted(start_redis):
    """Starts a Redis that speaks TLS only, with this certificate."""
    if not redis_speaks_tls():
        missing(NO_TLS)

    def start(authority: trustme.CA, *names: str, watches: int | None = None, **options: Any) -> int:
        certificate = authority.issue_cert(*names, **options)
        files = {
            "server.crt": b"".join(each.bytes() for each in certificate.cert_chain_pems),
            "server.key": certificate.private_key_pem.bytes(),
        }
        lines = ["tls-cert-file server.crt", "tls-key-file server.key", "tls-auth-clients no"]
        if watches is None:
            return start_redis(files, *lines, "requirepass Zk9-secret", tls=True)
        lines += ["tls-replication no", f"sentinel monitor mymaster 127.0.0.1 {watches} 1"]
        return start_redis(files, *lines, tls=True, sentinel=True)

    return start


def test_tls(of, encrypted, tmp_path):
    """An own authority is trusted when it is named, and neither another one nor another name is."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    port = encrypted(authority, "localhost")
    url = f"rediss://:Zk9-secret@localhost:{port}"
    good = of(url, redis_ssl_ca_certs=tmp_path / "ca.pem")
    assert good.errors == []
    assert "TLSv1" in good["redis-tls"].message
    assert of(url, redis_ssl_ca_certs=tmp_path / "other.pem").errors == ["redis-untrusted-certificate"]
    assert of(url).errors == ["redis-untrusted-certificate"]
    by_number = f"rediss://:Zk9-secret@127.0.0.1:{port}"
    assert of(by_number, redis_ssl_ca_certs=tmp_path / "ca.pem").errors == ["redis-wrong-host-name"]
    assert of(url, redis_ssl_ca_certs=tmp_path / "none.pem").errors == ["redis-no-root-certificate"]
    assert of(f"redis://:Zk9-secret@localhost:{port}").errors == ["redis-needs-tls"]


def test_tls_of_sentinels(examine, encrypted, start_redis, eventually, tmp_path):
    """Who is told a wrong primary by somebody in between sends it the password."""
    authority, primary = trustme.CA(), start_redis()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    sentinel = encrypted(authority, "localhost", watches=primary)
    values = {
        "data_dir": tmp_path / "none",
        "redis_sentinel_hosts": f"localhost:{sentinel}",
        "redis_ssl_ca_certs": tmp_path / "ca.pem",
    }
    assert examine(**values).errors == ["redis-needs-tls"]
    eventually(lambda: examine(**values, redis_sentinel_tls=True).errors == [], "the Sentinel has seen its primary")
    plain = start_redis({}, f"sentinel monitor mymaster 127.0.0.1 {primary} 1", sentinel=True)
    values["redis_sentinel_hosts"] = f"localhost:{plain}"
    assert examine(**values, redis_sentinel_tls=True).errors == ["redis-no-tls"]


def test_an_expired_certificate(of, encrypted, tmp_path):
    """Nobody renewed it: every instance loses its cache in the same minute."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    port = encrypted(authority, "localhost", not_after=datetime.now(UTC) - timedelta(days=1))
    report = of(f"rediss://:Zk9-secret@localhost:{port}", redis_ssl_ca_certs=tmp_path / "ca.pem")
    assert report.errors == ["redis-expired-certificate"]


@pytest.fixture
def impatient(monkeypatch):
    """Doctor waits half a second for an answer to TLS's greeting."""
    monkeypatch.setattr("aragora_db.operate.doctor.redis._GREETING_SECONDS", 0.5)


@pytest.mark.usefixtures("impatient")
def test_no_tls(of, start_redis):
    """The guide's rediss:// meets a Redis without encryption in transit."""
    report = of(f"rediss://:Zk9-secret@127.0.0.1:{start_redis()}")
    assert report.errors == ["redis-no-tls"]
    assert "did not answer TLS's greeting within 0.5 s: it probably speaks no TLS" in report["redis-no-tls"].message
