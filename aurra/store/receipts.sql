-- Receipts of answers: what each was made of. They cite memories, and go when one of those is erased.

-- fragment: shown
SELECT r.id, r.tenant_id, r.key_id, r.request_id, r.at, r.tx, r.valid_at, r.request::text AS request, r.search_type,
       r.embedder, r.ranker, r.provider, r.model, r.rung, r.prompt_version, r.prompt_hash, r.answer, r.answer_hash,
       r.grounded, r.refused, r.known_up_to
FROM receipt r

-- fragment: known
-- Made when no later transaction could be known of than may be known now; of one that does not say, by its instant.
coalesce(r.known_up_to, (
  SELECT t.id FROM transaction t WHERE t.company_id = :company_id AND t.at <= r.at ORDER BY t.at DESC LIMIT 1), 0) <= :ceiling

-- name: store
-- A receipt and its evidence, in one statement. Whoever erases a memory of it holds that memory locked: it waits for him
-- shortly, since he may wait for it in turn.
WITH hurried AS MATERIALIZED (SELECT set_config('lock_timeout', '200ms', true) AS is_set),
stored AS (
  INSERT INTO receipt (company_id, id, tenant_id, key_id, request_id, at, tx, valid_at, request, search_type, embedder,
                       ranker, provider, model, rung, prompt_version, prompt_hash, answer, answer_hash, grounded, refused,
                       known_up_to)
  SELECT :company_id, :id::uuid, :tenant_id::text, :key_id::text, :request_id::text, :at::timestamptz, :tx::bigint,
         :valid_at::timestamptz, :request::text::json, :search_type::text, :embedder::text, :ranker::text, :provider::text,
         :model::text, :rung::text, :prompt_version::text, :prompt_hash::bytea, :answer::text, :answer_hash::bytea,
         :grounded::boolean, :refused::boolean, :known_up_to::bigint
  FROM hurried
  RETURNING id)
INSERT INTO receipt_evidence (company_id, receipt_id, place, memory_id, version_id, is_cited)
SELECT :company_id, stored.id, e.place, e.memory_id, e.version_id, e.is_cited
FROM stored CROSS JOIN unnest(:memories::uuid[], :versions::uuid[], :cited::boolean[])
  WITH ORDINALITY AS e(memory_id, version_id, is_cited, place)

-- name: find -> ReceiptRow
-- One receipt.
{shown}
WHERE r.company_id = :company_id AND r.id = :id AND {known}

-- name: evidence -> EvidenceRow
-- What was considered for an answer, in order.
SELECT e.place, e.memory_id, e.version_id, e.is_cited FROM receipt_evidence e
WHERE e.company_id = :company_id AND e.receipt_id = :id
ORDER BY e.place

-- name: page -> ReceiptRow
-- A tenant's receipts, newest first.
{shown}
WHERE r.company_id = :company_id AND r.tenant_id = :tenant_id AND {known}
  AND (:after_at::timestamptz IS NULL OR (r.at, r.id) < (:after_at::timestamptz, :after_id::uuid))
ORDER BY r.at DESC, r.id DESC
LIMIT :limit

-- name: page_of_memory -> ReceiptRow
-- The receipts that considered a memory, newest first.
{shown}
WHERE r.company_id = :company_id AND r.tenant_id = :tenant_id AND {known}
  AND r.id IN (SELECT e.receipt_id FROM receipt_evidence e
               WHERE e.company_id = :company_id AND e.memory_id = :memory_id)
  AND (:after_at::timestamptz IS NULL OR (r.at, r.id) < (:after_at::timestamptz, :after_id::uuid))
ORDER BY r.at DESC, r.id DESC
LIMIT :limit

-- name: counts -> CountRow
-- How many memories each of some receipts considered and cites.
SELECT e.receipt_id, count(*) AS considered, count(*) FILTER (WHERE e.is_cited) AS cited
FROM receipt_evidence e
WHERE e.company_id = :company_id AND e.receipt_id = ANY(:receipts::uuid[])
GROUP BY e.receipt_id

-- name: uses -> UseRow
-- The newest receipts that considered a memory, whether they cite it, and how many there are in all.
WITH named AS MATERIALIZED (
  SELECT e.receipt_id, bool_or(e.is_cited) AS is_cited FROM receipt_evidence e
  WHERE e.company_id = :company_id AND e.memory_id = :memory_id
  GROUP BY e.receipt_id)
SELECT r.id, r.at, named.is_cited, count(*) OVER () AS total
FROM named JOIN receipt r ON r.company_id = :company_id AND r.id = named.receipt_id
WHERE {known}
ORDER BY r.at DESC, r.id DESC
LIMIT :limit

-- name: broken -> BrokenRow
-- Of some receipts, the cited memories whose record turned out wrong afterwards, and by which transaction: a version that
-- says the same, in a part of the same time, was closed by a verb that mends the record, and no restore gave it back.
SELECT DISTINCT ON (r.id, closed.memory_id) r.id AS receipt_id, closed.memory_id, t.id AS number, t.at, t.verb
FROM receipt r
JOIN receipt_evidence e ON e.company_id = :company_id AND e.receipt_id = r.id AND e.is_cited
CROSS JOIN LATERAL (
  SELECT v.content_id, v.valid FROM version v WHERE v.company_id = :company_id AND v.id BETWEEN e.version_id AND e.version_id
  ORDER BY v.id LIMIT 1) AS cited
JOIN version closed ON closed.company_id = :company_id AND closed.tenant_id = r.tenant_id AND closed.memory_id = e.memory_id
  AND closed.content_id = cited.content_id AND closed.valid && cited.valid AND closed.tx_to > r.tx AND closed.tx_to <= :ceiling
JOIN transaction t ON t.company_id = :company_id AND t.id = closed.tx_to AND t.verb IN ('correct', 'retract', 'restore')
WHERE r.company_id = :company_id AND r.id = ANY(:receipts::uuid[])
  AND NOT EXISTS (
    SELECT 1 FROM version again JOIN transaction s ON s.company_id = :company_id AND s.id = again.tx_from
    WHERE again.company_id = :company_id AND again.tenant_id = r.tenant_id AND again.memory_id = e.memory_id
      AND again.tx_from <= :ceiling
      AND again.content_id = cited.content_id AND again.valid @> (closed.valid * cited.valid)
      AND (again.tx_from > closed.tx_to OR (again.tx_from = closed.tx_to AND s.verb = 'restore')))
ORDER BY r.id, closed.memory_id, t.id
