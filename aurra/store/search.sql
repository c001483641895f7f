-- Search: candidates inside account, tenant, filters and both times, with what ranking needs of each. Exact up to some
-- thousand memories: every qualifying piece is looked at once. Beyond, contents are chosen first (segments.sql), and what is
-- believed of them is read here.
--
-- What belongs to a piece is fetched by its primary key: LATERAL, since a planner without statistics would join 60 fresh
-- memories in 28 ms, and more in n³; and "between id and id in the order of ids", since with "= id" it takes any index
-- of the account for as good.

-- fragment: asked
asked AS MATERIALIZED (SELECT tsvector_to_array(to_tsvector('english', :query)) AS lexemes)

-- fragment: filters
v.company_id = :company_id AND v.tenant_id = :tenant_id
  AND (:valid_at::timestamptz IS NULL OR v.valid @> :valid_at::timestamptz)
  AND (:sources::text[] IS NULL OR m.source = ANY(:sources::text[]))
  AND (:topics::text[] IS NULL OR c.topic = ANY(:topics::text[]))
  AND (:session_id::text IS NULL OR m.session_id = :session_id)
  AND (:subject_key::text IS NULL OR m.subject_key = :subject_key)

-- fragment: seen
-- `hits`: the words of the content that the question has; they are marked, and the others filtered out.
SELECT v.id AS version, m.id AS memory_id, v.content_id, lower(v.valid) AS valid_from, m.session_id, m.source_id, m.subject,
       length(c.words) AS length,
       tsvector_to_array(ts_filter(setweight(c.words, 'A', asked.lexemes), '{a}')) AS hits,
       e.similarity

-- fragment: said
CROSS JOIN LATERAL (
  SELECT c.words, c.topic FROM content c WHERE c.company_id = :company_id AND c.id BETWEEN v.content_id AND v.content_id
  ORDER BY c.id LIMIT 1) AS c
CROSS JOIN LATERAL (
  -- The best of its parts; null where it has none.
  SELECT 1 - min(e.vector <=> :vector::halfvec) AS similarity FROM embedding e
  WHERE e.company_id = :company_id AND e.content_id BETWEEN v.content_id AND v.content_id AND e.model = :model) AS e

-- fragment: believed_now
-- Everything believed now, each piece with its memory.
FROM asked CROSS JOIN version v
CROSS JOIN LATERAL (
  SELECT m.id, m.session_id, m.source_id, m.subject, m.subject_key, m.source FROM memory m
  WHERE m.company_id = :company_id AND m.id BETWEEN v.memory_id AND v.memory_id
  ORDER BY m.id LIMIT 1) AS m

-- fragment: believed_then
-- Of each memory, what was believed of it at a transaction. "coalesce" keeps its number from any index: the planner would
-- take one that looks through all that the account opened before it, or closed since.
CROSS JOIN LATERAL (
  SELECT v.id, v.tenant_id, v.company_id, v.content_id, v.valid FROM version v
  WHERE v.company_id = :company_id AND v.memory_id BETWEEN m.id AND m.id
    AND coalesce(v.tx_from <= :tx AND (v.tx_to IS NULL OR v.tx_to > :tx), false)
  ORDER BY v.memory_id, v.tx_from) AS v

-- fragment: chosen
-- Each piece's words and nearness are taken relative to the best; by their sum, then the newest first, the best are
-- chosen, and of the very best the turns before and after. Ids of memories are in the order in which they were told.
corpus AS MATERIALIZED (
  SELECT count(*) AS pieces, coalesce(avg(length), 0)::float AS mean_length,
         min(similarity) AS farthest, nullif(max(similarity) - min(similarity), 0) AS spread
  FROM piece),
hit AS (SELECT h.lexeme, count(*) AS pieces FROM piece CROSS JOIN LATERAL unnest(hits) AS h(lexeme) GROUP BY h.lexeme),
term AS MATERIALIZED (
  SELECT a.lexeme, coalesce(hit.pieces, 0) AS pieces, ln(1 + corpus.pieces::float / hit.pieces) AS worth
  FROM asked CROSS JOIN corpus CROSS JOIN LATERAL unnest(asked.lexemes) AS a(lexeme) LEFT JOIN hit USING (lexeme)),
