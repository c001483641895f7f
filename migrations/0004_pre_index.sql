-- The index of large tenants: what their contents say, in segments of a few thousand that never change. Derived: whatever
-- is in no segment is read from the contents themselves, so a segment may go at any time, and goes when a content of it is
-- erased. Why not GIN and HNSW: aurra/decisions/0013-index-of-large-tenants.md.

CREATE TABLE segment (
  company_id uuid NOT NULL,
  id uuid NOT NULL,
  tenant_id text NOT NULL,
  from_tx bigint NOT NULL,
  to_tx bigint NOT NULL,
  contents integer NOT NULL,
  ids bytea NOT NULL,
  lengths bytea NOT NULL,
  numbers bytea NOT NULL,
  PRIMARY KEY (company_id, id),
  CONSTRAINT segment_is_whole CHECK (
    octet_length(ids) = 16 * contents AND octet_length(lengths) = 4 * contents AND octet_length(numbers) = 8 * contents),
  CONSTRAINT segment_counts_once EXCLUDE USING gist (
    company_id WITH =, tenant_id WITH =, int8range(from_tx, to_tx) WITH &&)
);
COMMENT ON TABLE segment IS 'The contents of a tenant that transactions after `from_tx` up to `to_tx` stored, in their order. Derived; never changed, only replaced.';
COMMENT ON COLUMN segment.ids IS 'Of the contents, 16 bytes each; a content''s place here is its place in all that belongs to the segment.';
COMMENT ON COLUMN segment.lengths IS 'Distinct words of each, 4 bytes big-endian.';
COMMENT ON COLUMN segment.numbers IS 'The transaction that stored each, 8 bytes big-endian; they never fall.';
-- Read in part or unread; nothing in them would compress.
ALTER TABLE segment ALTER COLUMN ids SET STORAGE EXTERNAL;
ALTER TABLE segment ALTER COLUMN lengths SET STORAGE EXTERNAL;
CREATE INDEX segment_in_order ON segment (company_id, tenant_id, from_tx);

CREATE TABLE segment_word (
  company_id uuid NOT NULL,
  segment_id uuid NOT NULL,
  lexeme text NOT NULL,
  places bytea NOT NULL,
  times bytea,
  PRIMARY KEY (company_id, segment_id, lexeme),
  FOREIGN KEY (company_id, segment_id) REFERENCES segment
);
COMMENT ON TABLE segment_word IS 'Which contents of a segment have a word. A row a word, since row-level security keeps the operators of text search from any index.';
COMMENT ON COLUMN segment_word.places IS 'Places of the contents, 4 bytes big-endian, rising.';
COMMENT ON COLUMN segment_word.times IS 'How often each has it, 2 bytes big-endian; null is once each.';

CREATE TABLE segment_sketch (
  company_id uuid NOT NULL,
  segment_id uuid NOT NULL,
  model text NOT NULL,
  places bytea NOT NULL,
  scale bytea NOT NULL,
  codes bytea NOT NULL,
  PRIMARY KEY (company_id, segment_id, model),
  FOREIGN KEY (company_id, segment_id) REFERENCES segment
);
COMMENT ON TABLE segment_sketch IS 'The vectors of a segment by one model, one or two bits a number: enough to find the few whose own vectors are compared. There only where every content of the segment has a vector.';
COMMENT ON COLUMN segment_sketch.places IS 'The content''s place of each vector, 4 bytes big-endian; a long text has several vectors.';
COMMENT ON COLUMN segment_sketch.scale IS 'Mean and spread of each dimension, 4-byte floats, little-endian.';
COMMENT ON COLUMN segment_sketch.codes IS 'Byte by byte, each byte of all vectors together.';
ALTER TABLE segment_sketch ALTER COLUMN codes SET STORAGE EXTERNAL;

ALTER TABLE segment ENABLE ROW LEVEL SECURITY;
ALTER TABLE segment FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON segment USING (company_id = nullif(current_setting('aurra.company_id', true), '')::uuid);

ALTER TABLE segment_word ENABLE ROW LEVEL SECURITY;
ALTER TABLE segment_word FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON segment_word USING (company_id = nullif(current_setting('aurra.company_id', true), '')::uuid);

