-- Collections: memories, subjects, transactions, conversations and keys by any filter and in any order of their columns.
-- A filter is a jsonpath (aurra/ops/filtering.py makes it) and is asked of what a row shows, as jsonb without its nulls. It
-- is evaluated strictly: what is absent is unknown, as NULL is in SQL. Instants are whole microseconds since 1970.

-- fragment: matches
(:filter::jsonpath IS NULL OR jsonb_path_match(c.shown, :filter::jsonpath, :values::jsonb))

-- fragment: key
-- A text that sorts, byte by byte, as the columns asked for do: of each whether it is null, then its bytes in hex (of a
-- number, its digits), inverted where it descends, and an end that comes before all digits, or after them.
(SELECT string_agg(
   CASE WHEN (c.shown -> o.name) IS NULL = o.nulls_first THEN '0' ELSE '1' END
   || CASE WHEN o.descending THEN translate(h.digits, '0123456789abcdef', 'fedcba9876543210') || 'g' ELSE h.digits || ' ' END,
   '' ORDER BY o.place) COLLATE "C"
 FROM unnest(:names::text[], :descending::boolean[], :nulls_first::boolean[])
      WITH ORDINALITY AS o(name, descending, nulls_first, place)
 CROSS JOIN LATERAL (
   SELECT encode(convert_to(coalesce(
     CASE jsonb_typeof(c.shown -> o.name)
       WHEN 'number' THEN lpad(((c.shown ->> o.name)::numeric + 100000000000000000)::text, 20, '0')
       ELSE c.shown ->> o.name END, ''), 'UTF8'), 'hex') AS digits) AS h)

-- fragment: placed
-- Of each parent how many there are, and the first so many of them after a key; or, backwards, before it.
kept AS MATERIALIZED (
  SELECT c.parent, c.id, {key} AS key FROM candidates c WHERE {matches}),
beyond AS (
  SELECT k.parent, k.id, k.key,
         row_number() OVER (PARTITION BY k.parent ORDER BY CASE WHEN NOT :backward::boolean THEN k.key END,
                                                           CASE WHEN :backward::boolean THEN k.key END DESC) AS place
  FROM kept k
  WHERE :edge::text IS NULL OR CASE WHEN :backward::boolean THEN k.key < :edge::text ELSE k.key > :edge::text END),
counted AS (
  SELECT k.parent, count(*) AS total FROM kept k GROUP BY k.parent)
SELECT t.parent, t.total, b.id, b.key
FROM counted t LEFT JOIN beyond b ON b.parent = t.parent AND b.place <= :limit::bigint
ORDER BY t.parent, b.place

-- fragment: memory
-- What a memory `m` shows by its version `v`. What is long, or elsewhere, is fetched where it is asked for: by its primary
-- key, LATERAL and "between id and id" (see search.sql).
jsonb_strip_nulls(jsonb_build_object(
    'id', m.id, 'version', v.id, 'source', m.source, 'session_id', m.session_id, 'external_id', m.external_id,
    'trust', (ARRAY['low', 'normal', 'high'])[m.trust],
    'created_at', (extract(epoch FROM m.created_at) * 1000000)::bigint,
    'valid_from', (extract(epoch FROM lower(v.valid)) * 1000000)::bigint,
    'valid_to', (extract(epoch FROM upper(v.valid)) * 1000000)::bigint,
    'transaction_time_start', (extract(epoch FROM v.tx_from_at) * 1000000)::bigint,
    'transaction_time_end', (extract(epoch FROM CASE WHEN v.tx_to <= :tx THEN v.tx_to_at END) * 1000000)::bigint,
    'superseded_by', coalesce(v.superseded_by, CASE WHEN v.tx_to <= :tx THEN v.replaced_by END),
    'subject', coalesce(s.subject, m.subject), 'attribute', s.attribute,
    'topic', c.topic, 'importance_score', c.importance, 'decision', c.text, 'summary', coalesce(c.summary, c.text),
    'people', c.people, 'action_items', c.action_items)) AS shown

-- fragment: details
LEFT JOIN LATERAL (
  SELECT s.subject, s.attribute FROM slot s
  WHERE s.company_id = :company_id AND s.id BETWEEN m.slot_id AND m.slot_id AND :used::text[] && '{subject,attribute}'
  ORDER BY s.id LIMIT 1) AS s ON true
LEFT JOIN LATERAL (
  SELECT c.topic, c.importance,
         CASE WHEN :used::text[] && '{decision,summary}' THEN c.text END AS text,
         CASE WHEN :used::text[] && '{summary}' THEN c.summary END AS summary, c.people, c.action_items
  FROM content c
  WHERE c.company_id = :company_id AND c.id BETWEEN v.content_id AND v.content_id
    AND :used::text[] && '{topic,importance_score,decision,summary,people,action_items}'
  ORDER BY c.id LIMIT 1) AS c ON true