rough AS MATERIALIZED (
  SELECT p.version, p.memory_id, p.content_id, p.valid_from, p.session_id, p.source_id, p.subject, p.length, p.similarity,
         (SELECT sum(t.worth) FROM term t WHERE t.lexeme = ANY(p.hits)) AS worth
  FROM piece p),
placed AS (
  SELECT r.version, r.memory_id, r.content_id, r.valid_from, r.session_id, r.source_id, r.subject, r.length, r.similarity,
         row_number() OVER (
           ORDER BY coalesce(r.worth / (SELECT max(worth) FROM rough), 0)
                    + coalesce((r.similarity - corpus.farthest) / corpus.spread, 0) DESC,
                    r.memory_id DESC, r.version) AS place
  FROM rough r CROSS JOIN corpus),
told AS (
  SELECT p.version, p.memory_id, p.content_id, p.valid_from, p.session_id, p.source_id, p.subject, p.length, p.similarity,
         p.place, row_number() OVER turns AS turn, lag(p.place) OVER turns AS before, lead(p.place) OVER turns AS after
  FROM placed p WINDOW turns AS (PARTITION BY p.session_id ORDER BY p.memory_id, p.version))
SELECT t.version, t.session_id, t.turn, coalesce(o.said_at, t.valid_from) AS dated, o.name AS speaker,
       CASE WHEN o.text = c.text THEN o.role END AS role, t.subject, c.text,
       t.length, h.lexemes, h.times, t.similarity,
       CASE WHEN t.place = 1 THEN corpus.pieces END AS pieces,
       CASE WHEN t.place = 1 THEN corpus.mean_length END AS mean_length,
       CASE WHEN t.place = 1 THEN (SELECT array_agg(lexeme ORDER BY lexeme) FROM term) END AS asked,
       CASE WHEN t.place = 1 THEN (SELECT array_agg(pieces ORDER BY lexeme) FROM term) END AS frequencies
FROM told t CROSS JOIN corpus CROSS JOIN asked
CROSS JOIN LATERAL (
  SELECT c.text, c.words FROM content c WHERE c.company_id = :company_id AND c.id BETWEEN t.content_id AND t.content_id
  ORDER BY c.id LIMIT 1) AS c
LEFT JOIN LATERAL (
  SELECT o.name, o.role, o.text, o.said_at FROM source o WHERE o.company_id = :company_id AND o.id BETWEEN t.source_id AND t.source_id
  ORDER BY o.id LIMIT 1) AS o ON true
CROSS JOIN LATERAL (
  SELECT array_agg(w.lexeme) AS lexemes,
         CASE WHEN max(cardinality(w.positions)) > 1 THEN array_agg(cardinality(w.positions)) END AS times
  FROM unnest(ts_filter(setweight(c.words, 'A', asked.lexemes), '{a}')) AS w) AS h
WHERE t.place <= :width OR (t.session_id IS NOT NULL AND (t.before <= :joined OR t.after <= :joined))

-- name: candidates_now -> CandidateRow
-- Among what is believed now.
WITH {asked},
piece AS MATERIALIZED ({seen} {believed_now} {said} WHERE {filters} AND v.tx_to IS NULL),
{chosen}

-- name: candidates_then -> CandidateRow
-- Among what was believed at a transaction.
WITH {asked},
piece AS MATERIALIZED (
  {seen} FROM asked CROSS JOIN memory m {believed_then} {said}
  WHERE {filters} AND m.company_id = :company_id AND m.tenant_id = :tenant_id AND m.created_tx <= :tx::bigint
    AND m.created_at <= :until::timestamptz),
{chosen}

