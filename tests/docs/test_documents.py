"""What the documents say is true: examples run, links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import support

pytestmark = pytest.mark.slow

TOP = Path(__file__).parents[2]
DOCUMENTS = sorted([TOP / "README.md", TOP / "CHANGELOG.md", *(TOP / "docs").rglob("*.md")])


def test_links_lead_somewhere():
    """A dead link in the guide sends a newcomer away at the first question."""
    links = [
        (document, target)
        for document in DOCUMENTS
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text())
        if "://" not in target
    ]
    assert links
    dead = [(document.name, target) for document, target in links if not (document.parent / target).exists()]
    assert dead == []


def test_the_readme_example_runs(tmp_path):
    """The first thing that a stranger copies has to work as it stands, on a machine with no variable set."""
    [example] = re.findall(r"```python\n(.*?)```", (TOP / "README.md").read_text(), re.DOTALL)
    for _ in range(2):  # as everybody does; the second time nothing is counted again
        command = [sys.executable, "-W", "error", "-c", example]
        run = subprocess.run(
            command,
            cwd=tmp_path,
            env=support.clean_environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=support.HANG_SECONDS,
        )
        assert run.returncode == 0, run.stderr
        assert run.stdout.splitlines() == [
            "{'ada': 16.0, 'bob': -16.0}",
            "[('ada', 1516.0), ('bob', 1484.0)]",
            "['Quorum beats retry under partition.']",
            "ada",
        ]
    assert (tmp_path / ".nomic" / "aragora.db").exists()


def test_the_examples_of_the_stores_run(tmp_path):
    """Each block of the guide, one after the other in one program, on a machine with no variable set."""
    blocks = re.findall(r"```python\n(.*?)```", (TOP / "docs/guide/stores.md").read_text(), re.DOTALL)
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(blocks)],
        cwd=tmp_path,
        env=support.clean_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=support.HANG_SECONDS,
    )
    assert blocks
    assert run.returncode == 0, run.stderr


def test_every_decision_is_listed():
    """A decision that the index does not name is never read again."""
    index = (TOP / "docs/decisions/README.md").read_text()
    for decision in (TOP / "docs/decisions").glob("0*.md"):
        assert decision.name in index