ALTER TABLE segment_sketch ENABLE ROW LEVEL SECURITY;
ALTER TABLE segment_sketch FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON segment_sketch USING (company_id = nullif(current_setting('aurra.company_id', true), '')::uuid);

GRANT SELECT, INSERT, DELETE ON segment, segment_word, segment_sketch TO aurra_app;
GRANT SELECT, DELETE ON segment, segment_word, segment_sketch TO aurra_eraser;

-- The turns before and after one, in the order in which they were told.
DROP INDEX memory_by_session;
CREATE INDEX memory_by_session ON memory (company_id, tenant_id, session_id, id) WHERE session_id IS NOT NULL;

-- As before, and with it what names or labels the memories that go: receipts, reviews, conversations and subjects of which
-- nothing is left. The segments that any of the erased contents are in go first, to be made again without them.
CREATE OR REPLACE FUNCTION erase(account uuid, entry json, memories uuid[], contents uuid[], sources uuid[], slots uuid[], tombstones json)
-- Temporary tables are the caller's: unnamed, they would come first.
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  number bigint := (entry ->> 'id')::bigint;
  gone bigint := 0;
  counted bigint;
  -- Set where everything of a tenant goes.
  whole_tenant text := entry ->> 'tenant';
  quoting uuid[];
  session_tenants text[];
  sessions text[];
  subject_tenants text[];
  subjects text[];
  spoilt uuid[];
