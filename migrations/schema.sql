-- What all migrations together make. Generated: `make generate` writes it, `make check` compares.

CREATE EXTENSION IF NOT EXISTS btree_gist WITH SCHEMA public;
CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public;
CREATE FUNCTION public.erase(account uuid, entry json, memories uuid[], contents uuid[], sources uuid[], slots uuid[], tombstones json) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
  number bigint := (entry ->> 'id')::bigint;
  gone bigint := 0;
  counted bigint;
  -- Set where everything of a tenant goes.
  whole_tenant text := entry ->> 'tenant';
  quoting uuid[];
  session_tenants text[];
  sessions text[];
  subject_tenants text[];
  subjects text[];
  spoilt uuid[];
BEGIN
  IF account IS DISTINCT FROM nullif(current_setting('aurra.company_id', true), '')::uuid THEN
    RAISE EXCEPTION 'account % is not the one of this transaction', account;
  END IF;
  UPDATE ledger SET last_tx = number, last_at = (entry ->> 'at')::timestamptz, last_hash = decode(entry ->> 'hash', 'base64')
  WHERE company_id = account AND last_tx = number - 1;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'transaction % does not follow the head of account %', number, account;
  END IF;
  INSERT INTO transaction (company_id, id, at, verb, actor, reason, reason_salt, reason_hash, request_id, model, writes, hash)
  VALUES (account, number, (entry ->> 'at')::timestamptz, 'erase', entry ->> 'actor', entry ->> 'reason',
          decode(entry ->> 'reason_salt', 'base64'), decode(entry ->> 'reason_hash', 'base64'), entry ->> 'request_id', NULL, 0,
          decode(entry ->> 'hash', 'base64'));
  INSERT INTO tombstone (company_id, erased_by, kind, tx, row_id, hash, tenant)
  SELECT account, number, r.kind, r.tx, r.row_id, decode(r.hash, 'base64'), decode(r.tenant, 'base64')
  FROM json_to_recordset(tombstones) AS r(kind text, tx bigint, row_id uuid, hash text, tenant text);
  UPDATE transaction t SET reason = NULL, reason_salt = NULL
  FROM tombstone k
  WHERE k.company_id = account AND k.erased_by = number AND k.kind = 'reason' AND t.company_id = account AND t.id = k.tx;
  UPDATE idempotency SET fingerprint = '', answer = ''
  -- Joined, not compared: each name of many answers with each of many that go would take minutes.
  WHERE company_id = account AND (quotes IS NULL OR key IN (
    SELECT i.key FROM idempotency i CROSS JOIN LATERAL unnest(i.quotes) AS named(id)
    JOIN unnest(memories) AS m(id) ON m.id = named.id
    WHERE i.company_id = account));
  -- Receipts and reviews that name what goes; of a whole tenant, all.
  quoting := ARRAY(
    SELECT DISTINCT e.receipt_id FROM receipt_evidence e WHERE e.company_id = account AND e.memory_id = ANY(memories)
    UNION SELECT r.id FROM receipt r WHERE r.company_id = account AND r.tenant_id = whole_tenant);
  DELETE FROM receipt_evidence WHERE company_id = account AND receipt_id = ANY(quoting);
  DELETE FROM receipt WHERE company_id = account AND id = ANY(quoting);
  DELETE FROM review WHERE company_id = account
    AND (old_memory = ANY(memories) OR new_memory = ANY(memories) OR tenant_id = whole_tenant);
  SELECT array_agg(found.tenant_id), array_agg(found.session_id) INTO session_tenants, sessions
  FROM (SELECT DISTINCT o.tenant_id, o.session_id FROM source o WHERE o.company_id = account AND o.id = ANY(sources)) AS found;
  SELECT array_agg(found.tenant_id), array_agg(found.subject_key) INTO subject_tenants, subjects
  FROM (SELECT DISTINCT m.tenant_id, m.subject_key FROM memory m WHERE m.company_id = account AND m.id = ANY(memories)) AS found;
  spoilt := ARRAY(
    SELECT DISTINCT s.id
    FROM memory m
    JOIN content c ON c.company_id = account AND c.memory_id = m.id
    JOIN segment s ON s.company_id = account AND s.tenant_id = m.tenant_id AND c.tx > s.from_tx AND c.tx <= s.to_tx
    WHERE m.company_id = account AND m.id = ANY(memories));
  DELETE FROM segment_sketch WHERE company_id = account AND segment_id = ANY(spoilt);
  DELETE FROM segment_word WHERE company_id = account AND segment_id = ANY(spoilt);
  DELETE FROM segment WHERE company_id = account AND id = ANY(spoilt);
  DELETE FROM embedding WHERE company_id = account AND content_id = ANY(contents) AND tx IS NULL;
  DELETE FROM embedding WHERE company_id = account AND content_id = ANY(contents);
  GET DIAGNOSTICS counted = ROW_COUNT;
  gone := gone + counted;
  -- A version that was opened and closed leaves two tombstones.
  SELECT count(*) INTO counted FROM version WHERE company_id = account AND memory_id = ANY(memories) AND tx_to IS NOT NULL;
  gone := gone + counted;
  DELETE FROM version WHERE company_id = account AND memory_id = ANY(memories);
  GET DIAGNOSTICS counted = ROW_COUNT;
  gone := gone + counted;
  DELETE FROM content WHERE company_id = account AND memory_id = ANY(memories);
  GET DIAGNOSTICS counted = ROW_COUNT;
  gone := gone + counted;
  DELETE FROM memory WHERE company_id = account AND id = ANY(memories);
  GET DIAGNOSTICS counted = ROW_COUNT;
  gone := gone + counted;
  DELETE FROM source WHERE company_id = account AND id = ANY(sources);
  GET DIAGNOSTICS counted = ROW_COUNT;
  gone := gone + counted;
  DELETE FROM slot WHERE company_id = account AND id = ANY(slots);
  GET DIAGNOSTICS counted = ROW_COUNT;
  gone := gone + counted;
  -- Labels of conversations and subjects of which nothing is left.
  DELETE FROM conversation c
  WHERE c.company_id = account
    AND (c.tenant_id = whole_tenant OR EXISTS (
      SELECT 1 FROM unnest(session_tenants, sessions) AS s(tenant_id, session_id)
      WHERE s.tenant_id = c.tenant_id AND s.session_id = c.session_id))
    AND NOT EXISTS (
      SELECT 1 FROM source o WHERE o.company_id = account AND o.tenant_id = c.tenant_id AND o.session_id = c.session_id);
  DELETE FROM subject b
  WHERE b.company_id = account
    AND (b.tenant_id = whole_tenant OR EXISTS (
      SELECT 1 FROM unnest(subject_tenants, subjects) AS s(tenant_id, subject_key)
      WHERE s.tenant_id = b.tenant_id AND s.subject_key = b.subject_key))
    AND NOT EXISTS (
      SELECT 1 FROM memory m WHERE m.company_id = account AND m.tenant_id = b.tenant_id AND m.subject_key = b.subject_key);
  SELECT count(*) INTO counted FROM tombstone WHERE company_id = account AND erased_by = number AND kind <> 'reason';
  IF counted <> gone THEN
    RAISE EXCEPTION 'transaction % erases % rows and leaves % tombstones', number, gone, counted;
  END IF;
  RETURN gone;
