-- Memories: what reads show of them.

-- name: identity -> Identity
-- What never changes of a memory that may be known of, and the transaction that closed its last version if none is open.
SELECT m.id, m.tenant_id, m.slot_id, m.lane, s.cardinality, m.created_tx,
       (SELECT nullif(max(coalesce(v.tx_to, 0)), 0) FROM version v
         WHERE v.company_id = m.company_id AND v.memory_id = m.id) AS last_closed
FROM memory m LEFT JOIN slot s ON s.company_id = m.company_id AND s.id = m.slot_id
WHERE m.company_id = :company_id AND m.id = :memory_id AND m.created_tx <= :ceiling

-- name: erased_by -> Erased
-- The transaction that erased a memory, and whose it was.
SELECT k.erased_by AS number, k.tenant FROM tombstone k
WHERE k.company_id = :company_id AND k.kind = 'memory' AND k.row_id = :memory_id AND k.erased_by <= :ceiling

-- name: told_by -> ToldBy
-- Whom a memory is about, and who said it when.
SELECT m.subject, o.name AS speaker, o.said_at
FROM memory m LEFT JOIN source o ON o.company_id = m.company_id AND o.id = m.source_id
WHERE m.company_id = :company_id AND m.id = :memory_id

-- fragment: listed
SELECT v.id AS version, m.created_at, m.id AS memory_id, lower(v.valid) AS valid_from,
       (SELECT length(c.text) FROM content c WHERE c.company_id = :company_id AND c.id BETWEEN v.content_id AND v.content_id
        ORDER BY c.id LIMIT 1) AS characters

-- fragment: page
JOIN version v ON v.company_id = m.company_id AND v.memory_id = m.id
 AND v.tx_from <= :tx AND (v.tx_to IS NULL OR v.tx_to > :tx)
WHERE m.company_id = :company_id AND m.tenant_id = :tenant_id
  AND (:valid_at::timestamptz IS NULL OR v.valid @> :valid_at::timestamptz)
  AND (:source::text IS NULL OR m.source = :source)
  AND (:session_id::text IS NULL OR m.session_id = :session_id)
  AND (:subject_key::text IS NULL OR m.subject_key = :subject_key)
  AND (:attribute_key::text IS NULL OR EXISTS (
       SELECT 1 FROM slot s WHERE s.company_id = m.company_id AND s.id = m.slot_id AND s.attribute_key = :attribute_key))
  AND (:topic::text IS NULL OR EXISTS (
       SELECT 1 FROM content c WHERE c.company_id = v.company_id AND c.id = v.content_id AND c.topic = :topic))
  AND (:after_at::timestamptz IS NULL
       OR (m.created_at, m.id, lower(v.valid)) < (:after_at::timestamptz, :after_id::uuid, :after_from::timestamptz))
ORDER BY m.created_at DESC, m.id DESC, lower(v.valid) DESC
LIMIT :limit

-- name: list_page -> Listed
-- A page of pieces believed at a transaction, newest first.
{listed}
FROM memory m
{page}

-- name: list_known_by -> Listed
-- The same of the memories with an id of the caller's.
{listed}
FROM (
  SELECT m.company_id, m.id, m.tenant_id, m.created_at, m.source, m.session_id, m.subject_key, m.slot_id FROM memory m
  WHERE m.company_id = :company_id AND m.tenant_id = :tenant_id AND m.external_id BETWEEN :external_id AND :external_id
  ORDER BY m.tenant_id, m.external_id) AS m
{page}

