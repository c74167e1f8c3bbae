"""Every file below deploy/ passes its validator, and every validator refuses a broken one."""

from __future__ import annotations

import shutil

import pytest

pytestmark = pytest.mark.slow

UNIT = "systemd/aragora.service"
DROP_IN = "systemd/aragora.service.d/shared-state.conf"
JOB = "k8s/migration-job.yaml"
DEPLOYMENT = "k8s/deployment.yaml"
EXTERNAL = "k8s/external-secrets/database-secret.yaml"
CONFIG = "k8s/configmap.yaml"
STATEFUL = "k8s/postgres/statefulset.yaml"
SERVER = "postgres/postgresql.conf"
SERVER_MAP = "k8s/postgres/configmap.yaml"
POOLER = "pgbouncer/pgbouncer.ini"
USERS = "pgbouncer/userlist.txt.example"
AWS = "aws/shared-state.yaml"
EXAMPLE = "aragora.env.example"

# What a file may have wrong in three places: cfn-lint takes seconds, and says all of it at once.
SLIPS = {
    "StorageEncrypted:": ("StorageEncripted:", "StorageEncripted"),
    "!Ref DatabaseSubnets": ("!Ref DatabaseSubnet", "DatabaseSubnet'"),
    "Family: postgres16": ("Family: [postgres16]", "is not of type 'string'"),
}

# file, what stands there, what would be wrong, and what the validator says about it
BROKEN = [
    (UNIT, "NoNewPrivileges=", "NoNewPrivleges=", "Unknown key"),
    (UNIT, "Type=exec", "Type=exce", "service type"),
    (UNIT, "TimeoutStopSec=60", "TimeoutStopSec=soon", "time value"),
    (UNIT, "ExecStart=/opt", "ExecStart=opt", "absolute path"),
    (UNIT, "@system-service", "@system-servcie", "system call"),
    (UNIT, "SystemCallFilter=@system-service\nSystemCallFilter=~@privileged @resources", "", "SystemCallFilter"),
    (DROP_IN, 'Environment="ARAGORA_DB_B', 'Enviroment="ARAGORA_DB_B', "Unknown key"),
    (DROP_IN, "aragora/production", "aragora/p%40s", "specifiers"),  # a percent sign that is not doubled
    (DROP_IN, "POOL_SIZE=20", "POOL_SIZE=2000", "1 to 100"),
    (DROP_IN, "ARAGORA_DB_POOL_RECYCLE", "ARAGORA_DB_POOL_RECYLCE", "no setting is called ARAGORA_DB_POOL_RECYLCE"),
    (EXAMPLE, ":5432/", ":54 32/", "DATABASE_URL"),
    (EXAMPLE, "rediss://", "redsis://", "ARAGORA_REDIS_URL"),
    (JOB, "backoffLimit:", "backofLimit:", "backofLimit"),
    (JOB, 'drop: ["ALL"]', "drop: ALL", "drop"),
    (JOB, "kind: Job", "kind: Jop", "schema"),
    (DEPLOYMENT, "maxSurge: 1", "maxSurge: 1\n      maxSurge: 2", "twice"),
    (DEPLOYMENT, "      containers:\n", "      containers: {}\n      container:\n", "container"),
    (EXTERNAL, "external-secrets.io/v1\n", "external-secrets.io/v1beta1\n", "not served"),
    (EXTERNAL, "property:", "propery:", "propery"),
    (EXTERNAL, "        key: aragora/production/database\n", "", "lacks key"),
    (CONFIG, 'POOL_TIMEOUT: "30"', 'POOL_TIMEOUT: "0"', "1 to 300"),
    (CONFIG, 'POOL_TIMEOUT: "30"', "POOL_TIMEOUT: 30", "string"),  # the API server refuses a number
    (STATEFUL, "clusterIP: None", "clusterIp: None", "clusterIp"),
    (SERVER, "max_connections = 200", "max_conections = 200", "unrecognized configuration parameter"),
    (SERVER, "shared_buffers = 4GB", "shared_buffers = 4G", "shared_buffers"),
    (SERVER, "work_mem = 16MB", "work_mem = 16MB\nwork_mem = 1GB", "twice"),
    (SERVER_MAP, "log_lock_waits = on", "log_lock_waits = sometimes", "log_lock_waits"),
    (POOLER, "pool_mode = transaction", "pool_mode = transactions", "pool_mode"),
    (POOLER, "default_pool_size", "default_pol_size", "default_pol_size"),
    (POOLER, "admin_users = pgbouncer_admin", "admin_users = nobody_there", "console"),
    (USERS, '"pgbouncer_admin" "CHANGE_ME_TOO"', "", "console"),
    (AWS, "db.r6g.large", "db.r6g.huge", "db.r6g.huge"),
]


