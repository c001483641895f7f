-- The model that an account uses where a request brings none.

-- name: find -> ProviderRow
-- The account's model; none where none is set.
SELECT provider, model, base_url, extra::text AS extra, sealed_key, sealed_by, last_four, changed_at
FROM provider WHERE company_id = :company_id

-- name: lock -> ProviderRow
-- The same, held until the end of the transaction: changes of it go one after the other.
SELECT provider, model, base_url, extra::text AS extra, sealed_key, sealed_by, last_four, changed_at
FROM provider WHERE company_id = :company_id FOR UPDATE

-- name: put
-- The account's model is this one.
INSERT INTO provider (company_id, provider, model, base_url, extra, sealed_key, sealed_by, last_four, changed_at)
VALUES (:company_id, :provider, :model, :base_url, :extra, :sealed_key, :sealed_by, :last_four, :changed_at)
ON CONFLICT (company_id) DO UPDATE SET provider = excluded.provider, model = excluded.model,
  base_url = excluded.base_url, extra = excluded.extra, sealed_key = excluded.sealed_key,
  sealed_by = excluded.sealed_by, last_four = excluded.last_four, changed_at = excluded.changed_at

-- name: remove
-- The account has no model of its own.
DELETE FROM provider WHERE company_id = :company_id

-- name: reseal
-- The same key, sealed by another of the installation's.
UPDATE provider SET sealed_key = :sealed_key, sealed_by = :sealed_by WHERE company_id = :company_id
