-- Keys of one account: listed, changed, rotated, revoked. Made by accounts.sql, which also finds the one that is presented.

-- fragment: columns
key_id, name, last_four, scopes, tenant_id, trust, networks, up_to, signing_sealed IS NOT NULL AS is_signed, expires_at, revoked_at,
       previous_until, created_at, created_by, last_used_at

-- name: list_page -> ApiKeyRow
-- A page of keys, newest first; of one tenant's, or of all.
SELECT {columns}
FROM api_key
WHERE company_id = :company_id
  AND (:tenant_id::text IS NULL OR tenant_id = :tenant_id)
  AND (:after_at::timestamptz IS NULL OR (created_at, key_id) < (:after_at::timestamptz, :after_id::text))
ORDER BY created_at DESC, key_id DESC
LIMIT :limit

-- name: find -> ApiKeyRow
-- One key.
SELECT {columns}
FROM api_key
WHERE company_id = :company_id AND key_id = :key_id

-- name: several -> ApiKeyRow
-- Some keys; of one tenant's, or of all.
SELECT {columns}
FROM api_key
WHERE company_id = :company_id AND key_id = ANY(:key_ids::text[]) AND (:tenant_id::text IS NULL OR tenant_id = :tenant_id)

-- name: lock -> ApiKeyRow
-- One key, to change it: nobody else changes it until the transaction ends.
SELECT {columns}
FROM api_key
WHERE company_id = :company_id AND key_id = :key_id
FOR NO KEY UPDATE

-- name: hold -> ApiKeyRow
-- One key, as it is: it stays so until the transaction ends. Many may hold it at once.
SELECT {columns}
FROM api_key
WHERE company_id = :company_id AND key_id = :key_id
FOR SHARE

-- name: secret_hash -> SecretHash
-- Of the secret it has, not of the one before.
SELECT secret_hash AS value FROM api_key WHERE company_id = :company_id AND key_id = :key_id

-- name: change
-- Its terms, all of them.
UPDATE api_key SET name = :name, scopes = :scopes, trust = :trust, networks = :networks, expires_at = :expires_at, up_to = :up_to
WHERE company_id = :company_id AND key_id = :key_id

-- name: rotate
-- New secrets; those there were are accepted until `until`, those before that no more. Of a key that does not sign, the sealed
-- ones are null.
UPDATE api_key
SET previous_hash = secret_hash, previous_until = :until, secret_hash = :secret_hash, last_four = :last_four,
    previous_signing_sealed = signing_sealed, previous_signing_sealed_by = signing_sealed_by,
    signing_sealed = :signing_sealed, signing_sealed_by = :signing_sealed_by
WHERE company_id = :company_id AND key_id = :key_id

-- name: revoke
-- From now on it is refused.
UPDATE api_key SET revoked_at = :at WHERE company_id = :company_id AND key_id = :key_id AND revoked_at IS NULL

-- name: note_uses
-- When keys were used last; never back. Locked by their ids in order first, as all that locks several does.
WITH used AS (
  SELECT k.key_id, r.at
  FROM api_key k JOIN unnest(:key_ids::text[], :instants::timestamptz[]) AS r(key_id, at) ON r.key_id = k.key_id
  WHERE k.company_id = :company_id AND (k.last_used_at IS NULL OR k.last_used_at < r.at)
  ORDER BY k.key_id
  FOR NO KEY UPDATE OF k)
UPDATE api_key k SET last_used_at = used.at FROM used WHERE k.company_id = :company_id AND k.key_id = used.key_id

-- name: claim -> Claimed
-- Takes an idempotency key for the making of a secret, which is not kept; nothing where it is taken.
INSERT INTO idempotency AS i (company_id, key, fingerprint, answer, quotes, expires_at)
VALUES (:company_id, :key, :fingerprint, :answer, '{}', :expires_at)
ON CONFLICT (company_id, key) DO UPDATE
SET fingerprint = excluded.fingerprint, answer = excluded.answer, quotes = excluded.quotes, expires_at = excluded.expires_at
WHERE i.expires_at <= :at
RETURNING i.key
