-- Jobs: work that a process of the service does later. A queue of the installation, with a clock of its own for leases.

-- name: claim -> Job
-- The job that is due longest, leased to this process; one whose lease ran out is due again.
UPDATE job SET leased_until = clock_timestamp() + :lease::interval, attempts = attempts + 1
WHERE id = (
  SELECT j.id FROM job j
  WHERE j.run_at <= clock_timestamp() AND (j.leased_until IS NULL OR j.leased_until <= clock_timestamp())
    AND (:account::uuid IS NULL OR j.account = :account)
  ORDER BY j.run_at, j.id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id, account, kind, arguments::text AS arguments, attempts

-- name: renew
-- The lease of a job that is still being done by whoever claimed it then.
UPDATE job SET leased_until = clock_timestamp() + :lease::interval WHERE id = :id AND attempts = :attempts

-- name: finish
-- A job that is done.
DELETE FROM job WHERE id = :id

-- name: take -> Taken
-- A job that is done with what its transaction writes; no row where another process did it.
DELETE FROM job WHERE id = :id RETURNING id

-- name: postpone
-- A job that failed: due again later, and why it failed.
UPDATE job SET leased_until = NULL, run_at = clock_timestamp() + :pause::interval, failure = :failure WHERE id = :id

-- name: add
-- A job that is due at once; one of that id that waits already stays as it is.
INSERT INTO job (id, account, kind, arguments, run_at) VALUES (:id, :account, :kind, :arguments, '-infinity') ON CONFLICT DO NOTHING

-- name: absorb
-- Jobs of the same account and kind that wait, which this one does too when it begins after them.
DELETE FROM job WHERE account = :account AND kind = :kind AND id <> :id AND leased_until IS NULL
