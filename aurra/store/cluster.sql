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
       EXISTS (SELECT 1 FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relowner = r.oid) AS owns_tables,
       EXISTS (SELECT 1 FROM pg_auth_members m WHERE m.member = r.oid) AS is_member
FROM pg_roles r WHERE r.rolname = current_user

-- name: unguarded_tables -> TableName
-- Tables with an account that lack ENABLE, FORCE or a policy, or have a policy of the service's that opens more than the one
-- account, or the one key that is presented, to be read.
SELECT c.relname::text AS name
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'company_id' AND NOT a.attisdropped
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
  AND (NOT (c.relrowsecurity AND c.relforcerowsecurity AND EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid))
       OR EXISTS (
         SELECT 1 FROM pg_policy p
         CROSS JOIN LATERAL (VALUES (pg_get_expr(p.polqual, p.polrelid), p.polcmd <> 'a'),
                                    (pg_get_expr(p.polwithcheck, p.polrelid), p.polcmd = 'a')) AS e(text, is_needed)
         WHERE p.polrelid = c.oid AND p.polpermissive
           AND p.polroles && ARRAY[0::oid, (SELECT r.oid FROM pg_roles r WHERE r.rolname = 'aurra_app')]
           AND (e.text IS NOT NULL OR e.is_needed)
           -- The account, and nothing beside it but what narrows.
           AND coalesce(e.text, '') !~
             '^\(\(?company_id = \(NULLIF\(current_setting\(''aurra\.company_id''::text, true\), ''''::text\)\)::uuid\)( AND .+\))?$'
           AND NOT (p.polcmd = 'r' AND coalesce(e.text, '') =
                    '(key_id = NULLIF(current_setting(''aurra.key_id''::text, true), ''''::text))')))
ORDER BY 1

-- name: forbidden_privileges -> TableName
-- Privileges of the service that would let it rewrite the past, or what the installation is.
SELECT format('%s on %s', p.privilege, c.relname) AS name
FROM pg_class c
CROSS JOIN unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER']) AS p(privilege)
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
  AND (p.privilege IN ('TRUNCATE', 'TRIGGER')
       OR (p.privilege IN ('UPDATE', 'DELETE') AND c.relname IN (
             'transaction', 'memory', 'content', 'source', 'slot', 'embedding', 'tombstone', 'receipt', 'receipt_evidence'))
       OR (p.privilege = 'DELETE' AND c.relname IN ('version', 'ledger'))
       OR (p.privilege = 'INSERT' AND c.relname IN ('tombstone', 'ledger'))
       OR (p.privilege IN ('INSERT', 'UPDATE', 'DELETE') AND c.relname IN ('account', 'plan', 'service_secret', 'migration')))
  AND (has_table_privilege('aurra_app', c.oid, p.privilege)
       OR (p.privilege IN ('INSERT', 'UPDATE') AND has_any_column_privilege('aurra_app', c.oid, p.privilege)))
UNION ALL
SELECT format('UPDATE of version.%s', a.attname)
FROM pg_attribute a
WHERE a.attrelid = 'version'::regclass AND a.attnum > 0 AND NOT a.attisdropped
  AND a.attname NOT IN ('tx_to', 'tx_to_at', 'replaced_by') AND has_column_privilege('aurra_app', 'version', a.attname, 'UPDATE')
ORDER BY 1

-- name: ways_around -> TableName
-- What reads with the rights of another role than the service: views that it may read, and functions that it may call without
-- a search path of their own. What an extension brings says nothing of ours.
SELECT format('the view %s', c.relname) AS name
FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('v', 'm') AND has_table_privilege('aurra_app', c.oid, 'SELECT')
  AND NOT coalesce(c.reloptions @> '{security_invoker=true}', false)
  AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e')
UNION ALL
SELECT format('the function %s', f.proname)
FROM pg_proc f
WHERE f.pronamespace = 'public'::regnamespace AND f.prosecdef AND has_function_privilege('aurra_app', f.oid, 'EXECUTE')
  AND NOT EXISTS (SELECT 1 FROM unnest(f.proconfig) AS s(setting) WHERE s.setting LIKE 'search_path=%')
  AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = f.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e')
ORDER BY 1
