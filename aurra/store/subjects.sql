-- Subjects: whom or what memories are about, and all that is believed about one.

-- fragment: label
CASE WHEN :ceiling::bigint = 9223372036854775807 THEN
         (SELECT l.external_id FROM subject l
          WHERE l.company_id = :company_id AND l.tenant_id = :tenant_id AND l.subject_key = b.subject_key)
       ELSE
         (SELECT l.external_id FROM subject_label l
          WHERE l.company_id = :company_id AND l.tenant_id = :tenant_id AND l.subject_key = b.subject_key AND l.tx <= :ceiling
          ORDER BY l.tx DESC LIMIT 1)
       END

-- fragment: first_written
SELECT coalesce(s.subject, m.subject) AS subject
  FROM memory m LEFT JOIN slot s ON s.company_id = m.company_id AND s.id = m.slot_id
  WHERE m.company_id = :company_id AND m.tenant_id = :tenant_id AND m.subject_key = b.subject_key
  ORDER BY m.created_at, m.id LIMIT 1

-- fragment: page
-- The page, from memories `m` and their versions `v` on.
    AND (:after::text IS NULL OR m.subject_key COLLATE "C" > :after)
    AND (:valid_at::timestamptz IS NULL OR v.valid @> :valid_at::timestamptz)
  GROUP BY m.subject_key
  ORDER BY m.subject_key COLLATE "C"
  LIMIT :limit)
SELECT b.subject_key, n.subject,
       {label} AS external_id,
       b.memories,
       ARRAY(SELECT s.attribute FROM unnest(b.slots) AS asked(id) CROSS JOIN LATERAL (
               SELECT s.attribute FROM slot s
               WHERE s.company_id = :company_id AND s.id BETWEEN asked.id AND asked.id ORDER BY s.id LIMIT 1) AS s) AS attributes
FROM believed b CROSS JOIN LATERAL ({first_written}) AS n
ORDER BY b.subject_key COLLATE "C"

-- name: list_page -> SubjectRow
-- A page of the subjects that something is believed about at a transaction, in the order of their comparable names: all,
-- or those with a part of the name, or named otherwise. `strpos` knows no wildcards.
WITH believed AS (
  SELECT m.subject_key, count(DISTINCT m.id) AS memories, array_agg(DISTINCT m.slot_id) AS slots
  FROM memory m
  JOIN version v ON v.company_id = m.company_id AND v.memory_id = m.id
   AND v.tx_from <= :tx AND (v.tx_to IS NULL OR v.tx_to > :tx)
  WHERE m.company_id = :company_id AND m.tenant_id = :tenant_id AND m.subject_key IS NOT NULL
    AND (:part::text IS NULL OR strpos(m.subject_key, :part) > 0 OR m.subject_key = ANY(:keys::text[]))
{page}

-- name: list_named -> SubjectRow
-- The same of some subjects, by their comparable names.
WITH believed AS (
  SELECT m.subject_key, count(DISTINCT m.id) AS memories, array_agg(DISTINCT m.slot_id) AS slots
  FROM unnest(:keys::text[]) AS asked(key)
  CROSS JOIN LATERAL (
    SELECT m.id, m.subject_key, m.slot_id FROM memory m
    WHERE m.company_id = :company_id AND m.tenant_id = :tenant_id AND m.subject_key BETWEEN asked.key AND asked.key
    ORDER BY m.tenant_id, m.subject_key) AS m
  JOIN version v ON v.company_id = :company_id AND v.memory_id = m.id
   AND v.tx_from <= :tx AND (v.tx_to IS NULL OR v.tx_to > :tx)
  WHERE (:part::text IS NULL OR strpos(m.subject_key, :part) > 0 OR :is_named::boolean)
{page}

-- name: known_by -> KeyRow
-- Comparable names of the subjects with an id of the caller's.
SELECT l.subject_key FROM subject l
WHERE l.company_id = :company_id AND l.tenant_id = :tenant_id AND l.external_id BETWEEN :external_id AND :external_id
ORDER BY l.tenant_id, l.external_id

-- name: known_by_up_to -> KeyRow
-- The same as far as it may be known: by the last label that each was given until then.
SELECT l.subject_key FROM subject_label l
WHERE l.company_id = :company_id AND l.tenant_id = :tenant_id AND l.external_id = :external_id AND l.tx <= :ceiling
  AND NOT EXISTS (
    SELECT 1 FROM subject_label o
    WHERE o.company_id = :company_id AND o.tenant_id = :tenant_id AND o.subject_key = l.subject_key AND o.tx > l.tx
      AND o.tx <= :ceiling)

-- name: external_id -> LabelRow
-- The id of a subject in the caller's system.
SELECT l.external_id FROM subject l
WHERE l.company_id = :company_id AND l.tenant_id = :tenant_id AND l.subject_key = :subject_key

-- name: external_id_up_to -> LabelRow
-- The same as far as it may be known.
SELECT l.external_id FROM subject_label l
WHERE l.company_id = :company_id AND l.tenant_id = :tenant_id AND l.subject_key = :subject_key AND l.tx <= :ceiling
ORDER BY l.tx DESC LIMIT 1

-- name: label
-- Gives a subject an id of the caller's, or with null takes it away; kept by the newest transaction.
WITH labelled AS (
  INSERT INTO subject (company_id, tenant_id, subject_key, external_id)
  VALUES (:company_id, :tenant_id, :subject_key, :external_id)
  ON CONFLICT (company_id, tenant_id, subject_key) DO UPDATE SET external_id = excluded.external_id)
INSERT INTO subject_label (company_id, tenant_id, subject_key, tx, external_id)
VALUES (:company_id, :tenant_id, :subject_key, :tx, :external_id)
ON CONFLICT (company_id, tenant_id, subject_key, tx) DO UPDATE SET external_id = excluded.external_id

-- name: name -> NameRow
-- A subject as first written, if a memory was about it at a transaction.
SELECT coalesce(s.subject, m.subject) AS subject
FROM memory m LEFT JOIN slot s ON s.company_id = m.company_id AND s.id = m.slot_id
WHERE m.company_id = :company_id AND m.tenant_id = :tenant_id AND m.subject_key = :subject_key AND m.created_tx <= :tx
ORDER BY m.created_at, m.id
LIMIT 1

-- name: about -> AboutRow
-- What is believed about a subject at a transaction: of its attributes all pieces, else those that hold an instant. The
-- latest come first; slots are fetched by their primary key, LATERAL and "between id and id": see search.sql.
SELECT v.id AS version, m.id AS memory_id, lower(v.valid) AS valid_from, upper(v.valid) AS valid_to, v.superseded_by,
       s.attribute, s.attribute_key, s.cardinality
FROM memory m
CROSS JOIN LATERAL (
  SELECT v.id, v.valid, v.superseded_by FROM version v
  WHERE v.company_id = :company_id AND v.memory_id = m.id AND v.tx_from <= :tx AND (v.tx_to IS NULL OR v.tx_to > :tx)) AS v
LEFT JOIN LATERAL (
  SELECT s.attribute, s.attribute_key, s.cardinality FROM slot s
  WHERE s.company_id = :company_id AND s.id BETWEEN m.slot_id AND m.slot_id ORDER BY s.id LIMIT 1) AS s ON true
WHERE m.company_id = :company_id AND m.tenant_id = :tenant_id AND m.subject_key = :subject_key
  AND (m.slot_id IS NOT NULL OR v.valid @> :at::timestamptz)
ORDER BY lower(v.valid) DESC, m.id DESC
LIMIT :limit