-- name: candidates_in_session -> CandidateRow
-- Among what was believed of a session's memories at a transaction.
WITH {asked},
piece AS MATERIALIZED (
  {seen}
  FROM asked CROSS JOIN (
    SELECT m.id, m.session_id, m.source_id, m.subject, m.subject_key, m.source FROM memory m
    WHERE m.company_id = :company_id AND m.tenant_id = :tenant_id AND m.session_id = :session_id AND m.created_tx <= :tx::bigint
    ORDER BY m.session_id, m.id) AS m
  {believed_then} {said} WHERE {filters}),
{chosen}

-- name: candidates_of_subject -> CandidateRow
-- Among what was believed of a subject's memories at a transaction.
WITH {asked},
piece AS MATERIALIZED (
  {seen}
  FROM asked CROSS JOIN (
    SELECT m.id, m.session_id, m.source_id, m.subject, m.subject_key, m.source FROM memory m
    WHERE m.company_id = :company_id AND m.tenant_id = :tenant_id AND m.subject_key = :subject_key AND m.created_tx <= :tx::bigint
    ORDER BY m.subject_key) AS m
  {believed_then} {said} WHERE {filters}),
{chosen}

-- name: extent -> Extent
-- How many memories the tenant had by a transaction; counted up to a bound.
SELECT count(*) AS memories FROM (
  SELECT 1 FROM memory m
  WHERE m.company_id = :company_id AND m.tenant_id = :tenant_id AND m.created_tx <= :tx AND m.created_at <= :until
  ORDER BY m.created_at, m.id LIMIT :bound) AS m

-- name: extent_of_session -> Extent
-- The same of a session.
SELECT count(*) AS memories FROM (
  SELECT 1 FROM memory m
  WHERE m.company_id = :company_id AND m.tenant_id = :tenant_id AND m.session_id = :session_id AND m.created_tx <= :tx
  ORDER BY m.session_id, m.id LIMIT :bound) AS m

-- name: extent_of_subject -> Extent
-- The same of a subject.
SELECT count(*) AS memories FROM (
  SELECT 1 FROM memory m
  WHERE m.company_id = :company_id AND m.tenant_id = :tenant_id AND m.subject_key = :subject_key AND m.created_tx <= :tx
  ORDER BY m.subject_key LIMIT :bound) AS m

-- fragment: each
-- Contents by their ids, 16 bytes each.
(SELECT g.place, encode(substr(:contents::bytea, 16 * g.place - 15, 16), 'hex')::uuid AS id
 FROM generate_series(1, octet_length(:contents::bytea) / 16) AS g(place))

-- name: nearness -> NearRow
-- How near each of the contents is: the nearest of its vectors.
SELECT e.similarity
FROM {each} AS t
LEFT JOIN LATERAL (
  SELECT max(1 - (e.vector <=> :vector::halfvec)) AS similarity FROM embedding e
  WHERE e.company_id = :company_id AND e.content_id BETWEEN t.id AND t.id AND e.model = :model) AS e ON true
ORDER BY t.place

-- name: believed -> BelievedRow
-- Of the contents, the pieces that qualify: by their place in what was asked, then in the order in which they were told.
SELECT t.place - 1 AS place, v.id AS version, m.id AS memory_id, m.session_id
FROM {each} AS t
CROSS JOIN LATERAL (
  SELECT c.memory_id, c.topic FROM content c WHERE c.company_id = :company_id AND c.id BETWEEN t.id AND t.id
  ORDER BY c.id LIMIT 1) AS c
CROSS JOIN LATERAL (
  SELECT m.id, m.session_id, m.subject_key, m.source FROM memory m
  WHERE m.company_id = :company_id AND m.id BETWEEN c.memory_id AND c.memory_id
  ORDER BY m.id LIMIT 1) AS m
{believed_then}
WHERE {filters} AND v.content_id = t.id

-- fragment: beside
-- A look at so many memories of the session, so that it ends where nothing of a long session qualifies.
SELECT m.id, m.session_id, m.subject_key, m.source FROM memory m
WHERE m.company_id = :company_id AND m.tenant_id = :tenant_id AND m.session_id = t.session_id AND m.created_tx <= :tx

