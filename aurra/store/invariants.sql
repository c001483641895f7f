-- Invariants of what is stored: each query counts what breaks one, and names an example by its id.

-- name: lanes -> Broken
-- A lane holds two beliefs for one instant.
SELECT count(*) AS wrong, min(a.lane::text) AS example
FROM version a
JOIN version b ON b.company_id = a.company_id AND b.lane = a.lane AND b.id > a.id AND b.valid && a.valid
 AND int8range(b.tx_from, b.tx_to) && int8range(a.tx_from, a.tx_to)
WHERE a.company_id = :company_id

-- name: instants -> Broken
-- A version that was opened or closed by no transaction, or at another instant than its transaction's.
SELECT count(*) AS wrong, min(v.id::text) AS example
FROM version v
LEFT JOIN transaction o ON o.company_id = v.company_id AND o.id = v.tx_from
LEFT JOIN transaction c ON c.company_id = v.company_id AND c.id = v.tx_to
WHERE v.company_id = :company_id
  AND (o.at IS DISTINCT FROM v.tx_from_at OR c.at IS DISTINCT FROM v.tx_to_at)

-- name: contents -> Broken
-- A version whose content is not there, or is another memory's.
SELECT count(*) AS wrong, min(v.id::text) AS example
FROM version v LEFT JOIN content c ON c.company_id = v.company_id AND c.id = v.content_id
WHERE v.company_id = :company_id AND c.memory_id IS DISTINCT FROM v.memory_id

-- name: tombstones -> Broken
-- A tombstone of something that is still there, or that no erasure left.
SELECT count(*) AS wrong, min(k.row_id::text) AS example
FROM tombstone k LEFT JOIN transaction t ON t.company_id = k.company_id AND t.id = k.erased_by
WHERE k.company_id = :company_id AND (t.verb IS DISTINCT FROM 'erase' OR CASE k.kind
  WHEN 'memory' THEN EXISTS (SELECT 1 FROM memory m WHERE m.company_id = k.company_id AND m.id = k.row_id)
  WHEN 'content' THEN EXISTS (SELECT 1 FROM content c WHERE c.company_id = k.company_id AND c.id = k.row_id)
  WHEN 'source' THEN EXISTS (SELECT 1 FROM source o WHERE o.company_id = k.company_id AND o.id = k.row_id)
  WHEN 'slot' THEN EXISTS (SELECT 1 FROM slot s WHERE s.company_id = k.company_id AND s.id = k.row_id)
  WHEN 'opened' THEN EXISTS (SELECT 1 FROM version v WHERE v.company_id = k.company_id AND v.id = k.row_id)
  WHEN 'reason' THEN EXISTS (SELECT 1 FROM transaction r WHERE r.company_id = k.company_id AND r.id = k.tx AND r.reason IS NOT NULL)
  ELSE false END)

-- name: idempotency -> Broken
-- An answer that is kept for longer than 24 hours after the newest instant there is.
SELECT count(*) AS wrong, NULL::text AS example
FROM idempotency i JOIN ledger l ON l.company_id = i.company_id
WHERE i.company_id = :company_id AND i.expires_at > greatest(l.last_at, :at::timestamptz) + interval '24 hours 1 minute'

-- name: segments -> Broken
-- A segment of the index that does not hold exactly the contents of its transactions.
SELECT count(*) AS wrong, min(s.id::text) AS example
FROM segment s
CROSS JOIN LATERAL (
  SELECT coalesce(string_agg(uuid_send(c.id), ''::bytea ORDER BY c.tx, c.id), ''::bytea) AS ids,
         coalesce(string_agg(int8send(c.tx), ''::bytea ORDER BY c.tx, c.id), ''::bytea) AS numbers
  FROM memory m JOIN content c ON c.company_id = m.company_id AND c.memory_id = m.id
  WHERE m.company_id = s.company_id AND m.tenant_id = s.tenant_id AND c.tx > s.from_tx AND c.tx <= s.to_tx) AS stored
