-- The world: all that the requests of one commit can touch, in one statement after the ledger's lock.

-- name: world -> Text
-- `needs` is one JSON object of lists: as many parameters would cost the service more than the statement.
-- The plan, slots by name, memories by id, the lanes of both (from `starts` on, null is whole), equal texts, turns told before,
-- turns stored, answers kept: one JSON object.
-- What belongs to a piece is fetched by its primary key, and lanes in the order of their index: see search.sql.
WITH
wanted AS MATERIALIZED (
  SELECT ARRAY(SELECT json_array_elements_text(:needs::json -> 'memories')::uuid) AS memories,
         ARRAY(SELECT json_array_elements_text(:needs::json -> 'fingerprints')::bigint) AS fingerprints,
         ARRAY(SELECT json_array_elements_text(:needs::json -> 'tenants')) AS tenants,
         ARRAY(SELECT json_array_elements_text(:needs::json -> 'keys')) AS keys),
found AS MATERIALIZED (
  SELECT s.id, s.tenant_id, s.subject_key, s.attribute_key, s.cardinality, asked.start
  FROM json_to_recordset(:needs::json -> 'slots')
       AS asked(tenant_id text, subject_key text, attribute_key text, start timestamptz)
  CROSS JOIN LATERAL (
    SELECT s.id, s.tenant_id, s.subject_key, s.attribute_key, s.cardinality FROM slot s
    WHERE s.company_id = :company_id AND s.tenant_id = asked.tenant_id
      AND s.subject_key BETWEEN asked.subject_key AND asked.subject_key AND s.attribute_key = asked.attribute_key
    ORDER BY s.tenant_id, s.subject_key, s.attribute_key LIMIT 1) AS s),
named AS MATERIALIZED (
  SELECT m.id, m.tenant_id, m.lane, m.slot_id, m.source, m.created_tx, last.tx_to AS last_closed, c.text, c.topic, c.importance,
         c.people, c.action_items, m.trust
  FROM wanted CROSS JOIN LATERAL unnest(wanted.memories) AS asked(id)
  CROSS JOIN LATERAL (
    SELECT m.id, m.tenant_id, m.lane, m.slot_id, m.source, m.created_tx, m.trust FROM memory m
    WHERE m.company_id = :company_id AND m.id BETWEEN asked.id AND asked.id ORDER BY m.id LIMIT 1) AS m
  CROSS JOIN LATERAL (
    SELECT v.content_id FROM version v
    WHERE v.company_id = :company_id AND v.memory_id BETWEEN m.id AND m.id
    ORDER BY v.memory_id DESC, v.tx_from DESC LIMIT 1) AS newest
  CROSS JOIN LATERAL (
    -- Not the plain maximum: that is looked for among all closed versions of the account.
    SELECT nullif(max(coalesce(v.tx_to, 0)), 0) AS tx_to FROM version v
    WHERE v.company_id = :company_id AND v.memory_id BETWEEN m.id AND m.id) AS last
  CROSS JOIN LATERAL (
    SELECT c.text, c.topic, c.importance, c.people, c.action_items FROM content c
    WHERE c.company_id = :company_id AND c.id BETWEEN newest.content_id AND newest.content_id ORDER BY c.id LIMIT 1) AS c),
gone AS (
  SELECT k.row_id AS id, k.erased_by AS number, translate(encode(k.tenant, 'base64'), E'\n', '') AS tenant
  FROM tombstone k
  WHERE k.company_id = :company_id AND k.kind = 'memory' AND k.row_id = ANY((SELECT memories FROM wanted)::uuid[])),
place AS MATERIALIZED (
  SELECT f.id, f.start FROM found f WHERE f.cardinality = 'one'
  UNION SELECT n.lane, NULL FROM named n),
piece AS (
  SELECT v.id, v.memory_id, v.lane, v.content_id, v.valid_from, v.valid_to, v.superseded_by, v.tenant_id,
         translate(encode(c.salt, 'base64'), E'\n', '') AS salt,
         coalesce(place.start <= v.valid_from AND first.valid_from < place.start, false) AS is_early,
         m.trust
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
  CROSS JOIN LATERAL (
    SELECT m.trust FROM memory m WHERE m.company_id = :company_id AND m.id BETWEEN v.memory_id AND v.memory_id
    ORDER BY m.id LIMIT 1) AS m
  LEFT JOIN LATERAL (
    SELECT lower(o.valid) AS valid_from FROM version o
    WHERE place.start <= v.valid_from AND o.company_id = :company_id AND o.tenant_id = v.tenant_id
      AND o.memory_id BETWEEN v.memory_id AND v.memory_id AND o.tx_to IS NULL
    ORDER BY o.tenant_id, o.memory_id, lower(o.valid) LIMIT 1) AS first ON true
  ORDER BY v.lane, v.valid_from),
