-- Reviews: supersessions that wait for a person. They are written with the transaction that stores the new memory (ledger.sql).

-- name: list_page -> ReviewRow
-- A page of a tenant's reviews, newest first, as far as may be known: one decided after that is open. A decision that made no
-- transaction has an instant no later than that of the next.
SELECT r.id, r.tenant_id, r.tx, r.at, r.old_memory, r.new_memory, r.verdict, r.confidence, r.reasoning, r.classifier, r.why,
       r.state, r.decided_at, r.decided_by, r.decided_tx,
       (SELECT t.at FROM transaction t WHERE t.company_id = :company_id AND t.id = r.decided_tx) AS decided_tx_at
FROM (
  SELECT r.id, r.tenant_id, r.tx, r.at, r.old_memory, r.new_memory, r.verdict, r.confidence, r.reasoning, r.classifier, r.why,
         CASE WHEN known.is_so THEN r.state ELSE 'open' END AS state,
         CASE WHEN known.is_so THEN r.decided_at END AS decided_at,
         CASE WHEN known.is_so THEN r.decided_by END AS decided_by,
         CASE WHEN known.is_so THEN r.decided_tx END AS decided_tx
  FROM review r
  CROSS JOIN LATERAL (
    SELECT :ceiling::bigint = 9223372036854775807 OR r.decided_tx <= :ceiling
           OR (r.decided_tx IS NULL AND NOT EXISTS (
             SELECT 1 FROM transaction t WHERE t.company_id = :company_id AND t.id = least(:ceiling, 9223372036854775806) + 1 AND t.at < r.decided_at)) AS is_so)
    AS known
  WHERE r.company_id = :company_id AND r.tenant_id = :tenant_id AND r.tx <= :ceiling
    AND (:after_at::timestamptz IS NULL OR (r.at, r.id) < (:after_at::timestamptz, :after_id::uuid))) AS r
WHERE :state::text IS NULL OR r.state = :state
ORDER BY r.at DESC, r.id DESC
LIMIT :limit

-- name: find -> ReviewRow
-- One review.
SELECT r.id, r.tenant_id, r.tx, r.at, r.old_memory, r.new_memory, r.verdict, r.confidence, r.reasoning, r.classifier, r.why,
       r.state, r.decided_at, r.decided_by, r.decided_tx, NULL::timestamptz AS decided_tx_at
FROM review r
WHERE r.company_id = :company_id AND r.id = :id

-- name: decide
-- What was decided on an open review, by whom, when, and by which transaction.
UPDATE review SET state = :state, decided_at = :at, decided_by = :actor, decided_tx = :tx
WHERE company_id = :company_id AND id = :id AND state = 'open'

-- name: shown -> Shown
-- Of memories that are believed at a transaction, the version to show: the one at an instant, else the latest that began
-- before it, else the first to come.
SELECT asked.id AS memory_id, v.id AS version
FROM unnest(:memories::uuid[]) AS asked(id)
CROSS JOIN LATERAL (
  SELECT v.id FROM version v
  WHERE v.company_id = :company_id AND v.memory_id BETWEEN asked.id AND asked.id
    AND v.tx_from <= :tx AND (v.tx_to IS NULL OR v.tx_to > :tx)
  ORDER BY lower(v.valid) <= :at::timestamptz DESC,
           CASE WHEN lower(v.valid) <= :at::timestamptz THEN lower(v.valid) END DESC, lower(v.valid)
  LIMIT 1) AS v
