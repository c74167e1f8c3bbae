"""What `aragora-db doctor` looks at: each check in a module of its subject, one table of them, nothing changed."""

from __future__ import annotations

from aragora_db.operate.doctor.finding import Finding, healthy
from aragora_db.operate.doctor.run import diagnose

__all__ = ["Finding", "diagnose", "healthy"]
