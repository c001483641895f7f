-- Keys: names, expiry, networks, a ceiling in time, rotation with an overlap, signing, last use. Made by operators and, with
-- the scope keys:manage, by callers for their own account.

ALTER TABLE api_key
  ADD COLUMN name text NOT NULL DEFAULT '',
  ADD COLUMN created_by text NOT NULL DEFAULT 'operator',
  ADD COLUMN networks text[] NOT NULL DEFAULT '{}',
  ADD COLUMN up_to bigint CONSTRAINT api_key_up_to CHECK (up_to >= 0),
  ADD COLUMN previous_hash bytea,
  ADD COLUMN previous_until timestamptz,
  ADD COLUMN signing_sealed bytea,
  ADD COLUMN signing_sealed_by text,
  ADD COLUMN last_used_at timestamptz,
  ADD CONSTRAINT api_key_previous_ends CHECK ((previous_hash IS NULL) = (previous_until IS NULL)),
  ADD CONSTRAINT api_key_signing_is_sealed CHECK ((signing_sealed IS NULL) = (signing_sealed_by IS NULL));
COMMENT ON COLUMN api_key.created_by IS '`operator`, or `key ID`.';
COMMENT ON COLUMN api_key.networks IS 'Where it may be used from, as CIDR; empty is anywhere.';
COMMENT ON COLUMN api_key.up_to IS 'The newest transaction that it may know of; null is no ceiling.';
COMMENT ON COLUMN api_key.previous_hash IS 'The secret before the last rotation, accepted until `previous_until`.';
COMMENT ON COLUMN api_key.signing_sealed IS 'The secret its requests are signed with (AES-256-GCM, bound to account and key); null is not signed.';
COMMENT ON COLUMN api_key.last_used_at IS 'Within a minute.';
