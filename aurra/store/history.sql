-- History: transactions with what they opened and closed, and versions with what they say.

-- fragment: entry
-- The ledger's entry, with how many versions it opened and closed, and memories it erased: of all tenants, or of one.
SELECT t.id, t.at, t.verb, t.actor, t.reason, t.request_id, t.model, t.writes,
       (SELECT count(*) FROM version v WHERE v.company_id = :company_id AND v.tx_from = t.id
        AND (:tenant_id::text IS NULL OR v.tenant_id = :tenant_id)) AS opened,
       (SELECT count(*) FROM version v WHERE v.company_id = :company_id AND v.tx_to = t.id
        AND (:tenant_id::text IS NULL OR v.tenant_id = :tenant_id)) AS closed,
       (SELECT count(*) FROM tombstone k WHERE k.company_id = :company_id AND k.erased_by = t.id AND k.kind = 'memory'
        AND (:digest::bytea IS NULL OR k.tenant = :digest)) AS erased,
       t.hash
FROM transaction t

-- fragment: touched
-- Whether it opened or closed a version of the tenant, or erased a memory or kept a turn of it.
(:tenant_id::text IS NULL
 OR EXISTS (SELECT 1 FROM version v WHERE v.company_id = :company_id AND v.tx_from = t.id AND v.tenant_id = :tenant_id)
 OR EXISTS (SELECT 1 FROM version v WHERE v.company_id = :company_id AND v.tx_to = t.id AND v.tenant_id = :tenant_id)
 OR EXISTS (SELECT 1 FROM tombstone k WHERE k.company_id = :company_id AND k.erased_by = t.id AND k.kind = 'memory'
            AND k.tenant = :digest)
 -- A turn's id begins with the instant of its transaction (ids.py), so no index by transaction is needed.
 OR (t.verb = 'keep' AND EXISTS (
     SELECT 1 FROM (SELECT o.tx FROM source o
       WHERE o.company_id = :company_id AND o.tenant_id = :tenant_id
         AND o.id >= (lpad(to_hex((extract(epoch FROM t.at) * 1000000)::bigint / 1000), 12, '0') || '7'
              || lpad(to_hex((extract(epoch FROM t.at) * 1000000)::bigint % 1000), 3, '0') || '8000000000000000')::uuid
         AND o.id <= (lpad(to_hex((extract(epoch FROM t.at) * 1000000)::bigint / 1000), 12, '0') || '7'
              || lpad(to_hex((extract(epoch FROM t.at) * 1000000)::bigint % 1000), 3, '0') || 'bfffffffffffffff')::uuid
       ORDER BY o.company_id, o.id) AS o
     WHERE o.tx = t.id)))

-- name: entries_after -> EntryRow
-- Transactions after a number and up to another, oldest first.
{entry}
WHERE t.company_id = :company_id AND t.id > :after AND t.id <= :tx AND {touched}
ORDER BY t.id
LIMIT :limit

-- name: entries_before -> EntryRow
-- Transactions up to a number, newest first.
{entry}
WHERE t.company_id = :company_id AND t.id <= :tx AND {touched}
ORDER BY t.id DESC
LIMIT :limit

-- name: entry -> EntryRow
-- One transaction, if it touched the tenant.
{entry}
WHERE t.company_id = :company_id AND t.id = :id AND {touched}

-- name: several -> EntryRow
-- Some transactions, as far as they touched the tenant.
{entry}
WHERE t.company_id = :company_id AND t.id = ANY(:ids::bigint[]) AND {touched}

-- name: opened_and_closed -> TouchedRow
-- The versions that a transaction opened, then those it closed: of all tenants, or of one.
SELECT w.version, w.is_opened
FROM (
  SELECT v.id AS version, true AS is_opened, v.memory_id, lower(v.valid) AS valid_from FROM version v
  WHERE v.company_id = :company_id AND v.tx_from = :id AND (:tenant_id::text IS NULL OR v.tenant_id = :tenant_id)
  UNION ALL
  SELECT v.id, false, v.memory_id, lower(v.valid) FROM version v
  WHERE v.company_id = :company_id AND v.tx_to = :id AND (:tenant_id::text IS NULL OR v.tenant_id = :tenant_id)) AS w
ORDER BY w.is_opened DESC, w.memory_id, w.valid_from

-- name: size -> SizeRow
-- Bytes of what versions say, each counted as often as it is asked for; the texts themselves are not read.
SELECT coalesce(sum(octet_length(c.text) + m.bytes), 0)::bigint AS bytes
FROM unnest(:versions::uuid[]) AS asked(id)
CROSS JOIN LATERAL (
  SELECT v.content_id, v.memory_id FROM version v
  WHERE v.company_id = :company_id AND v.id BETWEEN asked.id AND asked.id ORDER BY v.id LIMIT 1) AS v
CROSS JOIN LATERAL (
  SELECT c.text FROM content c
  WHERE c.company_id = :company_id AND c.id BETWEEN v.content_id AND v.content_id ORDER BY c.id LIMIT 1) AS c
CROSS JOIN LATERAL (
  SELECT coalesce(octet_length(m.metadata::text), 0) + coalesce(octet_length(m.extraction::text), 0) AS bytes FROM memory m
  WHERE m.company_id = :company_id AND m.id BETWEEN v.memory_id AND v.memory_id ORDER BY m.id LIMIT 1) AS m