END
$$;
ALTER FUNCTION public.erase(account uuid, entry json, memories uuid[], contents uuid[], sources uuid[], slots uuid[], tombstones json) OWNER TO aurra_eraser;
CREATE FUNCTION public.fail_authentication(address cidr, burst integer, clock timestamp with time zone) RETURNS TABLE(seen_at timestamp with time zone, next_at timestamp with time zone)
    LANGUAGE plpgsql
    AS $$
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
ALTER FUNCTION public.fail_authentication(address cidr, burst integer, clock timestamp with time zone) OWNER TO aurra_owner;
CREATE FUNCTION public.lease_requests(account uuid, key text, process uuid, unused integer, waiting integer, ahead integer, clock timestamp with time zone) RETURNS TABLE(per_minute integer, granted integer, lent integer, remaining integer, seen_at timestamp with time zone, full_at timestamp with time zone, next_at timestamp with time zone)
    LANGUAGE plpgsql
    AS $$
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
ALTER FUNCTION public.lease_requests(account uuid, key text, process uuid, unused integer, waiting integer, ahead integer, clock timestamp with time zone) OWNER TO aurra_owner;
CREATE TABLE public.account (
    company_id uuid NOT NULL,
    name text NOT NULL,
    plan text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT account_name_check CHECK ((name <> ''::text))
);
ALTER TABLE ONLY public.account FORCE ROW LEVEL SECURITY;
ALTER TABLE public.account OWNER TO aurra_owner;
CREATE UNLOGGED TABLE public.address_rate (
    network cidr NOT NULL,
    full_at timestamp with time zone NOT NULL
)
WITH (fillfactor='50');
ALTER TABLE public.address_rate OWNER TO aurra_owner;
CREATE TABLE public.api_key (
    company_id uuid NOT NULL,
    key_id text NOT NULL,
    secret_hash bytea NOT NULL,
    last_four text NOT NULL,
    scopes text[] NOT NULL,
    tenant_id text,
    settings jsonb NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    trust smallint DEFAULT 2 NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    created_by text DEFAULT 'operator'::text NOT NULL,
    networks text[] DEFAULT '{}'::text[] NOT NULL,
    up_to bigint,
    previous_hash bytea,
    previous_until timestamp with time zone,
    signing_sealed bytea,
    signing_sealed_by text,
    last_used_at timestamp with time zone,
    previous_signing_sealed bytea,
    previous_signing_sealed_by text,
    CONSTRAINT api_key_previous_ends CHECK (((previous_hash IS NULL) = (previous_until IS NULL))),
    CONSTRAINT api_key_previous_signing_ends CHECK (((previous_signing_sealed IS NULL) OR ((signing_sealed IS NOT NULL) AND (previous_until IS NOT NULL)))),
    CONSTRAINT api_key_previous_signing_is_sealed CHECK (((previous_signing_sealed IS NULL) = (previous_signing_sealed_by IS NULL))),
    CONSTRAINT api_key_signing_is_sealed CHECK (((signing_sealed IS NULL) = (signing_sealed_by IS NULL))),
    CONSTRAINT api_key_trust CHECK (((trust >= 1) AND (trust <= 3))),
    CONSTRAINT api_key_up_to CHECK ((up_to >= 0))
);
ALTER TABLE ONLY public.api_key FORCE ROW LEVEL SECURITY;
ALTER TABLE public.api_key OWNER TO aurra_owner;
CREATE TABLE public.content (
    company_id uuid NOT NULL,
    id uuid NOT NULL,
    memory_id uuid NOT NULL,
    text text NOT NULL,
    summary text,
    topic text NOT NULL,
    importance smallint NOT NULL,
    people text[] NOT NULL,
    action_items text[] NOT NULL,
    fingerprint bigint NOT NULL,
    words tsvector NOT NULL,
    tx bigint NOT NULL,
    salt bytea NOT NULL,
    CONSTRAINT content_importance_check CHECK (((importance >= 1) AND (importance <= 10)))
);
ALTER TABLE ONLY public.content FORCE ROW LEVEL SECURITY;
ALTER TABLE public.content OWNER TO aurra_owner;
CREATE TABLE public.conversation (
    company_id uuid NOT NULL,
    tenant_id text NOT NULL,
    session_id text NOT NULL,
    channel text,
    external_id text,
    uri text,
    metadata json,
    created_at timestamp with time zone NOT NULL
);
ALTER TABLE ONLY public.conversation FORCE ROW LEVEL SECURITY;
ALTER TABLE public.conversation OWNER TO aurra_owner;
CREATE TABLE public.conversation_label (
    company_id uuid NOT NULL,
    tenant_id text NOT NULL,
    session_id text NOT NULL,
    tx bigint NOT NULL,
    channel text,
    external_id text,
    uri text,
    metadata json
);
ALTER TABLE ONLY public.conversation_label FORCE ROW LEVEL SECURITY;
ALTER TABLE public.conversation_label OWNER TO aurra_owner;
CREATE TABLE public.embedder (
    name text NOT NULL,
    model text NOT NULL,
    dimension integer NOT NULL,
    state text NOT NULL,
    since timestamp with time zone NOT NULL,
    CONSTRAINT embedder_state_check CHECK ((state = ANY (ARRAY['active'::text, 'filling'::text])))
);
ALTER TABLE public.embedder OWNER TO aurra_owner;
CREATE TABLE public.embedding (
    company_id uuid NOT NULL,
    content_id uuid NOT NULL,
    model text NOT NULL,
    vector public.halfvec NOT NULL,
    tx bigint,
    part smallint DEFAULT 0 NOT NULL
);
ALTER TABLE ONLY public.embedding FORCE ROW LEVEL SECURITY;
ALTER TABLE public.embedding OWNER TO aurra_owner;
CREATE TABLE public.idempotency (
    company_id uuid NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    answer bytea NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    quotes uuid[]
);
ALTER TABLE ONLY public.idempotency FORCE ROW LEVEL SECURITY;
ALTER TABLE public.idempotency OWNER TO aurra_owner;
CREATE TABLE public.job (
    id uuid NOT NULL,
    account uuid NOT NULL,
    kind text NOT NULL,
    arguments json NOT NULL,
    run_at timestamp with time zone NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    leased_until timestamp with time zone,
    failure text
);
ALTER TABLE public.job OWNER TO aurra_owner;
CREATE TABLE public.ledger (
    company_id uuid NOT NULL,
    last_tx bigint NOT NULL,
    last_at timestamp with time zone NOT NULL,
    last_hash bytea NOT NULL,
    period_start timestamp with time zone NOT NULL,
    writes_used bigint NOT NULL,
    grace_from timestamp with time zone,
    CONSTRAINT ledger_last_tx_check CHECK ((last_tx >= 0)),
    CONSTRAINT ledger_writes_used_check CHECK ((writes_used >= 0))
);
ALTER TABLE ONLY public.ledger FORCE ROW LEVEL SECURITY;
ALTER TABLE public.ledger OWNER TO aurra_owner;
CREATE TABLE public.memory (
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
    created_at timestamp with time zone NOT NULL,
    trust smallint DEFAULT 2 NOT NULL
);
ALTER TABLE ONLY public.memory FORCE ROW LEVEL SECURITY;
ALTER TABLE public.memory OWNER TO aurra_owner;
CREATE TABLE public.oauth_grant (
    company_id uuid NOT NULL,
    grant_id uuid NOT NULL,
    key_id text NOT NULL,
    consented_by bytea NOT NULL,
    scopes text[] NOT NULL,
    client_hash bytea NOT NULL,
    client_name text NOT NULL,
    redirect_uri text NOT NULL,
    resource text NOT NULL,
    challenge text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    issued_at timestamp with time zone NOT NULL
);
ALTER TABLE ONLY public.oauth_grant FORCE ROW LEVEL SECURITY;
ALTER TABLE public.oauth_grant OWNER TO aurra_owner;
CREATE TABLE public.oauth_token (
    company_id uuid NOT NULL,
    token_hash bytea NOT NULL,
    grant_id uuid NOT NULL,
    key_id text NOT NULL,
    kind text NOT NULL,
    ends_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone,
    CONSTRAINT oauth_token_kind CHECK ((kind = ANY (ARRAY['code'::text, 'access'::text, 'refresh'::text])))
);
ALTER TABLE ONLY public.oauth_token FORCE ROW LEVEL SECURITY;
ALTER TABLE public.oauth_token OWNER TO aurra_owner;
CREATE TABLE public.plan (
    plan text NOT NULL,
    writes_limit bigint NOT NULL,
    key_requests_per_minute integer,
    account_requests_per_minute integer,
    CONSTRAINT plan_writes_limit_check CHECK ((writes_limit > 0))
);
ALTER TABLE public.plan OWNER TO aurra_owner;
CREATE TABLE public.plan_change (
    company_id uuid NOT NULL,
    id bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    tx bigint NOT NULL,
    cause text NOT NULL,
    plan text NOT NULL,
    writes_limit bigint NOT NULL,
    key_requests_per_minute integer,
    account_requests_per_minute integer,
    CONSTRAINT plan_change_cause_check CHECK ((cause = ANY (ARRAY['created'::text, 'moved'::text, 'redefined'::text, 'found'::text]))),
    CONSTRAINT plan_change_id_check CHECK ((id > 0)),
    CONSTRAINT plan_change_tx_check CHECK ((tx >= 0)),
    CONSTRAINT plan_change_writes_limit_check CHECK ((writes_limit > 0))
);
ALTER TABLE ONLY public.plan_change FORCE ROW LEVEL SECURITY;
ALTER TABLE public.plan_change OWNER TO aurra_owner;
CREATE TABLE public.provider (
    company_id uuid NOT NULL,
    provider text NOT NULL,
    model text NOT NULL,
    base_url text,
    extra json,
    sealed_key bytea,
    sealed_by text,
    last_four text,
    changed_at timestamp with time zone NOT NULL,
    CONSTRAINT provider_key_is_sealed CHECK (((sealed_key IS NULL) = (sealed_by IS NULL)))
);
ALTER TABLE ONLY public.provider FORCE ROW LEVEL SECURITY;
ALTER TABLE public.provider OWNER TO aurra_owner;
CREATE TABLE public.receipt (
    company_id uuid NOT NULL,
    id uuid NOT NULL,
    tenant_id text NOT NULL,
    key_id text NOT NULL,
    request_id text NOT NULL,
    at timestamp with time zone NOT NULL,
    tx bigint NOT NULL,
    valid_at timestamp with time zone,
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
    known_up_to bigint
);
ALTER TABLE ONLY public.receipt FORCE ROW LEVEL SECURITY;
ALTER TABLE public.receipt OWNER TO aurra_owner;
CREATE TABLE public.receipt_evidence (
    company_id uuid NOT NULL,
    receipt_id uuid NOT NULL,
    place smallint NOT NULL,
    memory_id uuid NOT NULL,
    version_id uuid NOT NULL,
    is_cited boolean NOT NULL
);
ALTER TABLE ONLY public.receipt_evidence FORCE ROW LEVEL SECURITY;
ALTER TABLE public.receipt_evidence OWNER TO aurra_owner;
CREATE UNLOGGED TABLE public.request_rate (
    company_id uuid NOT NULL,
    key_id text NOT NULL,
    per_minute integer NOT NULL,
    full_at timestamp with time zone NOT NULL,
    leases jsonb NOT NULL,
    CONSTRAINT request_rate_limit CHECK ((per_minute > 0))
)
WITH (fillfactor='50');
ALTER TABLE ONLY public.request_rate FORCE ROW LEVEL SECURITY;
ALTER TABLE public.request_rate OWNER TO aurra_owner;
CREATE TABLE public.review (
    company_id uuid NOT NULL,
    id uuid NOT NULL,
    tenant_id text NOT NULL,
    tx bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    old_memory uuid NOT NULL,
    new_memory uuid NOT NULL,
    verdict text NOT NULL,
    confidence double precision NOT NULL,
    reasoning text NOT NULL,
    classifier text NOT NULL,
    why text NOT NULL,
    state text NOT NULL,
    decided_at timestamp with time zone,
    decided_by text,
    decided_tx bigint,
    CONSTRAINT review_decided CHECK (((state = 'open'::text) = (decided_at IS NULL))),
    CONSTRAINT review_state_check CHECK ((state = ANY (ARRAY['open'::text, 'accepted'::text, 'rejected'::text]))),
    CONSTRAINT review_why_check CHECK ((why = ANY (ARRAY['low_confidence'::text, 'lower_trust'::text])))
);
ALTER TABLE ONLY public.review FORCE ROW LEVEL SECURITY;
ALTER TABLE public.review OWNER TO aurra_owner;
CREATE TABLE public.segment (
    company_id uuid NOT NULL,
    id uuid NOT NULL,
    tenant_id text NOT NULL,
    from_tx bigint NOT NULL,
    to_tx bigint NOT NULL,
    contents integer NOT NULL,
    ids bytea NOT NULL,
    lengths bytea NOT NULL,
    numbers bytea NOT NULL,
    CONSTRAINT segment_is_whole CHECK (((octet_length(ids) = (16 * contents)) AND (octet_length(lengths) = (4 * contents)) AND (octet_length(numbers) = (8 * contents))))
);
ALTER TABLE ONLY public.segment ALTER COLUMN ids SET STORAGE EXTERNAL;
ALTER TABLE ONLY public.segment ALTER COLUMN lengths SET STORAGE EXTERNAL;
ALTER TABLE ONLY public.segment FORCE ROW LEVEL SECURITY;
ALTER TABLE public.segment OWNER TO aurra_owner;
CREATE TABLE public.segment_sketch (
    company_id uuid NOT NULL,
    segment_id uuid NOT NULL,
    model text NOT NULL,
    places bytea NOT NULL,
    scale bytea NOT NULL,
    codes bytea NOT NULL
);
ALTER TABLE ONLY public.segment_sketch ALTER COLUMN codes SET STORAGE EXTERNAL;
ALTER TABLE ONLY public.segment_sketch FORCE ROW LEVEL SECURITY;
ALTER TABLE public.segment_sketch OWNER TO aurra_owner;
CREATE TABLE public.segment_word (
    company_id uuid NOT NULL,
    segment_id uuid NOT NULL,
    lexeme text NOT NULL,
    places bytea NOT NULL,
    times bytea
);
ALTER TABLE ONLY public.segment_word FORCE ROW LEVEL SECURITY;
ALTER TABLE public.segment_word OWNER TO aurra_owner;
CREATE TABLE public.service_secret (
    name text NOT NULL,
    value bytea NOT NULL
);
ALTER TABLE public.service_secret OWNER TO aurra_owner;
CREATE TABLE public.signature_nonce (
    company_id uuid NOT NULL,
    key_id text NOT NULL,
    nonce text NOT NULL,
    expires_at timestamp with time zone NOT NULL
);
ALTER TABLE ONLY public.signature_nonce FORCE ROW LEVEL SECURITY;
ALTER TABLE public.signature_nonce OWNER TO aurra_owner;
CREATE TABLE public.slot (
    company_id uuid NOT NULL,
    id uuid NOT NULL,
    tenant_id text NOT NULL,
    subject_key text NOT NULL,
    attribute_key text NOT NULL,
    subject text NOT NULL,
    attribute text NOT NULL,
    cardinality text NOT NULL,
    tx bigint NOT NULL,
    salt bytea NOT NULL,
    CONSTRAINT slot_cardinality_check CHECK ((cardinality = ANY (ARRAY['one'::text, 'many'::text])))
);
ALTER TABLE ONLY public.slot FORCE ROW LEVEL SECURITY;
ALTER TABLE public.slot OWNER TO aurra_owner;
CREATE TABLE public.source (
    company_id uuid NOT NULL,
    id uuid NOT NULL,
    tenant_id text NOT NULL,
    session_id text,
    dialog_id uuid NOT NULL,
    "position" integer NOT NULL,
    message_id text,
    role text NOT NULL,
    name text,
    text text NOT NULL,
    said_at timestamp with time zone,
    tx bigint NOT NULL,
    salt bytea NOT NULL,
    uri text,
    metadata json
);
ALTER TABLE ONLY public.source FORCE ROW LEVEL SECURITY;
ALTER TABLE public.source OWNER TO aurra_owner;
CREATE TABLE public.subject (
    company_id uuid NOT NULL,
    tenant_id text NOT NULL,
    subject_key text NOT NULL,
    external_id text
);
ALTER TABLE ONLY public.subject FORCE ROW LEVEL SECURITY;
ALTER TABLE public.subject OWNER TO aurra_owner;
CREATE TABLE public.subject_label (
    company_id uuid NOT NULL,
    tenant_id text NOT NULL,
    subject_key text NOT NULL,
    tx bigint NOT NULL,
    external_id text
);
ALTER TABLE ONLY public.subject_label FORCE ROW LEVEL SECURITY;
ALTER TABLE public.subject_label OWNER TO aurra_owner;
CREATE TABLE public.tombstone (
    company_id uuid NOT NULL,
    erased_by bigint NOT NULL,
    kind text NOT NULL,
    tx bigint NOT NULL,
    row_id uuid NOT NULL,
    hash bytea NOT NULL,
    tenant bytea,
    CONSTRAINT tombstone_kind_check CHECK ((kind = ANY (ARRAY['slot'::text, 'source'::text, 'memory'::text, 'content'::text, 'embedding'::text, 'opened'::text, 'closed'::text, 'reason'::text]))),
    CONSTRAINT tombstone_of_a_memory_knows_its_tenant CHECK (((kind = 'memory'::text) = (tenant IS NOT NULL)))
);
ALTER TABLE ONLY public.tombstone FORCE ROW LEVEL SECURITY;
ALTER TABLE public.tombstone OWNER TO aurra_owner;
CREATE TABLE public.transaction (
    company_id uuid NOT NULL,
    id bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    verb text NOT NULL,
    actor text NOT NULL,
    reason text,
    reason_salt bytea,
    request_id text NOT NULL,
    model text,
    writes integer NOT NULL,
    hash bytea NOT NULL,
    reason_hash bytea,
    CONSTRAINT transaction_id_check CHECK ((id > 0)),
    CONSTRAINT transaction_verb_check CHECK ((verb = ANY (ARRAY['assert'::text, 'supersede'::text, 'end'::text, 'correct'::text, 'retract'::text, 'restore'::text, 'erase'::text, 'keep'::text]))),
    CONSTRAINT transaction_writes_check CHECK ((writes >= 0))
);
ALTER TABLE ONLY public.transaction FORCE ROW LEVEL SECURITY;
ALTER TABLE public.transaction OWNER TO aurra_owner;
CREATE TABLE public.version (
    company_id uuid NOT NULL,
    id uuid NOT NULL,
    tenant_id text NOT NULL,
    memory_id uuid NOT NULL,
    lane uuid NOT NULL,
    content_id uuid NOT NULL,
    valid tstzrange NOT NULL,
    tx_from bigint NOT NULL,
    tx_to bigint,
    tx_from_at timestamp with time zone NOT NULL,
    tx_to_at timestamp with time zone,
    op text NOT NULL,
    superseded_by uuid,
    replaced_by uuid,
    CONSTRAINT version_closed_once CHECK ((((tx_to IS NULL) = (tx_to_at IS NULL)) AND ((tx_to IS NULL) OR (tx_to > tx_from)))),
    CONSTRAINT version_op_check CHECK ((op = ANY (ARRAY['assert'::text, 'supersede'::text, 'end'::text, 'correct'::text, 'restore'::text, 'leftover'::text]))),
    CONSTRAINT version_valid_is_half_open CHECK (((NOT isempty(valid)) AND lower_inc(valid) AND (NOT upper_inc(valid)) AND isfinite(lower(valid)) AND (upper_inf(valid) OR isfinite(upper(valid)))))
);
ALTER TABLE ONLY public.version FORCE ROW LEVEL SECURITY;
ALTER TABLE public.version OWNER TO aurra_owner;
ALTER TABLE ONLY public.account
    ADD CONSTRAINT account_pkey PRIMARY KEY (company_id);
