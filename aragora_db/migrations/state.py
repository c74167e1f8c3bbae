"""What a database says about its own schema, and how that compares with this version. Two queries, no Alembic."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from aragora_db.errors import MigrationError, RevisionEdited, SchemaAhead, SchemaBehind, SchemaDiverged
from aragora_db.migrations import scripts
from aragora_db.models import Base, SchemaHistory

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["VERSION_TABLE", "Applied", "SchemaState", "Verdict", "read_state"]

VERSION_TABLE = "aragora_schema_version"

_version = sa.table(VERSION_TABLE, sa.column("version_num", sa.Text()))


class Verdict(StrEnum):
    """How a database's schema relates to this version of the code."""

    EMPTY = "empty"
    UNVERSIONED = "unversioned"
    AT_HEAD = "at head"
    BEHIND = "behind"
    AHEAD = "ahead"
    DIVERGED = "diverged"


@dataclass(frozen=True)
class Applied:
    """One row of ``schema_history``."""

    revision: str
    checksum: str
    applied_at: datetime
    applied_by: str
    duration_ms: float | None
    package_version: str

    @property
    def edited(self) -> bool:
        """Whether the revision's file differs from the one that was applied."""
        return self.revision in scripts.chain() and self.checksum != scripts.checksum(self.revision)


@dataclass(frozen=True)
class SchemaState:
    """The version row, the history, and which of our tables exist."""

    current: str | None
    history: tuple[Applied, ...] = ()
    tables: frozenset[str] = frozenset()

    @property
    def last_common(self) -> str | None:
        """The newest revision that both the database and this version know."""
        known = set(scripts.chain())
        applied = [*(row.revision for row in self.history), *([self.current] if self.current else [])]
        return next((revision for revision in reversed(applied) if revision in known), None)

    @property
    def pending(self) -> tuple[str, ...]:
        """Revisions of this version that come after the last common one."""
        chain = scripts.chain()
        return chain if self.last_common is None else chain[chain.index(self.last_common) + 1 :]

    @property
    def edited(self) -> tuple[str, ...]:
        """Revisions whose files were changed since they were applied here, or since they were released."""
        applied = {row.revision for row in self.history if row.edited}
        sealed = scripts.released()
        return tuple(
            stem
            for stem in scripts.chain()
            if stem in applied or sealed.get(stem, scripts.checksum(stem)) != scripts.checksum(stem)
        )

    @property
    def verdict(self) -> Verdict:
        """Empty, unversioned, at head, behind, ahead or diverged."""
        if self.current is None:
            return Verdict.UNVERSIONED if self.tables else Verdict.EMPTY
        known = self.current in scripts.chain() and all(row.revision in scripts.chain() for row in self.history)
        if known:
            return Verdict.BEHIND if self.pending else Verdict.AT_HEAD
        return Verdict.DIVERGED if self.pending else Verdict.AHEAD

    def raise_if_ahead(self) -> None:
        """Refuse a database that has revisions which this version does not know.

        Raises:
            SchemaAhead, SchemaDiverged: naming the revisions and what to deploy.
        """
        if self.verdict is Verdict.AHEAD:
            raise SchemaAhead(
                f"this database is at {self.current}, which this version does not know (its newest revision is "
                f"{scripts.head()}): deploy the newer version"
            )
        if self.verdict is Verdict.DIVERGED:
            raise SchemaDiverged(
                f"this database is at {self.current}, and this version's {', '.join(self.pending)} was never applied; "
                f"the last revision both know is {self.last_common}. Deploy a version that has both, or merge them "
                "into one line of revisions"
            )

    def raise_if_unknown(self) -> None:
        """Refuse to go on from a state that this version cannot move forward.

        Raises:
            RevisionEdited, MigrationError: and everything that `raise_if_ahead` raises.
        """
        self.raise_if_ahead()
        if self.verdict is Verdict.UNVERSIONED:
            raise MigrationError(
                f"this database has tables of ours ({', '.join(sorted(self.tables)[:3])}, ...) but no "
                f"{VERSION_TABLE}: point DATABASE_URL at an empty database, or restore the version table from a backup"
            )
        if self.edited:
            raise RevisionEdited(
                f"released revisions were edited since: {', '.join(self.edited)}. Restore those files (git checkout "
                "-- alembic/versions) and put the change into a new revision: aragora-db revision -m TEXT"
            )

    def raise_unless_at_head(self) -> None:
        """Refuse to work with a schema other than this version's.

        Raises:
            SchemaBehind: and everything that `raise_if_unknown` raises.
        """
        self.raise_if_unknown()
        if self.verdict is not Verdict.AT_HEAD:
            where = f"is at {self.current}" if self.current else "is empty"
            raise SchemaBehind(
                f"this database {where} and {len(self.pending)} revisions are pending up to {scripts.head()}: run "
                "aragora-db migrate"
            )


def read_state(connection: Connection) -> SchemaState:
    """Read the version row, the history and the names of our tables."""
    existing = frozenset(sa.inspect(connection).get_table_names())
    current = connection.scalar(sa.select(_version.c.version_num)) if VERSION_TABLE in existing else None
    history: tuple[Any, ...] = ()
    if SchemaHistory.__tablename__ in existing:
        columns = [SchemaHistory.__table__.c[name] for name in Applied.__dataclass_fields__]
        history = tuple(Applied(*row) for row in connection.execute(sa.select(*columns).order_by(SchemaHistory.id)))
    return SchemaState(current, history, existing & frozenset(Base.metadata.tables))
