-- The model: accounts and keys, the ledger, and memories as rectangles of valid and transaction time.
-- Roles (aurra_owner, aurra_app) and extensions (vector, btree_gist) are there before the first file runs.

CREATE TABLE plan (
  plan text PRIMARY KEY,
  writes_limit bigint NOT NULL CHECK (writes_limit > 0),
  key_requests_per_minute integer,
  account_requests_per_minute integer
);
COMMENT ON TABLE plan IS 'What each plan allows a calendar month (UTC); an operator may change the rows. Has no account.';
INSERT INTO plan (plan, writes_limit, key_requests_per_minute, account_requests_per_minute) VALUES
  ('free', 1000, 100, 1000),
  ('starter', 50000, 600, 3000),
  ('pro', 500000, 3000, 15000),
  ('enterprise', 9007199254740991, NULL, NULL);

CREATE TABLE account (
  company_id uuid PRIMARY KEY,
  name text NOT NULL CHECK (name <> ''),
  plan text NOT NULL REFERENCES plan,
  created_at timestamptz NOT NULL
);
COMMENT ON TABLE account IS 'Who owns memories. Names are unique: the command that makes an account holds a table lock.';

CREATE TABLE api_key (
  company_id uuid NOT NULL REFERENCES account,
  key_id text NOT NULL,
  secret_hash bytea NOT NULL,
  last_four text NOT NULL,
  scopes text[] NOT NULL,
  tenant_id text,
  settings jsonb NOT NULL,
  created_at timestamptz NOT NULL,
  expires_at timestamptz,
  revoked_at timestamptz,
  PRIMARY KEY (company_id, key_id)
);
COMMENT ON TABLE api_key IS 'Keys by the SHA-256 of their secret; `settings` holds what differs from the defaults of /agent/settings.';
CREATE INDEX api_key_by_id ON api_key (key_id);

CREATE TABLE ledger (
  company_id uuid PRIMARY KEY REFERENCES account,
  last_tx bigint NOT NULL CHECK (last_tx >= 0),
  last_at timestamptz NOT NULL,
  last_hash bytea NOT NULL,
  period_start timestamptz NOT NULL,
  writes_used bigint NOT NULL CHECK (writes_used >= 0),
  grace_from timestamptz
);
COMMENT ON TABLE ledger IS 'One row an account; every write locks it first. Head of the transaction chain, and the meter of the period.';

CREATE TABLE transaction (
  company_id uuid NOT NULL REFERENCES account,
  id bigint NOT NULL CHECK (id > 0),
  at timestamptz NOT NULL,
  verb text NOT NULL CHECK (verb IN ('assert', 'supersede', 'end', 'correct', 'retract', 'restore', 'erase')),
  actor text NOT NULL,
  reason text,
  reason_salt bytea,
  request_id text NOT NULL,
  model text,
  writes integer NOT NULL CHECK (writes >= 0),
  hash bytea NOT NULL,
  PRIMARY KEY (company_id, id)
);
COMMENT ON TABLE transaction IS 'One committed change: dense numbers, strictly increasing instants, each hash over the one before.';
CREATE INDEX transaction_by_instant ON transaction (company_id, at);

CREATE TABLE slot (
  company_id uuid NOT NULL,
  id uuid NOT NULL,
  tenant_id text NOT NULL,
  subject_key text NOT NULL,
  attribute_key text NOT NULL,
  subject text NOT NULL,
  attribute text NOT NULL,
  cardinality text NOT NULL CHECK (cardinality IN ('one', 'many')),
  tx bigint NOT NULL,
  salt bytea NOT NULL,
  hash bytea NOT NULL,
  PRIMARY KEY (company_id, id),
  FOREIGN KEY (company_id, tx) REFERENCES transaction,
  CONSTRAINT slot_name UNIQUE (company_id, tenant_id, subject_key, attribute_key)
);
COMMENT ON TABLE slot IS '(tenant, subject, attribute): keys are trimmed, NFC, case-folded; names are as first written.';

CREATE TABLE source (
  company_id uuid NOT NULL,
  id uuid NOT NULL,
  tenant_id text NOT NULL,
  session_id text,
  dialog_id uuid NOT NULL,
  position integer NOT NULL,
  message_id text,
  role text NOT NULL,
  name text,
  text text NOT NULL,
  said_at timestamptz,
  tx bigint NOT NULL,
  salt bytea NOT NULL,
  hash bytea NOT NULL,
  PRIMARY KEY (company_id, id),
  FOREIGN KEY (company_id, tx) REFERENCES transaction
);
COMMENT ON TABLE source IS 'Conversation turns as said; memories cite them. `dialog_id` joins the turns of one request.';
CREATE INDEX source_of_dialog ON source (company_id, dialog_id, position);
CREATE INDEX source_by_message ON source (company_id, tenant_id, session_id, message_id) WHERE message_id IS NOT NULL;

