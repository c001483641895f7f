/** Whether a failed call is tried again, and after how long. Pure but for the dice. */
import { APIConnectionError, type AurraError } from "./errors.js";

const LONGEST_BACKOFF = 8_000;
const LONGEST_RETRY_AFTER = 60;

/** What decides, of one call. */
export interface Patience {
  readonly maxRetries: number;
  /** Milliseconds. */
  readonly backoff: number;
  readonly isRepeatable: boolean;
}

/**
 * How many milliseconds to wait before trying again after `retries` retries, or undefined to give up.
 *
 * `Retry-After` is honoured up to a minute; a server that asks for longer is not asked again. Without it, waits double
 * from `backoff` up to 8 s. All are spread, so that clients that failed together do not return together.
 */
export function millisecondsBeforeRetry(error: AurraError, patience: Patience, retries: number): number | undefined {
  const { maxRetries, backoff, isRepeatable } = patience;
  if (retries >= maxRetries || !isWorthRepeating(error, isRepeatable)) return undefined;
  const spread = Math.random();
  if (error.retryAfter !== undefined) {
    return error.retryAfter <= LONGEST_RETRY_AFTER ? error.retryAfter * 1000 + (backoff * spread) / 2 : undefined;
  }
  return (Math.min(LONGEST_BACKOFF, backoff * 2 ** retries) * (1 + spread)) / 2;
}

/** What is not repeatable is tried again only where the server cannot have begun with it. */
function isWorthRepeating(error: AurraError, isRepeatable: boolean): boolean {
  if (error instanceof APIConnectionError) return isRepeatable || !error.wasSent;
  if (error.status === undefined) return false;
  if (error.status === 429) return true;
  if (error.status === 409) return error.code === "idempotency_in_flight";
  return isRepeatable && (error.status === 408 || error.status >= 500);
}
