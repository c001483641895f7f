"""GraphQL: every operation as a field, collections over what is stored, and a subscription to the ledger."""