ALTER TABLE ONLY public.address_rate
    ADD CONSTRAINT address_rate_pkey PRIMARY KEY (network);
ALTER TABLE ONLY public.api_key
    ADD CONSTRAINT api_key_pkey PRIMARY KEY (company_id, key_id);
ALTER TABLE ONLY public.content
    ADD CONSTRAINT content_pkey PRIMARY KEY (company_id, id);
ALTER TABLE ONLY public.conversation_label
    ADD CONSTRAINT conversation_label_pkey PRIMARY KEY (company_id, tenant_id, session_id, tx);
ALTER TABLE ONLY public.conversation
    ADD CONSTRAINT conversation_pkey PRIMARY KEY (company_id, tenant_id, session_id);
ALTER TABLE ONLY public.embedder
    ADD CONSTRAINT embedder_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.embedding
    ADD CONSTRAINT embedding_pkey PRIMARY KEY (company_id, content_id, model, part);
ALTER TABLE ONLY public.idempotency
    ADD CONSTRAINT idempotency_pkey PRIMARY KEY (company_id, key);
ALTER TABLE ONLY public.job
    ADD CONSTRAINT job_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.ledger
    ADD CONSTRAINT ledger_pkey PRIMARY KEY (company_id);
ALTER TABLE ONLY public.memory
    ADD CONSTRAINT memory_pkey PRIMARY KEY (company_id, id);
