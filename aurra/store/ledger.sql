-- The ledger: one row an account. Every write locks it first, in a statement of its own, and reads versions in a later one.

-- name: lock -> Head
-- The account's head, locked; with the next instant, which is later than the last whatever the clock says.
SELECT l.last_tx, l.last_hash, l.period_start, l.writes_used, l.grace_from, a.plan, p.writes_limit, l.last_at,
       greatest(coalesce(:clock::timestamptz, clock_timestamp()), l.last_at + interval '1 microsecond') AS at
FROM ledger l JOIN account a ON a.company_id = l.company_id JOIN plan p ON p.plan = a.plan
WHERE l.company_id = :company_id
FOR UPDATE OF l

-- name: head -> Head
-- The same without a lock, for reads: `at` is the later of the head's instant and the clock.
SELECT l.last_tx, l.last_hash, l.period_start, l.writes_used, l.grace_from, a.plan, p.writes_limit, l.last_at,
       greatest(coalesce(:clock::timestamptz, clock_timestamp()), l.last_at) AS at
FROM ledger l JOIN account a ON a.company_id = l.company_id JOIN plan p ON p.plan = a.plan
WHERE l.company_id = :company_id

-- name: head_up_to -> Head
-- The same as it was when the ceiling's transaction was the newest, but for the clock; the meter is today's, and not told.
SELECT least(l.last_tx, :ceiling) AS last_tx,
       CASE WHEN l.last_tx <= :ceiling THEN l.last_hash ELSE coalesce(t.hash, '') END AS last_hash,
       l.period_start, 0::bigint AS writes_used, NULL::timestamptz AS grace_from, a.plan, p.writes_limit, known.last_at,
       greatest(coalesce(:clock::timestamptz, clock_timestamp()), known.last_at) AS at
FROM ledger l JOIN account a ON a.company_id = l.company_id JOIN plan p ON p.plan = a.plan
LEFT JOIN transaction t ON t.company_id = :company_id AND t.id = :ceiling
CROSS JOIN LATERAL (
  SELECT CASE WHEN l.last_tx <= :ceiling THEN l.last_at ELSE coalesce(t.at, a.created_at) END AS last_at) AS known
WHERE l.company_id = :company_id

-- name: transaction_instant -> Numbered
-- One transaction's number and instant.
SELECT id, at FROM transaction WHERE company_id = :company_id AND id = :id

-- name: newest_until -> Numbered
-- The newest transaction at or before an instant.
SELECT id, at FROM transaction WHERE company_id = :company_id AND at <= :at ORDER BY at DESC LIMIT 1

-- name: account_start -> Numbered
-- Transaction 0: the account's creation.
SELECT 0::bigint AS id, created_at AS at FROM account WHERE company_id = :company_id

-- name: stored_answer -> StoredAnswer
-- What was answered to this idempotency key.
SELECT key, fingerprint, answer FROM idempotency WHERE company_id = :company_id AND key = :key AND expires_at > :at

-- fragment: keeping
-- Answers, each for its idempotency key.
INSERT INTO idempotency (company_id, key, fingerprint, answer, quotes, expires_at)
SELECT :company_id, r.key, decode(r.fingerprint, 'base64'), decode(r.answer, 'base64'), r.quotes, :expires_at
FROM json_to_recordset(:answers::json) AS r(key text, fingerprint text, answer text, quotes uuid[])
ON CONFLICT (company_id, key) DO UPDATE
SET fingerprint = excluded.fingerprint, answer = excluded.answer, quotes = excluded.quotes, expires_at = excluded.expires_at

-- name: apply -> Applied
-- Everything that the transactions of one commit write, in one statement: the head, the entries, the new rows, what closes,
-- then what opens, and the answers kept for idempotency keys (24 hours; a few that are older go).
WITH head AS (
  UPDATE ledger SET last_tx = :tx, last_at = :at, last_hash = :hash, period_start = :period_start,
                    writes_used = :writes_used, grace_from = :grace_from
  WHERE company_id = :company_id AND last_tx = :before
  RETURNING 1),