-- name: pieces -> PieceRow
-- Versions in full, in the order asked, as known at a transaction: later closings show null. Each row is fetched by its
-- primary key, LATERAL and "between id and id": see search.sql.
SELECT asked.id AS version, v.memory_id, m.tenant_id, lower(v.valid) AS valid_from, upper(v.valid) AS valid_to,
       v.tx_from, v.tx_from_at,
       CASE WHEN v.tx_to <= :tx THEN v.tx_to END AS tx_to,
       CASE WHEN v.tx_to <= :tx THEN v.tx_to_at END AS tx_to_at,
       v.op,
       v.superseded_by,
       CASE WHEN v.tx_to <= :tx THEN v.replaced_by END AS replaced_by,
       c.text, c.summary, c.topic, c.importance, c.people, c.action_items,
       m.source, m.session_id, m.external_id, m.metadata::text AS metadata, m.extraction::text AS extraction,
       m.created_at, m.span_from, m.span_to,
       coalesce(s.subject, m.subject) AS subject, s.attribute, s.cardinality,
       o.role, o.name AS speaker, o.text AS turn, o.message_id, o.said_at,
       m.source_id IS NOT NULL AND o.id IS NULL AS source_erased,
       CASE WHEN m.extraction ->> 'mode' <> 'verbatim' THEN o.dialog_id END AS dialog_id,
       m.trust
FROM unnest(:versions::uuid[]) WITH ORDINALITY AS asked(id, place)
CROSS JOIN LATERAL (
  SELECT v.memory_id, v.content_id, v.valid, v.tx_from, v.tx_from_at, v.tx_to, v.tx_to_at, v.op, v.superseded_by,
         v.replaced_by
  FROM version v WHERE v.company_id = :company_id AND v.id BETWEEN asked.id AND asked.id ORDER BY v.id LIMIT 1) AS v
CROSS JOIN LATERAL (
  SELECT m.tenant_id, m.slot_id, m.source_id, m.subject, m.source, m.session_id, m.external_id, m.metadata,
         m.extraction, m.created_at, m.span_from, m.span_to, m.trust
  FROM memory m
  WHERE m.company_id = :company_id AND m.id BETWEEN v.memory_id AND v.memory_id ORDER BY m.id LIMIT 1) AS m
CROSS JOIN LATERAL (
  SELECT c.text, c.summary, c.topic, c.importance, c.people, c.action_items FROM content c
  WHERE c.company_id = :company_id AND c.id BETWEEN v.content_id AND v.content_id ORDER BY c.id LIMIT 1) AS c
LEFT JOIN LATERAL (
  SELECT s.subject, s.attribute, s.cardinality FROM slot s
  WHERE s.company_id = :company_id AND s.id BETWEEN m.slot_id AND m.slot_id ORDER BY s.id LIMIT 1) AS s ON true
LEFT JOIN LATERAL (
  SELECT o.id, o.role, o.name, o.text, o.message_id, o.said_at, o.dialog_id FROM source o
  WHERE o.company_id = :company_id AND o.id BETWEEN m.source_id AND m.source_id ORDER BY o.id LIMIT 1) AS o ON true
ORDER BY asked.place

-- name: dialogs -> Dialog
-- Whole dialogs, each once, cut at a length.
SELECT d.dialog_id AS id, left(string_agg(initcap(d.role) || ': ' || d.text, E'\n' ORDER BY d.position), :characters) AS text
FROM source d
WHERE d.company_id = :company_id AND d.dialog_id = ANY(:dialogs::uuid[])
GROUP BY d.dialog_id

-- name: versions_of -> VersionRow
-- Every version of a memory begun at or before a transaction, in the order of belief, then of validity.
SELECT v.id AS version, lower(v.valid) AS valid_from, upper(v.valid) AS valid_to, v.tx_from, v.tx_from_at,
       CASE WHEN v.tx_to <= :tx THEN v.tx_to END AS tx_to,
       CASE WHEN v.tx_to <= :tx THEN v.tx_to_at END AS tx_to_at,
       v.op, v.superseded_by, CASE WHEN v.tx_to <= :tx THEN v.replaced_by END AS replaced_by
FROM version v
WHERE v.company_id = :company_id AND v.memory_id = :memory_id AND v.tx_from <= :tx
ORDER BY v.tx_from, lower(v.valid)

-- name: versions_of_several -> MemoryVersionRow
-- Versions of some memories begun at or before a transaction, of each the first so many in the order of belief, then of
-- validity; of one tenant's, or of all.
SELECT v.id AS version, v.valid_from, v.valid_to, v.tx_from, v.tx_from_at, v.tx_to, v.tx_to_at, v.op, v.superseded_by,
       v.replaced_by, asked.id AS memory_id
