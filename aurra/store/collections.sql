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
-- What a memory `m` shows by its version `v`, of what is asked for. What is long, or elsewhere, is fetched only then: by its
-- primary key, LATERAL and "between id and id" (see search.sql).
(SELECT coalesce(jsonb_object_agg_strict(u.name, CASE u.name
    WHEN 'id' THEN to_jsonb(m.id) WHEN 'version' THEN to_jsonb(v.id) WHEN 'source' THEN to_jsonb(m.source)
    WHEN 'session_id' THEN to_jsonb(m.session_id) WHEN 'external_id' THEN to_jsonb(m.external_id)
    WHEN 'trust' THEN to_jsonb((ARRAY['low', 'normal', 'high'])[m.trust])
    WHEN 'created_at' THEN to_jsonb((extract(epoch FROM m.created_at) * 1000000)::bigint)
    WHEN 'valid_from' THEN to_jsonb((extract(epoch FROM lower(v.valid)) * 1000000)::bigint)
    WHEN 'valid_to' THEN to_jsonb((extract(epoch FROM upper(v.valid)) * 1000000)::bigint)
    WHEN 'transaction_time_start' THEN to_jsonb((extract(epoch FROM v.tx_from_at) * 1000000)::bigint)
    WHEN 'transaction_time_end' THEN
      to_jsonb((extract(epoch FROM CASE WHEN v.tx_to <= :tx THEN v.tx_to_at END) * 1000000)::bigint)
    WHEN 'superseded_by' THEN to_jsonb(coalesce(v.superseded_by, CASE WHEN v.tx_to <= :tx THEN v.replaced_by END))
    WHEN 'subject' THEN to_jsonb(coalesce(s.subject, m.subject)) WHEN 'attribute' THEN to_jsonb(s.attribute)
    WHEN 'topic' THEN to_jsonb(c.topic) WHEN 'importance_score' THEN to_jsonb(c.importance)
    WHEN 'decision' THEN to_jsonb(c.text) WHEN 'summary' THEN to_jsonb(coalesce(c.summary, c.text))
    WHEN 'people' THEN to_jsonb(c.people) WHEN 'action_items' THEN to_jsonb(c.action_items) END), '{}')
  FROM unnest(:used::text[]) AS u(name)) AS shown

-- fragment: details
LEFT JOIN LATERAL (
  SELECT s.subject, s.attribute FROM slot s
  WHERE s.company_id = :company_id AND s.id BETWEEN m.slot_id AND m.slot_id AND :used::text[] && '{subject,attribute}'
  ORDER BY s.id LIMIT 1) AS s ON true
LEFT JOIN LATERAL (
  SELECT c.topic, c.importance, c.text, c.summary, c.people, c.action_items
  FROM content c
  WHERE c.company_id = :company_id AND c.id BETWEEN v.content_id AND v.content_id
    AND :used::text[] && '{topic,importance_score,decision,summary,people,action_items}'
  ORDER BY c.id LIMIT 1) AS c ON true

-- fragment: columns
-- Of a memory `m`, what the fragments above read.
m.id, m.slot_id, m.subject, m.source, m.session_id, m.external_id, m.created_at, m.trust

-- fragment: believed
-- Of each parent's memories `m`, the versions that are believed, and the page that is asked for.
JOIN version v ON v.company_id = :company_id AND v.memory_id = m.id
   AND v.tx_from <= :tx AND (v.tx_to IS NULL OR v.tx_to > :tx)
   AND (:valid_at::timestamptz IS NULL OR v.valid @> :valid_at::timestamptz)
  {details}
  OFFSET 0),
{placed}

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
    SELECT {columns} FROM memory m
    WHERE m.company_id = :company_id AND m.tenant_id = :tenant_id AND m.subject_key BETWEEN asked.key AND asked.key
    ORDER BY m.tenant_id, m.subject_key) AS m
  {believed}