-- fragment: first_piece
-- Of what was believed of a memory then, the first piece that is valid. The inner order is the index's: with more to sort
-- by, the planner takes any index.
CROSS JOIN LATERAL (
  SELECT p.id, p.tenant_id, p.company_id, p.content_id, p.valid FROM (
    SELECT v.id, v.tenant_id, v.company_id, v.content_id, v.valid, v.tx_from FROM version v
    WHERE v.company_id = :company_id AND v.memory_id BETWEEN m.id AND m.id
      AND coalesce(v.tx_from <= :tx AND (v.tx_to IS NULL OR v.tx_to > :tx), false)
      AND (:valid_at::timestamptz IS NULL OR v.valid @> :valid_at::timestamptz)
    ORDER BY v.memory_id, v.tx_from OFFSET 0) AS p
  ORDER BY p.tx_from, p.id LIMIT 1) AS v

-- fragment: said_there
CROSS JOIN LATERAL (
  SELECT c.topic FROM content c WHERE c.company_id = :company_id AND c.id BETWEEN v.content_id AND v.content_id
  ORDER BY c.id LIMIT 1) AS c

-- name: neighbours -> NeighbourRow
-- Of each memory, the piece before it and the one after it in its session that qualify.
SELECT t.memory_id AS of_memory, n.version, n.memory_id, t.session_id
FROM unnest(:memories::uuid[], :sessions::text[]) AS t(memory_id, session_id)
CROSS JOIN LATERAL (
  (SELECT v.id AS version, m.id AS memory_id
   FROM ({beside} AND m.id < t.memory_id ORDER BY m.session_id DESC, m.id DESC LIMIT :furthest) AS m
   {first_piece} {said_there}
   WHERE {filters} ORDER BY m.id DESC LIMIT 1)
  UNION ALL
  (SELECT v.id, m.id
   FROM ({beside} AND m.id > t.memory_id ORDER BY m.session_id, m.id LIMIT :furthest) AS m
   {first_piece} {said_there}
   WHERE {filters} ORDER BY m.id LIMIT 1)) AS n

-- name: shown -> ShownRow
-- What ranking must know of each version.
SELECT t.id AS version, coalesce(o.said_at, lower(v.valid)) AS dated, o.name AS speaker,
       CASE WHEN o.text = c.text THEN o.role END AS role, m.subject, c.text,
       length(c.words) AS length, h.lexemes, h.times, e.similarity
FROM unnest(:versions::uuid[]) WITH ORDINALITY AS t(id, place)
CROSS JOIN LATERAL (
  SELECT v.memory_id, v.content_id, v.valid FROM version v WHERE v.company_id = :company_id AND v.id BETWEEN t.id AND t.id
  ORDER BY v.id LIMIT 1) AS v
CROSS JOIN LATERAL (
  SELECT m.subject, m.source_id FROM memory m WHERE m.company_id = :company_id AND m.id BETWEEN v.memory_id AND v.memory_id
  ORDER BY m.id LIMIT 1) AS m
CROSS JOIN LATERAL (
  SELECT c.text, c.words FROM content c WHERE c.company_id = :company_id AND c.id BETWEEN v.content_id AND v.content_id
  ORDER BY c.id LIMIT 1) AS c
LEFT JOIN LATERAL (
  SELECT o.name, o.role, o.text, o.said_at FROM source o WHERE o.company_id = :company_id AND o.id BETWEEN m.source_id AND m.source_id
  ORDER BY o.id LIMIT 1) AS o ON true
LEFT JOIN LATERAL (
  SELECT max(1 - (e.vector <=> :vector::halfvec)) AS similarity FROM embedding e
  WHERE e.company_id = :company_id AND e.content_id BETWEEN v.content_id AND v.content_id AND e.model = :model) AS e
  ON :model::text IS NOT NULL
CROSS JOIN LATERAL (
  SELECT array_agg(w.lexeme) AS lexemes,
         CASE WHEN max(cardinality(w.positions)) > 1 THEN array_agg(cardinality(w.positions)) END AS times
  FROM unnest(ts_filter(setweight(c.words, 'A', :lexemes::text[]), '{a}')) AS w) AS h
ORDER BY t.place
