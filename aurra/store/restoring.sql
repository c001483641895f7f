-- What a restore must know of a transaction, under the ledger's lock.

-- name: receipt -> ReceiptVersion
-- The versions that a transaction opened or closed, each with the salt of its content.
SELECT v.id, v.memory_id, v.lane, v.content_id, lower(v.valid) AS valid_from, upper(v.valid) AS valid_to, v.superseded_by,
       v.tenant_id, c.salt, v.tx_from, v.tx_to
FROM version v JOIN content c ON c.company_id = v.company_id AND c.id = v.content_id
WHERE v.company_id = :company_id AND (v.tx_from = :tx OR v.tx_to = :tx)
ORDER BY v.lane, lower(v.valid)

-- name: touched_later -> Number
-- Transactions after a number that touched some memories, or erased a row of that transaction.
SELECT v.tx_from AS number FROM version v
WHERE v.company_id = :company_id AND v.memory_id = ANY(:memories::uuid[]) AND v.tx_from > :tx
UNION
SELECT v.tx_to FROM version v
WHERE v.company_id = :company_id AND v.memory_id = ANY(:memories::uuid[]) AND v.tx_to > :tx
UNION
SELECT k.erased_by FROM tombstone k WHERE k.company_id = :company_id AND k.tx = :tx AND k.kind IN ('opened', 'closed')
ORDER BY 1

-- name: opened_by -> Number
-- The transactions that opened some versions.
SELECT DISTINCT v.tx_from AS number FROM version v WHERE v.company_id = :company_id AND v.id = ANY(:versions::uuid[]) ORDER BY 1

-- name: verb_of -> Text
-- What a transaction did.
SELECT t.verb AS value FROM transaction t WHERE t.company_id = :company_id AND t.id = :tx
