-- Signing: the sealed secrets that requests are signed with, and the nonces that were used.

-- name: sealed_secrets -> SealedSecrets
-- The account's signed keys, each with its secret, sealed, and with the one before it while that is accepted.
SELECT key_id, signing_sealed, signing_sealed_by,
       CASE WHEN previous_until > :at AND revoked_at IS NULL THEN previous_signing_sealed END AS previous_signing_sealed,
       CASE WHEN previous_until > :at AND revoked_at IS NULL THEN previous_signing_sealed_by END AS previous_signing_sealed_by
FROM api_key
WHERE company_id = :company_id AND signing_sealed IS NOT NULL
ORDER BY key_id
FOR UPDATE

-- name: reseal
-- The same secrets, sealed by another of the installation's keys.
UPDATE api_key
SET signing_sealed = :sealed, signing_sealed_by = :sealed_by,
    previous_signing_sealed = :previous_sealed, previous_signing_sealed_by = :previous_sealed_by
WHERE company_id = :company_id AND key_id = :key_id

-- name: forget_ended
-- Secrets from before a rotation go when its overlap has ended, or the key was revoked.
UPDATE api_key SET previous_signing_sealed = NULL, previous_signing_sealed_by = NULL
WHERE company_id = :company_id AND previous_signing_sealed IS NOT NULL
  AND (previous_until <= :at OR revoked_at IS NOT NULL)

-- name: forget_expired
-- A few nonces go whose timestamps nobody would accept any more; those that another request is removing are left to it.
DELETE FROM signature_nonce n
USING (
  SELECT o.key_id, o.nonce FROM signature_nonce o
  WHERE o.company_id = :company_id AND o.expires_at < coalesce(:clock::timestamptz, clock_timestamp())
  ORDER BY o.expires_at LIMIT 20
  FOR UPDATE SKIP LOCKED) AS old
WHERE n.company_id = :company_id AND n.key_id = old.key_id AND n.nonce = old.nonce

-- name: keep -> Kept
-- A nonce is kept once, if the timestamp beside it is near the clock: the database's, so that all processes have one.
WITH moment AS MATERIALIZED (SELECT coalesce(:clock::timestamptz, clock_timestamp()) AS at),
kept AS (
  INSERT INTO signature_nonce (company_id, key_id, nonce, expires_at)
  SELECT :company_id, :key_id, :nonce, to_timestamp(:timestamp::bigint) + make_interval(secs => 2 * :most::integer)
  FROM moment WHERE abs(extract(epoch FROM moment.at) - :timestamp::bigint) <= :most::integer
  ON CONFLICT (company_id, key_id, nonce) DO NOTHING
  RETURNING 1)
SELECT moment.at, abs(extract(epoch FROM moment.at) - :timestamp::bigint) <= :most::integer AS is_in_time,
       EXISTS (SELECT 1 FROM kept) AS is_new
FROM moment