-- fragment: listed
-- Memories of a tenant that are believed at a transaction, in the order in which they were made; what a filter asks for is
-- looked at as far as the page goes.
SELECT v.id AS version, m.created_at, m.id AS memory_id, lower(v.valid) AS valid_from
FROM memory m JOIN version v ON v.company_id = m.company_id AND v.memory_id = m.id
 AND v.tx_from <= :tx AND (v.tx_to IS NULL OR v.tx_to > :tx)
WHERE m.company_id = :company_id AND m.tenant_id = :tenant_id
  AND (:valid_at::timestamptz IS NULL OR v.valid @> :valid_at::timestamptz)
  AND (:filter::jsonpath IS NULL OR (
       SELECT jsonb_path_match(c.shown, :filter::jsonpath, :values::jsonb)
       FROM (SELECT {memory} FROM (SELECT 1) AS one {details} OFFSET 0) AS c))

-- name: newest_memories -> MemoryPlace
-- The newest, before a place.
{listed}
  AND (:edge_at::timestamptz IS NULL
       OR (m.created_at, m.id, lower(v.valid)) < (:edge_at::timestamptz, :edge_id::uuid, :edge_from::timestamptz))
ORDER BY m.created_at DESC, m.id DESC, lower(v.valid) DESC
LIMIT :limit

-- name: oldest_memories -> MemoryPlace
-- The oldest, after a place.
{listed}
  AND (:edge_at::timestamptz IS NULL
       OR (m.created_at, m.id, lower(v.valid)) > (:edge_at::timestamptz, :edge_id::uuid, :edge_from::timestamptz))
ORDER BY m.created_at, m.id, lower(v.valid)
LIMIT :limit

-- name: memories -> Placed
-- Of a tenant.
WITH candidates AS (
  SELECT '' AS parent, v.id::text AS id, {memory}
  FROM memory m JOIN version v ON v.company_id = m.company_id AND v.memory_id = m.id
   AND v.tx_from <= :tx AND (v.tx_to IS NULL OR v.tx_to > :tx)
  {details}
  WHERE m.company_id = :company_id AND m.tenant_id = :tenant_id
    AND (:valid_at::timestamptz IS NULL OR v.valid @> :valid_at::timestamptz)
  OFFSET 0),
{placed}

-- name: memories_of_subjects -> Placed
-- About subjects, by their comparable names.
WITH candidates AS (
  SELECT asked.key AS parent, v.id::text AS id, {memory}
  FROM unnest(:parents::text[]) AS asked(key)
  CROSS JOIN LATERAL (
    SELECT m.id, m.slot_id, m.subject, m.source, m.session_id, m.external_id, m.created_at, m.trust FROM memory m
    WHERE m.company_id = :company_id AND m.tenant_id = :tenant_id AND m.subject_key BETWEEN asked.key AND asked.key
    ORDER BY m.tenant_id, m.subject_key) AS m
  JOIN version v ON v.company_id = :company_id AND v.memory_id = m.id
   AND v.tx_from <= :tx AND (v.tx_to IS NULL OR v.tx_to > :tx)
   AND (:valid_at::timestamptz IS NULL OR v.valid @> :valid_at::timestamptz)
  {details}
  OFFSET 0),
{placed}

-- name: memories_of_conversations -> Placed
-- That came from sessions.
WITH candidates AS (
  SELECT asked.key AS parent, v.id::text AS id, {memory}
  FROM unnest(:parents::text[]) AS asked(key)
  CROSS JOIN LATERAL (
    SELECT m.id, m.slot_id, m.subject, m.source, m.session_id, m.external_id, m.created_at, m.trust FROM memory m
    WHERE m.company_id = :company_id AND m.tenant_id = :tenant_id AND m.session_id BETWEEN asked.key AND asked.key
    ORDER BY m.tenant_id, m.session_id) AS m
  JOIN version v ON v.company_id = :company_id AND v.memory_id = m.id
   AND v.tx_from <= :tx AND (v.tx_to IS NULL OR v.tx_to > :tx)
   AND (:valid_at::timestamptz IS NULL OR v.valid @> :valid_at::timestamptz)
  {details}
  OFFSET 0),
{placed}

-- name: memories_of_transactions -> Placed
-- By the versions that transactions opened, whether they are still believed or not: of all tenants, or of one.
WITH candidates AS (
  SELECT asked.key AS parent, v.id::text AS id, {memory}
  FROM unnest(:parents::text[]) AS asked(key)
  CROSS JOIN LATERAL (
    SELECT v.id, v.memory_id, v.content_id, v.valid, v.tx_from_at, v.tx_to, v.tx_to_at, v.superseded_by, v.replaced_by
    FROM version v
    WHERE v.company_id = :company_id AND v.tx_from BETWEEN asked.key::bigint AND asked.key::bigint AND v.tx_from <= :tx
      AND (:tenant_id::text IS NULL OR v.tenant_id = :tenant_id)
    ORDER BY v.tx_from) AS v
  CROSS JOIN LATERAL (
    SELECT m.id, m.slot_id, m.subject, m.source, m.session_id, m.external_id, m.created_at, m.trust FROM memory m
    WHERE m.company_id = :company_id AND m.id BETWEEN v.memory_id AND v.memory_id ORDER BY m.id LIMIT 1) AS m
  {details}
  OFFSET 0),
{placed}

