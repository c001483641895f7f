"""What each verb does to what is believed: from a request and a `World` to the rows of one transaction. Pure.

`World` is what is believed, as far as it was loaded under the ledger lock. Each request of a commit is planned on a
child of it, which is kept when the request succeeds and dropped when it is refused: so one commit can hold many
transactions.
"""
