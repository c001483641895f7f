-- Plans, and what each account's was at any time. The table `plan` has no account; `plan_change` has.

-- name: lock_plans
-- One command at a time changes plans or moves accounts, so that the history is what is in force.
LOCK TABLE plan IN SHARE ROW EXCLUSIVE MODE

-- name: list_plans -> PlanRow
-- The plans there are, smallest first, each with how many accounts are on it.
SELECT p.plan, p.writes_limit, p.key_requests_per_minute, p.account_requests_per_minute,
       (SELECT count(*) FROM account a WHERE a.plan = p.plan) AS accounts
FROM plan p ORDER BY p.writes_limit, p.plan

-- name: put_plan
-- A plan, new or as it shall be from now on.
INSERT INTO plan (plan, writes_limit, key_requests_per_minute, account_requests_per_minute)
VALUES (:plan, :writes_limit, :key_requests_per_minute, :account_requests_per_minute)
ON CONFLICT (plan) DO UPDATE
SET writes_limit = excluded.writes_limit, key_requests_per_minute = excluded.key_requests_per_minute,
    account_requests_per_minute = excluded.account_requests_per_minute

-- name: remove_plan
-- The foreign key of the accounts refuses a plan that one is on.
DELETE FROM plan WHERE plan = :plan

-- name: accounts_on -> AccountId
-- Who is on a plan, in one order, so that two who lock them never wait for one another.
SELECT company_id AS id FROM account WHERE plan = :plan ORDER BY company_id

-- name: change_plan
-- Takes effect with the next transaction.
UPDATE account SET plan = :plan WHERE company_id = :company_id

-- name: start_grace
-- When grace began under the plan there is now; null where its limit is not reached.
UPDATE ledger SET grace_from = :grace_from WHERE company_id = :company_id

-- name: remember
-- The plan in force, from now on; nothing where the newest row says the same.
INSERT INTO plan_change (company_id, id, at, tx, cause, plan, writes_limit, key_requests_per_minute, account_requests_per_minute)
SELECT a.company_id, coalesce(last.id, 0) + 1, greatest(:at::timestamptz, last.at + interval '1 microsecond'), :tx, :cause,
       p.plan, p.writes_limit, p.key_requests_per_minute, p.account_requests_per_minute
FROM account a JOIN plan p ON p.plan = a.plan
LEFT JOIN LATERAL (
  SELECT c.id, c.at, c.plan, c.writes_limit, c.key_requests_per_minute, c.account_requests_per_minute
  FROM plan_change c WHERE c.company_id = a.company_id ORDER BY c.id DESC LIMIT 1) AS last ON true
WHERE a.company_id = :company_id
  AND (last.plan, last.writes_limit, last.key_requests_per_minute, last.account_requests_per_minute)
      IS DISTINCT FROM (p.plan, p.writes_limit, p.key_requests_per_minute, p.account_requests_per_minute)

-- name: is_remembered -> Fact
-- Whether the newest row of the history is the plan in force.
SELECT EXISTS (
  SELECT 1 FROM account a JOIN plan p ON p.plan = a.plan
  JOIN LATERAL (
    SELECT c.plan, c.writes_limit, c.key_requests_per_minute, c.account_requests_per_minute
    FROM plan_change c WHERE c.company_id = a.company_id ORDER BY c.id DESC LIMIT 1) AS last ON true
  WHERE a.company_id = :company_id
    AND (last.plan, last.writes_limit, last.key_requests_per_minute, last.account_requests_per_minute)
        IS NOT DISTINCT FROM (p.plan, p.writes_limit, p.key_requests_per_minute, p.account_requests_per_minute)) AS holds

-- name: history -> PlanChange
-- What the plan was, newest first, from before a row on.
SELECT c.id, c.at, c.tx, c.cause, c.plan, c.writes_limit, c.key_requests_per_minute, c.account_requests_per_minute
FROM plan_change c WHERE c.company_id = :company_id AND (:before::bigint IS NULL OR c.id < :before)
ORDER BY c.id DESC LIMIT :limit

-- name: stretches -> StretchRow
-- Each plan that was in force up to an instant and a transaction, and how the meter of the month that began at `start` stood
-- to it: writes used when it took effect, and when its limit was reached under it.
WITH
month AS MATERIALIZED (
  SELECT t.id, t.at, sum(t.writes) OVER (ORDER BY t.id) AS used FROM transaction t
  WHERE t.company_id = :company_id AND t.at >= :start AND t.id <= :number),
change AS (
  SELECT c.id, c.at, c.tx, c.plan, c.writes_limit, coalesce(lead(c.tx) OVER (ORDER BY c.id), :number) AS last_tx
  FROM plan_change c WHERE c.company_id = :company_id AND c.at <= :at AND c.tx <= :number)
SELECT c.at AS since, c.plan, c.writes_limit,
       coalesce((SELECT max(m.used) FROM month m WHERE m.id <= c.tx), 0)::bigint AS used_before,
       (SELECT min(m.at) FROM month m WHERE m.id > c.tx AND m.id <= c.last_tx AND m.used >= c.writes_limit) AS reached_at
FROM change c ORDER BY c.id

-- name: used -> Used
-- Writes of the month that began at `start`, up to a transaction.
SELECT coalesce(sum(t.writes), 0)::bigint AS writes FROM transaction t
WHERE t.company_id = :company_id AND t.at >= :start AND t.id <= :number
