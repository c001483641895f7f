-- Recall and answers: conversations as said, receipts of answers, reviews of supersession, trust of keys, models of
-- accounts, several vectors a content, and jobs. What is derived or cites memories goes when they are erased.

ALTER TABLE api_key ADD COLUMN trust smallint NOT NULL DEFAULT 2 CONSTRAINT api_key_trust CHECK (trust BETWEEN 1 AND 3);
COMMENT ON COLUMN api_key.trust IS '1 low, 2 normal, 3 high: what it writes never supersedes what a key of higher trust wrote.';
ALTER TABLE memory ADD COLUMN trust smallint NOT NULL DEFAULT 2;
COMMENT ON COLUMN memory.trust IS 'Of the key that wrote it.';
CREATE INDEX memory_by_external_id ON memory (company_id, tenant_id, external_id) WHERE external_id IS NOT NULL;

ALTER TABLE source ADD COLUMN uri text;
COMMENT ON COLUMN source.uri IS 'Where the turn is kept in full: a recording, a transcript.';
ALTER TABLE source ADD COLUMN metadata json;
COMMENT ON COLUMN source.metadata IS 'As text, so that numbers come back, and hash, as they were given.';
CREATE INDEX source_of_session ON source (company_id, tenant_id, session_id, id) WHERE session_id IS NOT NULL;

ALTER TABLE transaction DROP CONSTRAINT transaction_verb_check;
ALTER TABLE transaction ADD CONSTRAINT transaction_verb_check
  CHECK (verb IN ('assert', 'supersede', 'end', 'correct', 'retract', 'restore', 'erase', 'keep'));

-- A long text has a vector for each of its parts; the chain covers the first.
ALTER TABLE embedding ADD COLUMN part smallint NOT NULL DEFAULT 0;
ALTER TABLE embedding DROP CONSTRAINT embedding_pkey;
ALTER TABLE embedding ADD PRIMARY KEY (company_id, content_id, model, part);
COMMENT ON COLUMN embedding.tx IS 'The transaction that wrote it, whose hash covers it; null for a further part of a long text, and for one derived again later.';

CREATE TABLE conversation (
  company_id uuid NOT NULL,
  tenant_id text NOT NULL,
  session_id text NOT NULL,
  channel text,
  external_id text,
  uri text,
  metadata json,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (company_id, tenant_id, session_id)
);
COMMENT ON TABLE conversation IS 'A call, a chat, a thread: what is known of a session besides its turns, which are in `source`. A label, outside the chain.';
CREATE INDEX conversation_newest ON conversation (company_id, tenant_id, created_at, session_id);

CREATE TABLE subject (
  company_id uuid NOT NULL,
  tenant_id text NOT NULL,
  subject_key text NOT NULL,
  external_id text NOT NULL,
  PRIMARY KEY (company_id, tenant_id, subject_key)
);
COMMENT ON TABLE subject IS 'The id of a subject in the caller''s system. A label, outside the chain.';
CREATE INDEX subject_by_external_id ON subject (company_id, tenant_id, external_id);

CREATE TABLE review (
  company_id uuid NOT NULL,
  id uuid NOT NULL,
  tenant_id text NOT NULL,
  tx bigint NOT NULL,
  at timestamptz NOT NULL,
  old_memory uuid NOT NULL,
  new_memory uuid NOT NULL,
  verdict text NOT NULL,
  confidence double precision NOT NULL,
  reasoning text NOT NULL,
  classifier text NOT NULL,
  why text NOT NULL CHECK (why IN ('low_confidence', 'lower_trust')),
  state text NOT NULL CHECK (state IN ('open', 'accepted', 'rejected')),
  decided_at timestamptz,
  decided_by text,
  decided_tx bigint,
  PRIMARY KEY (company_id, id),
  FOREIGN KEY (company_id, tx) REFERENCES transaction,
  CONSTRAINT review_decided CHECK ((state = 'open') = (decided_at IS NULL))
);
COMMENT ON TABLE review IS 'Supersessions that wait for a person: that `old_memory` gives way to `new_memory`.';
CREATE INDEX review_newest ON review (company_id, tenant_id, at, id);
CREATE INDEX review_of_old ON review (company_id, old_memory);
CREATE INDEX review_of_new ON review (company_id, new_memory);

CREATE TABLE receipt (
  company_id uuid NOT NULL,
  id uuid NOT NULL,
  tenant_id text NOT NULL,
  key_id text NOT NULL,
  request_id text NOT NULL,
  at timestamptz NOT NULL,
  tx bigint NOT NULL,
  valid_at timestamptz,
  request json NOT NULL,
  search_type text NOT NULL,
  embedder text,
  ranker text NOT NULL,
  provider text,
  model text,
  rung text,
  prompt_version text,
  prompt_hash bytea,
  answer text NOT NULL,
  answer_hash bytea NOT NULL,
  grounded boolean NOT NULL,
  refused boolean NOT NULL,
  PRIMARY KEY (company_id, id)
);
COMMENT ON TABLE receipt IS 'What an answer was made of, so that it can be shown, checked and played again. Goes when a memory of its evidence is erased.';
COMMENT ON COLUMN receipt.request IS 'Question and parameters as asked, without the model''s key.';
COMMENT ON COLUMN receipt.valid_at IS 'The instant of validity that the search used; null where validity was not tested.';
CREATE INDEX receipt_newest ON receipt (company_id, tenant_id, at, id);

