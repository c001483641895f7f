"""The laws of time, played over HTTP against any service that speaks the contract.

Knows nothing of this server but its answers: `law` registers, `laws` are the laws by theme, `tenant` is all that they
may do, `playing` runs them, `report` shows what came.
"""
