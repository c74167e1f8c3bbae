"""The schema's page and picture are generated; these tests keep them so."""

from __future__ import annotations

import runpy
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from aragora_db.models import Base

ROOT = Path(__file__).parents[2]
PAGE, PICTURE = (ROOT / "docs" / "reference" / f"schema.{suffix}" for suffix in ("md", "svg"))


def test_up_to_date(monkeypatch, capsys):
    """Somebody would write a query against a column or an index that the page promises and the models do not have."""
    script = ROOT / "scripts" / "generate_schema_docs.py"
    monkeypatch.setattr(sys, "argv", [str(script), "--check"])
    monkeypatch.syspath_prepend(script.parent)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(script), run_name="__main__")
    assert ended.value.code == 0, capsys.readouterr().err


def test_nothing_is_left_out():
    """A table, column or index that the generator overlooks would be missing without anybody noticing."""
    page = PAGE.read_text(encoding="utf-8")
    for table in Base.metadata.tables.values():
        section = page.partition(f"### {table.name}\n")[2].partition("\n### ")[0]
        for column in table.columns:
            assert f"\n| `{column.name}` |" in section
        for index in table.indexes:
            assert f"| {index.info['path']} | `{index.name}` |" in section


def test_every_table_and_foreign_key_is_drawn():
    """A picture without a relation says that there is none."""
    picture = ET.fromstring(PICTURE.read_text(encoding="utf-8"))  # noqa: S314 -- our own file
    texts = {element.text for element in picture.iter() if element.tag.endswith("text")}
    arrows = [element for element in picture.iter() if element.get("class") == "arrow"]
    tables = Base.metadata.tables.values()
    assert {table.name for table in tables} <= texts
    assert len(arrows) == sum(len(table.foreign_keys) for table in tables)