BEGIN
  IF account IS DISTINCT FROM nullif(current_setting('aurra.company_id', true), '')::uuid THEN
    RAISE EXCEPTION 'account % is not the one of this transaction', account;
  END IF;
  UPDATE ledger SET last_tx = number, last_at = (entry ->> 'at')::timestamptz, last_hash = decode(entry ->> 'hash', 'base64')
  WHERE company_id = account AND last_tx = number - 1;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'transaction % does not follow the head of account %', number, account;
  END IF;
  INSERT INTO transaction (company_id, id, at, verb, actor, reason, reason_salt, reason_hash, request_id, model, writes, hash)
  VALUES (account, number, (entry ->> 'at')::timestamptz, 'erase', entry ->> 'actor', entry ->> 'reason',
          decode(entry ->> 'reason_salt', 'base64'), decode(entry ->> 'reason_hash', 'base64'), entry ->> 'request_id', NULL, 0,
          decode(entry ->> 'hash', 'base64'));
  INSERT INTO tombstone (company_id, erased_by, kind, tx, row_id, hash, tenant)
  SELECT account, number, r.kind, r.tx, r.row_id, decode(r.hash, 'base64'), decode(r.tenant, 'base64')
  FROM json_to_recordset(tombstones) AS r(kind text, tx bigint, row_id uuid, hash text, tenant text);
  UPDATE transaction t SET reason = NULL, reason_salt = NULL
  FROM tombstone k
  WHERE k.company_id = account AND k.erased_by = number AND k.kind = 'reason' AND t.company_id = account AND t.id = k.tx;
  UPDATE idempotency SET fingerprint = '', answer = ''
  -- Joined, not compared: each name of many answers with each of many that go would take minutes.
  WHERE company_id = account AND (quotes IS NULL OR key IN (
    SELECT i.key FROM idempotency i CROSS JOIN LATERAL unnest(i.quotes) AS named(id)
    JOIN unnest(memories) AS m(id) ON m.id = named.id
    WHERE i.company_id = account));
  -- Receipts and reviews that name what goes; of a whole tenant, all.
  quoting := ARRAY(
    SELECT DISTINCT e.receipt_id FROM receipt_evidence e WHERE e.company_id = account AND e.memory_id = ANY(memories)
    UNION SELECT r.id FROM receipt r WHERE r.company_id = account AND r.tenant_id = whole_tenant);
  DELETE FROM receipt_evidence WHERE company_id = account AND receipt_id = ANY(quoting);
  DELETE FROM receipt WHERE company_id = account AND id = ANY(quoting);
  DELETE FROM review WHERE company_id = account
    AND (old_memory = ANY(memories) OR new_memory = ANY(memories) OR tenant_id = whole_tenant);
  SELECT array_agg(found.tenant_id), array_agg(found.session_id) INTO session_tenants, sessions
  FROM (SELECT DISTINCT o.tenant_id, o.session_id FROM source o WHERE o.company_id = account AND o.id = ANY(sources)) AS found;
  SELECT array_agg(found.tenant_id), array_agg(found.subject_key) INTO subject_tenants, subjects
  FROM (SELECT DISTINCT m.tenant_id, m.subject_key FROM memory m WHERE m.company_id = account AND m.id = ANY(memories)) AS found;
  spoilt := ARRAY(
    SELECT DISTINCT s.id
    FROM memory m
    JOIN content c ON c.company_id = account AND c.memory_id = m.id
    JOIN segment s ON s.company_id = account AND s.tenant_id = m.tenant_id AND c.tx > s.from_tx AND c.tx <= s.to_tx
    WHERE m.company_id = account AND m.id = ANY(memories));
  DELETE FROM segment_sketch WHERE company_id = account AND segment_id = ANY(spoilt);
  DELETE FROM segment_word WHERE company_id = account AND segment_id = ANY(spoilt);
  DELETE FROM segment WHERE company_id = account AND id = ANY(spoilt);
  DELETE FROM embedding WHERE company_id = account AND content_id = ANY(contents) AND tx IS NULL;
  DELETE FROM embedding WHERE company_id = account AND content_id = ANY(contents);
  GET DIAGNOSTICS counted = ROW_COUNT;
  gone := gone + counted;
  -- A version that was opened and closed leaves two tombstones.
  SELECT count(*) INTO counted FROM version WHERE company_id = account AND memory_id = ANY(memories) AND tx_to IS NOT NULL;
  gone := gone + counted;
  DELETE FROM version WHERE company_id = account AND memory_id = ANY(memories);
  GET DIAGNOSTICS counted = ROW_COUNT;
  gone := gone + counted;
  DELETE FROM content WHERE company_id = account AND memory_id = ANY(memories);
  GET DIAGNOSTICS counted = ROW_COUNT;
  gone := gone + counted;
  DELETE FROM memory WHERE company_id = account AND id = ANY(memories);
  GET DIAGNOSTICS counted = ROW_COUNT;
  gone := gone + counted;
  DELETE FROM source WHERE company_id = account AND id = ANY(sources);
  GET DIAGNOSTICS counted = ROW_COUNT;
  gone := gone + counted;
  DELETE FROM slot WHERE company_id = account AND id = ANY(slots);
  GET DIAGNOSTICS counted = ROW_COUNT;
  gone := gone + counted;
  -- Labels of conversations and subjects of which nothing is left.
  DELETE FROM conversation c
  WHERE c.company_id = account
    AND (c.tenant_id = whole_tenant OR EXISTS (
      SELECT 1 FROM unnest(session_tenants, sessions) AS s(tenant_id, session_id)
      WHERE s.tenant_id = c.tenant_id AND s.session_id = c.session_id))
    AND NOT EXISTS (
      SELECT 1 FROM source o WHERE o.company_id = account AND o.tenant_id = c.tenant_id AND o.session_id = c.session_id);
  DELETE FROM subject b
  WHERE b.company_id = account
    AND (b.tenant_id = whole_tenant OR EXISTS (
      SELECT 1 FROM unnest(subject_tenants, subjects) AS s(tenant_id, subject_key)
      WHERE s.tenant_id = b.tenant_id AND s.subject_key = b.subject_key))
    AND NOT EXISTS (
      SELECT 1 FROM memory m WHERE m.company_id = account AND m.tenant_id = b.tenant_id AND m.subject_key = b.subject_key);
  SELECT count(*) INTO counted FROM tombstone WHERE company_id = account AND erased_by = number AND kind <> 'reason';
  IF counted <> gone THEN
    RAISE EXCEPTION 'transaction % erases % rows and leaves % tombstones', number, gone, counted;
  END IF;
  RETURN gone;
END
$$;
