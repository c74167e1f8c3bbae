"""The unit starts what exists, and the drop-in has the guide's settings without the guide's faults."""

from __future__ import annotations

import re
import shlex

import pytest
import typer.main

from aragora_db.cli.app import app
from aragora_db.config.budget import connection_budget
from aragora_db.operate.health.serve import FINISH_SECONDS

GUIDE = {
    "ARAGORA_DB_BACKEND": "postgresql",
    "ARAGORA_DB_POOL_SIZE": "20",
    "ARAGORA_DB_POOL_MAX_OVERFLOW": "15",
    "ARAGORA_DB_COMMAND_TIMEOUT": "60",
    "ARAGORA_DB_STATEMENT_TIMEOUT": "60",
    "ARAGORA_DB_POOL_RECYCLE": "1800",
    "ARAGORA_REQUIRE_DISTRIBUTED": "true",
    "ARAGORA_MULTI_INSTANCE": "true",
    "ARAGORA_SINGLE_INSTANCE": "false",
    "ARAGORA_ENV": "production",
}


@pytest.fixture(scope="module")
def unit(deploy):
    """The unit's directives; of those that come several times, the last."""
    text = (deploy / "systemd/aragora.service").read_text()
    return dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))


@pytest.fixture(scope="module")
def drop_in(deploy):
    """The drop-in's variables."""
    text = (deploy / "systemd/aragora.service.d/shared-state.conf").read_text()
    return dict(re.findall(r'^Environment="(\w+)=(.*)"$', text, re.MULTILINE))


@pytest.mark.parametrize("directive", ["ExecStartPre", "ExecStart"])
def test_it_starts_what_exists(unit, directive):
    """An option that the command does not have ends the service before it listens."""
    program, command, *arguments = shlex.split(unit[directive])
    assert program == "/opt/aragora/.venv/bin/aragora-db"
    commands = typer.main.get_command(app).commands
    commands[command].make_context(command, arguments)  # parses, and runs nothing


def test_nothing_is_killed_before_it_has_finished(unit, deploy, checker):
    """A time to stop that is shorter than the drain turns every deployment into a few lost requests."""
    serve = typer.main.get_command(app).commands["serve"]
    options = serve.make_context("serve", shlex.split(unit["ExecStart"])[2:]).params
    assert options["drain_seconds"] + FINISH_SECONDS < int(unit["TimeoutStopSec"])
    deployment, _budget = checker.kubernetes.documents(deploy / "k8s/deployment.yaml")
    pod = deployment["spec"]["template"]["spec"]
    options = serve.make_context("serve", pod["containers"][0]["args"][2:]).params
    assert options["drain_seconds"] + FINISH_SECONDS < pod["terminationGracePeriodSeconds"]
    probe = pod["containers"][0]["readinessProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] < options["drain_seconds"]


def test_the_drop_in_has_what_the_guide_has(drop_in):
    """The guide's readers compare line by line; a setting that is missing is one instance that differs."""
    assert GUIDE.items() <= drop_in.items()


def test_no_secret_in_what_everybody_may_read(deploy, drop_in):
    """`systemctl show` prints Environment= to every user of the machine."""
    assert not {"DATABASE_URL", "ARAGORA_REDIS_URL", "ARAGORA_HEALTH_TOKEN"} & drop_in.keys()
    example = (deploy / "aragora.env.example").read_text()
    assert {"DATABASE_URL", "ARAGORA_REDIS_URL"} <= set(re.findall(r"^(\w+)=", example, re.MULTILINE))
    assert "-m 0600" in example


def test_the_instances_fit_into_the_server(drop_in, deploy, effective):
    """The guide's 70 for each instance against 1600 on the server; it is 35, and 200."""
    server = effective(deploy / "postgres/postgresql.conf")
    for pools in (1, 2):
        budget = connection_budget(
            instances=int(drop_in["ARAGORA_INSTANCES"]),
            pools=pools,
            pool_size=int(drop_in["ARAGORA_DB_POOL_SIZE"]),
            max_overflow=int(drop_in["ARAGORA_DB_POOL_MAX_OVERFLOW"]),
            max_connections=int(server["max_connections"]),
            superuser_reserved=int(server["superuser_reserved_connections"]),
        )
        assert (budget.per_instance, budget.fits) == (35 * pools, True)
