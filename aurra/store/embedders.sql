-- Embedders: whose vectors search compares, and the vectors that contents lack while another takes over.

-- name: active -> EmbedderRow
-- Whose vectors search compares; none before the first start.
SELECT name, model, dimension, since FROM embedder WHERE state = 'active'

-- name: filling -> EmbedderRow
-- Whose vectors are being made to replace them.
SELECT name, model, dimension, since FROM embedder WHERE state = 'filling'

-- name: adopt
-- The embedder of a fresh installation; nothing where there is one.
INSERT INTO embedder (name, model, dimension, state, since) VALUES (:name, :model, :dimension, 'active', :at)
ON CONFLICT DO NOTHING

-- name: stop_filling
-- Nothing is on its way to replace the active one any more.
DELETE FROM embedder WHERE state = 'filling'

-- name: start_filling
-- The vectors of another are being made.
INSERT INTO embedder (name, model, dimension, state, since) VALUES (:name, :model, :dimension, 'filling', :at)

-- name: retire
-- The active one makes room, where the other is still the one that is to replace it.
DELETE FROM embedder WHERE state = 'active' AND EXISTS (
  SELECT 1 FROM embedder f WHERE f.state = 'filling' AND f.name = :name AND f.model = :model)

-- name: activate -> Name
-- The other takes its place.
UPDATE embedder SET state = 'active', since = :at WHERE state = 'filling' AND name = :name AND model = :model RETURNING name

-- name: count_contents -> Counted
-- What the account's memories say, have ever said; and how much of that lacks a vector of a model.
SELECT count(*) AS contents,
       count(*) FILTER (WHERE NOT EXISTS (
         SELECT 1 FROM embedding e
         WHERE e.company_id = :company_id AND e.content_id = c.id AND e.model = :model AND e.part = 0)) AS missing
FROM content c WHERE c.company_id = :company_id

-- name: page -> Said
-- The next contents, with whom each is of or about (see `drafts.named`), and its text where it lacks a vector of a model.
SELECT c.id, coalesce(o.name, m.subject) AS who,
       CASE WHEN NOT EXISTS (
         SELECT 1 FROM embedding e
         -- "Between id and id": see search.sql.
         WHERE e.company_id = :company_id AND e.content_id BETWEEN c.id AND c.id AND e.model = :model AND e.part = 0)
       THEN c.text END AS text
FROM (
  SELECT c.id, c.memory_id, c.text FROM content c WHERE c.company_id = :company_id AND c.id > :after
  ORDER BY c.id LIMIT :limit) AS c
CROSS JOIN LATERAL (
  SELECT m.subject, m.source_id FROM memory m WHERE m.company_id = :company_id AND m.id BETWEEN c.memory_id AND c.memory_id
  ORDER BY m.id LIMIT 1) AS m
LEFT JOIN LATERAL (
  SELECT o.name FROM source o WHERE o.company_id = :company_id AND o.id BETWEEN m.source_id AND m.source_id
  ORDER BY o.id LIMIT 1) AS o ON true
ORDER BY c.id

-- name: add_vectors
-- Vectors made later, outside the chain, of contents that are still there.
INSERT INTO embedding (company_id, content_id, model, part, vector)
SELECT :company_id, c.id, :model, r.part, r.vector
FROM unnest(:contents::uuid[], :parts::smallint[], :vectors::halfvec[]) AS r(content_id, part, vector)
JOIN content c ON c.company_id = :company_id AND c.id = r.content_id
ON CONFLICT DO NOTHING

-- name: models_stored -> ModelCount
-- How many vectors the account has of each model, of how many numbers.
SELECT e.model, vector_dims(e.vector) AS dimension, count(*) AS vectors
FROM embedding e WHERE e.company_id = :company_id GROUP BY e.model, vector_dims(e.vector) ORDER BY 1, 2

-- name: prune_derived -> Pruned
-- Removes some vectors of other models that are outside the chain, and all of their sketches.
WITH sketches AS (
  DELETE FROM segment_sketch k WHERE k.company_id = :company_id AND k.model <> ALL(:models::text[])),
gone AS (
  DELETE FROM embedding e
  WHERE e.company_id = :company_id AND (e.content_id, e.model, e.part) IN (
    SELECT o.content_id, o.model, o.part FROM embedding o
    WHERE o.company_id = :company_id AND o.model <> ALL(:models::text[]) AND o.tx IS NULL LIMIT :limit)
  RETURNING 1)
SELECT count(*) AS vectors FROM gone

-- name: prunable -> StoredEmbedding
-- Some vectors of other models that the chain covers, each with its content's salt.
SELECT e.content_id, e.model, e.vector, e.tx, c.salt
FROM embedding e JOIN content c ON c.company_id = e.company_id AND c.id = e.content_id
WHERE e.company_id = :company_id AND e.model <> ALL(:models::text[]) AND e.tx IS NOT NULL AND e.part = 0
ORDER BY e.content_id, e.model LIMIT :limit

-- name: prune_chained -> Pruned
-- Removes those, under the ledger's lock: the entry that says so, what stays of each, and the head.
WITH head AS (
  UPDATE ledger SET last_tx = :tx, last_at = :at, last_hash = :hash WHERE company_id = :company_id AND last_tx = :tx - 1
  RETURNING 1),
entry AS (
  INSERT INTO transaction (company_id, id, at, verb, actor, reason, reason_salt, reason_hash, request_id, model, writes, hash)
  SELECT :company_id, r.id, r.at, r.verb, r.actor, r.reason, decode(r.reason_salt, 'base64'), decode(r.reason_hash, 'base64'),
         r.request_id, r.model, r.writes, decode(r.hash, 'base64')
  FROM json_to_record(:entry::json) AS r(id bigint, at timestamptz, verb text, actor text, reason text, reason_salt text,
       reason_hash text, request_id text, model text, writes integer, hash text)
  WHERE (SELECT count(*) FROM head) = 1),
stone AS (
  INSERT INTO tombstone (company_id, erased_by, kind, tx, row_id, hash)
  SELECT :company_id, :tx, r.kind, r.tx, r.row_id, decode(r.hash, 'base64')
  FROM json_to_recordset(:tombstones::json) AS r(kind text, tx bigint, row_id uuid, hash text)),
gone AS (
  DELETE FROM embedding e
  USING unnest(:contents::uuid[], :pruned::text[]) AS r(content_id, model)
  WHERE e.company_id = :company_id AND e.content_id = r.content_id AND e.model = r.model AND e.part = 0 AND e.tx IS NOT NULL
  RETURNING 1)
SELECT count(*) AS vectors FROM gone
