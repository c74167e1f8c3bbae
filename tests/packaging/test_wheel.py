"""What a stranger installs: the wheel, built from the sdist, in a virtual environment that knows no checkout."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import zipfile
from contextlib import closing
from pathlib import Path

import pytest
import support

from aragora_db import Database

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
INSIDE = "aragora_db/migrations/alembic"


def run(*command, cwd):
    """Run a command without this machine's settings; its output, and a failure that shows it."""
    kept = {name: value for name, value in support.clean_environment().items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        command, cwd=cwd, env=kept, capture_output=True, text=True, check=False, timeout=support.HANG_SECONDS
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def build(folder):
    """Build a wheel with ``python -m build``: first the sdist, then the wheel out of it. No network is used."""
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT), cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


def install(wheel, folder):
    """Make a virtual environment with the wheel in it; the dependencies are lent by the one that runs this test."""
    run(sys.executable, "-m", "venv", "--without-pip", str(folder), cwd=folder)
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", "--quiet")
    run(*pip, "--no-compile", str(wheel), cwd=folder)
    # A folder named in a .pth is searched, but the .pth files in it are not read: the editable checkout stays unseen.
    site_packages = run(str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()
    (Path(site_packages) / "lent.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return folder / "bin"


@pytest.mark.slow
def test_the_wheel(tmp_path):
    """One test, so that one worker builds one wheel: it holds what it needs, and works away from the checkout."""
    for name in ("dist", "installed"):
        (tmp_path / name).mkdir()
    wheel = build(tmp_path / "dist")
    it_holds_what_it_needs(wheel)
    it_migrates(install(wheel, tmp_path / "installed"), tmp_path)


def it_holds_what_it_needs(wheel):
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


def it_migrates(installed, tmp_path):
    """The first minute of every user: an empty folder, of any name, and one command."""
    folder = tmp_path / "empty 100%"
    folder.mkdir()
    where = run(str(installed / "python"), "-c", "import aragora_db; print(aragora_db.__file__)", cwd=folder)
    assert Path(where.strip()).is_relative_to(installed.parent)
    run(str(installed / "aragora-db"), "migrate", cwd=folder)
    assert (folder / ".nomic" / "aragora.db").is_file()
    with closing(Database(f"sqlite:///{folder / '.nomic' / 'aragora.db'}")) as database:
        assert database.schema_verdict() == "at head"
    assert [path.name for path in folder.iterdir()] == [".nomic"]