CREATE TABLE memory (
  company_id uuid NOT NULL,
  id uuid NOT NULL,
  tenant_id text NOT NULL,
  slot_id uuid,
  subject text,
  subject_key text,
  lane uuid NOT NULL,
  source text NOT NULL,
  session_id text,
  source_id uuid,
  span_from integer,
  span_to integer,
  external_id text,
  metadata json,
  extraction jsonb,
  created_tx bigint NOT NULL,
  created_at timestamptz NOT NULL,
  hash bytea NOT NULL,
  PRIMARY KEY (company_id, id),
  FOREIGN KEY (company_id, slot_id) REFERENCES slot,
  FOREIGN KEY (company_id, source_id) REFERENCES source,
  FOREIGN KEY (company_id, created_tx) REFERENCES transaction
);
COMMENT ON TABLE memory IS 'Something an agent holds to be true: identity, tenant, slot, lane and provenance. What it says is in its versions.';
COMMENT ON COLUMN memory.metadata IS 'As text, so that numbers come back, and hash, as they were given.';
COMMENT ON COLUMN memory.hash IS 'SHA-256 of the salt of its first content and its canonical record.';
CREATE INDEX memory_newest ON memory (company_id, tenant_id, created_at, id);
CREATE INDEX memory_of_source ON memory (company_id, source_id) WHERE source_id IS NOT NULL;

CREATE TABLE content (
  company_id uuid NOT NULL,
  id uuid NOT NULL,
  memory_id uuid NOT NULL,
  text text NOT NULL,
  summary text,
  topic text NOT NULL,
  importance smallint NOT NULL CHECK (importance BETWEEN 1 AND 10),
  people text[] NOT NULL,
  action_items text[] NOT NULL,
  fingerprint bigint NOT NULL,
  words tsvector NOT NULL,
  tx bigint NOT NULL,
  salt bytea NOT NULL,
  hash bytea NOT NULL,
  PRIMARY KEY (company_id, id),
  FOREIGN KEY (company_id, memory_id) REFERENCES memory
);
COMMENT ON TABLE content IS 'What a memory says; shared by its versions that say the same. `fingerprint` finds equal texts.';
CREATE INDEX content_by_fingerprint ON content (company_id, fingerprint);

CREATE TABLE embedding (
  company_id uuid NOT NULL,
  content_id uuid NOT NULL,
  model text NOT NULL,
  vector halfvec NOT NULL,
  PRIMARY KEY (company_id, content_id, model),
  FOREIGN KEY (company_id, content_id) REFERENCES content
);
COMMENT ON TABLE embedding IS 'Unit vectors by content and model; of one model, all have one dimension.';

CREATE TABLE version (
  company_id uuid NOT NULL,
  id uuid NOT NULL,
  tenant_id text NOT NULL,
  memory_id uuid NOT NULL,
  lane uuid NOT NULL,
  content_id uuid NOT NULL,
  valid tstzrange NOT NULL,
  tx_from bigint NOT NULL,
  tx_to bigint,
  tx_from_at timestamptz NOT NULL,
  tx_to_at timestamptz,
  op text NOT NULL CHECK (op IN ('assert', 'supersede', 'end', 'correct', 'restore', 'leftover')),
  superseded_by uuid,
  replaced_by uuid,
  PRIMARY KEY (company_id, id),
  FOREIGN KEY (company_id, memory_id) REFERENCES memory,
  FOREIGN KEY (company_id, content_id) REFERENCES content,
  FOREIGN KEY (company_id, tx_from) REFERENCES transaction,
  FOREIGN KEY (company_id, tx_to) REFERENCES transaction,
  CONSTRAINT version_valid_is_half_open CHECK (
    NOT isempty(valid) AND lower_inc(valid) AND NOT upper_inc(valid) AND isfinite(lower(valid))
    AND (upper_inf(valid) OR isfinite(upper(valid)))),
  CONSTRAINT version_closed_once CHECK ((tx_to IS NULL) = (tx_to_at IS NULL) AND (tx_to IS NULL OR tx_to > tx_from)),
  CONSTRAINT version_one_belief_a_lane EXCLUDE USING gist (
    company_id WITH =, lane WITH =, valid WITH &&, int8range(tx_from, tx_to) WITH &&)
);
COMMENT ON TABLE version IS 'One immutable statement: a content over a valid interval, believed over [tx_from, tx_to). Closed once, never changed.';
CREATE INDEX version_open ON version (company_id, tenant_id, memory_id) WHERE tx_to IS NULL;
CREATE INDEX version_of_memory ON version (company_id, memory_id, tx_from) INCLUDE (tx_to);
CREATE INDEX version_open_lane ON version (company_id, lane) WHERE tx_to IS NULL;
CREATE INDEX version_successor ON version (company_id, superseded_by) WHERE superseded_by IS NOT NULL;
CREATE INDEX version_replacement ON version (company_id, replaced_by) WHERE replaced_by IS NOT NULL;
CREATE INDEX version_plane ON version USING gist (company_id, tenant_id, int8range(tx_from, tx_to), valid);

