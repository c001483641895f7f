-- What the server must be, and the roles it must have, before and after migrations. Run by the migrating login.

-- name: server_facts -> ServerFacts
-- Version, the extensions that could be installed, and what the login is.
SELECT current_setting('server_version_num')::integer AS version,
       (SELECT coalesce(array_agg(name::text || ' ' || default_version), '{}') FROM pg_available_extensions
         WHERE name IN ('vector', 'btree_gist')) AS available,
       (SELECT coalesce(array_agg(extname::text || ' ' || extversion), '{}') FROM pg_extension
         WHERE extname IN ('vector', 'btree_gist')) AS installed,
       current_user::text AS login

-- name: existing_roles -> RoleName
-- Which of our roles the cluster has.
SELECT rolname::text AS name FROM pg_roles WHERE rolname IN ('aurra_owner', 'aurra_app', 'aurra_eraser')

-- name: create_owner
-- Owns tables and changes them; nobody logs in as it.
CREATE ROLE aurra_owner NOLOGIN NOSUPERUSER NOBYPASSRLS

-- name: create_app
-- What the service acts as: bound by row-level security, owner of nothing.
CREATE ROLE aurra_app NOLOGIN NOSUPERUSER NOBYPASSRLS

-- name: create_eraser
-- Owns the one function that deletes; nobody logs in as it or becomes it.
CREATE ROLE aurra_eraser NOLOGIN NOSUPERUSER NOBYPASSRLS

-- name: eraser_is_lent -> Permission
-- Whether the owner may hand its function to the eraser already.
SELECT pg_has_role('aurra_owner', 'aurra_eraser', 'SET') AS granted

-- name: lend_eraser
-- Lets the owner hand its function to the eraser.
GRANT aurra_eraser TO aurra_owner

-- name: may_act_as -> Permission
-- Whether the login may SET ROLE to both.
SELECT pg_has_role(current_user, 'aurra_owner', 'SET') AND pg_has_role(current_user, 'aurra_app', 'SET') AS granted

-- name: join_owner
-- Lets a login that is no superuser act as the owner.
GRANT aurra_owner TO CURRENT_USER

-- name: join_app
-- Lets a login that is no superuser act as the service.
GRANT aurra_app TO CURRENT_USER

-- name: create_vector
-- pgvector, for embeddings.
CREATE EXTENSION IF NOT EXISTS vector

-- name: create_btree_gist
-- Equality in GiST, for the exclusion constraint.
CREATE EXTENSION IF NOT EXISTS btree_gist

-- name: open_schema_to_owner
-- The owner makes tables in public.
GRANT USAGE, CREATE ON SCHEMA public TO aurra_owner

-- name: open_schema_to_eraser
-- The eraser holds its function in public.
GRANT USAGE, CREATE ON SCHEMA public TO aurra_eraser

-- name: open_schema_to_app
-- The service sees public and makes nothing there.
GRANT USAGE ON SCHEMA public TO aurra_app

-- name: create_register
-- Which migrations were applied, with the checksum of each file.
CREATE TABLE IF NOT EXISTS migration (name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())

-- name: show_register
-- The service sees what was applied.
GRANT SELECT ON migration TO aurra_app

-- name: register_exists -> Permission
-- Whether this database was ever migrated.
SELECT to_regclass('public.migration') IS NOT NULL AS granted

-- name: applied -> Applied
-- What was applied, oldest first.
SELECT name, checksum FROM migration ORDER BY name

-- name: applied_names -> TableName
-- Which migrations this database has.
SELECT name FROM migration ORDER BY name

-- name: register_migration
-- Remembers a file and what it was.
INSERT INTO migration (name, checksum) VALUES (:name, :checksum)

-- name: lock_migrations -> Permission
-- One runner at a time on this database; freed with the session.
SELECT pg_advisory_lock(4707191942) IS NOT NULL AS granted

-- name: act_as_owner
-- From here on, this session is the owner.
SET ROLE aurra_owner

-- name: act_as_login
-- Back to the login.
RESET ROLE

-- name: limit_lock_waits
-- A migration waits at most this long for a table in use, then is tried again.
SET lock_timeout = '2s'

-- name: role_facts -> RoleFacts
-- What the service acts as.
SELECT r.rolname::text AS name, r.rolsuper AS is_superuser, r.rolbypassrls AS bypasses_policies,
       EXISTS (SELECT 1 FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
                AND c.relowner = r.oid) AS owns_tables
FROM pg_roles r WHERE r.rolname = current_user

-- name: unguarded_tables -> TableName
-- Tables with an account that lack ENABLE, FORCE or a policy.
SELECT c.relname::text AS name
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'company_id' AND NOT a.attisdropped
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
  AND (NOT (c.relrowsecurity AND c.relforcerowsecurity AND EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid))
       -- A policy of the service's that compares with neither the account nor the presented key.
       OR EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid
                   AND p.polroles && ARRAY[0::oid, (SELECT r.oid FROM pg_roles r WHERE r.rolname = 'aurra_app')]
                   AND coalesce(pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
                       !~ '(company_id|key_id) = \(?NULLIF'))
ORDER BY 1

-- name: forbidden_privileges -> TableName
-- Privileges of the service that would let it rewrite the past.
SELECT format('%s on %s', privilege, t.name) AS name
FROM unnest(ARRAY['version', 'transaction', 'memory', 'content', 'source', 'slot', 'embedding', 'tombstone', 'receipt',
                  'receipt_evidence']) AS t(name),
     unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE']) AS privilege
WHERE has_table_privilege('aurra_app', t.name, privilege)
UNION ALL
SELECT format('UPDATE of version.%s', a.attname)
FROM pg_attribute a
WHERE a.attrelid = 'version'::regclass AND a.attnum > 0 AND NOT a.attisdropped
  AND a.attname NOT IN ('tx_to', 'tx_to_at', 'replaced_by') AND has_column_privilege('aurra_app', 'version', a.attname, 'UPDATE')
ORDER BY 1
