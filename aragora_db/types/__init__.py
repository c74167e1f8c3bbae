"""Column types that take and return the same values on SQLite and on PostgreSQL."""

from aragora_db.types.columns import (
    KEY_BYTES,
    Blob,
    Boolean,
    Double,
    EnumText,
    Integer,
    Json,
    Key,
    Text,
    UtcDateTime,
)

__all__ = [
    "KEY_BYTES",
    "Blob",
    "Boolean",
    "Double",
    "EnumText",
    "Integer",
    "Json",
    "Key",
    "Text",
    "UtcDateTime",
]
