"""Doctor itself: settings that cannot be used, checks that break or hang, and the table that the guide shows."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from aragora_db.cli import main
from aragora_db.config import Settings
from aragora_db.operate.doctor.check import DoctorCheck, Fault, run_check
from aragora_db.operate.doctor.checklist import checks, guide
from aragora_db.operate.doctor.context import DoctorContext

SECRET = "Zk9-secret"  # noqa: S105 -- what no report may show


def test_settings_that_cannot_be_used(monkeypatch, doctor_command):
    """The most likely fault of all must not end doctor itself."""
    monkeypatch.setenv("ARAGORA_DB_POOL_SIZE", "many")
    monkeypatch.setenv("DATABASE_URL", f"mysql://ann:{SECRET}@db.example/arena")
    code, printed = doctor_command(Settings, "--json")
    document = json.loads(printed)
    first = document["findings"][0]
    assert code == 1
    assert document["healthy"] is False
    assert (first["name"], first["level"]) == ("settings-refused", "error")
    assert "ARAGORA_DB_POOL_SIZE" in first["says"]
    assert "DATABASE_URL" in first["says"]
    assert {finding["level"] for finding in document["findings"][1:]} == {"skipped"}
    assert SECRET not in printed


def test_a_variable_that_nothing_reads(monkeypatch, doctor_command):
    """A pool of the default size, and nobody knows why; Aragora's own variables are none of our business."""
    monkeypatch.setenv("ARAGORA_DB_POOL_SIZ", SECRET)
    monkeypatch.setenv("ARAGORA_API_KEY", "x")
    monkeypatch.setenv("DATABASE_URL", "sqlite://")
    code, printed = doctor_command(Settings, "--json")
    found = [each for each in json.loads(printed)["findings"] if each["name"] == "misspelt-variable"]
    assert code == 0
    assert [each["level"] for each in found] == ["warn"]
    assert found[0]["mend"].startswith("rename ARAGORA_DB_POOL_SIZ to ARAGORA_DB_POOL_SIZE,")
    assert SECRET not in printed


def test_the_secrets_manager_without_its_package(monkeypatch, examine):
    """An image without the extra fails at start with an import error that names no package to install."""
    monkeypatch.setattr("aragora_db.operate.doctor.configuration.find_spec", lambda _name: None)
    report = examine(redis_url="redis://127.0.0.1:1", database_url="sqlite://")
    assert report["extra-missing"].fix == "pip install 'aragora_db[redis]'"
    assert report["redis-settings"].level == "skipped"


@pytest.fixture
def context():
    """An context of nothing."""
    with DoctorContext(Settings.explicit) as made:
        yield made


def test_a_check_that_breaks_is_a_finding(context):
    """A traceback hides the other forty checks, and a driver's text quotes the connection string."""

    def broken(_context):
        raise RuntimeError(SECRET)

    [found] = run_check(DoctorCheck("one", "One?", broken), context, ())
    assert (found.level, found.name, found.check) == ("error", "could-not-be-checked", "one")
    assert "RuntimeError" in found.message
    assert SECRET not in found.message


def test_a_check_that_hangs_is_a_finding(context):
    """A firewall that drops everything must not hold the report up for ever."""
    release = threading.Event()

    def hanging(_context):
        release.wait(60)
        yield from ()

    [found] = run_check(DoctorCheck("one", "One?", hanging, seconds=0.05), context, ())
    release.set()
    assert found.name == "could-not-be-checked"
    assert "0.05 s" in found.message


def test_what_a_check_found_before_it_broke_is_kept(context):
    """Half a finding may be the cause of the other half."""
    fault = Fault("two", "warn", "Two.", "echo {what}")

    def breaking(_context):
        yield fault.found("there is two", what="two")
        raise RuntimeError

    first, second = run_check(DoctorCheck("one", "One?", breaking), context, ())
    assert (first.name, first.fix) == ("two", "echo two")
    assert second.name == "could-not-be-checked"


def test_names_are_unique_and_needs_come_first():
    """A check that needs a later one would always be tried too early."""
    names = [check.name for check in checks()]
    assert len(names) == len(set(names))
    for number, check in enumerate(checks()):
        assert set(check.needs) <= set(names[:number]), check.name
    meanings: dict[str, Fault] = {}
    for check in checks():
        for fault in check.faults:
            assert meanings.setdefault(fault.name, fault) is fault, f"{fault.name} has two meanings"


def test_every_fault_is_provoked():
    """A fault that no test has ever seen may be one that doctor does not see either."""
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    faults = {fault.name for check in checks() for fault in check.faults}
    assert [name for name in sorted(faults) if f'"{name}"' not in tests] == []


def test_the_guide_shows_the_table():
    """A finding that the guide does not name sends its reader to the source."""
    page = (Path(__file__).parents[2] / "docs/guide/doctor.md").read_text()
    assert page.endswith(guide() + "\n"), (
        "docs/guide/doctor.md has to end with the table of aragora_db/operate/doctor/table.py"
    )


def test_the_program_has_the_command(monkeypatch, fresh_databases, capsys):
    """The command of the guide, as it is typed."""
    monkeypatch.setenv("DATABASE_URL", fresh_databases.url("sqlite"))
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--json"])
    assert ended.value.code == 0
    assert json.loads(capsys.readouterr().out)["healthy"] is True
