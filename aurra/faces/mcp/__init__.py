"""MCP: every operation of the registry as one tool; and the two resources and the prompt that hosts know how to show.

`door.py` is what the application mounts: keys, limits, bodies. The official library is behind it, in `serving.py`, and
is imported at the first request that gets there: it takes 25 MiB, which a service without MCP does not spend.
`stdio.py` is `aurra mcp`: what a host writes on standard input goes through the same door.
"""
