-- The index of large tenants: segments of contents in the order of the transactions that stored them, and what is in none.
-- A content is stored with its memory, or by another verb than assert on a memory that is there: so a run of transactions
-- is found by the tenant's own memories and by those few, however much the account's other tenants wrote meanwhile.

-- fragment: stored
-- Contents stored after one transaction and up to another, numbered in their order. The limits bind nothing: with one, the
-- planner takes the index in whose order it reads. The bounds are a row of their own, since row-level security keeps a
-- condition with `coalesce` from any index.
SELECT c.id, c.tx, c.words, row_number() OVER (ORDER BY c.tx, c.id) - 1 AS place
FROM (
  SELECT c.id
  FROM (
    SELECT coalesce((SELECT t.at FROM transaction t WHERE t.company_id = :company_id AND t.id = :from_tx), '-infinity') AS since,
           coalesce((SELECT t.at FROM transaction t WHERE t.company_id = :company_id AND t.id = :to_tx), 'infinity') AS until
    OFFSET 0) AS b
  CROSS JOIN LATERAL (
    SELECT m.id, m.created_tx FROM memory m
    WHERE m.company_id = :company_id AND m.tenant_id = :tenant_id AND m.created_at > b.since AND m.created_at <= b.until
    ORDER BY m.created_at, m.id LIMIT :every) AS m
  CROSS JOIN LATERAL (
    SELECT c.id, c.tx FROM content c WHERE c.company_id = :company_id AND c.memory_id BETWEEN m.id AND m.id
    ORDER BY c.memory_id) AS c
  WHERE c.tx = m.created_tx
  UNION
  SELECT v.content_id FROM (
    SELECT t.id FROM transaction t
    WHERE t.company_id = :company_id AND t.id > :from_tx AND t.id <= :to_tx AND t.verb <> 'assert'
    ORDER BY t.id LIMIT :every) AS t
  CROSS JOIN LATERAL (
    SELECT v.content_id, v.tenant_id, v.tx_from FROM version v
    WHERE v.company_id = :company_id AND v.tx_from BETWEEN t.id AND t.id ORDER BY v.tx_from) AS v
  CROSS JOIN LATERAL (
    SELECT c.tx FROM content c WHERE c.company_id = :company_id AND c.id BETWEEN v.content_id AND v.content_id
    ORDER BY c.id LIMIT 1) AS c
  WHERE v.tenant_id = :tenant_id AND c.tx = v.tx_from) AS s
CROSS JOIN LATERAL (
  SELECT c.id, c.tx, c.words FROM content c WHERE c.company_id = :company_id AND c.id BETWEEN s.id AND s.id
  ORDER BY c.id LIMIT 1) AS c

-- fragment: by_memory
-- The same from the first transaction on, whatever else the account holds.
SELECT c.id, c.tx, c.words, row_number() OVER (ORDER BY c.tx, c.id) - 1 AS place
FROM (
  SELECT m.id FROM memory m
  WHERE m.company_id = :company_id AND m.tenant_id = :tenant_id AND m.created_at <= :until
  ORDER BY m.created_at, m.id LIMIT :every) AS m
CROSS JOIN LATERAL (
  SELECT c.id, c.tx, c.words FROM content c WHERE c.company_id = :company_id AND c.memory_id BETWEEN m.id AND m.id
  ORDER BY c.memory_id) AS c
WHERE c.tx <= :to_tx

-- fragment: counted
-- First a row of all contents, then one for each of the question's words.
SELECT NULL::text AS lexeme, count(*) AS contents, string_agg(uuid_send(u.id), '' ORDER BY u.place) AS ids,
       string_agg(int4send(length(u.words)), '' ORDER BY u.place) AS lengths,
       array_agg(e.similarity ORDER BY u.place) AS similarities, NULL::bytea AS places, NULL::bytea AS times
FROM unindexed u
LEFT JOIN LATERAL (
  SELECT max(1 - (e.vector <=> :vector::halfvec)) AS similarity FROM embedding e
  WHERE e.company_id = :company_id AND e.content_id BETWEEN u.id AND u.id AND e.model = :model) AS e
  ON :model::text IS NOT NULL
UNION ALL
SELECT h.lexeme, count(*), NULL, NULL, NULL, string_agg(int4send(u.place::integer), '' ORDER BY u.place),
       string_agg(int2send(cardinality(h.positions)::smallint), '' ORDER BY u.place)
FROM unindexed u
CROSS JOIN LATERAL unnest(ts_filter(setweight(u.words, 'A', :lexemes::text[]), '{a}')) AS h
GROUP BY h.lexeme

-- name: in_order -> SegmentRow
-- The question's words, beside each segment that holds what was stored before or at the transaction, oldest first.
WITH asked AS MATERIALIZED (SELECT tsvector_to_array(to_tsvector('english', :query)) AS lexemes)
SELECT asked.lexemes, s.id, s.from_tx, s.to_tx, s.contents, s.ids, s.lengths, CASE WHEN s.to_tx > :tx THEN s.numbers END AS numbers,
       EXISTS (SELECT 1 FROM segment_sketch k WHERE k.company_id = :company_id AND k.segment_id = s.id AND k.model = :model)
         AS is_sketched
FROM asked LEFT JOIN (
  SELECT s.id, s.from_tx, s.to_tx, s.contents, s.ids, s.lengths, s.numbers FROM segment s
  WHERE s.company_id = :company_id AND s.tenant_id = :tenant_id AND s.from_tx < :tx) AS s ON true
ORDER BY s.from_tx

