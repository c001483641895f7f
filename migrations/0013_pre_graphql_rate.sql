-- Requests to GraphQL count apart: of a key as `graphql:ID`, of an account as `graphql:`; no more than 100 and 1,000 a minute
-- where the plan has a limit. Nothing else of the function changes, so what served before goes on.

CREATE OR REPLACE FUNCTION lease_requests(account uuid, key text, process uuid, unused integer, waiting integer, ahead integer, clock timestamptz)
-- One request comes back each 60 s / limit, and five seconds of that is the most that can be saved up: so no minute sees
-- more than 110 %. What processes hold counts as saved up. See aurra/rates.py, which reckons the same.
RETURNS TABLE (per_minute integer, granted integer, lent integer, remaining integer, seen_at timestamptz, full_at timestamptz, next_at timestamptz)
LANGUAGE plpgsql AS $$
DECLARE
  life CONSTANT interval := '5 seconds';
  used request_rate%ROWTYPE;
  mine jsonb;
  step bigint;
  burst bigint;
  owed bigint;
  held bigint;
  free bigint;
BEGIN
  SELECT CASE WHEN key = '' THEN p.account_requests_per_minute
              WHEN key NOT LIKE 'graphql:%' THEN p.key_requests_per_minute
              -- Of a null, `least` takes the other: where the plan has no limit there is none here either.
              WHEN key = 'graphql:' AND p.account_requests_per_minute IS NOT NULL THEN least(p.account_requests_per_minute, 1000)
              WHEN key <> 'graphql:' AND p.key_requests_per_minute IS NOT NULL THEN least(p.key_requests_per_minute, 100)
         END INTO per_minute
  FROM account a JOIN plan p ON p.plan = a.plan WHERE a.company_id = account;
  seen_at := coalesce(clock, clock_timestamp());
  IF per_minute IS NULL THEN
    granted := waiting;
    lent := 0;
    RETURN NEXT;
    RETURN;
  END IF;
  INSERT INTO request_rate AS r VALUES (account, key, per_minute, seen_at, '{}') ON CONFLICT ON CONSTRAINT request_rate_pkey DO NOTHING;
  SELECT r.* INTO used FROM request_rate r WHERE r.company_id = account AND r.key_id = key FOR UPDATE;
  -- Of those who waited for the row, each reads the clock after the one before.
  seen_at := coalesce(clock, clock_timestamp());
  step := ceil(60000000.0 / per_minute);
  burst := greatest(1, per_minute / 12);
  owed := greatest(0, extract(epoch FROM used.full_at - seen_at) * 1000000);
  IF used.per_minute <> per_minute THEN
    -- The plan changed: as many requests are owed, each at the new price.
    owed := owed * step / ceil(60000000.0 / used.per_minute)::bigint;
  END IF;
  SELECT coalesce(jsonb_object_agg(l.key, l.value), '{}') INTO used.leases FROM jsonb_each(used.leases) AS l(key, value)
  WHERE (l.value ->> 1)::numeric > extract(epoch FROM seen_at) AND (l.value ->> 1)::numeric <= extract(epoch FROM seen_at + life);
  mine := used.leases -> process::text;
  used.leases := used.leases - process::text;
  SELECT coalesce(sum((l.value ->> 0)::bigint), 0) INTO held FROM jsonb_each(used.leases) AS l(key, value);
  owed := owed - least(unused, coalesce((mine ->> 0)::integer, 0)) * step;
  -- A clock that was put back must not make anybody wait for longer than an empty bucket takes.
  owed := least(greatest(owed, held * step, 0), burst * step);
  free := (burst * step - owed) / step;
  granted := least(waiting, free);
  lent := least(ahead, (free - granted) / 2);
  owed := owed + (granted + lent) * step;
  IF lent > 0 THEN
    used.leases := used.leases || jsonb_build_object(process::text, jsonb_build_array(lent, extract(epoch FROM seen_at + life)));
  END IF;
  remaining := free - granted - lent;
  full_at := seen_at + owed * interval '1 microsecond';
  next_at := seen_at + greatest(0, owed - (burst - 1) * step) * interval '1 microsecond';
  UPDATE request_rate r SET per_minute = lease_requests.per_minute, full_at = lease_requests.full_at, leases = used.leases
  WHERE r.company_id = account AND r.key_id = key;
  RETURN NEXT;
END
$$;
COMMENT ON COLUMN request_rate.key_id IS 'A key, or nothing for the account; after graphql: the same of requests to GraphQL.';