CREATE TABLE receipt_evidence (
  company_id uuid NOT NULL,
  receipt_id uuid NOT NULL,
  place smallint NOT NULL,
  memory_id uuid NOT NULL,
  version_id uuid NOT NULL,
  is_cited boolean NOT NULL,
  PRIMARY KEY (company_id, receipt_id, place),
  FOREIGN KEY (company_id, receipt_id) REFERENCES receipt,
  -- Holds off an erasure while the receipt is written, and the receipt where the memory was erased.
  CONSTRAINT receipt_evidence_is_there FOREIGN KEY (company_id, memory_id) REFERENCES memory
);
COMMENT ON TABLE receipt_evidence IS 'The memories that were considered for an answer, in order, from 1; and which of them it cites.';
CREATE INDEX receipt_evidence_of_memory ON receipt_evidence (company_id, memory_id);

CREATE TABLE provider (
  company_id uuid PRIMARY KEY REFERENCES account,
  provider text NOT NULL,
  model text NOT NULL,
  base_url text,
  extra json,
  sealed_key bytea,
  sealed_by text,
  last_four text,
  changed_at timestamptz NOT NULL,
  CONSTRAINT provider_key_is_sealed CHECK ((sealed_key IS NULL) = (sealed_by IS NULL))
);
COMMENT ON TABLE provider IS 'The language model that an account uses where a request brings none; its key is sealed (AES-256-GCM, bound to account and address).';
COMMENT ON COLUMN provider.sealed_by IS 'Id of the installation''s key that sealed it.';

ALTER TABLE conversation ENABLE ROW LEVEL SECURITY;
ALTER TABLE conversation FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON conversation USING (company_id = nullif(current_setting('aurra.company_id', true), '')::uuid);

ALTER TABLE subject ENABLE ROW LEVEL SECURITY;
ALTER TABLE subject FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON subject USING (company_id = nullif(current_setting('aurra.company_id', true), '')::uuid);

ALTER TABLE review ENABLE ROW LEVEL SECURITY;
ALTER TABLE review FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON review USING (company_id = nullif(current_setting('aurra.company_id', true), '')::uuid);

ALTER TABLE receipt ENABLE ROW LEVEL SECURITY;
ALTER TABLE receipt FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON receipt USING (company_id = nullif(current_setting('aurra.company_id', true), '')::uuid);

ALTER TABLE receipt_evidence ENABLE ROW LEVEL SECURITY;
ALTER TABLE receipt_evidence FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON receipt_evidence USING (company_id = nullif(current_setting('aurra.company_id', true), '')::uuid);

ALTER TABLE provider ENABLE ROW LEVEL SECURITY;
ALTER TABLE provider FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON provider USING (company_id = nullif(current_setting('aurra.company_id', true), '')::uuid);
CREATE POLICY directory ON provider TO aurra_owner USING (true) WITH CHECK (true);

GRANT SELECT, INSERT, UPDATE ON conversation TO aurra_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON subject, provider TO aurra_app;
GRANT SELECT, INSERT, UPDATE (state, decided_at, decided_by, decided_tx) ON review TO aurra_app;
GRANT SELECT, INSERT ON receipt, receipt_evidence TO aurra_app;
GRANT SELECT, DELETE ON conversation, subject, review, receipt, receipt_evidence TO aurra_eraser;

-- Tables without an account of their own: job and embedder. Nothing that a tenant said stands in them, only ids.
CREATE TABLE job (
  id uuid PRIMARY KEY,
  account uuid NOT NULL,
  kind text NOT NULL,
  arguments json NOT NULL,
  run_at timestamptz NOT NULL,
  attempts integer NOT NULL DEFAULT 0,
  leased_until timestamptz,
  failure text
);
COMMENT ON TABLE job IS 'Work that a process of the service does later: claimed with a lease, deleted when done. `arguments` holds ids only.';
CREATE INDEX job_due ON job (run_at);
GRANT SELECT, INSERT, DELETE, UPDATE (run_at, attempts, leased_until, failure) ON job TO aurra_app;

CREATE TABLE embedder (
  name text PRIMARY KEY,
  model text NOT NULL,
  dimension integer NOT NULL,
  state text NOT NULL CHECK (state IN ('active', 'filling')),
  since timestamptz NOT NULL
);
COMMENT ON TABLE embedder IS 'Whose vectors search compares (active), and whose are being made to replace them (filling). Has no account.';
CREATE UNIQUE INDEX embedder_one_of_each ON embedder (state);
GRANT SELECT, INSERT, UPDATE, DELETE ON embedder TO aurra_app;

INSERT INTO conversation (company_id, tenant_id, session_id, created_at)
SELECT o.company_id, o.tenant_id, o.session_id, min(t.at)
FROM source o JOIN transaction t ON t.company_id = o.company_id AND t.id = o.tx
WHERE o.session_id IS NOT NULL GROUP BY o.company_id, o.tenant_id, o.session_id;

-- As before, and with it what names or labels the memories that go.
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