ALTER TABLE ONLY public.oauth_grant
    ADD CONSTRAINT oauth_grant_pkey PRIMARY KEY (company_id, grant_id);
ALTER TABLE ONLY public.oauth_token
    ADD CONSTRAINT oauth_token_pkey PRIMARY KEY (company_id, token_hash);
ALTER TABLE ONLY public.plan_change
    ADD CONSTRAINT plan_change_pkey PRIMARY KEY (company_id, id);
ALTER TABLE ONLY public.plan
    ADD CONSTRAINT plan_pkey PRIMARY KEY (plan);
ALTER TABLE ONLY public.provider
    ADD CONSTRAINT provider_pkey PRIMARY KEY (company_id);
ALTER TABLE ONLY public.receipt_evidence
    ADD CONSTRAINT receipt_evidence_pkey PRIMARY KEY (company_id, receipt_id, place);
ALTER TABLE ONLY public.receipt
    ADD CONSTRAINT receipt_pkey PRIMARY KEY (company_id, id);
ALTER TABLE ONLY public.request_rate
    ADD CONSTRAINT request_rate_pkey PRIMARY KEY (company_id, key_id);
ALTER TABLE ONLY public.review
    ADD CONSTRAINT review_pkey PRIMARY KEY (company_id, id);
ALTER TABLE ONLY public.segment
    ADD CONSTRAINT segment_counts_once EXCLUDE USING gist (company_id WITH =, tenant_id WITH =, int8range(from_tx, to_tx) WITH &&);
