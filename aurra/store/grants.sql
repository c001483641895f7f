-- Grants: what a key's holder let a host do, and the tokens of it, as hashes. A presented token is found by accounts.sql.

-- name: create
-- A grant, as it was consented to.
INSERT INTO oauth_grant (company_id, grant_id, key_id, consented_by, scopes, client_hash, client_name, redirect_uri, resource,
                         challenge, created_at, issued_at)
VALUES (:company_id, :grant_id, :key_id, :consented_by, :scopes, :client_hash, :client_name, :redirect_uri, :resource,
        :challenge, :at, :at)

-- name: hold -> Held
-- The grant, which nobody else changes until the transaction ends; no row where it has ended.
UPDATE oauth_grant SET issued_at = :at WHERE company_id = :company_id AND grant_id = :grant_id RETURNING grant_id

-- name: add_token
-- A token by its hash.
INSERT INTO oauth_token (company_id, token_hash, grant_id, key_id, kind, ends_at)
VALUES (:company_id, :token_hash, :grant_id, :key_id, :kind, :ends_at)

-- name: token_state -> TokenState
-- Whether a token was used, and when it ends.
SELECT used_at, ends_at FROM oauth_token WHERE company_id = :company_id AND token_hash = :token_hash

-- name: spend
-- Of a grant, all codes or all refresh tokens are used that were not.
UPDATE oauth_token SET used_at = :at
WHERE company_id = :company_id AND grant_id = :grant_id AND kind = :kind AND used_at IS NULL

-- name: end_tokens
-- The tokens of a grant that ends.
DELETE FROM oauth_token WHERE company_id = :company_id AND grant_id = :grant_id

-- name: end_grant
-- The grant itself, without tokens.
DELETE FROM oauth_grant WHERE company_id = :company_id AND grant_id = :grant_id

-- name: forget_tokens
-- A few of the account's tokens that ended long ago; those that another request is removing are left to it.
DELETE FROM oauth_token t
USING (
  SELECT o.token_hash FROM oauth_token o
  WHERE o.company_id = :company_id AND o.ends_at < :before::timestamptz
  ORDER BY o.ends_at LIMIT 20
  FOR UPDATE SKIP LOCKED) AS old
WHERE t.company_id = :company_id AND t.token_hash = old.token_hash

-- name: forget_grants
-- A few of the account's grants of which no token is left.
DELETE FROM oauth_grant g
USING (
  SELECT o.grant_id FROM oauth_grant o
  WHERE o.company_id = :company_id
    AND NOT EXISTS (SELECT 1 FROM oauth_token t WHERE t.company_id = :company_id AND t.grant_id = o.grant_id)
  LIMIT 20
  FOR UPDATE SKIP LOCKED) AS old
WHERE g.company_id = :company_id AND g.grant_id = old.grant_id