CREATE TABLE idempotency (
  company_id uuid NOT NULL REFERENCES account,
  key text NOT NULL,
  fingerprint bytea NOT NULL,
  answer bytea NOT NULL,
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (company_id, key)
);
COMMENT ON TABLE idempotency IS 'Answers of writes by the caller''s Idempotency-Key, for 24 hours.';
CREATE INDEX idempotency_expiry ON idempotency (company_id, expires_at);

ALTER TABLE account ENABLE ROW LEVEL SECURITY;
ALTER TABLE account FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON account USING (company_id = nullif(current_setting('aurra.company_id', true), '')::uuid);
CREATE POLICY directory ON account TO aurra_owner USING (true) WITH CHECK (true);

ALTER TABLE api_key ENABLE ROW LEVEL SECURITY;
ALTER TABLE api_key FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON api_key USING (company_id = nullif(current_setting('aurra.company_id', true), '')::uuid);
CREATE POLICY presented_key ON api_key FOR SELECT TO aurra_app USING (key_id = nullif(current_setting('aurra.key_id', true), ''));
CREATE POLICY directory ON api_key TO aurra_owner USING (true) WITH CHECK (true);

ALTER TABLE ledger ENABLE ROW LEVEL SECURITY;
ALTER TABLE ledger FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON ledger USING (company_id = nullif(current_setting('aurra.company_id', true), '')::uuid);

ALTER TABLE transaction ENABLE ROW LEVEL SECURITY;
ALTER TABLE transaction FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON transaction USING (company_id = nullif(current_setting('aurra.company_id', true), '')::uuid);

ALTER TABLE slot ENABLE ROW LEVEL SECURITY;
ALTER TABLE slot FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON slot USING (company_id = nullif(current_setting('aurra.company_id', true), '')::uuid);

ALTER TABLE source ENABLE ROW LEVEL SECURITY;
ALTER TABLE source FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON source USING (company_id = nullif(current_setting('aurra.company_id', true), '')::uuid);

ALTER TABLE memory ENABLE ROW LEVEL SECURITY;
ALTER TABLE memory FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON memory USING (company_id = nullif(current_setting('aurra.company_id', true), '')::uuid);

ALTER TABLE content ENABLE ROW LEVEL SECURITY;
ALTER TABLE content FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON content USING (company_id = nullif(current_setting('aurra.company_id', true), '')::uuid);

ALTER TABLE embedding ENABLE ROW LEVEL SECURITY;
ALTER TABLE embedding FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON embedding USING (company_id = nullif(current_setting('aurra.company_id', true), '')::uuid);

ALTER TABLE version ENABLE ROW LEVEL SECURITY;
ALTER TABLE version FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account_read ON version FOR SELECT USING (company_id = nullif(current_setting('aurra.company_id', true), '')::uuid);
CREATE POLICY own_account_add ON version FOR INSERT WITH CHECK (company_id = nullif(current_setting('aurra.company_id', true), '')::uuid);
CREATE POLICY own_account_close ON version FOR UPDATE
  USING (company_id = nullif(current_setting('aurra.company_id', true), '')::uuid AND tx_to IS NULL)
  WITH CHECK (company_id = nullif(current_setting('aurra.company_id', true), '')::uuid AND tx_to IS NOT NULL);

ALTER TABLE idempotency ENABLE ROW LEVEL SECURITY;
ALTER TABLE idempotency FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON idempotency USING (company_id = nullif(current_setting('aurra.company_id', true), '')::uuid);

GRANT SELECT ON plan, account TO aurra_app;
GRANT SELECT ON api_key TO aurra_app;
GRANT UPDATE (settings) ON api_key TO aurra_app;
GRANT SELECT, UPDATE (last_tx, last_at, last_hash, period_start, writes_used, grace_from) ON ledger TO aurra_app;
GRANT SELECT, INSERT ON transaction, slot, source, memory, content, embedding, version TO aurra_app;
GRANT UPDATE (tx_to, tx_to_at, replaced_by) ON version TO aurra_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency TO aurra_app;

-- Tables without an account: plan, service_secret, migration. Nothing of a tenant stands in them.
CREATE TABLE service_secret (
  name text PRIMARY KEY,
  value bytea NOT NULL
);
COMMENT ON TABLE service_secret IS 'Secrets of this installation, made here: `cursor` signs the cursors of lists. Has no account.';
INSERT INTO service_secret (name, value)
VALUES ('cursor', sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8')));
GRANT SELECT ON service_secret TO aurra_app;