ALTER TABLE ONLY public.segment
    ADD CONSTRAINT segment_pkey PRIMARY KEY (company_id, id);
ALTER TABLE ONLY public.segment_sketch
    ADD CONSTRAINT segment_sketch_pkey PRIMARY KEY (company_id, segment_id, model);
ALTER TABLE ONLY public.segment_word
    ADD CONSTRAINT segment_word_pkey PRIMARY KEY (company_id, segment_id, lexeme);
ALTER TABLE ONLY public.service_secret
    ADD CONSTRAINT service_secret_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.signature_nonce
    ADD CONSTRAINT signature_nonce_pkey PRIMARY KEY (company_id, key_id, nonce);
ALTER TABLE ONLY public.slot
    ADD CONSTRAINT slot_name UNIQUE (company_id, tenant_id, subject_key, attribute_key);
ALTER TABLE ONLY public.slot
    ADD CONSTRAINT slot_pkey PRIMARY KEY (company_id, id);
ALTER TABLE ONLY public.source
    ADD CONSTRAINT source_pkey PRIMARY KEY (company_id, id);
ALTER TABLE ONLY public.subject_label
    ADD CONSTRAINT subject_label_pkey PRIMARY KEY (company_id, tenant_id, subject_key, tx);
ALTER TABLE ONLY public.subject
    ADD CONSTRAINT subject_pkey PRIMARY KEY (company_id, tenant_id, subject_key);
ALTER TABLE ONLY public.tombstone
    ADD CONSTRAINT tombstone_pkey PRIMARY KEY (company_id, kind, row_id, tx);
ALTER TABLE ONLY public.transaction
    ADD CONSTRAINT transaction_pkey PRIMARY KEY (company_id, id);
ALTER TABLE ONLY public.version
    ADD CONSTRAINT version_one_belief_a_lane EXCLUDE USING gist (company_id WITH =, lane WITH =, valid WITH &&, int8range(tx_from, tx_to) WITH &&);
ALTER TABLE ONLY public.version
    ADD CONSTRAINT version_pkey PRIMARY KEY (company_id, id);
CREATE INDEX address_rate_forgotten ON public.address_rate USING btree (full_at);
CREATE INDEX api_key_by_id ON public.api_key USING btree (key_id);
CREATE INDEX content_by_fingerprint ON public.content USING btree (company_id, fingerprint);
CREATE INDEX content_of_memory ON public.content USING btree (company_id, memory_id);
CREATE INDEX conversation_newest ON public.conversation USING btree (company_id, tenant_id, created_at, session_id);
CREATE UNIQUE INDEX embedder_one_of_each ON public.embedder USING btree (state);
CREATE INDEX idempotency_expiry ON public.idempotency USING btree (company_id, expires_at);
CREATE INDEX job_due ON public.job USING btree (run_at);
CREATE INDEX memory_by_external_id ON public.memory USING btree (company_id, tenant_id, external_id) WHERE (external_id IS NOT NULL);
CREATE INDEX memory_by_session ON public.memory USING btree (company_id, tenant_id, session_id, id) WHERE (session_id IS NOT NULL);
CREATE INDEX memory_by_subject ON public.memory USING btree (company_id, tenant_id, subject_key) WHERE (subject_key IS NOT NULL);
CREATE INDEX memory_newest ON public.memory USING btree (company_id, tenant_id, created_at, id);
CREATE INDEX memory_of_slot ON public.memory USING btree (company_id, slot_id) WHERE (slot_id IS NOT NULL);
CREATE INDEX memory_of_source ON public.memory USING btree (company_id, source_id) WHERE (source_id IS NOT NULL);
CREATE INDEX oauth_grant_by_key ON public.oauth_grant USING btree (key_id);
CREATE INDEX oauth_token_ended ON public.oauth_token USING btree (company_id, ends_at);
CREATE INDEX oauth_token_of_grant ON public.oauth_token USING btree (company_id, grant_id);
CREATE INDEX oauth_token_presented ON public.oauth_token USING btree (key_id, token_hash);
CREATE INDEX receipt_evidence_of_memory ON public.receipt_evidence USING btree (company_id, memory_id);
CREATE INDEX receipt_newest ON public.receipt USING btree (company_id, tenant_id, at, id);
CREATE INDEX review_newest ON public.review USING btree (company_id, tenant_id, at, id);
CREATE INDEX review_of_new ON public.review USING btree (company_id, new_memory);
CREATE INDEX review_of_old ON public.review USING btree (company_id, old_memory);
CREATE INDEX segment_in_order ON public.segment USING btree (company_id, tenant_id, from_tx);
CREATE INDEX signature_nonce_expiry ON public.signature_nonce USING btree (company_id, expires_at);
CREATE INDEX source_by_message ON public.source USING btree (company_id, tenant_id, session_id, message_id) WHERE (message_id IS NOT NULL);
CREATE INDEX source_of_dialog ON public.source USING btree (company_id, dialog_id, "position");
CREATE INDEX source_of_session ON public.source USING btree (company_id, tenant_id, session_id, id) WHERE (session_id IS NOT NULL);
CREATE INDEX subject_by_external_id ON public.subject USING btree (company_id, tenant_id, external_id);
CREATE INDEX subject_label_by_external_id ON public.subject_label USING btree (company_id, tenant_id, external_id);
CREATE INDEX tombstone_by_eraser ON public.tombstone USING btree (company_id, erased_by);
CREATE INDEX tombstone_of_transaction ON public.tombstone USING btree (company_id, tx);
CREATE INDEX transaction_by_instant ON public.transaction USING btree (company_id, at);
CREATE INDEX version_closed ON public.version USING btree (company_id, tx_to) WHERE (tx_to IS NOT NULL);
CREATE INDEX version_of_memory ON public.version USING btree (company_id, memory_id, tx_from);
CREATE INDEX version_open ON public.version USING btree (company_id, tenant_id, memory_id) WHERE (tx_to IS NULL);
CREATE INDEX version_open_lane ON public.version USING btree (company_id, lane) WHERE (tx_to IS NULL);
CREATE INDEX version_opened ON public.version USING btree (company_id, tx_from);
CREATE INDEX version_replacement ON public.version USING btree (company_id, replaced_by) WHERE (replaced_by IS NOT NULL);
CREATE INDEX version_successor ON public.version USING btree (company_id, superseded_by) WHERE (superseded_by IS NOT NULL);
ALTER TABLE ONLY public.account
    ADD CONSTRAINT account_plan_fkey FOREIGN KEY (plan) REFERENCES public.plan(plan);
