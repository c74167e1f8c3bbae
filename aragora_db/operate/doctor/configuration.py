"""What the settings say, before anything is connected to."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from aragora_db.config.guard import distributed_required
from aragora_db.config.named_dsn import names_a_database
from aragora_db.config.secrets.source import RotatingSource
from aragora_db.errors import ConfigurationError, DistributedStateError
from aragora_db.operate.doctor.check import DoctorCheck, Fault, Finding, ok
from aragora_db.operate.doctor.context import DoctorContext

__all__ = ["CHECKS"]

_AGAIN = "then ask again: aragora-db doctor"

SETTINGS_REFUSED = Fault(
    "settings-refused",
    "error",
    "A variable has a value that nothing can be done with, or two contradict each other. Every problem is named.",
    f"set the variables as the message says (docs/reference/environment.md), {_AGAIN}",
)
MISSPELT = Fault(
    "misspelt-variable",
    "warn",
    "A variable is set that nothing reads, and its name looks like one that is read: its value has no effect.",
    f"rename {{name}} to {{near}}, {_AGAIN}",
)
EXTRA_MISSING = Fault(
    "extra-missing",
    "error",
    "The settings ask for something whose Python package is not installed.",
    "pip install 'aragora_db[{extra}]'",
)
SECRETS_UNREADABLE = Fault(
    "secrets-unreadable",
    "error",
    "AWS Secrets Manager was asked and gave no usable secret in any region.",
    "aws secretsmanager get-secret-value --secret-id {secret} --region {region} --query Name",
)
SECRETS_STALE = Fault(
    "secrets-stale",
    "warn",
    "The last refresh failed; the value before it is in use, and a password that was rotated since will not arrive.",
    "aws secretsmanager describe-secret --secret-id {secret} --region {region}",
)
NO_DATABASE = Fault(
    "no-database",
    "error",
    "The settings lead to no database, or to two different ones.",
    f"set DATABASE_URL, or the variable that the message names, {_AGAIN}",
)
LOCAL_STATE = Fault(
    "local-state",
    "error",
    "State must be shared between instances here, and what is configured would keep it on one machine.",
    "set DATABASE_URL and ARAGORA_REDIS_URL on every instance, or ARAGORA_SINGLE_INSTANCE=true if it is the only one",
)


def _settings(context: DoctorContext) -> Iterator[Finding]:
    try:
        given = len(context.settings.model_fields_set)
    except ConfigurationError as error:
        yield SETTINGS_REFUSED.found(str(error))
    else:
        misspelt = context.settings.misspelt
        for name, near in misspelt.items():
            yield MISSPELT.found(f"{name} is set, and nothing reads it", name=name, near=near)
        if not misspelt:
            yield ok(f"{given} settings given, the rest are defaults")


def _extras(context: DoctorContext) -> Iterator[Finding]:
    settings = context.settings
    wanted = {
        "redis": ("redis", bool(settings.redis_url or settings.redis_sentinel_hosts or settings.redis_cluster_nodes)),
        "aws": ("boto3", settings.use_secrets_manager or settings.pg_iam_auth),
    }
    asked = [extra for extra, (_, asked_for) in wanted.items() if asked_for]
    for extra in asked:
        package = wanted[extra][0]
        if find_spec(package) is None:
            yield EXTRA_MISSING.found(f"the settings need the Python package {package}", extra=extra)
    yield ok(f"installed: {', '.join(asked)}" if asked else "the settings need no extra")


def _secrets(context: DoctorContext) -> Iterator[Finding]:
    settings = context.settings
    values = {"secret": settings.secret_name, "region": settings.aws_region}
    try:
        source = context.secrets
        if source is not None:
            source.get("DATABASE_URL")
    except ConfigurationError as error:
        yield SECRETS_UNREADABLE.found(str(error), **values)
        return
    health = source.health() if isinstance(source, RotatingSource) else {}
    if health.get("stale") or health.get("error"):
        yield SECRETS_STALE.found(
            f"the last refresh of {settings.secret_name} failed: {health.get('error') or 'it is stale'}", **values
        )
    else:
        yield ok(f"{settings.secret_name} can be read")


def _without_secrets(context: DoctorContext) -> str:
    return "" if context.settings.use_secrets_manager else "ARAGORA_USE_SECRETS_MANAGER is not true"


def _needs_secret(context: DoctorContext) -> tuple[str, ...]:
    """The secret, when the environment names no database, or no Redis where one is required."""
    settings = context.settings
    redis = settings.redis_url or settings.redis_sentinel_hosts or settings.redis_cluster_nodes
    enough = names_a_database(settings) and (redis or not distributed_required(settings))
    return ("secrets",) if settings.use_secrets_manager and not enough else ()


def _database(context: DoctorContext) -> Iterator[Finding]:
    try:
        yield ok(context.dsn.masked)
    except DistributedStateError as error:
        yield LOCAL_STATE.found(str(error))
    except ConfigurationError as error:
        yield NO_DATABASE.found(str(error))


CHECKS = (
    DoctorCheck("settings", "Can the settings be used?", _settings, (SETTINGS_REFUSED, MISSPELT)),
    DoctorCheck(
        "extras", "Are the Python packages there that they ask for?", _extras, (EXTRA_MISSING,), needs=("settings",)
    ),
    DoctorCheck(
        "secrets",
        "Can the secret in AWS Secrets Manager be read?",
        _secrets,
        (SECRETS_UNREADABLE, SECRETS_STALE),
        applies=_without_secrets,
        needs=("settings", "extras"),
        seconds=60,  # several regions, one after the other
    ),
    DoctorCheck(
        "database",
        "Which database do they lead to, and is it one that instances may share?",
        _database,
        (NO_DATABASE, LOCAL_STATE),
        needs=("settings",),
        needs_here=_needs_secret,
    ),
)
