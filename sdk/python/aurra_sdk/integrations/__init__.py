"""Adapters for agent frameworks, one module each. Nothing here imports a framework until its module is imported."""
