-- Labels given before they were kept for keys with a ceiling: known from the newest transaction there is now, so that no such
-- key is told of one too early.

DO $$
DECLARE
  account_id uuid;
BEGIN
  FOR account_id IN SELECT a.company_id FROM account a LOOP
    PERFORM set_config('aurra.company_id', account_id::text, true);
    INSERT INTO subject_label (company_id, tenant_id, subject_key, tx, external_id)
    SELECT s.company_id, s.tenant_id, s.subject_key, l.last_tx, s.external_id
    FROM subject s JOIN ledger l ON l.company_id = s.company_id
    WHERE s.company_id = account_id AND NOT EXISTS (
      SELECT 1 FROM subject_label k
      WHERE k.company_id = s.company_id AND k.tenant_id = s.tenant_id AND k.subject_key = s.subject_key);
    INSERT INTO conversation_label (company_id, tenant_id, session_id, tx, channel, external_id, uri, metadata)
    SELECT c.company_id, c.tenant_id, c.session_id, l.last_tx, c.channel, c.external_id, c.uri, c.metadata
    FROM conversation c JOIN ledger l ON l.company_id = c.company_id
    WHERE c.company_id = account_id AND NOT EXISTS (
      SELECT 1 FROM conversation_label k
      WHERE k.company_id = c.company_id AND k.tenant_id = c.tenant_id AND k.session_id = c.session_id);
  END LOOP;
  PERFORM set_config('aurra.company_id', '', true);
END
$$;
