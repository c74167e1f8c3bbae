"""The declarative base: naming convention, types by annotation, and the checks that every table carries."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, MappedColumn, mapped_column

from aragora_db import types
from aragora_db.types import ddl

__all__ = [
    "Base",
    "Count",
    "CreatedAt",
    "Flag",
    "JsonList",
    "JsonObject",
    "SerialId",
    "index",
    "key",
    "references",
    "utcnow",
]

# Every constraint has a name from the first revision on: SQLite's batch mode and a typed error both need one.
NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


def utcnow() -> datetime:
    """Now, in UTC, to the microsecond."""
    return datetime.now(UTC)


# Names for the columns that appear in many tables. Defaults stand twice: Python's saves reading the row back after an
# insert, the server's serves rows written by hand (the guide's \copy and INSERT of a few columns).
key = Annotated[str, "indexed text"]
SerialId = Annotated[int, mapped_column(sa.Identity(), primary_key=True)]
Count = Annotated[int, mapped_column(default=0, server_default=sa.text("0"))]
Flag = Annotated[bool, mapped_column(default=False, server_default=sa.false())]
CreatedAt = Annotated[datetime, mapped_column(default=utcnow, server_default=ddl.now())]
JsonObject = Annotated[dict[str, Any], mapped_column(default=dict, server_default=sa.text("'{}'"))]
JsonList = Annotated[list[Any], mapped_column(default=list, server_default=sa.text("'[]'"))]


class Base(DeclarativeBase):
    """Base of every model."""

    metadata = sa.MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: types.Text,
        key: types.Key,
        int: types.Integer,
        float: types.Double,
        bool: types.Boolean,
        datetime: types.UtcDateTime,
        bytes: types.Blob,
        dict[str, Any]: types.Json,
        list[Any]: types.Json,
    }

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Make the table STRICT on SQLite and give it the checks that its column types ask for."""
        super().__init_subclass__(**kwargs)
        table: Any = cls.__dict__.get("__table__")
        if table is not None:
            _harden(table)

    def __repr__(self) -> str:
        """The primary key only: contents may be private."""
        names = [column.key for column in sa.inspect(type(self)).primary_key]
        return f"{type(self).__name__}({', '.join(f'{name}={self.__dict__.get(str(name))!r}' for name in names)})"


def _harden(table: sa.Table) -> None:
    options = table.dialect_options["sqlite"]
    options["strict"] = True
    if any(column.identity is not None for column in table.columns):
        # Without it SQLite hands the id of a deleted newest row out again; PostgreSQL never does.
        options["autoincrement"] = True
    for column in table.columns:
        if isinstance(column.type, types.EnumText):
            enum_class: type[StrEnum] = column.type.enum_class
            values = ", ".join(f"'{member}'" for member in enum_class)
            table.append_constraint(sa.CheckConstraint(f"{column.name} IN ({values})", name=column.name))
        for type_, kind in _SQLITE_CHECKS.items():
            if isinstance(column.type, type_):
                table.append_constraint(ddl.SQLiteCheck(kind, column.name, name=column.name))


_SQLITE_CHECKS: dict[type[sa.types.TypeEngine[Any]], ddl.CheckKind] = {
    types.Boolean: "boolean",
    types.Json: "json",
    types.UtcDateTime: "utc",
}


def references(target: str, kind: type[types.Key | types.Integer] = types.Key, **options: Any) -> MappedColumn[Any]:
    """A foreign key with a type of its own: a shared one would make errors name the column referred to.

    Args:
        target: ``table.column``.
        kind: the type of the column referred to.
        options: ``ondelete`` goes to the foreign key, the others to the column.
    """
    return mapped_column(kind(), sa.ForeignKey(target, ondelete=options.pop("ondelete", None)), **options)


def index(model: type[Base], name: str, path: str, *columns: Any, where: Any = None) -> sa.Index:
    """An index and the access path it serves; the path is printed in ``docs/reference/schema.md``.

    Declared after the class, where ``.desc()`` is an expression on a real column: written as text, Alembic would see
    the index as changed for ever.
    """
    condition = {} if where is None else {"sqlite_where": where, "postgresql_where": where}
    return sa.Index(f"ix_{model.__tablename__}_{name}", *columns, info={"path": path}, **condition)