ALTER TABLE ONLY public.api_key
    ADD CONSTRAINT api_key_company_id_fkey FOREIGN KEY (company_id) REFERENCES public.account(company_id);
ALTER TABLE ONLY public.content
    ADD CONSTRAINT content_company_id_memory_id_fkey FOREIGN KEY (company_id, memory_id) REFERENCES public.memory(company_id, id);
ALTER TABLE ONLY public.conversation_label
    ADD CONSTRAINT conversation_label_company_id_tenant_id_session_id_fkey FOREIGN KEY (company_id, tenant_id, session_id) REFERENCES public.conversation(company_id, tenant_id, session_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.embedding
    ADD CONSTRAINT embedding_company_id_content_id_fkey FOREIGN KEY (company_id, content_id) REFERENCES public.content(company_id, id);
ALTER TABLE ONLY public.idempotency
    ADD CONSTRAINT idempotency_company_id_fkey FOREIGN KEY (company_id) REFERENCES public.account(company_id);
ALTER TABLE ONLY public.ledger
    ADD CONSTRAINT ledger_company_id_fkey FOREIGN KEY (company_id) REFERENCES public.account(company_id);
ALTER TABLE ONLY public.memory
    ADD CONSTRAINT memory_company_id_created_tx_fkey FOREIGN KEY (company_id, created_tx) REFERENCES public.transaction(company_id, id);
ALTER TABLE ONLY public.memory
    ADD CONSTRAINT memory_company_id_slot_id_fkey FOREIGN KEY (company_id, slot_id) REFERENCES public.slot(company_id, id);
ALTER TABLE ONLY public.oauth_grant
    ADD CONSTRAINT oauth_grant_company_id_fkey FOREIGN KEY (company_id) REFERENCES public.account(company_id);
ALTER TABLE ONLY public.oauth_grant
    ADD CONSTRAINT oauth_grant_company_id_key_id_fkey FOREIGN KEY (company_id, key_id) REFERENCES public.api_key(company_id, key_id);
ALTER TABLE ONLY public.oauth_token
    ADD CONSTRAINT oauth_token_company_id_fkey FOREIGN KEY (company_id) REFERENCES public.account(company_id);
ALTER TABLE ONLY public.oauth_token
    ADD CONSTRAINT oauth_token_company_id_grant_id_fkey FOREIGN KEY (company_id, grant_id) REFERENCES public.oauth_grant(company_id, grant_id);
ALTER TABLE ONLY public.plan_change
    ADD CONSTRAINT plan_change_company_id_fkey FOREIGN KEY (company_id) REFERENCES public.account(company_id);
ALTER TABLE ONLY public.provider
    ADD CONSTRAINT provider_company_id_fkey FOREIGN KEY (company_id) REFERENCES public.account(company_id);
ALTER TABLE ONLY public.receipt_evidence
    ADD CONSTRAINT receipt_evidence_company_id_receipt_id_fkey FOREIGN KEY (company_id, receipt_id) REFERENCES public.receipt(company_id, id);
ALTER TABLE ONLY public.receipt_evidence
    ADD CONSTRAINT receipt_evidence_is_there FOREIGN KEY (company_id, memory_id) REFERENCES public.memory(company_id, id);
ALTER TABLE ONLY public.request_rate
    ADD CONSTRAINT request_rate_company_id_fkey FOREIGN KEY (company_id) REFERENCES public.account(company_id);
ALTER TABLE ONLY public.review
    ADD CONSTRAINT review_company_id_tx_fkey FOREIGN KEY (company_id, tx) REFERENCES public.transaction(company_id, id);
ALTER TABLE ONLY public.segment_sketch
    ADD CONSTRAINT segment_sketch_company_id_segment_id_fkey FOREIGN KEY (company_id, segment_id) REFERENCES public.segment(company_id, id);
ALTER TABLE ONLY public.segment_word
    ADD CONSTRAINT segment_word_company_id_segment_id_fkey FOREIGN KEY (company_id, segment_id) REFERENCES public.segment(company_id, id);
ALTER TABLE ONLY public.signature_nonce
    ADD CONSTRAINT signature_nonce_company_id_fkey FOREIGN KEY (company_id) REFERENCES public.account(company_id);
ALTER TABLE ONLY public.slot
    ADD CONSTRAINT slot_company_id_tx_fkey FOREIGN KEY (company_id, tx) REFERENCES public.transaction(company_id, id);
ALTER TABLE ONLY public.source
    ADD CONSTRAINT source_company_id_tx_fkey FOREIGN KEY (company_id, tx) REFERENCES public.transaction(company_id, id);
ALTER TABLE ONLY public.subject_label
    ADD CONSTRAINT subject_label_company_id_tenant_id_subject_key_fkey FOREIGN KEY (company_id, tenant_id, subject_key) REFERENCES public.subject(company_id, tenant_id, subject_key) ON DELETE CASCADE;
ALTER TABLE ONLY public.tombstone
    ADD CONSTRAINT tombstone_company_id_erased_by_fkey FOREIGN KEY (company_id, erased_by) REFERENCES public.transaction(company_id, id);
ALTER TABLE ONLY public.tombstone
    ADD CONSTRAINT tombstone_company_id_tx_fkey FOREIGN KEY (company_id, tx) REFERENCES public.transaction(company_id, id);
ALTER TABLE ONLY public.transaction
    ADD CONSTRAINT transaction_company_id_fkey FOREIGN KEY (company_id) REFERENCES public.account(company_id);
ALTER TABLE ONLY public.version
    ADD CONSTRAINT version_company_id_memory_id_fkey FOREIGN KEY (company_id, memory_id) REFERENCES public.memory(company_id, id);
ALTER TABLE ONLY public.version
    ADD CONSTRAINT version_company_id_tx_from_fkey FOREIGN KEY (company_id, tx_from) REFERENCES public.transaction(company_id, id);
ALTER TABLE ONLY public.version
    ADD CONSTRAINT version_company_id_tx_to_fkey FOREIGN KEY (company_id, tx_to) REFERENCES public.transaction(company_id, id);
ALTER TABLE public.account ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.api_key ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.content ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.conversation ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.conversation_label ENABLE ROW LEVEL SECURITY;
CREATE POLICY directory ON public.account TO aurra_owner USING (true) WITH CHECK (true);
CREATE POLICY directory ON public.api_key TO aurra_owner USING (true) WITH CHECK (true);
CREATE POLICY directory ON public.plan_change TO aurra_owner USING (true) WITH CHECK (true);
CREATE POLICY directory ON public.provider TO aurra_owner USING (true) WITH CHECK (true);
ALTER TABLE public.embedding ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.idempotency ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.ledger ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.memory ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.oauth_grant ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.oauth_token ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_account ON public.account USING ((company_id = (NULLIF(current_setting('aurra.company_id'::text, true), ''::text))::uuid));
CREATE POLICY own_account ON public.api_key USING ((company_id = (NULLIF(current_setting('aurra.company_id'::text, true), ''::text))::uuid));
CREATE POLICY own_account ON public.content USING ((company_id = (NULLIF(current_setting('aurra.company_id'::text, true), ''::text))::uuid));
CREATE POLICY own_account ON public.conversation USING ((company_id = (NULLIF(current_setting('aurra.company_id'::text, true), ''::text))::uuid));
CREATE POLICY own_account ON public.conversation_label USING ((company_id = (NULLIF(current_setting('aurra.company_id'::text, true), ''::text))::uuid));
CREATE POLICY own_account ON public.embedding USING ((company_id = (NULLIF(current_setting('aurra.company_id'::text, true), ''::text))::uuid));
CREATE POLICY own_account ON public.idempotency USING ((company_id = (NULLIF(current_setting('aurra.company_id'::text, true), ''::text))::uuid));
CREATE POLICY own_account ON public.ledger USING ((company_id = (NULLIF(current_setting('aurra.company_id'::text, true), ''::text))::uuid));
CREATE POLICY own_account ON public.memory USING ((company_id = (NULLIF(current_setting('aurra.company_id'::text, true), ''::text))::uuid));
CREATE POLICY own_account ON public.oauth_grant USING ((company_id = (NULLIF(current_setting('aurra.company_id'::text, true), ''::text))::uuid));
CREATE POLICY own_account ON public.oauth_token USING ((company_id = (NULLIF(current_setting('aurra.company_id'::text, true), ''::text))::uuid));
CREATE POLICY own_account ON public.plan_change USING ((company_id = (NULLIF(current_setting('aurra.company_id'::text, true), ''::text))::uuid));
CREATE POLICY own_account ON public.provider USING ((company_id = (NULLIF(current_setting('aurra.company_id'::text, true), ''::text))::uuid));
CREATE POLICY own_account ON public.receipt USING ((company_id = (NULLIF(current_setting('aurra.company_id'::text, true), ''::text))::uuid));
CREATE POLICY own_account ON public.receipt_evidence USING ((company_id = (NULLIF(current_setting('aurra.company_id'::text, true), ''::text))::uuid));
CREATE POLICY own_account ON public.request_rate USING ((company_id = (NULLIF(current_setting('aurra.company_id'::text, true), ''::text))::uuid));
CREATE POLICY own_account ON public.review USING ((company_id = (NULLIF(current_setting('aurra.company_id'::text, true), ''::text))::uuid));
CREATE POLICY own_account ON public.segment USING ((company_id = (NULLIF(current_setting('aurra.company_id'::text, true), ''::text))::uuid));
CREATE POLICY own_account ON public.segment_sketch USING ((company_id = (NULLIF(current_setting('aurra.company_id'::text, true), ''::text))::uuid));
CREATE POLICY own_account ON public.segment_word USING ((company_id = (NULLIF(current_setting('aurra.company_id'::text, true), ''::text))::uuid));
CREATE POLICY own_account ON public.signature_nonce USING ((company_id = (NULLIF(current_setting('aurra.company_id'::text, true), ''::text))::uuid));
CREATE POLICY own_account ON public.slot USING ((company_id = (NULLIF(current_setting('aurra.company_id'::text, true), ''::text))::uuid));
CREATE POLICY own_account ON public.source USING ((company_id = (NULLIF(current_setting('aurra.company_id'::text, true), ''::text))::uuid));
CREATE POLICY own_account ON public.subject USING ((company_id = (NULLIF(current_setting('aurra.company_id'::text, true), ''::text))::uuid));
CREATE POLICY own_account ON public.subject_label USING ((company_id = (NULLIF(current_setting('aurra.company_id'::text, true), ''::text))::uuid));
CREATE POLICY own_account ON public.tombstone USING ((company_id = (NULLIF(current_setting('aurra.company_id'::text, true), ''::text))::uuid));
CREATE POLICY own_account ON public.transaction USING ((company_id = (NULLIF(current_setting('aurra.company_id'::text, true), ''::text))::uuid));
CREATE POLICY own_account_add ON public.version FOR INSERT WITH CHECK ((company_id = (NULLIF(current_setting('aurra.company_id'::text, true), ''::text))::uuid));
CREATE POLICY own_account_close ON public.version FOR UPDATE USING (((company_id = (NULLIF(current_setting('aurra.company_id'::text, true), ''::text))::uuid) AND (tx_to IS NULL))) WITH CHECK (((company_id = (NULLIF(current_setting('aurra.company_id'::text, true), ''::text))::uuid) AND (tx_to IS NOT NULL)));
CREATE POLICY own_account_erase ON public.version FOR DELETE TO aurra_eraser USING ((company_id = (NULLIF(current_setting('aurra.company_id'::text, true), ''::text))::uuid));
CREATE POLICY own_account_read ON public.version FOR SELECT USING ((company_id = (NULLIF(current_setting('aurra.company_id'::text, true), ''::text))::uuid));
ALTER TABLE public.plan_change ENABLE ROW LEVEL SECURITY;
CREATE POLICY presented_key ON public.api_key FOR SELECT TO aurra_app USING ((key_id = NULLIF(current_setting('aurra.key_id'::text, true), ''::text)));
CREATE POLICY presented_key ON public.oauth_grant FOR SELECT TO aurra_app USING ((key_id = NULLIF(current_setting('aurra.key_id'::text, true), ''::text)));
CREATE POLICY presented_key ON public.oauth_token FOR SELECT TO aurra_app USING ((key_id = NULLIF(current_setting('aurra.key_id'::text, true), ''::text)));
ALTER TABLE public.provider ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.receipt ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.receipt_evidence ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.request_rate ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.review ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.segment ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.segment_sketch ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.segment_word ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.signature_nonce ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.slot ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.source ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.subject ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.subject_label ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.tombstone ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.transaction ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.version ENABLE ROW LEVEL SECURITY;
GRANT ALL ON SCHEMA public TO aurra_owner;
GRANT ALL ON SCHEMA public TO aurra_eraser;
GRANT USAGE ON SCHEMA public TO aurra_app;
REVOKE ALL ON FUNCTION public.erase(account uuid, entry json, memories uuid[], contents uuid[], sources uuid[], slots uuid[], tombstones json) FROM PUBLIC;
GRANT ALL ON FUNCTION public.erase(account uuid, entry json, memories uuid[], contents uuid[], sources uuid[], slots uuid[], tombstones json) TO aurra_app;
REVOKE ALL ON FUNCTION public.fail_authentication(address cidr, burst integer, clock timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION public.fail_authentication(address cidr, burst integer, clock timestamp with time zone) TO aurra_app;
REVOKE ALL ON FUNCTION public.lease_requests(account uuid, key text, process uuid, unused integer, waiting integer, ahead integer, clock timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION public.lease_requests(account uuid, key text, process uuid, unused integer, waiting integer, ahead integer, clock timestamp with time zone) TO aurra_app;
GRANT SELECT ON TABLE public.account TO aurra_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.address_rate TO aurra_app;
GRANT SELECT,INSERT ON TABLE public.api_key TO aurra_app;
GRANT UPDATE(secret_hash) ON TABLE public.api_key TO aurra_app;
GRANT UPDATE(last_four) ON TABLE public.api_key TO aurra_app;
GRANT UPDATE(scopes) ON TABLE public.api_key TO aurra_app;
GRANT UPDATE(settings) ON TABLE public.api_key TO aurra_app;
GRANT UPDATE(expires_at) ON TABLE public.api_key TO aurra_app;
GRANT UPDATE(revoked_at) ON TABLE public.api_key TO aurra_app;
GRANT UPDATE(trust) ON TABLE public.api_key TO aurra_app;
GRANT UPDATE(name) ON TABLE public.api_key TO aurra_app;
GRANT UPDATE(networks) ON TABLE public.api_key TO aurra_app;
GRANT UPDATE(up_to) ON TABLE public.api_key TO aurra_app;
GRANT UPDATE(previous_hash) ON TABLE public.api_key TO aurra_app;
GRANT UPDATE(previous_until) ON TABLE public.api_key TO aurra_app;
GRANT UPDATE(signing_sealed) ON TABLE public.api_key TO aurra_app;
GRANT UPDATE(signing_sealed_by) ON TABLE public.api_key TO aurra_app;
GRANT UPDATE(last_used_at) ON TABLE public.api_key TO aurra_app;
GRANT UPDATE(previous_signing_sealed) ON TABLE public.api_key TO aurra_app;
GRANT UPDATE(previous_signing_sealed_by) ON TABLE public.api_key TO aurra_app;
GRANT SELECT,INSERT ON TABLE public.content TO aurra_app;
GRANT SELECT,DELETE ON TABLE public.content TO aurra_eraser;
GRANT SELECT,INSERT,UPDATE ON TABLE public.conversation TO aurra_app;
GRANT SELECT,DELETE ON TABLE public.conversation TO aurra_eraser;
GRANT SELECT,INSERT ON TABLE public.conversation_label TO aurra_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.embedder TO aurra_app;
GRANT SELECT,INSERT ON TABLE public.embedding TO aurra_app;
GRANT SELECT,DELETE ON TABLE public.embedding TO aurra_eraser;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.idempotency TO aurra_app;
GRANT SELECT ON TABLE public.idempotency TO aurra_eraser;
GRANT UPDATE(fingerprint) ON TABLE public.idempotency TO aurra_eraser;
GRANT UPDATE(answer) ON TABLE public.idempotency TO aurra_eraser;
GRANT SELECT,INSERT,DELETE ON TABLE public.job TO aurra_app;
GRANT UPDATE(run_at) ON TABLE public.job TO aurra_app;
GRANT UPDATE(attempts) ON TABLE public.job TO aurra_app;
GRANT UPDATE(leased_until) ON TABLE public.job TO aurra_app;
GRANT UPDATE(failure) ON TABLE public.job TO aurra_app;
GRANT SELECT ON TABLE public.ledger TO aurra_app;
GRANT SELECT ON TABLE public.ledger TO aurra_eraser;
GRANT UPDATE(last_tx) ON TABLE public.ledger TO aurra_app;
GRANT UPDATE(last_tx) ON TABLE public.ledger TO aurra_eraser;
GRANT UPDATE(last_at) ON TABLE public.ledger TO aurra_app;
GRANT UPDATE(last_at) ON TABLE public.ledger TO aurra_eraser;
GRANT UPDATE(last_hash) ON TABLE public.ledger TO aurra_app;
GRANT UPDATE(last_hash) ON TABLE public.ledger TO aurra_eraser;
GRANT UPDATE(period_start) ON TABLE public.ledger TO aurra_app;
GRANT UPDATE(writes_used) ON TABLE public.ledger TO aurra_app;
GRANT UPDATE(grace_from) ON TABLE public.ledger TO aurra_app;
GRANT SELECT,INSERT ON TABLE public.memory TO aurra_app;
GRANT SELECT,DELETE ON TABLE public.memory TO aurra_eraser;
GRANT SELECT,INSERT,DELETE ON TABLE public.oauth_grant TO aurra_app;
GRANT UPDATE(issued_at) ON TABLE public.oauth_grant TO aurra_app;
GRANT SELECT,INSERT,DELETE ON TABLE public.oauth_token TO aurra_app;
GRANT UPDATE(used_at) ON TABLE public.oauth_token TO aurra_app;
GRANT SELECT ON TABLE public.plan TO aurra_app;
GRANT SELECT ON TABLE public.plan_change TO aurra_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.provider TO aurra_app;
GRANT SELECT,INSERT ON TABLE public.receipt TO aurra_app;
GRANT SELECT,DELETE ON TABLE public.receipt TO aurra_eraser;
GRANT SELECT,INSERT ON TABLE public.receipt_evidence TO aurra_app;
GRANT SELECT,DELETE ON TABLE public.receipt_evidence TO aurra_eraser;
GRANT SELECT,INSERT,UPDATE ON TABLE public.request_rate TO aurra_app;
GRANT SELECT,INSERT ON TABLE public.review TO aurra_app;
GRANT SELECT,DELETE ON TABLE public.review TO aurra_eraser;
GRANT UPDATE(state) ON TABLE public.review TO aurra_app;
GRANT UPDATE(decided_at) ON TABLE public.review TO aurra_app;
GRANT UPDATE(decided_by) ON TABLE public.review TO aurra_app;
GRANT UPDATE(decided_tx) ON TABLE public.review TO aurra_app;
GRANT SELECT,INSERT,DELETE ON TABLE public.segment TO aurra_app;
GRANT SELECT,DELETE ON TABLE public.segment TO aurra_eraser;
GRANT SELECT,INSERT,DELETE ON TABLE public.segment_sketch TO aurra_app;
GRANT SELECT,DELETE ON TABLE public.segment_sketch TO aurra_eraser;
GRANT SELECT,INSERT,DELETE ON TABLE public.segment_word TO aurra_app;
GRANT SELECT,DELETE ON TABLE public.segment_word TO aurra_eraser;
GRANT SELECT ON TABLE public.service_secret TO aurra_app;
GRANT SELECT,INSERT,DELETE ON TABLE public.signature_nonce TO aurra_app;
GRANT UPDATE(expires_at) ON TABLE public.signature_nonce TO aurra_app;
GRANT SELECT,INSERT ON TABLE public.slot TO aurra_app;
GRANT SELECT,DELETE ON TABLE public.slot TO aurra_eraser;
GRANT SELECT,INSERT ON TABLE public.source TO aurra_app;
GRANT SELECT,DELETE ON TABLE public.source TO aurra_eraser;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.subject TO aurra_app;
GRANT SELECT,DELETE ON TABLE public.subject TO aurra_eraser;
GRANT SELECT,INSERT ON TABLE public.subject_label TO aurra_app;
GRANT UPDATE(external_id) ON TABLE public.subject_label TO aurra_app;
GRANT SELECT ON TABLE public.tombstone TO aurra_app;
GRANT SELECT,INSERT ON TABLE public.tombstone TO aurra_eraser;
GRANT SELECT,INSERT ON TABLE public.transaction TO aurra_app;
GRANT SELECT,INSERT ON TABLE public.transaction TO aurra_eraser;
GRANT UPDATE(reason) ON TABLE public.transaction TO aurra_eraser;
GRANT UPDATE(reason_salt) ON TABLE public.transaction TO aurra_eraser;
GRANT SELECT,INSERT ON TABLE public.version TO aurra_app;
GRANT SELECT,DELETE ON TABLE public.version TO aurra_eraser;
GRANT UPDATE(tx_to) ON TABLE public.version TO aurra_app;
GRANT UPDATE(tx_to_at) ON TABLE public.version TO aurra_app;
GRANT UPDATE(replaced_by) ON TABLE public.version TO aurra_app;
