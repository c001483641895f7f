-- Backups: every table of ours, as its rows are copied out and in. Statements whose tables only the catalogue knows are
-- made here as text.

-- name: tables -> TableFacts
-- Every table of ours but the register of migrations: its columns, whether it has an account, what it refers to. What is
-- unlogged no crash outlives and no standby can read, so no backup holds it; nor what hosts were granted, or a restore would
-- bring back what was ended since: they ask again.
SELECT c.relname::text AS name,
       ARRAY(SELECT a.attname::text FROM pg_attribute a
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
              ORDER BY a.attnum) AS columns,
       EXISTS (SELECT 1 FROM pg_attribute a
                WHERE a.attrelid = c.oid AND a.attname = 'company_id' AND NOT a.attisdropped) AS has_account,
       c.relforcerowsecurity AS is_forced,
       c.relpersistence = 'p' AND c.relname NOT IN ('oauth_grant', 'oauth_token') AS is_kept,
       ARRAY(SELECT DISTINCT f.confrelid::regclass::text FROM pg_constraint f
              WHERE f.conrelid = c.oid AND f.contype = 'f' AND f.confrelid <> c.oid) AS refers_to
FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND c.relowner = 'aurra_owner'::regrole AND c.relname <> 'migration'
ORDER BY c.relname

-- name: reading -> Statement
-- What reads the rows of a table, of one account where it has one.
SELECT format('SELECT %s FROM public.%I', (SELECT string_agg(format('%I', n), ', ') FROM unnest(:columns::text[]) AS n),
              :name::text)
       || CASE WHEN :account::uuid IS NULL THEN '' ELSE format(' WHERE company_id = %L', :account::uuid) END AS text

-- name: emptying -> Statement
-- What empties all of these tables.
SELECT 'TRUNCATE ' || string_agg(format('public.%I', n), ', ') AS text FROM unnest(:names::text[]) AS n

-- name: forcing -> Statement
-- What binds a table's owner by its policies, or not.
SELECT format('ALTER TABLE public.%I %s ROW LEVEL SECURITY', :name::text,
              CASE WHEN :is_forced::boolean THEN 'FORCE' ELSE 'NO FORCE' END) AS text

-- name: refilling -> Statement
-- What puts rows, given as JSON, into columns of a table.
SELECT format('INSERT INTO public.%1$I (%2$s) SELECT %2$s FROM json_populate_recordset(NULL::public.%1$I, $1::json)',
              :name::text, (SELECT string_agg(format('%I', n), ', ') FROM unnest(:columns::text[]) AS n)) AS text

-- name: applied -> Applied
-- The migrations that made the tables.
SELECT name, checksum FROM migration ORDER BY name

-- name: made_at -> Made
-- When this snapshot was taken, by the database's clock.
SELECT transaction_timestamp() AS at

-- name: others_serving -> Counted
-- Connections of a service to this database.
SELECT count(*) AS rows FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'aurra' AND pid <> pg_backend_pid()

-- name: drop_all
-- Nothing that is ours is left: tables, functions, what was granted.
DROP OWNED BY aurra_owner, aurra_eraser
