"""The data layer of Aragora."""

__version__ = "0.1.0"
