/** What a client is told once: from its constructor, else from the environment. */
import { AurraError } from "./errors.js";
import { keyIdOf } from "./signing.js";

export const DEFAULT_BASE_URL = "http://127.0.0.1:8000";
const LONGEST_TIMER = 2 ** 31 - 1;

/** What `new Aurra()` takes. What is absent comes from the environment, where there is one. */
export interface ClientOptions {
  /** The key, `aurra_…`; else AURRA_API_KEY. */
  apiKey?: string | undefined;
  /** Where the service is; else AURRA_BASE_URL, else http://127.0.0.1:8000. */
  baseUrl?: string | undefined;
  /**
   * Sent with every call that has a `tenant_id` and is not given one; else AURRA_TENANT_ID. Null is the default one.
   */
  tenantId?: string | null | undefined;
  /**
   * Of a key whose requests are signed, `aurra_sign_…`; else AURRA_SIGNING_SECRET. Then each request is signed, and the
   * key itself is not sent. Null is none.
   */
  signingSecret?: string | null | undefined;
  /** Milliseconds that an attempt may take, its answer read; 60,000 if absent, null is no end. */
  timeout?: number | null | undefined;
  /**
   * How often a failed call is tried again; 2 if absent. Only calls are repeated that are safe to repeat: reads, and
   * writes under their Idempotency-Key.
   */
  maxRetries?: number | undefined;
  /** Milliseconds of the first wait between attempts, 500 if absent; it doubles up to 8 s; `Retry-After` goes first. */
  backoff?: number | undefined;
  /** Used instead of the runtime's own, for proxies or tests. */
  fetch?: typeof fetch | undefined;
}

/** What one call may be told, as its last argument. */
export interface CallOptions {
  /** Ends the call, its waits between attempts included; it then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** As in the constructor, for this call. */
  timeout?: number | null | undefined;
  /** As in the constructor, for this call. */
  maxRetries?: number | undefined;
  /** Sent as well; they replace the client's own. */
  headers?: Record<string, string> | undefined;
}

/** What one call of a write may be told. */
export interface WriteOptions extends CallOptions {
  /** Sent as Idempotency-Key instead of one made for this call; a second call with it answers as the first did. */
  idempotencyKey?: string | undefined;
}

/** The settings of one client, each decided. */
export interface Options {
  readonly apiKey: string;
  readonly baseUrl: string;
  readonly tenantId: string | null;
  readonly signingSecret: string | null;
  readonly timeout: number | null;
  readonly maxRetries: number;
  readonly backoff: number;
  readonly fetch: typeof fetch;
}

/** The options; an empty variable counts as not given. Throws AurraError for what cannot be used. */
export function readOptions(given: ClientOptions): Options {
  const apiKey = (given.apiKey || variable("AURRA_API_KEY")).trim();
  if (!apiKey) throw new AurraError("There is no API key: give `apiKey`, or set AURRA_API_KEY.");
  if (!/^[\x20-\x7e]+$/.test(apiKey)) {
    throw new AurraError("The API key has characters that no key has; was it copied whole?");
  }
  const signingSecret = orVariable(given.signingSecret, "AURRA_SIGNING_SECRET")?.trim() || null;
  if (signingSecret !== null) keyIdOf(apiKey);
  const baseUrl = (given.baseUrl || variable("AURRA_BASE_URL") || DEFAULT_BASE_URL).replace(/\/+$/, "");
  if (!isWeb(baseUrl)) {
    throw new AurraError(
      "The base URL begins with http:// or https://, names a host, and has no password and no query.",
    );
  }
  return {
    apiKey,
    baseUrl,
    signingSecret,
    tenantId: orVariable(given.tenantId, "AURRA_TENANT_ID"),
    timeout: timeoutOf(given.timeout, 60_000),
    maxRetries: retriesOf(given.maxRetries, 2),
    backoff: given.backoff ?? 500,
    // Called without a `this`, which a browser's own would refuse.
    fetch: given.fetch ?? ((input, init) => fetch(input, init)),
  };
}

/** The milliseconds, or `otherwise` where none are given. Throws AurraError for what is none. */
export function timeoutOf(given: number | null | undefined, otherwise: number | null): number | null {
  if (given === undefined) return otherwise;
  if (given !== null && !(given > 0 && given <= LONGEST_TIMER)) {
    throw new AurraError(`\`timeout\` is milliseconds, more than 0 and at most ${LONGEST_TIMER}, or null for no end.`);
  }
  return given;
}

/** The number, or `otherwise` where none is given. Throws AurraError for what is none. */
export function retriesOf(given: number | undefined, otherwise: number): number {
  if (given === undefined) return otherwise;
  if (!(Number.isInteger(given) && given >= 0)) throw new AurraError("`maxRetries` is a whole number, 0 or more.");
  return given;
}

function orVariable(given: string | null | undefined, name: string): string | null {
  return given === undefined ? variable(name) || null : given;
}

/** The variable's value; empty where there is none, or no environment. */
function variable(name: string): string {
  try {
    const { process } = globalThis as { process?: { env?: Record<string, string | undefined> } };
    return process?.env?.[name] ?? "";
  } catch {
    // Deno asks for a permission.
    return "";
  }
}

function isWeb(text: string): boolean {
  try {
    const url = new URL(text);
    const isPlain = !(url.username || url.password || url.search || url.hash);
    return /^https?:$/.test(url.protocol) && /^https?:\/\/[^/]/i.test(text) && url.hostname !== "" && isPlain;
  } catch {
    return false;
  }
}
