"""Each rule for revision files, on a copy that breaks it."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
import support

from aragora_db.migrations import lint, scripts

HEAD = scripts.head()
NEWEST_RELEASED = list(scripts.released())[-1]
GUARD = "from aragora_db.migrations.forward_only import no_way_back as __getattr__"


def test_the_revisions_of_this_checkout_are_in_order():
    """Whoever merges a revision that breaks a rule finds out here, before anybody has applied it."""
    assert lint.lint() == []


def test_a_copy_is_in_order(revisions):
    """The other tests of this file would prove nothing if a copy were reported by itself."""
    revisions.add("20991231_newer")
    assert lint.lint() == []


def two_heads(revisions):
    """Two people followed the same revision."""
    revisions.add("20991230_mine", follows=HEAD)
    revisions.add("20991231_theirs", follows=HEAD)


def out_of_order(revisions):
    """A later revision with an earlier name."""
    revisions.add("20991231_b")
    revisions.add("20991230_a", follows="20991231_b")


def before_released(revisions):
    """A file that sorts between released ones, though it comes last in the chain."""
    revisions.add("20260119_late", follows=HEAD)


def downgrade(revisions):
    """A revision with a way back."""
    revisions.edit(revisions.add("20991231_back"), "def upgrade", "def downgrade():\n    pass\n\n\ndef upgrade")


def downgrade_without_def(revisions):
    """The same in other words."""
    revisions.edit(revisions.add("20991231_back"), "def upgrade", "downgrade = lambda: None\n\n\ndef upgrade")


def models(revisions):
    """A revision that imports a model."""
    revisions.edit(
        revisions.add("20991231_models"), "import sqlalchemy", "from aragora_db.models import Debate\nimport sqlalchemy"
    )


def models_inside(revisions):
    """A revision that imports the models inside its function."""
    revisions.add("20991231_models", "import aragora_db.models")


def models_by_package(revisions):
    """A revision that imports the package of the models."""
    revisions.add("20991231_models", "from aragora_db import models")


def no_guard(revisions):
    """A revision without the answer for ``downgrade``."""
    revisions.edit(revisions.add("20991231_bare"), GUARD + "\n", "")


def edited(revisions):
    """A released revision with a comment more."""
    revisions.edit("20260102_elo")


def gone(revisions):
    """A released revision that was squashed away: the newest, with what follows it, so that the chain still holds."""
    revisions.remove(*scripts.chain()[scripts.chain().index(NEWEST_RELEASED) :])


@pytest.mark.parametrize(
    ("break_it", "expected"),
    [
        (two_heads, r"2 heads \(20991230_mine, 20991231_theirs\)"),
        (out_of_order, "do not sort in chain order: 20991231_b comes where 20991230_a sorts"),
        (before_released, f"20260119_late sorts before {NEWEST_RELEASED}, which is released"),
        (downgrade, "20991231_back has a downgrade"),
        (downgrade_without_def, "20991231_back has a downgrade"),
        (models, "20991231_models imports the models"),
        (models_inside, "20991231_models imports the models"),
        (models_by_package, "20991231_models imports the models"),
        (no_guard, "20991231_bare lacks the import of no_way_back"),
        (edited, "20260102_elo was released and edited"),
        (gone, f"{NEWEST_RELEASED} was released and its file is gone"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_each_rule_finds_what_breaks_it(break_it, expected, revisions):
    """A rule that never fires is a rule that nobody has."""
    break_it(revisions)
    problems = lint.lint()
    assert [problem for problem in problems if re.search(expected, problem)], problems


def test_the_manifest_is_what_sha256sum_reads():
    """Anybody can check a checkout with the tool of the operating system."""
    folder = scripts.script_location()
    for line in (folder / scripts.RELEASED).read_text().splitlines():
        assert re.fullmatch(r"[0-9a-f]{64}  \d{8}_[a-z0-9_]+\.py", line)
    assert list(scripts.released()) == [stem for stem in scripts.chain() if stem in scripts.released()]
    if shutil.which("sha256sum"):
        subprocess.run(
            ["sha256sum", "--check", "--strict", "--quiet", folder / scripts.RELEASED],
            cwd=folder / "versions",
            check=True,
            timeout=support.HANG_SECONDS,
        )
