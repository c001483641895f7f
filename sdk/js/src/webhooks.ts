/** What comes to a webhook, as Standard Webhooks says. */
import { bytesOf, fromBase64, hmacKey } from "./bytes.js";
import { WebhookVerificationError, objectIn } from "./errors.js";
import { Resource } from "./resource.js";

const TOLERANCE_SECONDS = 300;
const PREFIX = "whsec_";

/** What every event has. */
export interface WebhookEvent {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** The headers of a request, as `fetch` has them or as Node.js has them. */
export type WebhookHeaders = Headers | Record<string, string | string[] | undefined>;

/** What receives events needs no key: it may be used without a client. */
export interface Webhooks {
  /**
   * The event, once its signature is verified.
   *
   *     const event = await webhooks.unwrap(await request.text(), request.headers, process.env.WEBHOOK_SECRET);
   *
   * @param payload The body as it came, not decoded: whatever is changed in it is refused.
   * @param headers With `webhook-id`, `webhook-timestamp` and `webhook-signature`.
   * @param secret The webhook's, `whsec_…`.
   * @throws WebhookVerificationError where a header is missing, where it was not signed with the secret, where it was
   *   signed more than five minutes ago or ahead, or where it is no JSON object.
   */
  unwrap<Event = WebhookEvent>(
    payload: string | Uint8Array | ArrayBuffer,
    headers: WebhookHeaders,
    secret: string,
  ): Promise<Event>;
}

/** Receives events. */
export const webhooks: Webhooks = {
  async unwrap<Event>(
    payload: string | Uint8Array | ArrayBuffer,
    headers: WebhookHeaders,
    secret: string,
  ): Promise<Event> {
    const [id, timestamp, signatures] = ["id", "timestamp", "signature"].map((name) =>
      header(headers, `webhook-${name}`),
    );
    if (!id || !timestamp || !signatures) {
      throw new WebhookVerificationError("A header is missing: webhook-id, webhook-timestamp or webhook-signature.");
    }
    const off = Math.abs(Date.now() / 1000 - (/^\d{1,12}$/.test(timestamp) ? Number(timestamp) : NaN));
    if (!(off <= TOLERANCE_SECONDS)) {
      throw new WebhookVerificationError(
        "It was not signed within five minutes of now: an old message, or a wrong clock.",
      );
    }
    const body = typeof payload === "string" ? bytesOf(payload) : new Uint8Array(payload);
    const head = bytesOf(`${id}.${timestamp}.`);
    const signed = new Uint8Array(head.length + body.length);
    signed.set(head);
    signed.set(body, head.length);
    if (!(await isSigned(signed, signatures, secret))) {
      throw new WebhookVerificationError("It was not signed with this secret, or was changed on the way.");
    }
    const event = objectIn(new TextDecoder().decode(body));
    if (event === undefined) throw new WebhookVerificationError("It is signed, and is no JSON object.");
    return event as Event;
  },
};

/** The operations on webhooks, and what receives their events. */
export class ReceivesWebhooks extends Resource implements Webhooks {
  /** See {@link Webhooks.unwrap}; needs neither the client's key nor a request. */
  unwrap<Event = WebhookEvent>(
    payload: string | Uint8Array | ArrayBuffer,
    headers: WebhookHeaders,
    secret: string,
  ): Promise<Event> {
    return webhooks.unwrap<Event>(payload, headers, secret);
  }
}

/** Whether one of the signatures is the secret's. WebCrypto compares in constant time. */
async function isSigned(signed: Uint8Array<ArrayBuffer>, signatures: string, secret: string): Promise<boolean> {
  const key = await hmacKey(secretBytes(secret), "verify");
  let is = false;
  for (const one of signatures.split(" ")) {
    const [version, text] = one.split(",", 2);
    if (version !== "v1" || text === undefined) continue;
    try {
      is = (await crypto.subtle.verify("HMAC", key, fromBase64(text), signed)) || is;
    } catch {
      // No base64: no signature.
    }
  }
  return is;
}

function secretBytes(secret: string): Uint8Array<ArrayBuffer> {
  try {
    const bytes = fromBase64(secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : secret);
    if (bytes.length > 0) return bytes;
  } catch {
    // Told below.
  }
  throw new WebhookVerificationError("The secret is no webhook's: it is whsec_ and base64.");
}

function header(headers: WebhookHeaders, name: string): string | undefined {
  if (typeof (headers as Headers).get === "function") return (headers as Headers).get(name) ?? undefined;
  const found = Object.entries(headers as Record<string, string | string[] | undefined>).find(
    ([given]) => given.toLowerCase() === name,
  )?.[1];
  return Array.isArray(found) ? found.join(" ") : found;
}
