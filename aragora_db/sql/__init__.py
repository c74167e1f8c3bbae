"""Statements and expressions that need two forms, one per dialect, under one name."""
