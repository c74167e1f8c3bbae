"""Writing a revision: its name, its template, and the words it is written in."""

from __future__ import annotations

import re
from enum import StrEnum

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from aragora_db import Settings, types
from aragora_db.cli import main
from aragora_db.engine import Target
from aragora_db.errors import UsageError
from aragora_db.migrations import lint, scripts, vocabulary
from aragora_db.migrations.create import create_revision
from aragora_db.migrations.render import render_item
from aragora_db.migrations.upgrade import migrate
from aragora_db.types import vector

HEAD = scripts.head()


class Mood(StrEnum):
    """For the type that needs one."""

    CALM = "calm"


PAIRS = {
    types.Text(): vocabulary.text(),
    types.Key(): vocabulary.text(),
    types.EnumText(Mood): vocabulary.text(),
    types.Integer(): vocabulary.bigint(),
    types.Double(): vocabulary.double(),
    types.Boolean(): vocabulary.boolean(),
    types.UtcDateTime(): vocabulary.utc(),
    types.Json(): vocabulary.json(),
    types.Blob(): vocabulary.blob(),
    vector.Vector(): vocabulary.vector(),
}


@pytest.fixture
def url(fresh_databases) -> str:
    """A SQLite at head: nothing here depends on the dialect."""
    return fresh_databases.url("sqlite")


@pytest.fixture
def target(url) -> Target:
    """The same, as a target."""
    return Target.of(Settings.explicit(database_url=url))


@pytest.mark.parametrize("dialect_module", [sqlite, postgresql])
@pytest.mark.parametrize(("model", "word"), PAIRS.items(), ids=lambda value: type(value).__name__)
def test_a_word_makes_the_column_of_its_type(model, word, dialect_module):
    """Where they part, a new installation and a migrated one have different columns under one name."""

    def ddl(type_) -> str:
        column = sa.schema.CreateColumn(sa.Column("c", type_, nullable=False))
        return str(column.compile(dialect=dialect_module.dialect()))

    assert ddl(word) == ddl(model)


def test_every_type_has_a_word():
    """A type that autogenerate cannot say would be written as an import of `aragora_db.types`, which moves on."""
    names = [(module, name) for module in (types, vector) for name in module.__all__]
    ours = {getattr(module, name) for module, name in names if isinstance(getattr(module, name), type)}
    assert {each for each in ours if issubclass(each, sa.types.TypeEngine)} == {type(model) for model in PAIRS}


def test_types_that_are_not_ours_are_left_to_alembic():
    """A wrong word for somebody else's type would be worse than none."""
    assert render_item("type", sa.Date(), None) is False


@pytest.mark.parametrize(
    ("message", "stem"),
    [
        ("Add votes", r"\d{8}_add_votes"),
        ("  What's new, in 2 words?! ", r"\d{8}_what_s_new_in_2_words"),
        ("ÄÖ and a", r"\d{8}_and_a"),
        ("a" * 200, r"\d{8}_a{60}"),
    ],
)
def test_the_file_is_named_by_date_and_message(message, stem, target, revisions):
    """The file's stem is the revision id; the guides type it into `migrate --version`."""
    path = create_revision(target, message)
    assert re.fullmatch(stem, path.stem)
    assert path == revisions.path(path.stem)
    assert scripts.head() == path.stem
    assert f"revision = '{path.stem}'\ndown_revision = '{HEAD}'\n" in path.read_text()


def test_both_commands_write_the_same_file(url, revisions, alembic, capsys):
    """People type `alembic revision -m` from habit; a file named by a hash would sort anywhere."""
    alembic(url, "revision", "-m", "add votes", config=revisions.ini)
    revisions.refresh()
    path = revisions.path(scripts.head())
    by_alembic = path.read_text().replace('"', "'")
    revisions.remove(path.stem)
    with pytest.raises(SystemExit) as ended:
        main(["revision", "-m", "add votes"])
    printed = capsys.readouterr()
    assert ended.value.code == 0
    assert printed.out == f"{path}\n"
    assert "aragora-db migrate" in printed.err
    assert path.read_text().replace('"', "'") == by_alembic


@pytest.mark.parametrize("arguments", [["-m", "add votes"], ["-m", "x", "--rev-id", "20200101_x"]])
def test_a_name_that_sorts_before_the_newest_is_refused(arguments, url, revisions, alembic):
    """It would be applied after a revision that it is listed before, and `ls` would lie about the order."""
    revisions.add("20991231_newer")
    with pytest.raises(SystemExit, match="would sort before the newest revision, 20991231_newer"):
        alembic(url, "revision", *arguments, config=revisions.ini)
    assert scripts.head() == "20991231_newer"
    assert len(list((revisions.folder / "versions").glob("*.py"))) == len(scripts.chain())


def test_our_command_refuses_such_a_name_too(target, revisions):
    """As above."""
    revisions.add("20991231_newer")
    with pytest.raises(UsageError, match="would sort before the newest revision, 20991231_newer"):
        create_revision(target, "add votes")
    with pytest.raises(UsageError, match="a letter or a digit"):
        create_revision(target, "?!")


def test_a_compensating_revision_says_what_it_reverses(target, revisions):
    """Whoever reads the history sees which two revisions cancel each other."""
    path = create_revision(target, "drop the index on tasks again", reverses="20260120_index_debates_task")
    assert "\nReverses: 20260120_index_debates_task\n" in path.read_text()
    with pytest.raises(UsageError, match="no revision 20260120_index to reverse; the newest is"):
        create_revision(target, "oops", reverses="20260120_index")
    revisions.remove(path.stem)
    assert "Reverses" not in create_revision(target, "votes").read_text()


@pytest.mark.usefixtures("revisions")
def test_a_new_file_has_no_way_back_and_does_nothing_by_itself(target):
    """An empty revision that is applied by mistake cannot be filled in later: it has been released."""
    path = create_revision(target, "add votes")
    assert "def downgrade" not in path.read_text()
    assert lint.lint() == []
    with pytest.raises(UsageError, match="not filled in"):
        migrate(target)
    assert scripts.head() == path.stem