@pytest.fixture
def refusal(checker, deploy, tmp_path, lacks):
    """Tries a file with other lines; returns what its validators say, which is nothing when they accept it."""

    def ask(file, changes):
        shutil.copytree(deploy, tmp_path, dirs_exist_ok=True)
        path = tmp_path / file
        text = path.read_text()
        for right, wrong in changes.items():
            assert right in text
            text = text.replace(right, wrong, 1)
        path.write_text(text)
        checks = [check for check in checker.CHECKS if path in tmp_path.glob(check.files)]
        verdicts = [checker.verdict(check, path, strict=False) for check in (*checks, checker.EVERY_FILE)]
        for word, _ in verdicts:
            if word.startswith("skipped"):
                lacks(word.partition("machine: ")[2])
        return "\n".join(reason for _, reason in verdicts)

    return ask


@pytest.mark.slow  # cfn-lint takes a few seconds a run
def test_every_file_passes(checker, capsys):
    """A deployment that its own tools refuse is found out at the worst time, on the server."""
    code = checker.main()
    told = capsys.readouterr()
    assert code == 0, told.err
    assert "systemd/aragora.service" in told.out


@pytest.mark.parametrize(
    ("file", "right", "wrong", "told"),
    [
        pytest.param(*each, marks=[pytest.mark.slow] if each[0] == AWS else [], id=f"{each[0]}: {each[3]}")
        for each in BROKEN
    ],
)
def test_what_is_broken_is_refused(refusal, file, right, wrong, told):
    """A validator that says ok to everything is worse than none: the table it prints is believed."""
    assert told in refusal(file, {right: wrong})


@pytest.mark.slow
def test_a_broken_template_is_refused(refusal):
    """A property that does not exist, a reference to nothing and a value of another type: each is said."""
    said = refusal(AWS, {right: wrong for right, (wrong, _) in SLIPS.items()})
    for right, (_, told) in SLIPS.items():
        assert told in said, right


def test_a_file_that_nobody_checks(checker, tmp_path, capsys):
    """A new kind of file would slip in unchecked, below a table that looks complete."""
    (tmp_path / "compose.yaml").write_text("services: {}\n")
    assert checker.main(tmp_path) == 1
    assert "compose.yaml: no validator looks at it" in capsys.readouterr().err


def test_an_empty_folder(checker, tmp_path):
    """A wrong path must not pass because there was nothing to complain about."""
    assert checker.main(tmp_path) == 1


@pytest.mark.parametrize("strict", [False, True])
def test_a_validator_that_is_not_here(checker, deploy, tmp_path, monkeypatch, capsys, strict):
    """On a laptop without systemd the rest is checked all the same; in CI nothing may go unchecked in silence."""
    shutil.copytree(deploy / "systemd", tmp_path / "systemd")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert checker.main(tmp_path, strict=strict) == int(strict)
    said = capsys.readouterr().out
    assert ("MISSING" if strict else "skipped") in said
    assert "not on this machine: systemd-analyze" in said
