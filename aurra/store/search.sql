-- Search: candidates inside account, tenant, filters and both times, with what ranking needs of each. Exact: every
-- qualifying piece is looked at.

-- fragment: filters
v.company_id = :company_id AND v.tenant_id = :tenant_id
  AND (:valid_at::timestamptz IS NULL OR v.valid @> :valid_at::timestamptz)
  AND (:sources::text[] IS NULL OR m.source = ANY(:sources::text[]))
  AND (:topics::text[] IS NULL OR c.topic = ANY(:topics::text[]))
  AND (:session_id::text IS NULL OR m.session_id = :session_id)
  AND (:subject_key::text IS NULL OR m.subject_key = :subject_key)

-- fragment: rank_qualifying
term AS MATERIALIZED (SELECT lexeme FROM unnest(to_tsvector('english', :query))),
asked AS MATERIALIZED (SELECT string_agg(quote_literal(lexeme), ' | ')::tsquery AS any_term FROM term),
total AS (SELECT count(*) AS pieces, coalesce(avg(words), 0)::float AS words FROM (SELECT length(p.words) AS words FROM piece p) AS l),
hit AS MATERIALIZED (
  SELECT p.version, w.lexeme, greatest(cardinality(w.positions), 1) AS times
  FROM piece p CROSS JOIN asked CROSS JOIN LATERAL unnest(p.words) AS w
  WHERE p.words @@ asked.any_term AND w.lexeme IN (SELECT lexeme FROM term)),
frequency AS (SELECT lexeme, count(*) AS pieces FROM hit GROUP BY lexeme),
lexical AS (
  SELECT h.version, array_agg(h.lexeme ORDER BY h.lexeme) AS lexemes, array_agg(h.times ORDER BY h.lexeme) AS times,
         array_agg(f.pieces ORDER BY h.lexeme) AS frequencies,
         sum(ln(1 + total.pieces::float / f.pieces) * h.times / (h.times + 1.0)) AS rough
  FROM hit h JOIN frequency f USING (lexeme) CROSS JOIN total
  GROUP BY h.version ORDER BY rough DESC, h.version LIMIT :width),
dense AS MATERIALIZED (
  SELECT p.version, 1 - (e.vector <=> :vector::halfvec) AS similarity
  FROM piece p JOIN embedding e ON e.company_id = :company_id AND e.content_id = p.content_id AND e.model = :model
  WHERE :vector::halfvec IS NOT NULL),
nearest AS (SELECT version FROM dense ORDER BY similarity DESC, version LIMIT :width),
newest AS (SELECT version FROM piece ORDER BY created_at DESC, version DESC LIMIT :limit),
chosen AS (SELECT version FROM lexical UNION SELECT version FROM nearest UNION SELECT version FROM newest)
SELECT p.version, p.memory_id, p.session_id, p.created_at, p.position, p.said_at, p.valid_from, p.speaker, p.subject, p.text,
       length(p.words) AS length, coalesce(l.lexemes, '{}') AS lexemes, coalesce(l.times, '{}') AS times,
       coalesce(l.frequencies, '{}') AS frequencies, d.similarity,
       total.pieces AS total, total.words AS mean_length
FROM chosen JOIN piece p USING (version) CROSS JOIN total
LEFT JOIN lexical l USING (version) LEFT JOIN dense d USING (version)
ORDER BY p.version

-- fragment: piece
SELECT v.id AS version, v.memory_id, v.content_id, lower(v.valid) AS valid_from, c.words, c.text, m.session_id, m.created_at,
       o.position, o.said_at, o.name AS speaker, m.subject
FROM version v
JOIN memory m ON m.company_id = v.company_id AND m.id = v.memory_id
JOIN content c ON c.company_id = v.company_id AND c.id = v.content_id
LEFT JOIN source o ON o.company_id = m.company_id AND o.id = m.source_id

-- name: candidates_now -> CandidateRow
-- Among what is believed now.
WITH piece AS MATERIALIZED ({piece} WHERE {filters} AND v.tx_to IS NULL),
{rank_qualifying}

-- name: candidates_then -> CandidateRow
-- Among what was believed at a transaction.
WITH piece AS MATERIALIZED ({piece} WHERE {filters} AND int8range(v.tx_from, v.tx_to) @> :tx::bigint),
{rank_qualifying}
