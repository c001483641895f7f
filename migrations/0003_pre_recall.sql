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