-- name: subjects -> Placed
-- Of a tenant, that something is believed about.
WITH believed AS (
  SELECT m.subject_key, count(DISTINCT m.id) AS memories
  FROM memory m JOIN version v ON v.company_id = m.company_id AND v.memory_id = m.id
   AND v.tx_from <= :tx AND (v.tx_to IS NULL OR v.tx_to > :tx)
  WHERE m.company_id = :company_id AND m.tenant_id = :tenant_id AND m.subject_key IS NOT NULL
    AND (:valid_at::timestamptz IS NULL OR v.valid @> :valid_at::timestamptz)
  GROUP BY m.subject_key),
candidates AS (
  SELECT '' AS parent, b.subject_key AS id, jsonb_strip_nulls(jsonb_build_object(
           'subject_key', b.subject_key, 'subject', n.subject, 'memories', b.memories,
           'external_id', {subjects.label})) AS shown
  FROM believed b CROSS JOIN LATERAL ({subjects.first_written}) AS n
  OFFSET 0),
{placed}

-- name: conversations -> Placed
-- Of a tenant, that were there at an instant.
WITH candidates AS (
  SELECT '' AS parent, c.session_id AS id, jsonb_strip_nulls(jsonb_build_object(
           'session_id', c.session_id, 'channel', l.channel, 'external_id', l.external_id, 'uri', l.uri,
           'created_at', (extract(epoch FROM c.created_at) * 1000000)::bigint)) AS shown
  FROM conversation c {conversations.labelled}
  WHERE c.company_id = :company_id AND c.tenant_id = :tenant_id AND c.created_at <= :at
  OFFSET 0),
{placed}

-- fragment: transaction
jsonb_strip_nulls(jsonb_build_object(
    'id', t.id, 'at', (extract(epoch FROM t.at) * 1000000)::bigint, 'verb', t.verb, 'actor', t.actor, 'reason', t.reason,
    'request_id', t.request_id, 'model', t.model, 'writes', t.writes)) AS shown

-- fragment: entries
-- Transactions up to one, of all tenants or of one, by their numbers.
SELECT t.id
FROM transaction t
WHERE t.company_id = :company_id AND t.id <= :tx AND {history.touched}
  AND (:filter::jsonpath IS NULL OR (
       SELECT jsonb_path_match(c.shown, :filter::jsonpath, :values::jsonb) FROM (SELECT {transaction} OFFSET 0) AS c))

-- name: newest_transactions -> TransactionPlace
-- The newest, before a number.
{entries} AND (:edge::bigint IS NULL OR t.id < :edge::bigint)
ORDER BY t.id DESC
LIMIT :limit

-- name: oldest_transactions -> TransactionPlace
-- The oldest, after a number.
{entries} AND (:edge::bigint IS NULL OR t.id > :edge::bigint)
ORDER BY t.id
LIMIT :limit

-- name: transactions -> Placed
-- Up to one: of all tenants, or of one.
WITH candidates AS (
  SELECT '' AS parent, t.id::text AS id, {transaction}
  FROM transaction t
  WHERE t.company_id = :company_id AND t.id <= :tx AND {history.touched}
  OFFSET 0),
{placed}

-- name: transactions_of_keys -> Placed
-- That keys made.
WITH candidates AS (
  SELECT asked.key AS parent, t.id::text AS id, {transaction}
  FROM transaction t JOIN unnest(:parents::text[]) AS asked(key) ON t.actor = 'key ' || asked.key
  WHERE t.company_id = :company_id AND t.id <= :tx AND {history.touched}
  OFFSET 0),
{placed}

-- name: keys -> Placed
-- Of the account; or those that are pinned to one tenant.
WITH candidates AS (
  SELECT '' AS parent, k.key_id AS id, jsonb_strip_nulls(jsonb_build_object(
           'id', k.key_id, 'name', k.name, 'last_four', k.last_four, 'tenant_id', k.tenant_id, 'up_to', k.up_to,
           'trust', (ARRAY['low', 'normal', 'high'])[k.trust], 'is_signed', k.signing_sealed IS NOT NULL,
           'state', CASE WHEN k.revoked_at IS NOT NULL THEN 'revoked'
                         WHEN k.expires_at <= :now::timestamptz THEN 'expired' ELSE 'active' END,
           'scopes', k.scopes, 'networks', k.networks, 'created_by', k.created_by,
           'created_at', (extract(epoch FROM k.created_at) * 1000000)::bigint,
           'expires_at', (extract(epoch FROM k.expires_at) * 1000000)::bigint,
           'revoked_at', (extract(epoch FROM k.revoked_at) * 1000000)::bigint,
           'last_used_at', (extract(epoch FROM k.last_used_at) * 1000000)::bigint)) AS shown
  FROM api_key k
  WHERE k.company_id = :company_id AND (:tenant_id::text IS NULL OR k.tenant_id = :tenant_id)
  OFFSET 0),
{placed}
