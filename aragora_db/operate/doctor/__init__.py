"""What `aragora-db doctor` looks at: each check in a module of its subject, one table of them, nothing changed."""

from __future__ import annotations

from aragora_db.operate.doctor.check import Finding, healthy
from aragora_db.operate.doctor.checklist import diagnose

__all__ = ["Finding", "diagnose", "healthy"]
