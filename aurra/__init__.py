"""Aurra: memory infrastructure for AI agents, bitemporal, tenant-scoped, grounded in citations."""

__version__ = "0.1.0"
