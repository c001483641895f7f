-- Conversations: what is known of a session besides its turns, the turns as said, and what was made of them.
-- Rows are fetched in the order of their index, LATERAL and "between id and id": see search.sql.

-- fragment: counted
-- Labels are the last that may be known of; turns are those told by a transaction, memories those believed at it. `pending`:
-- a job for turns of it waits, which names the turns by their dialog; under a ceiling nothing does.
waiting AS MATERIALIZED (
  SELECT DISTINCT o.tenant_id, o.session_id
  FROM job j CROSS JOIN LATERAL (
    SELECT o.tenant_id, o.session_id FROM source o
    WHERE o.company_id = :company_id
      AND o.dialog_id BETWEEN (j.arguments ->> 'dialog')::uuid AND (j.arguments ->> 'dialog')::uuid
    ORDER BY o.dialog_id, o.position LIMIT 1) AS o
  WHERE j.account = :company_id AND j.kind = 'extract' AND :ceiling::bigint = 9223372036854775807)
SELECT c.session_id, c.tenant_id, c.channel, c.external_id, c.uri, c.metadata::text AS metadata, told.turns, made.memories,
       least(told.first_said, first.at) AS started_at, greatest(told.last_said, last.at) AS last_at, c.created_at,
       EXISTS (SELECT 1 FROM waiting w WHERE w.tenant_id = c.tenant_id AND w.session_id = c.session_id) AS pending
FROM page c
CROSS JOIN LATERAL (
  SELECT count(*) AS turns, min(o.said_at) AS first_said, max(o.said_at) AS last_said,
         min(o.tx) FILTER (WHERE o.said_at IS NULL) AS first_tx, max(o.tx) FILTER (WHERE o.said_at IS NULL) AS last_tx
  FROM (
    SELECT o.said_at, o.tx FROM source o
    WHERE o.company_id = :company_id AND o.tenant_id = c.tenant_id AND o.session_id BETWEEN c.session_id AND c.session_id
      AND o.tx <= :tx
    ORDER BY o.tenant_id, o.session_id, o.id) AS o) AS told
LEFT JOIN LATERAL (
  SELECT t.at FROM transaction t WHERE t.company_id = :company_id AND t.id BETWEEN told.first_tx AND told.first_tx
  ORDER BY t.id LIMIT 1) AS first ON true
LEFT JOIN LATERAL (
  SELECT t.at FROM transaction t WHERE t.company_id = :company_id AND t.id BETWEEN told.last_tx AND told.last_tx
  ORDER BY t.id LIMIT 1) AS last ON true
CROSS JOIN LATERAL (
  SELECT count(*) AS memories
  FROM (
    SELECT m.id FROM memory m
    WHERE m.company_id = :company_id AND m.tenant_id = c.tenant_id AND m.session_id BETWEEN c.session_id AND c.session_id
    ORDER BY m.tenant_id, m.session_id) AS m
  CROSS JOIN LATERAL (
    SELECT 1 FROM version v
    WHERE v.company_id = :company_id AND v.memory_id BETWEEN m.id AND m.id
      AND v.tx_from <= :tx AND (v.tx_to IS NULL OR v.tx_to > :tx)
      AND (:valid_at::timestamptz IS NULL OR v.valid @> :valid_at::timestamptz)
    ORDER BY v.memory_id LIMIT 1) AS believed) AS made

-- fragment: labelled
CROSS JOIN LATERAL (
  SELECT c.channel, c.external_id, c.uri, c.metadata WHERE :ceiling::bigint = 9223372036854775807
  UNION ALL
  SELECT (array_agg(l.channel ORDER BY l.tx DESC) FILTER (WHERE l.channel IS NOT NULL))[1],
         (array_agg(l.external_id ORDER BY l.tx DESC) FILTER (WHERE l.external_id IS NOT NULL))[1],
         (array_agg(l.uri ORDER BY l.tx DESC) FILTER (WHERE l.uri IS NOT NULL))[1],
         (array_agg(l.metadata ORDER BY l.tx DESC) FILTER (WHERE l.metadata IS NOT NULL))[1]
  FROM conversation_label l
  WHERE l.company_id = :company_id AND l.tenant_id = c.tenant_id AND l.session_id = c.session_id AND l.tx <= :ceiling
  HAVING :ceiling::bigint < 9223372036854775807) AS l

-- name: list_page -> ConversationRow
-- A page of the conversations that were there at an instant, newest first.
WITH page AS MATERIALIZED (
  SELECT c.session_id, c.tenant_id, l.channel, l.external_id, l.uri, l.metadata, c.created_at
  FROM conversation c {labelled}
  WHERE c.company_id = :company_id AND c.tenant_id = :tenant_id AND c.created_at <= :at
    AND (:channel::text IS NULL OR l.channel = :channel)
    AND (:external_id::text IS NULL OR l.external_id = :external_id)
    AND (:after_at::timestamptz IS NULL
         OR (c.created_at, c.session_id) < (:after_at::timestamptz, :after_session::text))
  ORDER BY c.created_at DESC, c.session_id DESC
  LIMIT :limit),
{counted}
ORDER BY c.created_at DESC, c.session_id DESC

-- name: one -> ConversationRow
-- One conversation, if it was there at an instant.
WITH page AS MATERIALIZED (
  SELECT c.session_id, c.tenant_id, l.channel, l.external_id, l.uri, l.metadata, c.created_at
  FROM conversation c {labelled}
  WHERE c.company_id = :company_id AND c.tenant_id = :tenant_id AND c.session_id BETWEEN :session_id AND :session_id
    AND c.created_at <= :at
  ORDER BY c.tenant_id, c.session_id),
{counted}

