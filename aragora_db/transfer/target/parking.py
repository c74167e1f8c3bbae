"""Rows that have no place: carried whole into ``legacy_rows``, or written to the rejects file."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import SpooledTemporaryFile
from threading import Lock
from typing import IO, Any

from sqlalchemy import Connection

from aragora_db.engine.dialects import insert_into
from aragora_db.errors import TransferError
from aragora_db.models import LegacyRow
from aragora_db.transfer.source.snapshot import BrokenText, SourceTable

__all__ = ["RefusedRows", "RejectsFile", "as_json", "fingerprint", "from_json", "park", "row_key"]

_SLICE, _BYTES = 1_000, 2 << 20


def as_json(value: Any) -> Any:
    """A SQLite value as JSON; what JSON has no word for becomes an object of one member."""
    if isinstance(value, bytes):
        return {"text_base64" if isinstance(value, BrokenText) else "base64": base64.b64encode(value).decode()}
    if isinstance(value, float) and (not math.isfinite(value) or "e" in repr(value)):
        return {"real": repr(value)}  # jsonb would make a whole number of 1e16
    if isinstance(value, str) and "\x00" in value:
        return {"text_base64": base64.b64encode(value.encode()).decode()}
    return value


def from_json(value: Any) -> Any:
    """The value that `as_json` was given."""
    if not isinstance(value, dict):
        return value
    ((kind, text),) = value.items()  # pyright: ignore[reportUnknownVariableType]
    if kind == "real":
        return float(str(text))  # pyright: ignore[reportUnknownArgumentType]
    raw = base64.b64decode(str(text))  # pyright: ignore[reportUnknownArgumentType]
    if kind == "base64":
        return raw
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return BrokenText(raw)


def row_key(table: SourceTable, row: Sequence[Any]) -> str:
    """What tells a source row (its number first) from the others of its table: its primary key, else its number."""
    values = dict(zip(table.columns, row[1:], strict=True))
    key = [as_json(values[name]) for name in table.key]
    if not key or None in key:
        return f"row {row[0]}"
    return str(key[0]) if len(key) == 1 and isinstance(key[0], str | int) else json.dumps(key, ensure_ascii=False)


def park(
    connection: Connection,
    source: str,
    table: SourceTable,
    rows: Iterable[tuple[Sequence[Any], str]],
    *,
    replaces: bool = True,
) -> int:
    """Carry rows whole into ``legacy_rows``; rows that are there already stay once.

    Args:
        connection: in the transaction of the table's move.
        source: the file's name.
        table: the rows' table.
        rows: each with its number first, and why it has no other place.
        replaces: the rows are nowhere else; their reason then overrides the one of an unknown column.

    Returns:
        How many rows there were.
    """
    count = 0
    for some in _sliced(rows):
        made = [_legacy_row(source, table, row, reason) for row, reason in some]
        statement = insert_into(connection.dialect, LegacyRow.__table__)
        if replaces:
            reason = {"reason": statement.excluded.reason}
            connection.execute(statement.on_conflict_do_update(index_elements=["fingerprint"], set_=reason), made)
        else:
            connection.execute(statement.on_conflict_do_nothing(index_elements=["fingerprint"]), made)
        count += len(made)
    return count


def _sliced(rows: Iterable[tuple[Sequence[Any], str]]) -> Iterator[list[tuple[Sequence[Any], str]]]:
    some: list[tuple[Sequence[Any], str]] = []
    size = 0
    for row, reason in rows:
        some.append((row, reason))
        size += sum(len(value) for value in row if isinstance(value, str | bytes))
        if len(some) == _SLICE or size > _BYTES:
            yield some
            some, size = [], 0
    if some:
        yield some


def fingerprint(source: str, table: str, key: str, row: Mapping[str, Any]) -> str:
    """What tells a parked row from every other: SHA-256 over where it comes from and what stands in it."""
    identity = json.dumps([source, table, key, row], ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()


def _legacy_row(source: str, table: SourceTable, row: Sequence[Any], reason: str) -> dict[str, Any]:
    whole = {name: as_json(value) for name, value in zip(table.columns, row[1:], strict=True)}
    key = row_key(table, row)
    return {
        "source_file": source,
        "table_name": table.name,
        "row_key": key,
        "reason": reason,
        "row": whole,
        "fingerprint": fingerprint(source, table.name, key, whole),
    }


class RefusedRows:
    """The refused rows of one table, as lines of the rejects file; on disk from a megabyte on."""

    def __init__(self, source: str, table: SourceTable) -> None:
        self._source, self._table = source, table
        self._lines = SpooledTemporaryFile(1 << 20, "w+", encoding="utf-8")  # noqa: SIM115 -- closed by RejectsFile.append
        self.count = 0
        self.reasons: Counter[str] = Counter()
        self.table = source, table.name

    def add(self, row: Sequence[Any], column: str | None, reason: str) -> None:
        """Note a row, its number first, with the bytes of the value that is to blame and of every other."""
        self.count += 1
        self.reasons[f"{column}: {reason}" if column else reason] += 1
        values: Mapping[str, Any] = dict(zip(self._table.columns, row[1:], strict=True))
        line = {
            "file": self._source,
            "table": self._table.name,
            "rowid": row[0],
            "column": column,
            "reason": reason,
            "base64": None if column is None else _bytes(values[column]),
            "row": {name: [_storage_class(value), _bytes(value)] for name, value in values.items()},
        }
        self._lines.write(json.dumps(line, ensure_ascii=False) + "\n")

    def clear(self) -> None:
        """Forget everything: the table is tried once more."""
        self._lines.seek(0)
        self._lines.truncate()
        self.count = 0
        self.reasons.clear()

    def write_to(self, file: IO[str]) -> None:
        """Copy the lines."""
        self._lines.seek(0)
        shutil.copyfileobj(self._lines, file)

    def close(self) -> None:
        """Give the space back."""
        self._lines.close()


class RejectsFile:
    """The rejects file: one JSON object per row that could not go. Made when the first one comes.

    Args:
        folder: where the file goes; None writes nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._lock = Lock()
        self._written: set[tuple[str, str]] = set()
        self.path: Path | None = None

    def append(self, refusals: RefusedRows) -> str | None:
        """Have a table's refused rows on the disk, before its transaction commits; the file's name.

        Raises:
            TransferError: the file cannot be written.
        """
        if self._folder is None or not refusals.count:
            return None
        try:
            with self._lock:
                if refusals.table in self._written:  # the transaction is tried again
                    return None if self.path is None else self.path.name
                self.path = self.path or _free_name(self._folder)
                with self.path.open("a", encoding="utf-8") as file:
                    refusals.write_to(file)
                    file.flush()
                    os.fsync(file.fileno())
                self._written.add(refusals.table)
        except OSError as error:
            raise TransferError(
                f"the rejects file cannot be written in {self._folder}: {error.strerror}; run the import in a folder "
                "where you may write"
            ) from error
        return self.path.name


def _free_name(folder: Path) -> Path:
    now = datetime.now(UTC)
    path = folder / f"aragora-import-{now:%Y%m%dT%H%M%SZ}.rejects.jsonl"
    return path if not path.exists() else folder / f"aragora-import-{now:%Y%m%dT%H%M%S%fZ}.rejects.jsonl"


def _storage_class(value: Any) -> str:
    """SQLite's name for the kind of a value."""
    if value is None:
        return "null"
    if isinstance(value, str | BrokenText):
        return "text"
    return {int: "integer", float: "real", bytes: "blob"}[type(value)]


def _bytes(value: Any) -> str | None:
    """The bytes of a text or blob as they are, the digits of a number; in base64."""
    if value is None:
        return None
    if isinstance(value, bytes):
        raw = bytes(value)
    else:
        raw = (value if isinstance(value, str) else repr(value)).encode("utf-8", "surrogatepass")
    return base64.b64encode(raw).decode()
