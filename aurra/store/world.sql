-- The world: all that the requests of one commit can touch, in one statement after the ledger's lock.

-- name: world -> Text
-- Slots by name, memories by id, the lanes of both (from `starts` on, null is whole), equal texts, turns told before, answers
-- kept: one JSON object.
-- What belongs to a piece is fetched by its primary key, and lanes in the order of their index: see search.sql.
WITH
found AS MATERIALIZED (
  SELECT s.id, s.tenant_id, s.subject_key, s.attribute_key, s.cardinality, asked.start
  FROM unnest(:slot_tenants::text[], :subjects::text[], :attributes::text[], :starts::timestamptz[])
       AS asked(tenant_id, subject_key, attribute_key, start)
  JOIN slot s USING (tenant_id, subject_key, attribute_key)
  WHERE s.company_id = :company_id),
named AS MATERIALIZED (
  SELECT m.id, m.tenant_id, m.lane, m.slot_id, m.source, m.created_tx, last.tx_to AS last_closed, c.text, c.topic, c.importance,
         c.people, c.action_items
  FROM unnest(:memories::uuid[]) AS asked(id)
  CROSS JOIN LATERAL (
    SELECT m.id, m.tenant_id, m.lane, m.slot_id, m.source, m.created_tx FROM memory m
    WHERE m.company_id = :company_id AND m.id BETWEEN asked.id AND asked.id ORDER BY m.id LIMIT 1) AS m
  CROSS JOIN LATERAL (
    SELECT v.content_id FROM version v
    WHERE v.company_id = :company_id AND v.memory_id BETWEEN m.id AND m.id
    ORDER BY v.memory_id DESC, v.tx_from DESC LIMIT 1) AS newest
  CROSS JOIN LATERAL (
    SELECT max(v.tx_to) AS tx_to FROM version v
    WHERE v.company_id = :company_id AND v.memory_id BETWEEN m.id AND m.id) AS last
  CROSS JOIN LATERAL (
    SELECT c.text, c.topic, c.importance, c.people, c.action_items FROM content c
    WHERE c.company_id = :company_id AND c.id BETWEEN newest.content_id AND newest.content_id ORDER BY c.id LIMIT 1) AS c),
gone AS (
  SELECT k.row_id AS id, k.erased_by AS number, translate(encode(k.tenant, 'base64'), E'\n', '') AS tenant
  FROM tombstone k
  WHERE k.company_id = :company_id AND k.kind = 'memory' AND k.row_id = ANY(:memories::uuid[])),
place AS MATERIALIZED (
  SELECT f.id, f.start FROM found f WHERE f.cardinality = 'one'
  UNION SELECT n.lane, NULL FROM named n),
piece AS (
  SELECT v.id, v.memory_id, v.lane, v.content_id, v.valid_from, v.valid_to, v.superseded_by, v.tenant_id,
         translate(encode(c.salt, 'base64'), E'\n', '') AS salt,
         place.start IS NOT NULL AND v.valid_from >= place.start AND EXISTS (
           SELECT 1 FROM version o WHERE o.company_id = :company_id AND o.memory_id = v.memory_id AND o.tx_to IS NULL
           AND lower(o.valid) < place.start) AS is_early
  FROM place
  CROSS JOIN LATERAL (
    SELECT v.id, v.memory_id, v.lane, v.content_id, lower(v.valid) AS valid_from, upper(v.valid) AS valid_to,
           v.superseded_by, v.tenant_id
    FROM version v
    WHERE v.company_id = :company_id AND v.lane BETWEEN place.id AND place.id AND v.tx_to IS NULL
      AND (place.start IS NULL OR coalesce(upper(v.valid), 'infinity') > place.start)
    ORDER BY v.lane) AS v
  CROSS JOIN LATERAL (
    SELECT c.salt FROM content c WHERE c.company_id = :company_id AND c.id BETWEEN v.content_id AND v.content_id
    ORDER BY c.id LIMIT 1) AS c
  ORDER BY v.lane, v.valid_from),
twin AS (
  SELECT c.text, v.memory_id AS memory, v.tenant_id, m.slot_id AS slot, m.source, lower(v.valid) AS start, upper(v.valid) AS "end"
  FROM content c
  JOIN version v ON v.company_id = c.company_id AND v.memory_id = c.memory_id AND v.content_id = c.id AND v.tx_to IS NULL
  JOIN memory m ON m.company_id = c.company_id AND m.id = c.memory_id
  WHERE c.company_id = :company_id AND c.fingerprint = ANY(:fingerprints::bigint[]) AND v.tenant_id = ANY(:tenants::text[])
  ORDER BY m.created_at, m.id),
turn AS (
  SELECT s.tenant_id, s.session_id, s.message_id, m.id AS memory_id
  FROM unnest(:told_tenants::text[], :told_sessions::text[], :told_messages::text[]) AS asked(tenant_id, session_id, message_id)
  JOIN source s USING (tenant_id, session_id, message_id)
  JOIN memory m ON m.company_id = s.company_id AND m.source_id = s.id AND m.extraction ->> 'mode' = 'verbatim'
  JOIN version v ON v.company_id = m.company_id AND v.memory_id = m.id AND v.tx_to IS NULL
  WHERE s.company_id = :company_id
  ORDER BY m.created_at, m.id),
answered AS (
  SELECT i.key, translate(encode(i.fingerprint, 'base64'), E'\n', '') AS fingerprint,
         translate(encode(i.answer, 'base64'), E'\n', '') AS answer
  FROM idempotency i
  WHERE i.company_id = :company_id AND i.key = ANY(:keys::text[]) AND i.expires_at > :at)
SELECT json_build_object(
  'slots', (SELECT json_agg(f) FROM found f),
  'memories', (SELECT json_agg(n) FROM named n),
  'erased', (SELECT json_agg(g) FROM gone g),
  'pieces', (SELECT json_agg(p) FROM piece p),
  'twins', (SELECT json_agg(t) FROM twin t),
  'told', (SELECT json_agg(t) FROM turn t),
  'answers', (SELECT json_agg(a) FROM answered a))::text AS value
