"""The template has every row of the guide's two tables, and the parameter group says what postgresql.conf says."""

from __future__ import annotations

import json

import pytest
from cfnlint.decode.cfn_yaml import load

POSTGRESQL = [
    ("Engine", "Database", {"Engine": "postgres", "EngineVersion": {"Ref": "DatabaseVersion"}}),
    ("Instance type", "Database", {"DBInstanceClass": {"Fn::If": ["IsProduction", "db.r6g.large", "db.t4g.medium"]}}),
    ("Storage", "Database", {"AllocatedStorage": "100", "StorageType": "gp3", "MaxAllocatedStorage": 500}),
    ("Multi-AZ", "Database", {"MultiAZ": True}),
    ("Subnet group", "Database", {"DBSubnetGroupName": {"Ref": "DatabaseSubnets"}, "PubliclyAccessible": False}),
    ("Subnet group", "DatabaseSubnets", {"SubnetIds": {"Ref": "PrivateSubnetIds"}}),
    ("Security group", "Database", {"VPCSecurityGroups": [{"Fn::GetAtt": ["DatabaseSecurityGroup", "GroupId"]}]}),
    ("Parameter group", "Database", {"DBParameterGroupName": {"Ref": "DatabaseParameters"}}),
    ("Encryption at rest", "Database", {"StorageEncrypted": True, "KmsKeyId": {"Fn::GetAtt": ["Key", "Arn"]}}),
    ("Backups", "Database", {"BackupRetentionPeriod": 7, "PreferredBackupWindow": "03:00-04:00"}),
    ("Database name", "Database", {"DBName": "aragora"}),
    ("Master user", "Database", {"MasterUsername": "aragora"}),
]
REDIS = [
    ("Engine", "Redis", {"Engine": "redis", "EngineVersion": "7.1"}),
    ("Node type", "Redis", {"CacheNodeType": {"Fn::If": ["IsProduction", "cache.r6g.large", "cache.t4g.medium"]}}),
    ("Cluster mode", "Redis", {"ClusterMode": "disabled", "NumNodeGroups": 1}),
    ("Replicas", "Redis", {"ReplicasPerNodeGroup": 1, "AutomaticFailoverEnabled": True}),
    ("Multi-AZ", "Redis", {"MultiAZEnabled": True}),
    ("Subnet group", "Redis", {"CacheSubnetGroupName": {"Ref": "RedisSubnets"}}),
    ("Subnet group", "RedisSubnets", {"SubnetIds": {"Ref": "PrivateSubnetIds"}}),
    ("Security group", "Redis", {"SecurityGroupIds": [{"Fn::GetAtt": ["RedisSecurityGroup", "GroupId"]}]}),
    ("Encryption", "Redis", {"TransitEncryptionEnabled": True, "TransitEncryptionMode": "required"}),
    ("Encryption", "Redis", {"AtRestEncryptionEnabled": True, "KmsKeyId": {"Fn::GetAtt": ["Key", "Arn"]}}),
    ("Parameter group", "Redis", {"CacheParameterGroupName": {"Ref": "RedisParameters"}}),
    ("Parameter group", "RedisParameters", {"Properties": {"maxmemory-policy": "allkeys-lru"}}),
    ("Backup", "Redis", {"SnapshotRetentionLimit": 3, "SnapshotWindow": "03:00-04:00"}),
]
CHECKLIST = [
    ("Health check", "TargetGroup", {"HealthCheckPath": {"Ref": "HealthCheckPath"}, "Matcher": {"HttpCode": "200"}}),
    ("Both instances", "TargetGroup", {"Targets": [{"Id": {"Ref": "InstanceA"}}, {"Id": {"Ref": "InstanceB"}}]}),
    ("Not deleted by a slip", "Database", {"DeletionProtection": True}),
]


@pytest.fixture(scope="module")
def template(deploy):
    """The template, as cfn-lint reads it."""
    return load(str(deploy / "aws/shared-state.yaml"))


@pytest.mark.parametrize(("row", "resource", "expected"), POSTGRESQL + REDIS + CHECKLIST, ids=str)
def test_a_row_of_the_guide(template, row, resource, expected):
    """A row that was left out is a database without backups, or a Redis that anybody may read."""
    properties = template["Resources"][resource]["Properties"]
    assert {name: properties.get(name) for name in expected} == expected, row


def test_the_load_balancer_asks_for_liveness(template):
    """The guide's checklist says /healthz; another default would take both instances out with the database."""
    assert template["Parameters"]["HealthCheckPath"]["Default"] == "/healthz"


