-- Erasures: what a restored backup must not bring back.

-- name: erased -> Gone
-- Memories and turns that were erased, ever.
SELECT DISTINCT k.kind, k.row_id AS id FROM tombstone k WHERE k.company_id = :company_id AND k.kind IN ('memory', 'source')

-- name: last_erasure -> Instant
-- When something was erased last.
SELECT max(at) AS at FROM transaction WHERE company_id = :company_id AND verb = 'erase'

-- name: keys -> Kept
-- The keys of an account and the model it keeps, as JSON: revoked, narrowed, rotated or forgotten since, they stay so.
SELECT (SELECT coalesce(json_agg(to_json(k)), '[]')::text FROM api_key k WHERE k.company_id = :company_id) AS keys,
       (SELECT coalesce(json_agg(to_json(p)), '[]')::text FROM provider p WHERE p.company_id = :company_id) AS providers,
       (SELECT coalesce(json_agg(to_json(n)), '[]')::text FROM signature_nonce n
         WHERE n.company_id = :company_id AND n.expires_at > clock_timestamp()) AS nonces,
       (SELECT l.last_tx FROM ledger l WHERE l.company_id = :company_id) AS last_tx,
       (SELECT l.last_at FROM ledger l WHERE l.company_id = :company_id) AS last_at

-- name: forget_keys
-- Makes room for the keys as they are now.
DELETE FROM api_key WHERE company_id = :company_id

-- name: revoked -> Name
-- Keys that are revoked.
SELECT key_id AS name FROM api_key WHERE company_id = :company_id AND revoked_at IS NOT NULL

-- name: stay_revoked
-- They are so still.
UPDATE api_key SET revoked_at = clock_timestamp()
WHERE company_id = :company_id AND key_id = ANY(:key_ids::text[]) AND revoked_at IS NULL

-- name: lower_ceilings
-- A ceiling at a transaction that is gone stands at the newest that is left: its number will be another's.
UPDATE api_key SET up_to = :last_tx
WHERE company_id = :company_id AND up_to > :last_tx AND (:known::bigint IS NULL OR up_to <= :known::bigint)

-- name: forget_nonces
-- Makes room for the nonces that were used until now.
DELETE FROM signature_nonce WHERE company_id = :company_id

-- name: forget_provider
-- Makes room for the model as it is now.
DELETE FROM provider WHERE company_id = :company_id

-- name: emptied_tenants -> Name
-- Tenants of which labels, receipts, reviews or parts of the index are there, and no memory and no turn.
SELECT t.tenant_id AS name
FROM (SELECT tenant_id FROM receipt WHERE company_id = :company_id
      UNION SELECT tenant_id FROM conversation WHERE company_id = :company_id
      UNION SELECT tenant_id FROM subject WHERE company_id = :company_id
      UNION SELECT tenant_id FROM review WHERE company_id = :company_id
      UNION SELECT tenant_id FROM segment WHERE company_id = :company_id) AS t
WHERE NOT EXISTS (SELECT 1 FROM memory m WHERE m.company_id = :company_id AND m.tenant_id = t.tenant_id)
  AND NOT EXISTS (SELECT 1 FROM source o WHERE o.company_id = :company_id AND o.tenant_id = t.tenant_id)
ORDER BY 1
