"""The tournament of ``aragora-db demo``: real rows, in a file of its own, about debates that nobody held."""

from aragora_db.demo.tournament import Finale, Standing, demo_settings, play, prepare, summarise

__all__ = ["Finale", "Standing", "demo_settings", "play", "prepare", "summarise"]
