"""`Database`: engines, sessions, units of work with retries, migrations and health behind one object."""

from aragora_db.database.facade import Database

__all__ = ["Database"]