-- name: stated -> StatedRow
-- Versions with what they say, in the order asked, as known at a transaction: later closings show null. Each row is
-- fetched by its primary key, LATERAL and "between id and id": see search.sql.
SELECT asked.id AS version, v.memory_id, v.tenant_id, lower(v.valid) AS valid_from, upper(v.valid) AS valid_to,
       v.tx_from, v.tx_from_at,
       CASE WHEN v.tx_to <= :tx THEN v.tx_to END AS tx_to,
       CASE WHEN v.tx_to <= :tx THEN v.tx_to_at END AS tx_to_at,
       v.op, v.superseded_by,
       CASE WHEN v.tx_to <= :tx THEN v.replaced_by END AS replaced_by,
       c.text, coalesce(s.subject, m.subject) AS subject, s.attribute
FROM unnest(:versions::uuid[]) WITH ORDINALITY AS asked(id, place)
CROSS JOIN LATERAL (
  SELECT v.memory_id, v.tenant_id, v.content_id, v.valid, v.tx_from, v.tx_from_at, v.tx_to, v.tx_to_at, v.op,
         v.superseded_by, v.replaced_by
  FROM version v WHERE v.company_id = :company_id AND v.id BETWEEN asked.id AND asked.id ORDER BY v.id LIMIT 1) AS v
CROSS JOIN LATERAL (
  SELECT m.slot_id, m.subject FROM memory m
  WHERE m.company_id = :company_id AND m.id BETWEEN v.memory_id AND v.memory_id ORDER BY m.id LIMIT 1) AS m
CROSS JOIN LATERAL (
  SELECT c.text FROM content c
  WHERE c.company_id = :company_id AND c.id BETWEEN v.content_id AND v.content_id ORDER BY c.id LIMIT 1) AS c
LEFT JOIN LATERAL (
  SELECT s.subject, s.attribute FROM slot s
  WHERE s.company_id = :company_id AND s.id BETWEEN m.slot_id AND m.slot_id ORDER BY s.id LIMIT 1) AS s ON true
ORDER BY asked.place

-- name: touched -> Rectangle
-- A tenant's versions opened or closed after one transaction and up to another, as known at the later one; with an
-- instant, only in lanes where something changed that holds it.
WITH touched AS MATERIALIZED (
  SELECT v.id, v.memory_id, v.lane, v.content_id, v.valid, v.tx_from, v.tx_to, v.superseded_by, v.replaced_by FROM version v
  WHERE v.company_id = :company_id AND v.tenant_id = :tenant_id AND v.tx_from > :first AND v.tx_from <= :last
  UNION ALL
  SELECT v.id, v.memory_id, v.lane, v.content_id, v.valid, v.tx_from, v.tx_to, v.superseded_by, v.replaced_by FROM version v
  WHERE v.company_id = :company_id AND v.tenant_id = :tenant_id AND v.tx_to > :first AND v.tx_to <= :last
    AND v.tx_from <= :first)
SELECT v.id AS version, v.memory_id AS memory, v.lane, v.content_id AS content, lower(v.valid) AS start, upper(v.valid) AS "end",
       v.tx_from AS opened_by,
       CASE WHEN v.tx_to <= :last THEN v.tx_to END AS closed_by,
       v.superseded_by AS successor,
       CASE WHEN v.tx_to <= :last THEN v.replaced_by END AS replaced_by
FROM touched v
WHERE :at::timestamptz IS NULL OR v.lane IN (SELECT h.lane FROM touched h WHERE h.valid @> :at::timestamptz)
LIMIT :limit

-- name: erased -> ErasedRow
-- A tenant's memories that were erased after one transaction and up to another.
SELECT k.row_id AS memory_id, k.erased_by
FROM tombstone k
WHERE k.company_id = :company_id AND k.kind = 'memory' AND k.tenant = :digest AND k.erased_by > :first AND k.erased_by <= :last
ORDER BY k.erased_by, k.row_id
LIMIT :limit

-- name: causes -> CauseRow
-- Who made some transactions, by which verb, and why.
SELECT t.id, t.verb, t.actor, t.reason FROM transaction t
WHERE t.company_id = :company_id AND t.id = ANY(:ids::bigint[])

-- name: shared -> Number
-- Which of some transactions touched another tenant too: opened, closed or erased something of it, or did until that was
-- erased. Turns are kept with memories, or of one tenant alone.
SELECT t.id AS number FROM transaction t
WHERE t.company_id = :company_id AND t.id = ANY(:ids::bigint[]) AND (
  EXISTS (SELECT 1 FROM version v WHERE v.company_id = :company_id AND v.tx_from = t.id AND v.tenant_id <> :tenant_id)
  OR EXISTS (SELECT 1 FROM version v WHERE v.company_id = :company_id AND v.tx_to = t.id AND v.tenant_id <> :tenant_id)
  OR EXISTS (SELECT 1 FROM tombstone k WHERE k.company_id = :company_id AND k.erased_by = t.id AND k.tenant <> :digest)
  OR EXISTS (SELECT 1 FROM tombstone k WHERE k.company_id = :company_id AND k.tx = t.id AND k.tenant <> :digest))
