/** An operation of the service: from arguments to an HTTP request. */
import { randomHex } from "./bytes.js";
import type { Options, WriteOptions } from "./options.js";
import { VERSION } from "./version.js";

/** What the service's OpenAPI document says of one operation; `Answer` is the type of what it answers. */
export interface Operation<Answer> {
  readonly name: string;
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  readonly path: string;
  /** The required fields, those of the path first. */
  readonly positional: readonly string[];
  /** The fields that every answer has, whatever the service's version. */
  readonly answers: readonly (string & keyof Answer)[];
  /** Takes an Idempotency-Key; one is always sent. */
  readonly isIdempotent?: true;
  /** Sending it twice is the same as sending it once. */
  readonly isRepeatable?: true;
  readonly hasTenant?: true;
  /** Fields whose items have a tenant of their own. */
  readonly tenantInside?: readonly string[];
}

/** Whatever it answers. */
export type AnyOperation = Operation<never>;

/** Values by the names that they have on the wire. */
export type Fields = Record<string, unknown>;

/** A request, the same for every attempt but for its signature. */
export interface Prepared {
  readonly method: string;
  readonly url: URL;
  readonly headers: Headers;
  readonly body: string | null;
}

/** The request for these fields, without those that are undefined. Throws TypeError for an id that is none. */
export function prepare(operation: AnyOperation, fields: Fields, options: Options, call: WriteOptions = {}): Prepared {
  const given = withTenant(operation, fields, options.tenantId);
  const path = operation.path.replace(/{(\w+)}/g, (_, name: string) => {
    const segment = segmentOf(operation, name, given[name]);
    delete given[name];
    return segment;
  });
  const url = new URL(options.baseUrl + path);
  const isInQuery = operation.method === "GET" || operation.method === "DELETE";
  if (isInQuery) {
    for (const [name, value] of Object.entries(given)) {
      for (const text of textsOf(value)) url.searchParams.append(name, text);
    }
  }
  const headers = new Headers({ Accept: "application/json" });
  // A browser has a name of its own, and asks the server before it sends another.
  if (!isBrowser()) headers.set("User-Agent", `aurra-sdk-js/${VERSION}`);
  if (options.signingSecret === null) headers.set("Authorization", `Bearer ${options.apiKey}`);
  if (operation.isIdempotent) headers.set("Idempotency-Key", call.idempotencyKey ?? randomHex(16));
  if (!isInQuery) headers.set("Content-Type", "application/json");
  for (const [name, value] of Object.entries(call.headers ?? {})) headers.set(name, value);
  return { method: operation.method, url, headers, body: isInQuery ? null : JSON.stringify(given) };
}

/** A copy of the fields that names the client's tenant wherever a tenant can be named and is not. */
function withTenant(operation: AnyOperation, fields: Fields, tenantId: string | null): Fields {
  const given = { ...fields };
  if (tenantId === null) return given;
  if (operation.hasTenant && given["tenant_id"] === undefined) given["tenant_id"] = tenantId;
  for (const name of operation.tenantInside ?? []) {
    const value = given[name];
    if (Array.isArray(value)) given[name] = value.map((item: Fields) => withTenantItself(item, tenantId));
    else if (value != null) given[name] = withTenantItself(value as Fields, tenantId);
  }
  return given;
}

function withTenantItself(item: Fields, tenantId: string): Fields {
  return item?.["tenant_id"] === undefined ? { ...item, tenant_id: tenantId } : item;
}

function segmentOf(operation: AnyOperation, name: string, value: unknown): string {
  const text = value == null ? "" : textsOf(value).join();
  // These would be another path.
  if (text === "" || text === "." || text === "..") {
    throw new TypeError(`${operation.name}: \`${name}\` is ${value === undefined ? "not given" : "no id"}.`);
  }
  return encodeURIComponent(text);
}

/** A value as the query string says it: nothing for null, several for a list. */
function textsOf(value: unknown): string[] {
  if (value == null) return [];
  if (Array.isArray(value)) return value.flatMap(textsOf);
  return [value instanceof Date ? value.toISOString() : String(value)];
}

function isBrowser(): boolean {
  return globalThis.navigator?.userAgent?.startsWith("Mozilla/") ?? false;
}
