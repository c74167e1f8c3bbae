"""The schema's history: forward only, under one lock, on record."""
