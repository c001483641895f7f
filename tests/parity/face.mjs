/**
 * Asks a service by the JavaScript SDK, as whoever writes lines of JSON on stdin says: `{op, fields, apiKey,
 * idempotencyKey}`. Each is answered by a line, in order: `{status, body}`, or `{failed}` where no answer came.
 */
import { createInterface } from "node:readline";

import { Aurra, AurraError } from "../../sdk/js/dist/esm/index.js";

const [baseUrl] = process.argv.slice(2);

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await told(JSON.parse(line)))}\n`);
}

async function told({ op, fields, apiKey, idempotencyKey }) {
  const [noun, verb] = op.split(".").map((name) => name.replaceAll(/_(.)/g, (_, letter) => letter.toUpperCase()));
  // The SDK has no client without a key: one that sends none.
  const fetch =
    apiKey === null ? (url, init) => (init.headers.delete("authorization"), globalThis.fetch(url, init)) : undefined;
  const client = new Aurra({
    apiKey: apiKey ?? "none",
    baseUrl,
    fetch,
    maxRetries: 0,
    tenantId: null,
    signingSecret: null,
  });
  try {
    const { data, response } = await client[noun][verb](fields, {
      idempotencyKey: idempotencyKey ?? undefined,
    }).withResponse();
    return { status: response.status, body: data };
  } catch (error) {
    if (error instanceof AurraError && error.status !== undefined) return { status: error.status, body: error.body };
    return { failed: `${error.name}: ${error.message}` };
  }
}