-- name: words -> WordRow
-- Which contents of the segments have the words.
SELECT w.segment_id, w.lexeme, w.places, w.times
FROM unnest(:segments::uuid[]) AS s(id) CROSS JOIN unnest(:lexemes::text[]) AS a(lexeme)
CROSS JOIN LATERAL (
  SELECT w.segment_id, w.lexeme, w.places, w.times FROM segment_word w
  WHERE w.company_id = :company_id AND w.segment_id = s.id AND w.lexeme = a.lexeme
  ORDER BY w.segment_id, w.lexeme LIMIT 1) AS w

-- name: sketches -> SketchRow
-- The sketched vectors of the segments.
SELECT k.segment_id, k.places, k.scale, k.codes
FROM unnest(:segments::uuid[]) AS s(id)
CROSS JOIN LATERAL (
  SELECT k.segment_id, k.places, k.scale, k.codes FROM segment_sketch k
  WHERE k.company_id = :company_id AND k.segment_id = s.id AND k.model = :model
  ORDER BY k.segment_id, k.model LIMIT 1) AS k

-- name: unindexed -> UnindexedRow
-- What is in no segment, of a run of transactions: read from the contents themselves.
WITH unindexed AS MATERIALIZED ({stored}) {counted}

-- name: unindexed_of_tenant -> UnindexedRow
-- The same of a tenant without any segment.
WITH unindexed AS MATERIALIZED ({by_memory}) {counted}

-- name: reach -> Reach
-- How many memories of the tenant a run of transactions made, counted up to a bound; and the transaction of the last counted.
SELECT count(*) AS memories, max(m.created_tx) AS to_tx
FROM (
  SELECT coalesce((SELECT t.at FROM transaction t WHERE t.company_id = :company_id AND t.id = :from_tx), '-infinity') AS since,
         coalesce((SELECT t.at FROM transaction t WHERE t.company_id = :company_id AND t.id = :to_tx), 'infinity') AS until
  OFFSET 0) AS b
CROSS JOIN LATERAL (
  SELECT m.created_tx FROM memory m
  WHERE m.company_id = :company_id AND m.tenant_id = :tenant_id AND m.created_at > b.since AND m.created_at <= b.until
  ORDER BY m.created_at, m.id LIMIT :most) AS m

-- name: newest -> Newest
-- A memory by which the tenant is known to who may read it: the newest.
SELECT m.id FROM memory m WHERE m.company_id = :company_id AND m.tenant_id = :tenant_id
ORDER BY m.created_at DESC, m.id DESC LIMIT 1

-- name: spans -> Span
-- What each segment covers, oldest first, and whether it has the model's vectors.
SELECT s.id, s.from_tx, s.to_tx, s.contents,
       EXISTS (SELECT 1 FROM segment_sketch k WHERE k.company_id = :company_id AND k.segment_id = s.id AND k.model = :model)
         AS is_sketched
FROM segment s WHERE s.company_id = :company_id AND s.tenant_id = :tenant_id ORDER BY s.from_tx

-- name: add_segment -> Added
-- A segment of what a run of transactions stored, be it nothing.
WITH unindexed AS MATERIALIZED ({stored})
INSERT INTO segment (company_id, id, tenant_id, from_tx, to_tx, contents, ids, lengths, numbers)
SELECT :company_id, :id, :tenant_id, :from_tx, :to_tx, count(*),
       coalesce(string_agg(uuid_send(u.id), '' ORDER BY u.place), ''),
       coalesce(string_agg(int4send(length(u.words)), '' ORDER BY u.place), ''),
       coalesce(string_agg(int8send(u.tx), '' ORDER BY u.place), '')
FROM unindexed u
RETURNING contents

-- name: add_words
-- The words of a segment that was just made.
WITH unindexed AS MATERIALIZED ({stored})
INSERT INTO segment_word (company_id, segment_id, lexeme, places, times)
SELECT :company_id, :id, w.lexeme, string_agg(int4send(u.place::integer), '' ORDER BY u.place),
       CASE WHEN max(cardinality(w.positions)) > 1
            THEN string_agg(int2send(cardinality(w.positions)::smallint), '' ORDER BY u.place) END
FROM unindexed u CROSS JOIN LATERAL unnest(u.words) AS w
GROUP BY w.lexeme

-- name: vectors -> Vectors
-- A model's vectors of a segment, as the database sends them, and how many of its contents have one.
WITH unindexed AS MATERIALIZED ({stored})
SELECT count(DISTINCT u.place) AS contents, string_agg(int4send(u.place::integer), '' ORDER BY u.place, e.part) AS places,
       string_agg(halfvec_send(e.vector), '' ORDER BY u.place, e.part) AS vectors
FROM unindexed u
CROSS JOIN LATERAL (
  SELECT e.part, e.vector FROM embedding e
  WHERE e.company_id = :company_id AND e.content_id BETWEEN u.id AND u.id AND e.model = :model
  ORDER BY e.content_id, e.model, e.part) AS e

-- name: add_sketch
-- The sketched vectors of a segment.
INSERT INTO segment_sketch (company_id, segment_id, model, places, scale, codes)
VALUES (:company_id, :id, :model, :places, :scale, :codes)

-- name: remove_words
-- Before the segments that they belong to.
DELETE FROM segment_word WHERE company_id = :company_id AND segment_id = ANY(:segments)

-- name: remove_sketches
-- Before the segments that they belong to.
DELETE FROM segment_sketch WHERE company_id = :company_id AND segment_id = ANY(:segments)

-- name: remove
-- Segments that others replace.
DELETE FROM segment WHERE company_id = :company_id AND id = ANY(:segments)

-- name: erased_since -> Erased
-- Whether anything was erased after a transaction.
SELECT EXISTS (SELECT 1 FROM tombstone k WHERE k.company_id = :company_id AND k.erased_by > :tx) AS is_so
