-- Callers with the scope keys:manage make and change keys of their own account. Which keys, row-level security decides; what
-- a key is and whose (id, tenant, maker, first day) is written once.

GRANT INSERT ON api_key TO aurra_app;
GRANT UPDATE (name, scopes, trust, expires_at, networks, up_to, secret_hash, last_four, previous_hash, previous_until, revoked_at,
              last_used_at) ON api_key TO aurra_app;
