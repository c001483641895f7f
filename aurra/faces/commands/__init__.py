"""The operations as commands: `aurra NOUN VERB`, and the short words that the registry declares.

Nothing here but `describing.py` imports the operations, so that a command against a URL starts at once (ADR 0023).
"""