twin AS (
  SELECT c.text, c.memory_id AS memory, v.tenant_id, m.slot_id AS slot, m.source, v.start, v."end", m.trust
  FROM wanted
  CROSS JOIN LATERAL unnest(wanted.fingerprints) AS asked(fingerprint)
  CROSS JOIN LATERAL (
    SELECT c.id, c.memory_id, c.text FROM content c
    WHERE c.company_id = :company_id AND c.fingerprint BETWEEN asked.fingerprint AND asked.fingerprint
    ORDER BY c.fingerprint) AS c
  CROSS JOIN LATERAL (
    SELECT m.tenant_id, m.slot_id, m.source, m.created_at, m.trust FROM memory m
    WHERE m.company_id = :company_id AND m.id BETWEEN c.memory_id AND c.memory_id ORDER BY m.id LIMIT 1) AS m
  CROSS JOIN LATERAL (
    SELECT v.tenant_id, lower(v.valid) AS start, upper(v.valid) AS "end" FROM version v
    WHERE v.company_id = :company_id AND v.tenant_id = m.tenant_id AND v.memory_id BETWEEN c.memory_id AND c.memory_id
      AND v.tx_to IS NULL AND v.content_id = c.id
    ORDER BY v.tenant_id, v.memory_id) AS v
  WHERE m.tenant_id = ANY(wanted.tenants)
  ORDER BY m.created_at, c.memory_id),
turn AS (
  SELECT asked.tenant_id, asked.session_id, asked.message_id, m.id AS memory_id
  FROM json_to_recordset(:needs::json -> 'told') AS asked(tenant_id text, session_id text, message_id text)
  CROSS JOIN LATERAL (
    SELECT s.id FROM source s
    WHERE s.company_id = :company_id AND s.tenant_id = asked.tenant_id AND s.session_id = asked.session_id
      AND s.message_id BETWEEN asked.message_id AND asked.message_id
    ORDER BY s.tenant_id, s.session_id, s.message_id) AS s
  CROSS JOIN LATERAL (
    SELECT m.id, m.created_at FROM memory m
    WHERE m.company_id = :company_id AND m.source_id BETWEEN s.id AND s.id AND m.extraction ->> 'mode' = 'verbatim'
    ORDER BY m.source_id) AS m
  CROSS JOIN LATERAL (
    SELECT v.memory_id FROM version v
    WHERE v.company_id = :company_id AND v.tenant_id = asked.tenant_id AND v.memory_id BETWEEN m.id AND m.id
      AND v.tx_to IS NULL
    ORDER BY v.tenant_id, v.memory_id LIMIT 1) AS believed
  ORDER BY m.created_at, m.id),
stored AS (
  SELECT asked.tenant_id, asked.session_id, asked.message_id, s.id, s.role, s.text
  FROM json_to_recordset(:needs::json -> 'turns') AS asked(tenant_id text, session_id text, message_id text)
  CROSS JOIN LATERAL (
    SELECT s.id, s.role, s.text FROM source s
    WHERE s.company_id = :company_id AND s.tenant_id = asked.tenant_id AND s.session_id = asked.session_id
      AND s.message_id BETWEEN asked.message_id AND asked.message_id
    -- The first, where messages without this rule brought it more than once.
    ORDER BY s.tenant_id, s.session_id, s.message_id, s.id LIMIT 1) AS s),
answered AS (
  SELECT i.key, translate(encode(i.fingerprint, 'base64'), E'\n', '') AS fingerprint,
         translate(encode(i.answer, 'base64'), E'\n', '') AS answer
  FROM idempotency i
  WHERE i.company_id = :company_id AND i.key = ANY((SELECT keys FROM wanted)::text[]) AND i.expires_at > :at)
SELECT json_build_object(
  'slots', (SELECT json_agg(f) FROM found f),
  'memories', (SELECT json_agg(n) FROM named n),
  'erased', (SELECT json_agg(g) FROM gone g),
  'pieces', (SELECT json_agg(p) FROM piece p),
  'twins', (SELECT json_agg(t) FROM twin t),
  'told', (SELECT json_agg(t) FROM turn t),
  'turns', (SELECT json_agg(s) FROM stored s),
  'answers', (SELECT json_agg(a) FROM answered a),
  -- In this statement too: the lock waited with a snapshot that may be older than a change of the plan.
  'plan', (SELECT json_build_object('plan', a.plan, 'writes_limit', p.writes_limit)
           FROM account a JOIN plan p ON p.plan = a.plan WHERE a.company_id = :company_id))::text AS value
