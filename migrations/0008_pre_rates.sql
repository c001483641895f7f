-- Rate limits: GCRA a key, an account and, for failed authentications, an address. Unlogged: at any moment a row says only
-- what the next seconds owe, so a crash of the server loses nothing that its restart does not outlive; and nobody waits for
-- a disk.

CREATE UNLOGGED TABLE request_rate (
  company_id uuid NOT NULL REFERENCES account,
  key_id text NOT NULL,
  per_minute integer NOT NULL CONSTRAINT request_rate_limit CHECK (per_minute > 0),
  full_at timestamptz NOT NULL,
  leases jsonb NOT NULL,
  PRIMARY KEY (company_id, key_id)
) WITH (fillfactor = 50);
COMMENT ON TABLE request_rate IS 'What a key, or with the key_id '''' an account, has used of its requests a minute. Written by lease_requests alone.';
COMMENT ON COLUMN request_rate.full_at IS 'When all that was taken will have come back: the theoretical arrival time of GCRA.';
COMMENT ON COLUMN request_rate.leases IS 'Requests that processes hold and may not have spent yet: {process: [how many, until (epoch)]}.';
ALTER TABLE request_rate ENABLE ROW LEVEL SECURITY;
ALTER TABLE request_rate FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON request_rate USING (company_id = nullif(current_setting('aurra.company_id', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE ON request_rate TO aurra_app;

-- A table without an account: addresses that failed to authenticate. Nothing that a tenant said stands in it.
CREATE UNLOGGED TABLE address_rate (
  network cidr PRIMARY KEY,
  full_at timestamptz NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE address_rate IS 'Failed authentications of a network (/24, /56), until they are forgotten. Has no account.';
CREATE INDEX address_rate_forgotten ON address_rate (full_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON address_rate TO aurra_app;

CREATE FUNCTION lease_requests(account uuid, key text, process uuid, unused integer, waiting integer, ahead integer, clock timestamptz)
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
  SELECT CASE WHEN key = '' THEN p.account_requests_per_minute ELSE p.key_requests_per_minute END INTO per_minute
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
COMMENT ON FUNCTION lease_requests IS 'Takes requests for those who wait and some ahead, gives back what the process did not use, and says where the limit stands.';
REVOKE ALL ON FUNCTION lease_requests FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lease_requests TO aurra_app;

CREATE FUNCTION fail_authentication(address cidr, burst integer, clock timestamptz)
-- `burst` failures at once, then as many a minute. `next_at` is when the next one is counted; null when this one was.
RETURNS TABLE (seen_at timestamptz, next_at timestamptz)
LANGUAGE plpgsql AS $$
DECLARE
  step CONSTANT interval := ceil(60000000.0 / burst) * interval '1 microsecond';
  owed_until timestamptz;
BEGIN
  seen_at := coalesce(clock, clock_timestamp());
  INSERT INTO address_rate AS f VALUES (address, seen_at)
  ON CONFLICT ON CONSTRAINT address_rate_pkey DO UPDATE SET full_at = f.full_at RETURNING f.full_at INTO owed_until;
  seen_at := coalesce(clock, clock_timestamp());
  owed_until := least(greatest(owed_until, seen_at), seen_at + burst * step) + step;
  IF owed_until > seen_at + burst * step THEN
    next_at := owed_until - burst * step;
  ELSE
    UPDATE address_rate f SET full_at = owed_until WHERE f.network = address;
  END IF;
  -- Last, so that whoever holds a row of ours never waits for one of theirs.
  DELETE FROM address_rate f WHERE f.network IN (
    SELECT g.network FROM address_rate g WHERE g.full_at < seen_at AND g.network <> address
    ORDER BY g.full_at LIMIT 10 FOR UPDATE SKIP LOCKED);
  RETURN NEXT;
END
$$;
COMMENT ON FUNCTION fail_authentication IS 'Counts a failed authentication of a network; says until when no more of them are answered as such.';
REVOKE ALL ON FUNCTION fail_authentication FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fail_authentication TO aurra_app;
