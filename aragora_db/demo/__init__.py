"""The tournament of ``aragora-db demo``: real rows, in a file of its own, about debates that nobody held."""

from aragora_db.demo.tournament import Finale, FinalStanding, demo_settings, play, prepare, summarise

__all__ = ["FinalStanding", "Finale", "demo_settings", "play", "prepare", "summarise"]
