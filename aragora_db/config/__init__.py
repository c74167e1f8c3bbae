"""Where settings come from: the environment, the rules for DSNs, the secrets seam, and the guards.

Importing this loads neither psycopg nor the ORM: libpq is asked only when a PostgreSQL DSN has to be read.
"""

from __future__ import annotations

from aragora_db.config.dsn import Dsn, parse_dsn
from aragora_db.config.enums import Backend, Environment
from aragora_db.config.pooler import PoolerMode, detect_pooler
from aragora_db.config.secrets.source import SecretSource
from aragora_db.config.settings import Settings

__all__ = [
    "Backend",
    "Dsn",
    "Environment",
    "PoolerMode",
    "SecretSource",
    "Settings",
    "detect_pooler",
    "parse_dsn",
]
