"""The software inside a home telephone adapter: gateway (the telephone) and agent (the business)."""

__version__ = "0.1.0"