WHERE s.company_id = :company_id AND (s.ids <> stored.ids OR s.numbers <> stored.numbers)

-- name: evidence -> Broken
-- A receipt that considered a version which is not there, or of another memory.
SELECT count(*) AS wrong, min(e.receipt_id::text) AS example
FROM receipt_evidence e LEFT JOIN version v ON v.company_id = e.company_id AND v.id = e.version_id
WHERE e.company_id = :company_id AND v.memory_id IS DISTINCT FROM e.memory_id

-- name: labels -> Broken
-- A subject or a conversation whose label is not the newest that keys with a ceiling may be told; of a conversation, each field
-- by itself, null being as before. Names are what somebody wrote: one is told by the transaction of its newest label.
SELECT count(*) AS wrong, min(w.example) AS example
FROM (
  SELECT 'a subject, label of transaction ' || coalesce(l.tx, 0) AS example FROM subject s
  LEFT JOIN LATERAL (
    SELECT l.tx, l.external_id FROM subject_label l
    WHERE l.company_id = s.company_id AND l.tenant_id = s.tenant_id AND l.subject_key = s.subject_key
    ORDER BY l.tx DESC LIMIT 1) AS l ON true
  WHERE s.company_id = :company_id AND s.external_id IS DISTINCT FROM l.external_id
  UNION ALL
  SELECT 'a conversation, label of transaction ' || coalesce(l.tx, 0) FROM conversation c
  CROSS JOIN LATERAL (
    SELECT max(l.tx) AS tx,
           (array_agg(l.channel ORDER BY l.tx DESC) FILTER (WHERE l.channel IS NOT NULL))[1] AS channel,
           (array_agg(l.external_id ORDER BY l.tx DESC) FILTER (WHERE l.external_id IS NOT NULL))[1] AS external_id,
           (array_agg(l.uri ORDER BY l.tx DESC) FILTER (WHERE l.uri IS NOT NULL))[1] AS uri,
           (array_agg(l.metadata::text ORDER BY l.tx DESC) FILTER (WHERE l.metadata IS NOT NULL))[1] AS metadata
    FROM conversation_label l
    WHERE l.company_id = c.company_id AND l.tenant_id = c.tenant_id AND l.session_id = c.session_id) AS l
  WHERE c.company_id = :company_id
    AND (c.channel, c.external_id, c.uri, c.metadata::text) IS DISTINCT FROM (l.channel, l.external_id, l.uri, l.metadata)
) AS w

-- name: ahead -> Broken
-- A ledger whose newest instant is later than the database's clock, by more than ten seconds.
SELECT count(*) AS wrong, max(l.last_at)::text AS example FROM ledger l
WHERE l.company_id = :company_id AND l.last_at > :at::timestamptz + interval '10 seconds'

-- name: failed_jobs -> Broken
-- Jobs that failed three times or more, with the newest reason.
SELECT count(*) AS wrong, max(j.kind || ': ' || j.failure) AS example FROM job j WHERE j.failure IS NOT NULL AND j.attempts >= 3

-- name: hanging_jobs -> Broken
-- Jobs whose lease ran out a quarter of an hour ago and that nobody took up, or lasts for an hour to come.
SELECT count(*) AS wrong, min(j.kind) AS example FROM job j
WHERE j.leased_until < :at::timestamptz - interval '15 minutes' OR j.leased_until > :at::timestamptz + interval '1 hour'

-- name: constraints -> Broken
-- What guards a lane and a segment against their own writers is not there, or was not validated.
SELECT count(*) AS wrong, min(n) AS example
FROM unnest(ARRAY['version_one_belief_a_lane', 'version_closed_once', 'version_valid_is_half_open', 'segment_counts_once',
                  'receipt_evidence_is_there', 'slot_name']) AS n
WHERE NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conname = n AND k.convalidated)
