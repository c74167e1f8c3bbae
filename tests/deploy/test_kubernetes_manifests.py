"""The manifests fit together: what one names another one defines, and the pools fit into the server."""

from __future__ import annotations

import re

import pytest

from aragora_db.config.budget import connection_budget


@pytest.fixture(scope="module")
def manifests(deploy, checker):
    """Every document below deploy/k8s, by kind and name."""
    files = sorted((deploy / "k8s").rglob("*.yaml"))
    found = [each for file in files for each in checker.kubernetes.documents(file)]
    return {(each["kind"], each["metadata"]["name"]): each for each in found}


@pytest.fixture(scope="module")
def pods(manifests):
    """The pod of everything that has one, by name."""
    return {
        name: each["spec"]["template"]
        for (_, name), each in manifests.items()
        if isinstance(each.get("spec"), dict) and "template" in each["spec"]
    }


def test_every_reference_leads_somewhere(manifests, checker):
    """A pod whose ConfigMap or Secret does not exist hangs in CreateContainerConfigError without a log."""
    defined = {name for kind, name in manifests if kind == "ConfigMap"}
    secrets = {each["spec"]["target"]["name"] for (kind, _), each in manifests.items() if kind == "ExternalSecret"} | {
        "aragora-secrets"
    }  # made by hand, for the PostgreSQL inside the cluster; statefulset.yaml says how
    for each in checker.kubernetes.mappings(list(manifests.values())):
        assert each.get("configMapRef", {}).get("name") in {*defined, None}
        assert each.get("configMap", {}).get("name") in {*defined, None}
        for reference in ("secretRef", "secretKeyRef"):
            assert each.get(reference, {}).get("name") in {*secrets, None}


def test_selectors_find_their_pods(manifests, pods):
    """A Service with a label that no pod has refuses every connection, and no validator sees it."""
    labels = [pod["metadata"]["labels"] for pod in pods.values()]
    for (kind, name), each in manifests.items():
        spec = each.get("spec", {})
        selector = spec.get("selector") if kind == "Service" else spec.get("selector", spec.get("podSelector"))
        wanted = (selector or {}).get("matchLabels", selector or {})
        assert kind == "ConfigMap" or any(wanted.items() <= each.items() for each in labels), (kind, name)


def test_ports_that_are_named_exist(manifests, pods):
    """A probe or a Service that names a port which no container has never succeeds."""
    ports = {port["name"] for pod in pods.values() for c in pod["spec"]["containers"] for port in c.get("ports", [])}
    used = set(re.findall(r"'(?:port|targetPort)': '(\w+)'", str(manifests)))
    assert used == {"http", "postgresql"} == ports


@pytest.mark.parametrize("name", ["aragora", "aragora-migrate", "postgres"])
def test_pods_are_hardened(pods, name):
    """What the restricted standard asks for; without it many clusters refuse the pod."""
    pod = pods[name]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False  # or a Service's variables could look like our settings
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]
        assert not container["image"].endswith(":latest")


def test_probes_ask_the_right_questions(pods):
    """Liveness that asks the database restarts every pod when the database is away, and mends nothing."""
    [container] = pods["aragora"]["spec"]["containers"]
    probes = {name: container[name]["httpGet"]["path"] for name in container if name.endswith("Probe")}
    assert probes == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}


def test_the_pools_fit_during_a_rolling_update(manifests, deploy, effective):
    """The one pod more of an update is the one whose connections are refused, in the middle of a deployment."""
    spec = manifests["Deployment", "aragora"]["spec"]
    settings = manifests["ConfigMap", "aragora-config"]["data"]
    rolling = spec["strategy"]["rollingUpdate"]
    assert rolling["maxUnavailable"] == 0
    assert int(settings["ARAGORA_INSTANCES"]) == spec["replicas"] + rolling["maxSurge"]
    server = effective(deploy / "k8s/postgres/configmap.yaml")
    for pools in (1, 2):  # also with threads and an event loop in each pod
        budget = connection_budget(
            instances=int(settings["ARAGORA_INSTANCES"]),
            pools=pools,
            pool_size=int(settings["ARAGORA_DB_POOL_SIZE"]),
            max_overflow=int(settings["ARAGORA_DB_POOL_MAX_OVERFLOW"]),
            max_connections=int(server["max_connections"]),
            superuser_reserved=int(server["superuser_reserved_connections"]),
        )
        assert budget.fits, budget.advice


def test_the_server_inside_is_set_as_the_one_outside(deploy, effective):
    """Two copies of the same settings drift apart unless something holds them together."""
    inside = effective(deploy / "k8s/postgres/configmap.yaml")
    outside = effective(deploy / "postgres/postgresql.conf")
    smaller = {"shared_buffers", "effective_cache_size", "work_mem", "maintenance_work_mem", "max_wal_size"}
    assert inside.pop("listen_addresses") == "*"
    assert {name for name in inside.keys() | outside.keys() if inside.get(name) != outside.get(name)} == smaller
    assert all(int(inside[name]) < int(outside[name]) for name in smaller)
