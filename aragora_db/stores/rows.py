"""What multi-statement verbs need: rows checked before the first write, and JSON compared as it is stored."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session
from sqlalchemy.orm.util import identity_key

from aragora_db.models.base import Base
from aragora_db.types import json_text

__all__ = ["check_rows", "expire_row", "same_json", "spelled"]


def check_rows(session: Session, model: type[Base], rows: Iterable[Mapping[str, Any]]) -> None:
    """Refuse what a column would refuse later, when part of the work is written already.

    Args:
        session: whose dialect the values are for.
        model: the table.
        rows: values by attribute.

    Raises:
        InvalidValue: naming the column.
    """
    dialect = session.get_bind().dialect
    types = {attribute.key: attribute.columns[0].type for attribute in sa.inspect(model).column_attrs}
    for row in rows:
        for name, value in row.items():
            kind: Any = types[name]
            kind.process_bind_param(value, dialect)


def expire_row(session: Session, model: type[Base], key: Any) -> None:
    """Expire a row's object, if the session holds one, after a statement changed the row past the session.

    Args:
        session: the session.
        model: the table.
        key: the primary key; a tuple if it has several columns.
    """
    held: Any = session.identity_map.get(identity_key(model, key))
    if held is not None:
        session.expire(held)


def spelled(value: Any) -> str:
    """One text for a JSON value, however its keys are ordered and whichever database it came from.

    Raises:
        ValueError: no column could hold the value.
    """
    return json.dumps(json_text.portable(value), sort_keys=True)


def same_json(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal. Unlike in Python, true is not 1.

    Raises:
        ValueError: no column could hold one of them.
    """
    return spelled(one) == spelled(other)
