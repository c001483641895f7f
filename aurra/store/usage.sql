-- What an account used: sums over its transactions, and counts of what it holds. There is no second meter.

-- name: by_day -> DayRow
-- Writes and transactions of each day (UTC), oldest first.
SELECT (t.at AT TIME ZONE 'UTC')::date AS day, sum(t.writes)::bigint AS writes, count(*) AS transactions
FROM transaction t
WHERE t.company_id = :company_id AND t.at >= :start AND t.at < :until AND t.id <= :number
GROUP BY 1 ORDER BY 1

-- name: by_verb -> VerbRow
-- Of each verb.
SELECT t.verb, sum(t.writes)::bigint AS writes, count(*) AS transactions
FROM transaction t
WHERE t.company_id = :company_id AND t.at >= :start AND t.at < :until AND t.id <= :number
GROUP BY t.verb ORDER BY t.verb

-- name: details -> DetailRow
-- Of each day, verb and actor: the newest day first; after a row of the page before.
SELECT (t.at AT TIME ZONE 'UTC')::date AS day, t.verb, t.actor, sum(t.writes)::bigint AS writes, count(*) AS transactions
FROM transaction t
WHERE t.company_id = :company_id AND t.at >= :start AND t.at < :until AND t.id <= :number
  AND (:day::date IS NULL OR (t.at AT TIME ZONE 'UTC')::date < :day
       OR ((t.at AT TIME ZONE 'UTC')::date = :day AND (t.verb, t.actor) > (:verb, :actor)))
GROUP BY 1, t.verb, t.actor ORDER BY 1 DESC, t.verb, t.actor LIMIT :limit

-- name: by_key -> KeyUsedRow
-- Of each key, those that wrote nothing too, and of whoever else wrote; in the order of the actors, after one of them.
SELECT coalesce(k.actor, did.actor) AS actor, k.key_id, coalesce(k.name, '') AS name, coalesce(did.writes, 0)::bigint AS writes,
       coalesce(did.transactions, 0) AS transactions, did.last_write_at, k.last_used_at,
       k.revoked_at IS NOT NULL AS is_revoked
FROM (
  SELECT 'key ' || a.key_id AS actor, a.key_id, a.name, a.last_used_at, a.revoked_at
  FROM api_key a WHERE a.company_id = :company_id) AS k
FULL JOIN (
  SELECT t.actor, sum(t.writes) AS writes, count(*) AS transactions, max(t.at) AS last_write_at
  FROM transaction t
  WHERE t.company_id = :company_id AND t.at >= :start AND t.at < :until AND t.id <= :number
  GROUP BY t.actor) AS did ON did.actor = k.actor
WHERE :after::text IS NULL OR coalesce(k.actor, did.actor) > :after
ORDER BY 1 LIMIT :limit

-- name: held -> HeldRow
-- What there is of each kind.
SELECT (SELECT count(*) FROM memory WHERE company_id = :company_id) AS memories,
       (SELECT count(DISTINCT v.memory_id) FROM version v WHERE v.company_id = :company_id AND v.tx_to IS NULL) AS believed,
       (SELECT count(*) FROM version WHERE company_id = :company_id) AS versions,
       (SELECT count(*) FROM conversation WHERE company_id = :company_id) AS conversations,
       (SELECT count(*) FROM source WHERE company_id = :company_id) AS turns,
       (SELECT count(*) FROM receipt WHERE company_id = :company_id) AS receipts,
       (SELECT count(*) FROM review r WHERE r.company_id = :company_id AND r.state = 'open') AS open_reviews