-- name: several -> ConversationRow
-- Those of some sessions that were there at an instant.
WITH page AS MATERIALIZED (
  SELECT c.session_id, c.tenant_id, l.channel, l.external_id, l.uri, l.metadata, c.created_at
  FROM unnest(:sessions::text[]) AS asked(id)
  CROSS JOIN LATERAL (
    SELECT c.session_id, c.tenant_id, c.channel, c.external_id, c.uri, c.metadata, c.created_at FROM conversation c
    WHERE c.company_id = :company_id AND c.tenant_id = :tenant_id AND c.session_id BETWEEN asked.id AND asked.id
      AND c.created_at <= :at
    ORDER BY c.tenant_id, c.session_id) AS c
  {labelled}),
{counted}

-- name: is_there -> There
-- Whether the conversation was there at an instant.
SELECT EXISTS (
  SELECT 1 FROM conversation c
  WHERE c.company_id = :company_id AND c.tenant_id = :tenant_id AND c.session_id = :session_id AND c.created_at <= :at) AS is_there

-- name: turns -> TurnRow
-- A page of a conversation's turns, told by a transaction, in the order in which they were told: that of their ids.
SELECT o.id, o.message_id, o.role, o.name, o.text, o.said_at, o.uri, o.metadata::text AS metadata
FROM source o
WHERE o.company_id = :company_id AND o.tenant_id = :tenant_id AND o.session_id BETWEEN :session_id AND :session_id
  AND o.tx <= :tx AND (:after::uuid IS NULL OR o.id > :after)
ORDER BY o.tenant_id, o.session_id, o.id
LIMIT :limit

-- name: first_turns -> SessionTurnRow
-- The first turns of some conversations, told by a transaction, in the order in which they were told.
SELECT o.id, o.message_id, o.role, o.name, o.text, o.said_at, o.uri, o.metadata::text AS metadata, asked.id AS session_id
FROM unnest(:sessions::text[]) AS asked(id)
CROSS JOIN LATERAL (
  SELECT o.id, o.message_id, o.role, o.name, o.text, o.said_at, o.uri, o.metadata FROM source o
  WHERE o.company_id = :company_id AND o.tenant_id = :tenant_id AND o.session_id BETWEEN asked.id AND asked.id AND o.tx <= :tx
  ORDER BY o.tenant_id, o.session_id, o.id
  LIMIT :limit) AS o
ORDER BY asked.id, o.id

-- name: size_of_first_turns -> SizeRow
-- Bytes of the first turns of some conversations, and of what was made from them; the texts themselves are not read.
SELECT coalesce(sum(o.bytes + o.made), 0)::bigint AS bytes
FROM unnest(:sessions::text[]) AS asked(id)
CROSS JOIN LATERAL (
  SELECT octet_length(o.text) + coalesce(octet_length(o.metadata::text), 0) + coalesce(octet_length(o.uri), 0) AS bytes,
    (SELECT coalesce(sum(octet_length(c.text)), 0) FROM memory m
     JOIN version v ON v.company_id = m.company_id AND v.memory_id = m.id
       AND v.tx_from <= :tx AND (v.tx_to IS NULL OR v.tx_to > :tx)
     JOIN content c ON c.company_id = v.company_id AND c.id = v.content_id
     WHERE m.company_id = :company_id AND m.source_id = o.id) AS made
  FROM source o
  WHERE o.company_id = :company_id AND o.tenant_id = :tenant_id AND o.session_id BETWEEN asked.id AND asked.id AND o.tx <= :tx
  ORDER BY o.tenant_id, o.session_id, o.id
  LIMIT :limit) AS o

-- name: made_of -> MadeRow
-- The believed pieces of every memory that was made from some turns, in the order in which they were made.
SELECT m.source_id AS turn, m.id AS memory_id, lower(v.valid) AS valid_from, upper(v.valid) AS valid_to, c.text
FROM unnest(:turns::uuid[]) AS asked(id)
CROSS JOIN LATERAL (
  SELECT m.id, m.source_id FROM memory m
  WHERE m.company_id = :company_id AND m.source_id BETWEEN asked.id AND asked.id
  ORDER BY m.source_id) AS m
CROSS JOIN LATERAL (
  SELECT v.content_id, v.valid FROM version v
  WHERE v.company_id = :company_id AND v.memory_id BETWEEN m.id AND m.id
    AND v.tx_from <= :tx AND (v.tx_to IS NULL OR v.tx_to > :tx)
  ORDER BY v.memory_id) AS v
CROSS JOIN LATERAL (
  SELECT c.text FROM content c
  WHERE c.company_id = :company_id AND c.id BETWEEN v.content_id AND v.content_id ORDER BY c.id LIMIT 1) AS c
ORDER BY m.source_id, m.id, lower(v.valid)

-- name: told_together -> ToldRow
-- The turns that one request brought, as far as they were not erased since, in their order.
SELECT o.id, o.tenant_id, o.session_id, o.position, o.message_id, o.role, o.name, o.text, o.said_at, t.at AS told_at
FROM source o JOIN transaction t ON t.company_id = o.company_id AND t.id = o.tx
WHERE o.company_id = :company_id AND o.dialog_id = :dialog
ORDER BY o.position

-- name: still_there -> TurnId
-- Which of some turns are there.
SELECT o.id
FROM unnest(:turns::uuid[]) AS asked(id)
CROSS JOIN LATERAL (
  SELECT o.id FROM source o WHERE o.company_id = :company_id AND o.id BETWEEN asked.id AND asked.id ORDER BY o.id LIMIT 1) AS o
