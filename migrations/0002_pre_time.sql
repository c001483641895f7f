-- Erasing for good: what stays of an erased row is its salted hash, so that the chain still verifies, and the number of
-- the transaction that erased it. Only the function `erase` deletes, as a role of its own.

CREATE TABLE tombstone (
  company_id uuid NOT NULL,
  erased_by bigint NOT NULL,
  kind text NOT NULL CHECK (kind IN ('slot', 'source', 'memory', 'content', 'embedding', 'opened', 'closed', 'reason')),
  tx bigint NOT NULL,
  row_id uuid NOT NULL,
  hash bytea NOT NULL,
  tenant bytea,
  PRIMARY KEY (company_id, kind, row_id, tx),
  FOREIGN KEY (company_id, erased_by) REFERENCES transaction,
  FOREIGN KEY (company_id, tx) REFERENCES transaction,
  CONSTRAINT tombstone_of_a_memory_knows_its_tenant CHECK ((kind = 'memory') = (tenant IS NOT NULL))
);
COMMENT ON TABLE tombstone IS 'What stays of an erased row: which transaction wrote it (`tx`), its hash, who erased it. Its salt is gone.';
COMMENT ON COLUMN tombstone.row_id IS 'Of a reason, the nil id; of an embedding, its content''s.';
COMMENT ON COLUMN tombstone.tenant IS 'SHA-256 of account and tenant: whose keys may be told that the memory was erased.';
CREATE INDEX tombstone_by_eraser ON tombstone (company_id, erased_by);
CREATE INDEX tombstone_of_transaction ON tombstone (company_id, tx);

ALTER TABLE tombstone ENABLE ROW LEVEL SECURITY;
ALTER TABLE tombstone FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON tombstone USING (company_id = nullif(current_setting('aurra.company_id', true), '')::uuid);
GRANT SELECT ON tombstone TO aurra_app;

-- A turn goes with the memory that is erased; other memories made of it stay, and keep its id.
ALTER TABLE memory DROP CONSTRAINT memory_company_id_source_id_fkey;

-- Nothing looks versions up by content: deleting one content would read every version of the account.
ALTER TABLE version DROP CONSTRAINT version_company_id_content_id_fkey;
CREATE INDEX content_of_memory ON content (company_id, memory_id);
CREATE INDEX memory_of_slot ON memory (company_id, slot_id) WHERE slot_id IS NOT NULL;
CREATE INDEX memory_by_subject ON memory (company_id, tenant_id, subject_key) WHERE subject_key IS NOT NULL;
CREATE INDEX memory_by_session ON memory (company_id, tenant_id, session_id) WHERE session_id IS NOT NULL;
CREATE INDEX version_opened ON version (company_id, tx_from);
CREATE INDEX version_closed ON version (company_id, tx_to) WHERE tx_to IS NOT NULL;

-- A row's hash is reckoned from the row and its salt: stored beside them it would only be one more thing to keep.
ALTER TABLE slot DROP COLUMN hash;
ALTER TABLE source DROP COLUMN hash;
ALTER TABLE memory DROP COLUMN hash;
ALTER TABLE content DROP COLUMN hash;

-- What was believed is found by memory; an index over both times costs every version more than it gains.
DROP INDEX version_plane;
DROP INDEX version_of_memory;
CREATE INDEX version_of_memory ON version (company_id, memory_id, tx_from);

ALTER TABLE transaction ADD COLUMN reason_hash bytea;
COMMENT ON COLUMN transaction.reason_hash IS 'SHA-256 of salt and reason; stays when both are erased.';

ALTER TABLE embedding ADD COLUMN tx bigint;
COMMENT ON COLUMN embedding.tx IS 'The transaction that wrote it, whose hash covers it; null for one that was derived again later.';

ALTER TABLE idempotency ADD COLUMN quotes uuid[];
COMMENT ON COLUMN idempotency.quotes IS 'Memories that the answer names; erased with them. Null is unknown: erased with any.';

CREATE POLICY own_account_erase ON version FOR DELETE TO aurra_eraser
  USING (company_id = nullif(current_setting('aurra.company_id', true), '')::uuid);
GRANT SELECT, DELETE ON version, content, embedding, memory, source, slot TO aurra_eraser;
GRANT SELECT, INSERT, UPDATE (reason, reason_salt) ON transaction TO aurra_eraser;
GRANT SELECT, UPDATE (last_tx, last_at, last_hash) ON ledger TO aurra_eraser;
GRANT SELECT, UPDATE (fingerprint, answer) ON idempotency TO aurra_eraser;
GRANT SELECT, INSERT ON tombstone TO aurra_eraser;

CREATE FUNCTION erase(account uuid, entry json, memories uuid[], contents uuid[], sources uuid[], slots uuid[], tombstones json)
-- Temporary tables are the caller's: unnamed, they would come first.
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  number bigint := (entry ->> 'id')::bigint;
  gone bigint := 0;
  counted bigint;
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
  SELECT count(*) INTO counted FROM tombstone WHERE company_id = account AND erased_by = number AND kind <> 'reason';
  IF counted <> gone THEN
    RAISE EXCEPTION 'transaction % erases % rows and leaves % tombstones', number, gone, counted;
  END IF;
  RETURN gone;
END
$$;
COMMENT ON FUNCTION erase IS 'The one way to delete: the rows of memories, with their tombstones and the ledger''s entry, all or nothing.';
REVOKE ALL ON FUNCTION erase FROM PUBLIC;
GRANT EXECUTE ON FUNCTION erase TO aurra_app;
ALTER FUNCTION erase OWNER TO aurra_eraser;
