"""What a stranger installs: the wheel, built from the sdist, in a virtual environment that knows no checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INSIDE = "aragora_db/migrations/alembic"

pytestmark = pytest.mark.slow


def run(*command, cwd, **environment):
    """Run a command without this machine's settings; its output, and a failure that shows it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ARAGORA_", "PYTHON"))}
    kept.pop("DATABASE_URL", None)
    done = subprocess.run(command, cwd=cwd, env=kept | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel that ``python -m build`` makes: first the sdist, then the wheel out of it. No network is used."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT), cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A virtual environment with the wheel in it; the dependencies are lent by the one that runs this test."""
    folder = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "venv", "--without-pip", str(folder), cwd=folder)
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", "--quiet")
    run(*pip, str(wheel), cwd=folder)
    # A folder named in a .pth is searched, but the .pth files in it are not read: the editable checkout stays unseen.
    site_packages = run(str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()
    (Path(site_packages) / "lent.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return folder / "bin"


def test_the_wheel_holds_what_it_needs(wheel):
    """A wheel without its revisions migrates nothing, and one without py.typed is untyped to everybody."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        entry_points = archive.read(next(name for name in names if name.endswith("entry_points.txt"))).decode()
    revisions = {f"{INSIDE}/versions/{path.name}" for path in (ROOT / "alembic" / "versions").glob("*.py")}
    assert revisions
    needed = {f"{INSIDE}/{name}" for name in ("env.py", "script.py.mako", "released.sha256")} | {"aragora_db/py.typed"}
    assert (revisions | needed) - names == set()
    assert "aragora-db = aragora_db.cli:main" in entry_points
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"aragora_db"}
    assert [name for name in names if "test_" in name or "__pycache__" in name] == []


def test_migrate_away_from_the_checkout(installed, tmp_path):
    """The first minute of every user: an empty folder, of any name, and one command."""
    folder = tmp_path / "empty 100%"
    folder.mkdir()
    where = run(str(installed / "python"), "-c", "import aragora_db; print(aragora_db.__file__)", cwd=folder)
    assert Path(where.strip()).is_relative_to(installed.parent)
    run(str(installed / "aragora-db"), "migrate", cwd=folder)
    assert (folder / ".nomic" / "aragora.db").is_file()
    found = json.loads(run(str(installed / "aragora-db"), "status", "--json", cwd=folder))
    newest = max(path.stem for path in (ROOT / "alembic" / "versions").glob("*.py"))
    assert (found["verdict"], found["current"], found["good"]) == ("at head", newest, True)
    assert [path.name for path in folder.iterdir()] == [".nomic"]