-- name: memories_of_conversations -> Placed
-- That came from sessions.
WITH candidates AS (
  SELECT asked.key AS parent, v.id::text AS id, {memory}
  FROM unnest(:parents::text[]) AS asked(key)
  CROSS JOIN LATERAL (
    SELECT {columns} FROM memory m
    WHERE m.company_id = :company_id AND m.tenant_id = :tenant_id AND m.session_id BETWEEN asked.key AND asked.key
    ORDER BY m.tenant_id, m.session_id) AS m
  {believed}

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
    SELECT {columns} FROM memory m
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
  SELECT '' AS parent, b.subject_key AS id,
         (SELECT coalesce(jsonb_object_agg_strict(u.name, CASE u.name
             WHEN 'subject_key' THEN to_jsonb(b.subject_key) WHEN 'subject' THEN to_jsonb(n.subject)
             WHEN 'memories' THEN to_jsonb(b.memories) WHEN 'external_id' THEN to_jsonb({subjects.label}) END), '{}')
           FROM unnest(:used::text[]) AS u(name)) AS shown
  FROM believed b CROSS JOIN LATERAL ({subjects.first_written}) AS n
  OFFSET 0),
{placed}

-- name: conversations -> Placed
-- Of a tenant, that were there at an instant.
WITH candidates AS (
  SELECT '' AS parent, c.session_id AS id,
         (SELECT coalesce(jsonb_object_agg_strict(u.name, CASE u.name
             WHEN 'session_id' THEN to_jsonb(c.session_id) WHEN 'channel' THEN to_jsonb(l.channel)
             WHEN 'external_id' THEN to_jsonb(l.external_id) WHEN 'uri' THEN to_jsonb(l.uri)
             WHEN 'created_at' THEN to_jsonb((extract(epoch FROM c.created_at) * 1000000)::bigint) END), '{}')
           FROM unnest(:used::text[]) AS u(name)) AS shown
  FROM conversation c {conversations.labelled}
  WHERE c.company_id = :company_id AND c.tenant_id = :tenant_id AND c.created_at <= :at
  OFFSET 0),
{placed}

-- fragment: transaction
(SELECT coalesce(jsonb_object_agg_strict(u.name, CASE u.name
    WHEN 'id' THEN to_jsonb(t.id) WHEN 'at' THEN to_jsonb((extract(epoch FROM t.at) * 1000000)::bigint)
    WHEN 'verb' THEN to_jsonb(t.verb) WHEN 'actor' THEN to_jsonb(t.actor) WHEN 'reason' THEN to_jsonb(t.reason)
    WHEN 'request_id' THEN to_jsonb(t.request_id) WHEN 'model' THEN to_jsonb(t.model)
    WHEN 'writes' THEN to_jsonb(t.writes) END), '{}')
  FROM unnest(:used::text[]) AS u(name)) AS shown

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
  SELECT '' AS parent, k.key_id AS id,
         (SELECT coalesce(jsonb_object_agg_strict(u.name, CASE u.name
             WHEN 'id' THEN to_jsonb(k.key_id) WHEN 'name' THEN to_jsonb(k.name) WHEN 'last_four' THEN to_jsonb(k.last_four)
             WHEN 'tenant_id' THEN to_jsonb(k.tenant_id) WHEN 'up_to' THEN to_jsonb(k.up_to)
             WHEN 'trust' THEN to_jsonb((ARRAY['low', 'normal', 'high'])[k.trust])
             WHEN 'is_signed' THEN to_jsonb(k.signing_sealed IS NOT NULL)
             WHEN 'state' THEN to_jsonb(CASE WHEN k.revoked_at IS NOT NULL THEN 'revoked'
                                             WHEN k.expires_at <= :now::timestamptz THEN 'expired' ELSE 'active' END)
             WHEN 'scopes' THEN to_jsonb(k.scopes) WHEN 'networks' THEN to_jsonb(k.networks)
             WHEN 'created_by' THEN to_jsonb(k.created_by)
             WHEN 'created_at' THEN to_jsonb((extract(epoch FROM k.created_at) * 1000000)::bigint)
             WHEN 'expires_at' THEN to_jsonb((extract(epoch FROM k.expires_at) * 1000000)::bigint)
             WHEN 'revoked_at' THEN to_jsonb((extract(epoch FROM k.revoked_at) * 1000000)::bigint)
             WHEN 'last_used_at' THEN to_jsonb((extract(epoch FROM k.last_used_at) * 1000000)::bigint) END), '{}')
           FROM unnest(:used::text[]) AS u(name)) AS shown
  FROM api_key k
  WHERE k.company_id = :company_id AND (:tenant_id::text IS NULL OR k.tenant_id = :tenant_id)
  OFFSET 0),
{placed}