entry AS (
  INSERT INTO transaction (company_id, id, at, verb, actor, reason, reason_salt, reason_hash, request_id, model, writes, hash)
  SELECT :company_id, r.id, r.at, r.verb, r.actor, r.reason, decode(r.reason_salt, 'base64'), decode(r.reason_hash, 'base64'),
         r.request_id, r.model, r.writes, decode(r.hash, 'base64')
  FROM json_to_recordset(:transactions::json) AS r(id bigint, at timestamptz, verb text, actor text, reason text,
       reason_salt text, reason_hash text, request_id text, model text, writes integer, hash text)),
named AS (
  INSERT INTO slot (company_id, id, tenant_id, subject_key, attribute_key, subject, attribute, cardinality, tx, salt)
  SELECT :company_id, r.id, r.tenant_id, r.subject_key, r.attribute_key, r.subject, r.attribute, r.cardinality, r.tx,
         decode(r.salt, 'base64')
  FROM json_to_recordset(:slots::json) AS r(id uuid, tenant_id text, subject_key text, attribute_key text, subject text,
       attribute text, cardinality text, tx bigint, salt text)),
told AS (
  INSERT INTO source (company_id, id, tenant_id, session_id, dialog_id, position, message_id, role, name, text, said_at, tx,
                      salt, uri, metadata)
  SELECT :company_id, r.id, r.tenant_id, r.session_id, r.dialog_id, r.position, r.message_id, r.role, r.name, r.text,
         r.said_at, r.tx, decode(r.salt, 'base64'), r.uri, r.metadata
  FROM json_to_recordset(:sources::json) AS r(id uuid, tenant_id text, session_id text, dialog_id uuid, position integer,
       message_id text, role text, name text, text text, said_at timestamptz, tx bigint, salt text, uri text, metadata json)),
conversing AS (
  INSERT INTO conversation AS c (company_id, tenant_id, session_id, channel, external_id, uri, metadata, created_at)
  SELECT :company_id, r.tenant_id, r.session_id, r.channel, r.external_id, r.uri, r.metadata, r.created_at
  FROM json_to_recordset(:conversations::json) AS r(tenant_id text, session_id text, channel text, external_id text, uri text,
       metadata json, created_at timestamptz)
  ON CONFLICT (company_id, tenant_id, session_id) DO UPDATE
  SET channel = coalesce(excluded.channel, c.channel), external_id = coalesce(excluded.external_id, c.external_id),
      uri = coalesce(excluded.uri, c.uri), metadata = coalesce(excluded.metadata, c.metadata)),
labelled AS (
  -- What is new of what each says; of several in one commit, all.
  INSERT INTO conversation_label (company_id, tenant_id, session_id, tx, channel, external_id, uri, metadata)
  SELECT :company_id, r.tenant_id, r.session_id, r.tx, r.channel, r.external_id, r.uri, r.metadata
  FROM (
    SELECT r.tenant_id, r.session_id, r.tx, r.channel, r.external_id, r.uri, r.metadata,
           count(*) OVER (PARTITION BY r.tenant_id, r.session_id) AS times
    FROM json_to_recordset(:labels::json) AS r(tenant_id text, session_id text, tx bigint, channel text, external_id text,
         uri text, metadata json)) AS r
  LEFT JOIN conversation c ON c.company_id = :company_id AND c.tenant_id = r.tenant_id AND c.session_id = r.session_id
  WHERE r.times > 1
     OR (coalesce(r.channel, c.channel), coalesce(r.external_id, c.external_id), coalesce(r.uri, c.uri),
         coalesce(r.metadata, c.metadata)::text)
        IS DISTINCT FROM (c.channel, c.external_id, c.uri, c.metadata::text)),
reviewing AS (
  INSERT INTO review (company_id, id, tenant_id, tx, at, old_memory, new_memory, verdict, confidence, reasoning, classifier, why,
                      state)
  SELECT :company_id, r.id, r.tenant_id, r.tx, r.at, r.old_memory, r.new_memory, r.verdict, r.confidence, r.reasoning,
         r.classifier, r.why, 'open'
  FROM json_to_recordset(:reviews::json) AS r(id uuid, tenant_id text, tx bigint, at timestamptz, old_memory uuid,
       new_memory uuid, verdict text, confidence double precision, reasoning text, classifier text, why text)),
later AS (
  INSERT INTO job (id, account, kind, arguments, run_at)
  SELECT r.id, :company_id, r.kind, r.arguments, '-infinity'
  FROM json_to_recordset(:jobs::json) AS r(id uuid, kind text, arguments json)),
