-- Search: candidates inside account, tenant, filters and both times, with what ranking needs of each. Exact: every
-- qualifying piece is looked at once.
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
-- Every memory that was there by a transaction, with what was believed of it then.
FROM asked CROSS JOIN memory m
CROSS JOIN LATERAL (
  SELECT v.id, v.tenant_id, v.company_id, v.content_id, v.valid FROM version v
  WHERE v.company_id = :company_id AND v.memory_id BETWEEN m.id AND m.id
    AND v.tx_from <= :tx AND (v.tx_to IS NULL OR v.tx_to > :tx)
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
SELECT t.version, t.session_id, t.turn, coalesce(o.said_at, t.valid_from) AS dated, o.name AS speaker, t.subject, c.text,
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
  SELECT o.name, o.said_at FROM source o WHERE o.company_id = :company_id AND o.id BETWEEN t.source_id AND t.source_id
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
  {seen} {believed_then} {said}
  WHERE {filters} AND m.company_id = :company_id AND m.tenant_id = :tenant_id AND m.created_tx <= :tx::bigint),
{chosen}
