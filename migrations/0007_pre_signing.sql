-- Signed requests: a nonce once. And what a key with a ceiling needs to be told of what is no transaction: receipts by what
-- could be known when they were made, labels by when they were given.

CREATE TABLE signature_nonce (
  company_id uuid NOT NULL REFERENCES account,
  key_id text NOT NULL,
  nonce text NOT NULL,
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (company_id, key_id, nonce)
);
COMMENT ON TABLE signature_nonce IS 'Nonces of signed requests, as long as their timestamps would be accepted.';
CREATE INDEX signature_nonce_expiry ON signature_nonce (company_id, expires_at);
ALTER TABLE signature_nonce ENABLE ROW LEVEL SECURITY;
ALTER TABLE signature_nonce FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON signature_nonce USING (company_id = nullif(current_setting('aurra.company_id', true), '')::uuid);
-- The update only locks: whoever finds an expired nonce locked by another leaves it to him.
GRANT SELECT, INSERT, DELETE, UPDATE (expires_at) ON signature_nonce TO aurra_app;

ALTER TABLE receipt ADD COLUMN known_up_to bigint;
COMMENT ON COLUMN receipt.known_up_to IS 'The newest transaction that whoever asked could know of; null before it was kept: what was newest then.';

ALTER TABLE subject ALTER COLUMN external_id DROP NOT NULL;
COMMENT ON COLUMN subject.external_id IS 'Null where it was taken away.';

CREATE TABLE subject_label (
  company_id uuid NOT NULL,
  tenant_id text NOT NULL,
  subject_key text NOT NULL,
  tx bigint NOT NULL,
  external_id text,
  PRIMARY KEY (company_id, tenant_id, subject_key, tx),
  FOREIGN KEY (company_id, tenant_id, subject_key) REFERENCES subject ON DELETE CASCADE
);
COMMENT ON TABLE subject_label IS 'Every label that a subject was given, for keys with a ceiling.';
COMMENT ON COLUMN subject_label.tx IS 'The newest transaction when it was given.';
CREATE INDEX subject_label_by_external_id ON subject_label (company_id, tenant_id, external_id);
ALTER TABLE subject_label ENABLE ROW LEVEL SECURITY;
ALTER TABLE subject_label FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON subject_label USING (company_id = nullif(current_setting('aurra.company_id', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE (external_id) ON subject_label TO aurra_app;

CREATE TABLE conversation_label (
  company_id uuid NOT NULL,
  tenant_id text NOT NULL,
  session_id text NOT NULL,
  tx bigint NOT NULL,
  channel text,
  external_id text,
  uri text,
  metadata json,
  PRIMARY KEY (company_id, tenant_id, session_id, tx),
  FOREIGN KEY (company_id, tenant_id, session_id) REFERENCES conversation ON DELETE CASCADE
);
COMMENT ON TABLE conversation_label IS 'What each transaction labelled a conversation with, for keys with a ceiling; null is as before.';
ALTER TABLE conversation_label ENABLE ROW LEVEL SECURITY;
ALTER TABLE conversation_label FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON conversation_label USING (company_id = nullif(current_setting('aurra.company_id', true), '')::uuid);
GRANT SELECT, INSERT ON conversation_label TO aurra_app;
