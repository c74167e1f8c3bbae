"""Our models in an application's own sessions, and an application's own models beside ours."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from aragora_db.errors import UniqueViolation
from aragora_db.models import ContinuumKeywords, ContinuumMemory


class TheirBase(DeclarativeBase):
    """Of an application."""


class TheirMemory(TheirBase):
    """A table that is called like ours, in another database."""

    __tablename__ = "continuum_memory"
    id: Mapped[str] = mapped_column(primary_key=True)
    content: Mapped[str]


def words(session):
    """The words of each memory."""
    return dict(session.execute(sa.select(ContinuumKeywords.owner_id, ContinuumKeywords.words)).all())


def test_their_models_are_left_alone(tmp_path):
    """A flush of theirs must not look for a table of ours, nor note anything on their session."""
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'theirs.db'}")
    TheirBase.metadata.create_all(engine)
    statements = []
    sa.event.listen(engine, "before_cursor_execute", lambda *found: statements.append(found[2].split()[0]))
    with Session(engine) as session:
        session.add(TheirMemory(id="m", content="Quorum"))
        session.commit()
        assert not session.info
    engine.dispose()
    assert statements == ["INSERT"]


def test_our_models_are_indexed_in_any_session(database):
    """An application's own session class would fill a table that no search looks into."""

    def work(session):
        with Session(session.connection()) as own:
            own.add_all([ContinuumMemory(id="a", content="First"), ContinuumMemory(id="b", content="Second")])
            own.flush()
            assert words(own) == {"a": "first", "b": "second"}
            own.get_one(ContinuumMemory, "b").content = "Third"
            own.get_one(ContinuumMemory, "a").importance = 0.9
            own.flush()
            return words(own)

    assert database.run(work) == {"a": "first", "b": "third"}


def test_a_failed_flush_leaves_no_words(database):
    """What a savepoint undid is not indexed by the next flush: it would refer to a memory that is not there."""

    def work(session):
        session.add(ContinuumMemory(id="taken", content="First"))
        session.flush()
        session.expunge_all()
        try:
            with session.begin_nested():
                session.add(ContinuumMemory(id="a", content="gone"))
                session.add(ContinuumMemory(id="taken", content="twice"))
                session.flush()
        except UniqueViolation:
            pass
        session.add(ContinuumMemory(id="b", content="Second"))
        session.flush()
        return words(session)

    assert database.run(work) == {"taken": "first", "b": "second"}
