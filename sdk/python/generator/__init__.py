"""Writes what the SDK has from the service's registry, and the synchronous client from the asynchronous one."""
