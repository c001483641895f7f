-- Requests a minute. The functions hold the arithmetic, and read the only clock that counts for it.

-- name: lease -> Leased
-- Requests of a key or, with the key '', of the account; gives back what this process did not use of the last ones.
SELECT l.per_minute, l.granted, l.lent, l.remaining, l.seen_at, l.full_at, l.next_at
FROM lease_requests(:company_id, :key, :process, :unused, :waiting, :ahead, :clock) AS l

-- name: fail -> Failed
-- One more failed authentication of a network. An address has no account.
SELECT f.seen_at, f.next_at FROM fail_authentication(:network, :burst, :clock) AS f