FROM unnest(:memories::uuid[]) AS asked(id)
CROSS JOIN LATERAL (
  SELECT v.id, lower(v.valid) AS valid_from, upper(v.valid) AS valid_to, v.tx_from, v.tx_from_at,
         CASE WHEN v.tx_to <= :tx THEN v.tx_to END AS tx_to,
         CASE WHEN v.tx_to <= :tx THEN v.tx_to_at END AS tx_to_at,
         v.op, v.superseded_by, CASE WHEN v.tx_to <= :tx THEN v.replaced_by END AS replaced_by
  FROM version v
  WHERE v.company_id = :company_id AND v.memory_id = asked.id AND v.tx_from <= :tx
    AND (:tenant_id::text IS NULL OR v.tenant_id = :tenant_id)
  ORDER BY v.tx_from, lower(v.valid)
  LIMIT :limit) AS v
ORDER BY asked.id, v.tx_from, v.valid_from

-- name: believed_in_lane -> LanePiece
-- What a lane holds at a transaction, in valid order.
SELECT v.id AS version, v.memory_id, lower(v.valid) AS valid_from, upper(v.valid) AS valid_to, v.superseded_by
FROM version v
WHERE v.company_id = :company_id AND v.lane = :lane AND v.tx_from <= :tx AND (v.tx_to IS NULL OR v.tx_to > :tx)
ORDER BY lower(v.valid)

-- name: linked -> LanePiece
-- One piece (or, without one, the last version) of each memory that links join to the one asked, at a transaction.
WITH RECURSIVE joined(memory_id) AS (
  SELECT :memory_id::uuid
  UNION
  SELECT link.id
  FROM joined j CROSS JOIN LATERAL (
    SELECT v.superseded_by FROM version v
    WHERE v.company_id = :company_id AND v.memory_id = j.memory_id AND v.tx_from <= :tx AND (v.tx_to IS NULL OR v.tx_to > :tx)
    UNION ALL
    SELECT v.replaced_by FROM version v
    WHERE v.company_id = :company_id AND v.memory_id = j.memory_id AND v.tx_to <= :tx
    UNION ALL
    SELECT v.memory_id FROM version v
    WHERE v.company_id = :company_id AND v.superseded_by = j.memory_id AND v.tx_from <= :tx AND (v.tx_to IS NULL OR v.tx_to > :tx)
    UNION ALL
    SELECT v.memory_id FROM version v
    WHERE v.company_id = :company_id AND v.replaced_by = j.memory_id AND v.tx_to <= :tx) AS link(id)
  WHERE link.id IS NOT NULL)
SELECT DISTINCT ON (v.memory_id) v.id AS version, v.memory_id, lower(v.valid) AS valid_from, upper(v.valid) AS valid_to,
       coalesce(CASE WHEN v.tx_to <= :tx THEN v.replaced_by END, v.superseded_by) AS superseded_by
FROM joined j JOIN version v ON v.company_id = :company_id AND v.memory_id = j.memory_id AND v.tx_from <= :tx
ORDER BY v.memory_id, (v.tx_to IS NULL OR v.tx_to > :tx) DESC, v.tx_from DESC, lower(v.valid) DESC

-- name: events_of -> EventRow
-- Transactions that opened or closed a version of a memory, oldest first.
SELECT t.id, t.at, t.verb, t.actor, t.reason, t.request_id, t.model,
       (SELECT count(*) FROM version v WHERE v.company_id = t.company_id AND v.memory_id = :memory_id AND v.tx_from = t.id) AS opened,
       (SELECT count(*) FROM version v WHERE v.company_id = t.company_id AND v.memory_id = :memory_id AND v.tx_to = t.id) AS closed
FROM transaction t
WHERE t.company_id = :company_id AND t.id IN (
  SELECT v.tx_from FROM version v WHERE v.company_id = :company_id AND v.memory_id = :memory_id
  UNION SELECT v.tx_to FROM version v WHERE v.company_id = :company_id AND v.memory_id = :memory_id AND v.tx_to IS NOT NULL)
ORDER BY t.id
