/** Signs requests, as the service's aurra/signing.md says. */
import { bytesOf, hex, hmacKey, randomHex } from "./bytes.js";
import { AurraError } from "./errors.js";

/** The id inside a key. Throws AurraError for what is no key of the service. */
export function keyIdOf(apiKey: string): string {
  const id = /^aurra_(?:live|test)_([0-9A-Za-z]{8})\w*$/.exec(apiKey)?.[1];
  if (id === undefined)
    throw new AurraError("The API key has no id, which a signed request names; was it copied whole?");
  return id;
}

/** The headers of one attempt, its timestamp and nonce its own; `target` is path and query as they are sent. */
export async function signature(
  secret: string,
  apiKey: string,
  method: string,
  target: string,
  body: string,
  timestamp = String(Math.floor(Date.now() / 1000)),
  nonce = randomHex(16),
): Promise<Record<string, string>> {
  const keyId = keyIdOf(apiKey);
  const digest = hex(await crypto.subtle.digest("SHA-256", bytesOf(body)));
  const signed = ["v1", keyId, timestamp, nonce, method, target, digest].join("\n");
  const mac = await crypto.subtle.sign("HMAC", await hmacKey(bytesOf(secret), "sign"), bytesOf(signed));
  return {
    "X-Aurra-Key": keyId,
    "X-Aurra-Timestamp": timestamp,
    "X-Aurra-Nonce": nonce,
    "X-Aurra-Signature": `v1=${hex(mac)}`,
  };
}