born AS (
  INSERT INTO memory (company_id, id, tenant_id, slot_id, subject, subject_key, lane, source, session_id, source_id, span_from,
                      span_to, external_id, metadata, extraction, created_tx, created_at, trust)
  SELECT :company_id, r.id, r.tenant_id, r.slot_id, r.subject, r.subject_key, r.lane, r.source, r.session_id, r.source_id,
         r.span_from, r.span_to, r.external_id, r.metadata, r.extraction, r.created_tx, r.created_at, r.trust
  FROM json_to_recordset(:memories::json) AS r(id uuid, tenant_id text, slot_id uuid, subject text, subject_key text,
       lane uuid, source text, session_id text, source_id uuid, span_from integer, span_to integer, external_id text,
       metadata json, extraction jsonb, created_tx bigint, created_at timestamptz, trust smallint)),
said AS (
  INSERT INTO content (company_id, id, memory_id, text, summary, topic, importance, people, action_items, fingerprint, words,
                       tx, salt)
  SELECT :company_id, r.id, r.memory_id, r.text, r.summary, r.topic, r.importance, r.people, r.action_items, r.fingerprint,
         to_tsvector('english', r.indexed), r.tx, decode(r.salt, 'base64')
  FROM json_to_recordset(:contents::json) AS r(id uuid, memory_id uuid, text text, summary text, topic text,
       importance smallint, people text[], action_items text[], fingerprint bigint, indexed text, tx bigint, salt text)),
vectors AS (
  INSERT INTO embedding (company_id, content_id, model, part, vector, tx)
  SELECT :company_id, r.content_id, r.model, r.part, r.vector, r.tx
  FROM unnest(:vector_contents::uuid[], :vector_models::text[], :vector_parts::smallint[], :vectors::halfvec[],
              :vector_numbers::bigint[]) AS r(content_id, model, part, vector, tx)),
closing AS (
  UPDATE version v SET tx_to = r.tx_to, tx_to_at = r.tx_to_at, replaced_by = r.replaced_by
  FROM json_to_recordset(:closed::json) AS r(id uuid, tx_to bigint, tx_to_at timestamptz, replaced_by uuid)
  -- "Between id and id": see search.sql.
  WHERE v.company_id = :company_id AND v.id BETWEEN r.id AND r.id AND v.tx_to IS NULL
  RETURNING 1),
opening AS (
  INSERT INTO version (company_id, id, tenant_id, memory_id, lane, content_id, valid, tx_from, tx_from_at, tx_to, tx_to_at, op,
                       superseded_by, replaced_by)
  SELECT :company_id, r.id, r.tenant_id, r.memory_id, r.lane, r.content_id, tstzrange(r.valid_from, r.valid_to), r.tx_from,
         r.tx_from_at, r.tx_to, r.tx_to_at, r.op, r.superseded_by, r.replaced_by
  FROM json_to_recordset(:opened::json) AS r(id uuid, tenant_id text, memory_id uuid, lane uuid, content_id uuid,
       valid_from timestamptz, valid_to timestamptz, tx_from bigint, tx_from_at timestamptz, tx_to bigint, tx_to_at timestamptz,
       op text, superseded_by uuid, replaced_by uuid)
  -- What closes must be closed before what opens is checked against the lane.
  WHERE (SELECT count(*) FROM closing) >= 0
  RETURNING 1),
expired AS (
  DELETE FROM idempotency WHERE company_id = :company_id AND key IN (
    SELECT i.key FROM idempotency i
    WHERE i.company_id = :company_id AND i.expires_at <= :at AND NOT EXISTS (
      SELECT 1 FROM json_to_recordset(:answers::json) AS r(key text) WHERE r.key = i.key) ORDER BY i.expires_at LIMIT 20)),
answered AS ({keeping})
SELECT (SELECT count(*) FROM head) AS heads, (SELECT count(*) FROM closing) AS closed, (SELECT count(*) FROM opening) AS opened

-- name: erase -> Count
-- Erases, by the one function that may; returns how many rows went.
SELECT erase(:company_id, :entry, :memories, :contents, :sources, :slots, :tombstones) AS count

-- name: store_answers
-- Keeps answers where nothing else is written: of an erasure, of a duplicate.
{keeping}
