/** Every attempt is signed anew, and the key that signs is never sent. */
import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { signature } from "../dist/esm/signing.js";
import { KEY, PLAN, RETRACTED, type Received, ScriptedServer, answers, problem } from "./scripted-server.js";

const SECRET = "aurra_sign_canary";
const server = await ScriptedServer.started();
const client = server.client({ signingSecret: SECRET });

/** What the page says, with Node's own HMAC. */
function expected({ method, target, headers, text }: Received): string {
  const hash = createHash("sha256").update(text).digest("hex");
  const lines = [
    "v1",
    headers["x-aurra-key"],
    headers["x-aurra-timestamp"],
    headers["x-aurra-nonce"],
    method,
    target,
    hash,
  ];
  return `v1=${createHmac("sha256", SECRET).update(lines.join("\n")).digest("hex")}`;
}

test("the example of the page is signed as it says", async () => {
  const page = readFileSync(new URL("../../../aurra/signing.md", import.meta.url), "utf8");
  const example = JSON.parse(/```json\n(.*?)```/s.exec(page)?.[1] ?? "") as Record<string, string>;
  const { signing_secret, key_id, timestamp, nonce, method, target, body, signature: signed } = example;
  const headers = await signature(signing_secret!, `aurra_live_${key_id}x`, method!, target!, body!, timestamp, nonce);
  assert.deepEqual(headers, {
    "X-Aurra-Key": key_id,
    "X-Aurra-Timestamp": timestamp,
    "X-Aurra-Nonce": nonce,
    "X-Aurra-Signature": signed,
  });
});

test("a retry has a nonce of its own, and the Idempotency-Key of the first", async () => {
  const busy = problem(503, "unavailable");
  server.script(busy, busy, answers(RETRACTED));
  await client.memories.retract("m1", { reason: "typo ü" });
  for (const request of server.requests) {
    assert.equal(request.headers["authorization"], undefined);
    assert.ok(!JSON.stringify(request.headers).includes(KEY));
    assert.equal(request.headers["x-aurra-key"], "canary7f");
    assert.match(request.headers["x-aurra-nonce"] ?? "", /^[A-Za-z0-9_-]{16,64}$/);
    assert.equal(request.headers["x-aurra-signature"], expected(request));
  }
  const distinct = (name: string) => new Set(server.requests.map(({ headers }) => headers[name])).size;
  assert.deepEqual([distinct("x-aurra-nonce"), distinct("x-aurra-signature"), distinct("idempotency-key")], [3, 3, 1]);
});

test("what is signed is what is sent: path and query as they stand in the request line", async () => {
  server.script(problem(404, "not_found"), answers(PLAN));
  await assert.rejects(client.subjects.get("a/b ü'(", { as_of: "2026-01-01T00:00:00+01:00" }));
  await client.withOptions({ maxRetries: 0 }).plan.status();
  assert.match(server.requests[0]?.target ?? "", /%2F.*\?as_of=/);
  for (const request of server.requests) assert.equal(request.headers["x-aurra-signature"], expected(request));
});
