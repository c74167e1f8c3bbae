"""Ratings: put together when all parts exist."""
