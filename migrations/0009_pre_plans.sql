-- What each account's plan was, and what it allowed, at any time in the past. The table `plan` holds only what it allows now.

CREATE TABLE plan_change (
  company_id uuid NOT NULL REFERENCES account,
  id bigint NOT NULL CHECK (id > 0),
  at timestamptz NOT NULL,
  tx bigint NOT NULL CHECK (tx >= 0),
  cause text NOT NULL CHECK (cause IN ('created', 'moved', 'redefined', 'found')),
  plan text NOT NULL,
  writes_limit bigint NOT NULL CHECK (writes_limit > 0),
  key_requests_per_minute integer,
  account_requests_per_minute integer,
  PRIMARY KEY (company_id, id)
);
COMMENT ON TABLE plan_change IS 'The plan of each account and its limits, from `at` on, until the next row. Appended by the operator''s commands, under the ledger''s lock; the newest is the plan in force.';
COMMENT ON COLUMN plan_change.tx IS 'The newest transaction when it took effect: those after it were admitted under it.';
COMMENT ON COLUMN plan_change.cause IS 'created: with the account; moved: to another plan; redefined: the plan''s limits changed; found: as the migration that made this table found it.';
COMMENT ON COLUMN plan_change.plan IS 'Its name then; the plan may be gone since.';

ALTER TABLE plan_change ENABLE ROW LEVEL SECURITY;
ALTER TABLE plan_change FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON plan_change USING (company_id = nullif(current_setting('aurra.company_id', true), '')::uuid);
CREATE POLICY directory ON plan_change TO aurra_owner USING (true) WITH CHECK (true);
GRANT SELECT ON plan_change TO aurra_app;

INSERT INTO plan_change (company_id, id, at, tx, cause, plan, writes_limit, key_requests_per_minute, account_requests_per_minute)
SELECT a.company_id, 1, a.created_at, 0, 'found', p.plan, p.writes_limit, p.key_requests_per_minute, p.account_requests_per_minute
FROM account a JOIN plan p ON p.plan = a.plan;
