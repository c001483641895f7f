-- Hosts that connect by OAuth: what the holder of a key granted them, and the tokens they hold. Clients are not stored: their
-- ids say all that is known of them, and are signed (aurra/oauth.py).

CREATE TABLE oauth_grant (
  company_id uuid NOT NULL REFERENCES account,
  grant_id uuid NOT NULL,
  key_id text NOT NULL,
  consented_by bytea NOT NULL,
  scopes text[] NOT NULL,
  client_hash bytea NOT NULL,
  client_name text NOT NULL,
  redirect_uri text NOT NULL,
  resource text NOT NULL,
  challenge text NOT NULL,
  created_at timestamptz NOT NULL,
  issued_at timestamptz NOT NULL,
  PRIMARY KEY (company_id, grant_id),
  FOREIGN KEY (company_id, key_id) REFERENCES api_key
);
COMMENT ON TABLE oauth_grant IS 'What a host may in the name of a key. A grant that ended is deleted, with its tokens. In no backup: a restore must not bring back what was ended.';
COMMENT ON COLUMN oauth_grant.consented_by IS 'The hash of the secret that was typed: when the key does not accept it any more, the grant has ended.';
COMMENT ON COLUMN oauth_grant.scopes IS 'What was granted; it may as much of that as its key may at the time.';
COMMENT ON COLUMN oauth_grant.client_hash IS 'SHA-256 of the client id.';
COMMENT ON COLUMN oauth_grant.client_name IS 'As the client calls itself.';
COMMENT ON COLUMN oauth_grant.redirect_uri IS 'Where the code went.';
COMMENT ON COLUMN oauth_grant.resource IS 'What it was asked for (RFC 8707), or empty.';
COMMENT ON COLUMN oauth_grant.challenge IS 'SHA-256 of the verifier that comes with the code (PKCE, S256), base64url.';
COMMENT ON COLUMN oauth_grant.issued_at IS 'When its code or its last tokens were made. Written first by whoever changes anything of the grant, so that they wait for one another.';
CREATE INDEX oauth_grant_by_key ON oauth_grant (key_id);
ALTER TABLE oauth_grant ENABLE ROW LEVEL SECURITY;
ALTER TABLE oauth_grant FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON oauth_grant USING (company_id = nullif(current_setting('aurra.company_id', true), '')::uuid);
CREATE POLICY presented_key ON oauth_grant FOR SELECT TO aurra_app USING (key_id = nullif(current_setting('aurra.key_id', true), ''));
GRANT SELECT, INSERT, DELETE, UPDATE (issued_at) ON oauth_grant TO aurra_app;

CREATE TABLE oauth_token (
  company_id uuid NOT NULL REFERENCES account,
  token_hash bytea NOT NULL,
  grant_id uuid NOT NULL,
  key_id text NOT NULL,
  kind text NOT NULL CONSTRAINT oauth_token_kind CHECK (kind IN ('code', 'access', 'refresh')),
  ends_at timestamptz NOT NULL,
  used_at timestamptz,
  PRIMARY KEY (company_id, token_hash),
  FOREIGN KEY (company_id, grant_id) REFERENCES oauth_grant
);
COMMENT ON TABLE oauth_token IS 'Codes, access tokens and refresh tokens, as the SHA-256 of each. Kept for a day after their end, so that their use is known for what it is.';
COMMENT ON COLUMN oauth_token.key_id IS 'Of the grant''s key, which the token names: so it is found before its account is known.';
COMMENT ON COLUMN oauth_token.used_at IS 'When a code was exchanged, or when a refresh token or another of the same grant was: from then on it is good for another moment at most.';
CREATE INDEX oauth_token_presented ON oauth_token (key_id, token_hash);
CREATE INDEX oauth_token_of_grant ON oauth_token (company_id, grant_id);
CREATE INDEX oauth_token_ended ON oauth_token (company_id, ends_at);
ALTER TABLE oauth_token ENABLE ROW LEVEL SECURITY;
ALTER TABLE oauth_token FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON oauth_token USING (company_id = nullif(current_setting('aurra.company_id', true), '')::uuid);
CREATE POLICY presented_key ON oauth_token FOR SELECT TO aurra_app USING (key_id = nullif(current_setting('aurra.key_id', true), ''));
GRANT SELECT, INSERT, DELETE, UPDATE (used_at) ON oauth_token TO aurra_app;

COMMENT ON TABLE service_secret IS 'Secrets of this installation, made here: `cursor` signs the cursors of lists, the ids of OAuth''s clients and the form that asks for consent. Has no account.';
