-- The chain: every row that the transactions' hashes cover, to reckon them again, or to leave what stays of it.

-- fragment: slots
SELECT s.id, s.tenant_id, s.subject_key, s.attribute_key, s.subject, s.attribute, s.cardinality, s.tx, s.salt
FROM slot s WHERE s.company_id = :company_id

-- fragment: sources
SELECT o.id, o.tenant_id, o.session_id, o.dialog_id, o.position, o.message_id, o.role, o.name, o.text, o.said_at, o.tx, o.salt,
       ''::bytea AS hash, o.uri, o.metadata::text AS metadata
FROM source o WHERE o.company_id = :company_id

-- fragment: memories
SELECT m.id, m.tenant_id, m.slot_id, m.subject, m.subject_key, m.lane, m.source, m.session_id, m.source_id, m.span_from,
       m.span_to, m.external_id, m.metadata::text AS metadata, m.extraction::text AS extraction, m.created_tx, m.created_at,
       ''::bytea AS hash, m.trust, c.salt
FROM memory m
LEFT JOIN content c ON c.company_id = m.company_id AND c.memory_id = m.id AND c.tx = m.created_tx
WHERE m.company_id = :company_id

-- fragment: contents
SELECT c.id, c.memory_id, c.text, c.summary, c.topic, c.importance, c.people, c.action_items, c.fingerprint, c.tx, c.salt
FROM content c WHERE c.company_id = :company_id

-- fragment: embeddings
SELECT e.content_id, e.model, e.vector, e.tx, c.salt
FROM embedding e LEFT JOIN content c ON c.company_id = e.company_id AND c.id = e.content_id
WHERE e.company_id = :company_id AND e.tx IS NOT NULL AND e.part = 0

-- fragment: versions
SELECT v.id, v.tenant_id, v.memory_id, v.lane, v.content_id, lower(v.valid) AS valid_from, upper(v.valid) AS valid_to, v.tx_from,
       v.tx_from_at, v.op, v.superseded_by, v.tx_to, v.tx_to_at, v.replaced_by, ''::bytea AS hash, c.salt
FROM version v LEFT JOIN content c ON c.company_id = v.company_id AND c.id = v.content_id
WHERE v.company_id = :company_id

-- fragment: tombstones
SELECT k.kind, k.tx, k.row_id, k.hash, k.tenant, k.erased_by FROM tombstone k WHERE k.company_id = :company_id

-- name: head -> ChainHead
-- What the ledger says of its newest transaction and of the period's meter.
SELECT last_tx, last_at, last_hash, period_start, writes_used FROM ledger WHERE company_id = :company_id

-- name: head_up_to -> ChainHead
-- The same as it was when the ceiling's transaction was the newest; the meter is today's, and not compared.
SELECT t.id AS last_tx, t.at AS last_at, t.hash AS last_hash, l.period_start, l.writes_used
FROM ledger l JOIN transaction t ON t.company_id = l.company_id AND t.id = least(l.last_tx, :ceiling)
WHERE l.company_id = :company_id

-- name: hash_of -> Link
-- The hash of one transaction.
SELECT hash FROM transaction WHERE company_id = :company_id AND id = :after

-- name: entries -> TransactionRow
-- All transactions after a number, in order.
SELECT id, at, verb, actor, reason, reason_salt, reason_hash, request_id, model, writes, hash
FROM transaction WHERE company_id = :company_id AND id > :after ORDER BY id

-- name: slots_written -> SlotRow
-- Slots, by the transaction that named them.
{slots} AND s.tx > :after ORDER BY s.tx

-- name: sources_written -> SourceRow
-- Turns, by the transaction that brought them.
{sources} AND o.tx > :after ORDER BY o.tx

-- name: memories_written -> StoredMemory
-- Memories, by the transaction that made them.
{memories} AND m.created_tx > :after ORDER BY m.created_tx

-- name: contents_written -> ContentRow
-- Contents, by the transaction that said them.
{contents} AND c.tx > :after ORDER BY c.tx

-- name: embeddings_written -> StoredEmbedding
-- Vectors, by the transaction that wrote them.
{embeddings} AND e.tx > :after ORDER BY e.tx

-- name: versions_opened -> StoredVersion
-- Versions, by the transaction that opened them.
{versions} AND v.tx_from > :after ORDER BY v.tx_from

-- name: versions_closed -> StoredVersion
-- Versions, by the transaction that closed them.
{versions} AND v.tx_to > :after ORDER BY v.tx_to

-- name: tombstones_of -> StoredTombstone
-- What stays of erased rows, by the transaction that wrote the row.
{tombstones} AND k.tx > :after ORDER BY k.tx

-- name: tombstones_by -> StoredTombstone
-- What stays of erased rows, by the transaction that erased it.
{tombstones} AND k.erased_by > :after ORDER BY k.erased_by

-- name: memories_matching -> MemoryId
-- Memories to erase: one, or all of a tenant, a session, a subject.
SELECT m.id FROM memory m
WHERE m.company_id = :company_id
  AND (:memory_id::uuid IS NULL OR m.id = :memory_id)
  AND (:tenant_id::text IS NULL OR m.tenant_id = :tenant_id)
  AND (:session_id::text IS NULL OR m.session_id = :session_id)
  AND (:subject_key::text IS NULL OR m.subject_key = :subject_key)
ORDER BY m.id

-- name: sources_matching -> MemoryId
-- Turns to erase with a whole session or tenant, whether or not a memory was made of them.
SELECT o.id FROM source o
WHERE o.company_id = :company_id AND o.tenant_id = :tenant_id AND (:session_id::text IS NULL OR o.session_id = :session_id)

-- name: memories_named -> StoredMemory
-- Memories to erase, in full.
{memories} AND m.id = ANY(:memories::uuid[])

-- name: contents_named -> ContentRow
-- All that they ever said.
{contents} AND c.memory_id = ANY(:memories::uuid[])

-- name: embeddings_named -> StoredEmbedding
-- The vectors of that.
{embeddings} AND e.content_id = ANY(:contents::uuid[])

-- name: versions_named -> StoredVersion
-- Every rectangle of them.
{versions} AND v.memory_id = ANY(:memories::uuid[])

-- name: sources_named -> SourceRow
-- The turns that they came from.
{sources} AND o.id = ANY(:sources::uuid[])

-- name: slots_emptied -> SlotRow
-- Their slots, where no other memory is left in them.
{slots} AND s.id = ANY(:slots::uuid[]) AND NOT EXISTS (
  SELECT 1 FROM memory m WHERE m.company_id = :company_id AND m.slot_id = s.id AND NOT m.id = ANY(:memories::uuid[]))

-- name: reasons_of -> StoredReason
-- The reasons of their transactions; those of before there was a `reason_hash` too.
SELECT t.id, coalesce(t.reason_hash, ''::bytea) AS reason_hash FROM transaction t
WHERE t.company_id = :company_id AND t.id = ANY(:numbers::bigint[]) AND t.reason IS NOT NULL

-- name: others_of -> MemoryId
-- Memories that stay, though a turn they were made of goes.
SELECT m.id FROM memory m
WHERE m.company_id = :company_id AND m.source_id = ANY(:sources::uuid[]) AND NOT m.id = ANY(:memories::uuid[])
ORDER BY m.id
