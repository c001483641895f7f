/** What comes to a webhook is taken only if it was signed with the secret, lately, as it is. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";

import { Aurra, WebhookVerificationError, webhooks } from "aurra-sdk";

const SECRET = `whsec_${Buffer.from("a secret of twenty-four bytes").toString("base64")}`;
const EVENT = { type: "memory.added", data: { text: "Füße" } };
const PAYLOAD = JSON.stringify(EVENT);

function signed(secret: string, id: string, timestamp: number | string, payload = PAYLOAD): string {
  const key = Buffer.from(secret.replace("whsec_", ""), "base64");
  return `v1,${createHmac("sha256", key).update(`${id}.${timestamp}.${payload}`).digest("base64")}`;
}

function headersAt(off: number, given: Record<string, string> = {}): Record<string, string> {
  const timestamp = String(Math.floor(Date.now() / 1000) + off);
  return {
    "webhook-id": "msg_1",
    "webhook-timestamp": timestamp,
    "webhook-signature": signed(SECRET, "msg_1", timestamp),
    ...given,
  };
}

test("an event is unwrapped, whatever its headers and payload come as", async () => {
  const headers = headersAt(0);
  const capital = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toUpperCase(), [value]]));
  const bytes = new TextEncoder().encode(PAYLOAD);
  for (const given of [headers, capital, new Headers(headers)]) {
    for (const payload of [PAYLOAD, bytes, bytes.buffer, Buffer.from(PAYLOAD)]) {
      assert.deepEqual(await webhooks.unwrap(payload, given, SECRET), EVENT);
    }
  }
  const client = new Aurra({ apiKey: "aurra_x" });
  assert.equal((await client.webhooks.unwrap(PAYLOAD, headers, SECRET)).type, "memory.added");
});

test("one of several signatures is enough, and five minutes either way", async () => {
  const other = signed("whsec_AAAA", "msg_1", 1);
  for (const off of [-295, 295]) {
    const headers = headersAt(off);
    const signatures = `v1a,x v1 v1,%% ${other} ${headers["webhook-signature"]} ${other}`;
    await webhooks.unwrap(PAYLOAD, { ...headers, "webhook-signature": signatures }, SECRET);
  }
});

const now = Math.floor(Date.now() / 1000);
const refused: Record<string, [string, Record<string, string | undefined>, string?]> = {
  "a changed payload": [PAYLOAD.replace("F", "f"), headersAt(0)],
  "another id": [PAYLOAD, headersAt(0, { "webhook-id": "msg_2" })],
  "another secret": [PAYLOAD, headersAt(0), "whsec_AAAA"],
  "no secret": [PAYLOAD, headersAt(0), ""],
  "no base64": [PAYLOAD, headersAt(0), "whsec_%"],
  "an old one": [PAYLOAD, headersAt(-310)],
  "one of the future": [PAYLOAD, headersAt(310)],
  "no number": [
    PAYLOAD,
    headersAt(0, { "webhook-timestamp": `${now}x`, "webhook-signature": signed(SECRET, "msg_1", `${now}x`) }),
  ],
  "another version": [PAYLOAD, headersAt(0, { "webhook-signature": signed(SECRET, "msg_1", now).replace("v1", "v2") })],
  "no signature": [PAYLOAD, { ...headersAt(0), "webhook-signature": undefined }],
  "no JSON object": [
    "[]",
    headersAt(0, { "webhook-timestamp": `${now}`, "webhook-signature": signed(SECRET, "msg_1", now, "[]") }),
  ],
};
for (const [name, [payload, headers, secret = SECRET]] of Object.entries(refused)) {
  test(`${name} is refused, without showing payload or secret`, async () => {
    await assert.rejects(webhooks.unwrap(payload, headers, secret), (error) => {
      assert.ok(error instanceof WebhookVerificationError);
      assert.ok(!error.message.includes("memory.added") && !error.message.includes(SECRET));
      return true;
    });
  });
}