@pytest.mark.parametrize(("group", "port"), [("DatabaseSecurityGroup", 5432), ("RedisSecurityGroup", 6379)])
def test_only_the_instances_may_connect(template, group, port):
    """One more rule, or a CIDR instead of a group, opens the database to the rest of the network."""
    [rule] = template["Resources"][group]["Properties"]["SecurityGroupIngress"]
    assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) == ("tcp", port, port)
    assert rule["SourceSecurityGroupId"] == {"Ref": "InstanceSecurityGroupId"}
    assert not {"CidrIp", "CidrIpv6", "SourcePrefixListId"} & rule.keys()
    others = [each for each in template["Resources"].values() if each["Type"] == "AWS::EC2::SecurityGroupIngress"]
    assert all(each["Condition"] == "Rotates" for each in others)  # the password's rotation, off by default


def test_passwords_come_from_secrets_manager(template):
    """A password in the template, or in a parameter, is in the history of the stack for everybody to read."""
    resources = template["Resources"]
    database = resources["Database"]["Properties"]["MasterUserPassword"]
    redis = resources["Redis"]["Properties"]["AuthToken"]
    assert database == {"Fn::Sub": "{{resolve:secretsmanager:${DatabaseSecret}:SecretString:password}}"}
    assert redis == {"Fn::Sub": "{{resolve:secretsmanager:${RedisAuthSecret}:SecretString:token}}"}
    generated = [
        resources[name]["Properties"]["GenerateSecretString"] for name in ("DatabaseSecret", "RedisAuthSecret")
    ]
    assert all(each["PasswordLength"] >= 40 and each["ExcludePunctuation"] for each in generated)


def test_the_secrets_are_what_aragora_reads(template):
    """A URL with a wrong scheme, or a property that nobody reads, is found at the first start of both instances."""
    from aragora_db.config import Settings  # noqa: PLC0415 -- after cfn-lint, whose import is slow already
    from aragora_db.config.resolve import resolve  # noqa: PLC0415
    from aragora_db.config.secrets.source import read_secret  # noqa: PLC0415

    resources = template["Resources"]
    text, parts = resources["AragoraSecret"]["Properties"]["SecretString"]["Fn::Sub"]
    for name, value in {**dict.fromkeys(parts, "host"), "Port": "6379"}.items():
        text = text.replace(f"${{{name}}}", value)
    text = text.replace("{{resolve:secretsmanager:${RedisAuthSecret}:SecretString:token}}", "token")
    assert read_secret(text, "aragora/production") == {"ARAGORA_REDIS_URL": "rediss://:token@host:6379"}

    generated = json.loads(resources["DatabaseSecret"]["Properties"]["GenerateSecretString"]["SecretStringTemplate"])
    attached = {"engine": "postgres", "host": "h.example.com", "port": 5432, "dbname": "aragora"}
    values = read_secret(json.dumps({**generated, "password": "p", **attached}), "aragora/production/database")
    dsn = resolve(Settings.explicit(database_url=values["DATABASE_URL"]))
    assert {"user": "aragora", "sslmode": "verify-full", "dbname": "aragora"}.items() <= dsn.parameters.items()
    names = {resources[each]["Properties"]["Name"]["Fn::Sub"] for each in ("AragoraSecret", "DatabaseSecret")}
    assert names == {"aragora/${Stage}", "aragora/${Stage}/database"}


def test_what_holds_data_outlives_the_stack(template):
    """A stack is deleted in a minute; without this the database, its key and its password are gone with it."""
    for name in ("Key", "DatabaseSecret", "RedisAuthSecret", "AragoraSecret", "Database", "Redis"):
        resource = template["Resources"][name]
        assert resource["DeletionPolicy"] in {"Retain", "Snapshot"}, name
        assert resource["UpdateReplacePolicy"] == resource["DeletionPolicy"], name


def test_the_parameter_group_is_postgresql_conf(template, deploy, effective):
    """RDS takes bare numbers in units of its own; a slip by 8192 is a server that does not start."""
    settings = effective(deploy / "postgres/postgresql.conf")
    parameters = dict(template["Resources"]["DatabaseParameters"]["Properties"]["Parameters"])
    assert parameters.pop("rds.force_ssl") == "1"
    # RDS knows these not, or not as freely.
    for name in ("log_line_prefix", "log_timezone"):
        settings.pop(name)
    page, memory = 8192, 16 * 1024**3
    for name in ("shared_buffers", "effective_cache_size"):
        divisor = int(parameters.pop(name).removeprefix("{DBInstanceClassMemory/").removesuffix("}"))
        assert memory // divisor == pytest.approx(int(settings.pop(name)), rel=1e-3), name
        assert memory // divisor * page < memory
    switches = {"on": "1", "off": "0"}
    assert parameters == {name: switches.get(value, value) for name, value in settings.items()}
