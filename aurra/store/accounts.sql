-- Accounts and keys: the operator's commands (as aurra_owner), and the look-up of a presented key (as aurra_app).

-- name: lock_directory
-- One command at a time makes accounts, so that names stay unique.
LOCK TABLE account IN SHARE ROW EXCLUSIVE MODE

-- name: set_account -> Text
-- Binds row-level security for the rest of the transaction.
SELECT set_config('aurra.company_id', :account, true) AS value

-- name: list_accounts -> AccountRow
-- All accounts, oldest first.
SELECT company_id AS id, name, plan, created_at FROM account ORDER BY created_at, name

-- name: find_account -> AccountRow
-- By name.
SELECT company_id AS id, name, plan, created_at FROM account WHERE name = :name

-- name: create_account
-- A new account.
INSERT INTO account (company_id, name, plan, created_at) VALUES (:company_id, :name, :plan, :at)

-- name: create_ledger
-- Its ledger, at transaction 0.
INSERT INTO ledger (company_id, last_tx, last_at, last_hash, period_start, writes_used)
VALUES (:company_id, 0, :at, :hash, :period_start, 0)

-- name: now -> Now
-- The database's clock: accounts and keys begin at it, as transactions do.
SELECT clock_timestamp() AS at

-- name: create_key
-- A key by its hash.
INSERT INTO api_key (company_id, key_id, secret_hash, last_four, scopes, tenant_id, trust, name, expires_at, networks, up_to,
                     settings, created_at, created_by, signing_sealed, signing_sealed_by)
VALUES (:company_id, :key_id, :secret_hash, :last_four, :scopes, :tenant_id, :trust, :name, :expires_at, :networks, :up_to,
        '{}', :at, :created_by, :signing_sealed, :signing_sealed_by)

-- name: list_keys -> ListedKey
-- All keys of all accounts, without anything secret.
SELECT k.key_id AS id, a.name AS account, k.name, k.scopes, k.tenant_id, k.trust, k.networks, k.up_to, k.last_four, k.created_at,
       k.expires_at, k.revoked_at, k.last_used_at, (k.revoked_at IS NOT NULL OR coalesce(k.expires_at <= :at, false)) AS has_ended,
       k.signing_sealed IS NOT NULL AS is_signed
FROM api_key k JOIN account a ON a.company_id = k.company_id ORDER BY k.created_at, k.key_id

-- name: find_owner -> Owner
-- The account that a key belongs to.
SELECT company_id FROM api_key WHERE key_id = :key_id

-- name: revoke_key -> Text
-- Revokes once; returns the account's name.
UPDATE api_key k SET revoked_at = coalesce(k.revoked_at, :at) FROM account a
WHERE k.key_id = :key_id AND a.company_id = k.company_id RETURNING a.name AS value

-- name: presented_key -> KeyRow
-- The key that a caller presents, before its account is known (row-level security shows that one key only).
SELECT company_id, key_id, secret_hash, scopes, tenant_id, trust, settings, expires_at, revoked_at, networks, up_to,
       previous_hash, previous_until, signing_sealed, signing_sealed_by, previous_signing_sealed, previous_signing_sealed_by
FROM api_key WHERE key_id = :key_id

-- name: presented_token -> TokenRow
-- The token that a host presents, with its grant and its key, before their account is known (row-level security shows what
-- is of that one key only).
SELECT k.company_id, k.key_id, k.secret_hash, k.scopes, k.tenant_id, k.trust, k.settings, k.expires_at, k.revoked_at, k.networks,
       k.up_to, k.previous_hash, k.previous_until, k.signing_sealed, k.signing_sealed_by, k.previous_signing_sealed, k.previous_signing_sealed_by,
       g.grant_id, g.consented_by, g.scopes AS granted_scopes, g.client_hash, g.redirect_uri, g.resource, g.challenge,
       t.ends_at AS token_ends_at
FROM oauth_token t
JOIN oauth_grant g ON g.company_id = t.company_id AND g.grant_id = t.grant_id
JOIN api_key k ON k.company_id = g.company_id AND k.key_id = g.key_id
WHERE t.key_id = :key_id AND t.token_hash = :token_hash

-- name: key_settings -> Text
-- A key's own settings.
SELECT settings::text AS value FROM api_key WHERE company_id = :company_id AND key_id = :key_id

-- name: change_settings -> Text
-- Merges what is changed into a key's settings.
UPDATE api_key SET settings = settings || :change::jsonb WHERE company_id = :company_id AND key_id = :key_id
RETURNING settings::text AS value

-- name: count_memories -> Count
-- Memories of the account, and the period's meter.
SELECT (SELECT count(*) FROM memory WHERE company_id = :company_id) AS memories,
       (SELECT coalesce(sum(t.writes), 0)::bigint FROM transaction t
         WHERE t.company_id = :company_id AND t.at >= l.period_start) AS memories_in_period,
       l.writes_used, l.last_tx,
       (SELECT count(*) FROM transaction WHERE company_id = :company_id) AS transactions
FROM ledger l WHERE l.company_id = :company_id

-- name: service_secret -> Secret
-- A secret of this installation.
SELECT value FROM service_secret WHERE name = :name
