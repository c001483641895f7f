-- Finishing an erasure: what PostgreSQL still keeps of rows that were deleted, in pages, statistics and the write-ahead log.

-- name: mark -> Mark
-- Whoever holds a snapshot older than this may still see what was deleted before.
SELECT pg_current_xact_id()::xid::text AS xid

-- name: older -> Counted
-- Transactions that began before the mark and are still open.
SELECT count(*) AS rows FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
  AND age(coalesce(backend_xmin, backend_xid)) > age(:mark::text::xid)

-- name: rewriting -> Statement
-- Writes a table and its indexes anew, and the statistics of it.
SELECT format('VACUUM (FULL, ANALYZE) %I.%I', :schema::text, :name::text) AS text

-- name: rights -> Rights
-- What the login may do to the whole database, and to the server.
SELECT current_setting('server_version_num')::integer AS version, r.rolsuper AS is_superuser,
       r.rolsuper OR pg_has_role(r.oid, d.datdba, 'USAGE') AS owns_database,
       r.rolsuper OR pg_has_role(r.oid, 'pg_checkpoint', 'USAGE') AS may_checkpoint,
       has_function_privilege('pg_switch_wal()', 'EXECUTE') AS may_switch
FROM pg_roles r JOIN pg_database d ON d.datname = current_database() WHERE r.rolname = current_user

-- name: clear_statistics -> Done
-- Of these tables the planner knows nothing: ANALYZE keeps what it knew of one that is empty now. From PostgreSQL 18 on.
SELECT pg_clear_attribute_stats('public', c.relname::text, a.attname::text, false) IS NULL AS is_done
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY(:names::text[])

-- name: delete_statistics
-- The same on older servers, where only a superuser can.
DELETE FROM pg_statistic WHERE starelid IN (
  SELECT c.oid FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY(:names::text[]))

-- name: checkpoint
-- All pages are on disk, and what the write-ahead log holds before is not needed any more.
CHECKPOINT

-- name: switch -> Place
-- The log goes on in another segment.
SELECT pg_switch_wal()::text AS place

-- name: step -> Place
-- Something is in the segment, so that it can be left.
SELECT pg_logical_emit_message(false, 'aurra', '')::text AS place

-- name: segments -> Segment
-- Files of the write-ahead log: past, present, and kept for the future with what they held before.
SELECT name FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$' ORDER BY name

-- name: stop_recycling
-- Segments that are not needed are removed, not kept for the future.
ALTER SYSTEM SET wal_recycle = off

-- name: recycle_again
-- As before.
ALTER SYSTEM RESET wal_recycle

-- name: reload -> Done
-- The server reads its settings again.
SELECT pg_reload_conf() AS is_done
