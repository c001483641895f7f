-- Keys that sign are rotated as others are: the signing secret before the last rotation stays good until `previous_until`,
-- sealed like the one there is.

ALTER TABLE api_key
  ADD COLUMN previous_signing_sealed bytea,
  ADD COLUMN previous_signing_sealed_by text,
  ADD CONSTRAINT api_key_previous_signing_is_sealed
    CHECK ((previous_signing_sealed IS NULL) = (previous_signing_sealed_by IS NULL)),
  ADD CONSTRAINT api_key_previous_signing_ends
    CHECK (previous_signing_sealed IS NULL OR (signing_sealed IS NOT NULL AND previous_until IS NOT NULL));
COMMENT ON COLUMN api_key.previous_signing_sealed IS 'The signing secret before the last rotation, accepted until `previous_until`; sealed likewise.';
GRANT UPDATE (signing_sealed, signing_sealed_by, previous_signing_sealed, previous_signing_sealed_by) ON api_key TO aurra_app;

-- Conversations whose turns were kept before 0003: it looked for them without an account, and so found none.
DO $$
DECLARE
  account_id uuid;
BEGIN
  FOR account_id IN SELECT a.company_id FROM account a LOOP
    PERFORM set_config('aurra.company_id', account_id::text, true);
    INSERT INTO conversation (company_id, tenant_id, session_id, created_at)
    SELECT o.company_id, o.tenant_id, o.session_id, min(t.at)
    FROM source o JOIN transaction t ON t.company_id = o.company_id AND t.id = o.tx
    WHERE o.company_id = account_id AND o.session_id IS NOT NULL
    GROUP BY o.company_id, o.tenant_id, o.session_id
    ON CONFLICT (company_id, tenant_id, session_id) DO NOTHING;
  END LOOP;
  PERFORM set_config('aurra.company_id', '', true);
END
$$;
