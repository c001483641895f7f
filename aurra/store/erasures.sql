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
       (SELECT coalesce(json_agg(to_json(p)), '[]')::text FROM provider p WHERE p.company_id = :company_id) AS providers

-- name: forget_keys
-- Makes room for the keys as they are now.
DELETE FROM api_key WHERE company_id = :company_id

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
