/** What is tried again, how often, after how long, and under which key. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import {
  APIConnectionError,
  APITimeoutError,
  AurraError,
  BadRequestError,
  ConflictError,
  RateLimitError,
  ServerError,
} from "aurra-sdk";

import { millisecondsBeforeRetry } from "../dist/esm/retrying.js";
import { PLAN, RETRACTED, ScriptedServer, answers, breaksOff, hangs, problem, resets } from "./scripted-server.js";

const BUSY = problem(503, "unavailable");
const server = await ScriptedServer.started();
const client = server.client();

function keys(): (string | undefined)[] {
  return server.requests.map(({ headers }) => headers["idempotency-key"]);
}

test("a write is repeated under the same key, and the next call has another", async () => {
  const inFlight = problem(409, "idempotency_in_flight", { "retry-after": "0" });
  server.script(BUSY, resets(), breaksOff(), inFlight, answers(RETRACTED), answers(RETRACTED));
  const patient = client.withOptions({ maxRetries: 4 });
  assert.equal((await patient.memories.retract("m1")).status, "retracted");
  await patient.memories.retract("m1");
  const [first, ...others] = keys();
  assert.match(first ?? "", /^[0-9a-f]{32}$/);
  assert.deepEqual(others.slice(0, 4), [first, first, first, first]);
  assert.notEqual(others[4], first);
});

test("the caller's own key is sent", async () => {
  server.script(BUSY, answers(RETRACTED));
  await client.memories.retract("m1", {}, { idempotencyKey: "order-7" });
  assert.deepEqual(keys(), ["order-7", "order-7"]);
});

const faults = {
  503: BUSY,
  500: problem(500, "internal"),
  408: problem(408, "too_slow"),
  429: problem(429, "rate_limited", { "retry-after": "0" }),
  reset: resets(),
  "a broken answer": breaksOff(),
};
for (const [name, fault] of Object.entries(faults)) {
  test(`a read is repeated after ${name}, and has no key`, async () => {
    server.script(fault, answers(PLAN));
    assert.equal((await client.plan.status()).writes_used, 49);
    assert.deepEqual(keys(), [undefined, undefined]);
  });
}

test("a POST that reads is repeated; after the last attempt the last error is thrown", async () => {
  await assert.rejects(client.memories.search("what"), (error) => error instanceof APIConnectionError && error.wasSent);
  assert.equal(server.requests.length, 3);
  server.script(resets(), BUSY, problem(500, "internal", {}, { request_id: "r-3" }), BUSY);
  await assert.rejects(client.plan.status(), { name: "ServerError", status: 500, requestId: "r-3" });
  await assert.rejects(client.plan.status({}, { maxRetries: 0 }), ServerError);
  assert.equal(server.requests.length, 7);
});

test("what takes no key and is no read is sent once", async () => {
  server.script(BUSY);
  await assert.rejects(client.keys.revoke("k"), ServerError);
  await assert.rejects(client.keys.update("k", { name: "x" }), APIConnectionError);
  assert.deepEqual(keys(), [undefined, undefined]);
});

test("what would fail again is not repeated", async () => {
  server.script(problem(400, "invalid_request"), problem(409, "already_ended"));
  await assert.rejects(client.memories.retract("m1"), BadRequestError);
  await assert.rejects(client.memories.retract("m1"), ConflictError);
  assert.equal(server.requests.length, 2);
});

test("no answer in time is a time-out, repeated like any lost connection", async () => {
  server.script(hangs(), hangs());
  await assert.rejects(client.plan.status({}, { timeout: 50, maxRetries: 1 }), APITimeoutError);
  assert.equal(server.requests.length, 2);
});

test("a body that does not end is a time-out too", async () => {
  server.script((_, response) => void response.writeHead(200).write("{"));
  await assert.rejects(client.plan.status({}, { timeout: 50, maxRetries: 0 }), APITimeoutError);
});

test("nobody there is a connection error that was not sent, and names the place, not the key", async () => {
  const gone = await ScriptedServer.started();
  await gone.stop();
  await assert.rejects(gone.client().keys.revoke("k"), (error) => {
    assert.ok(error instanceof APIConnectionError && !(error instanceof APITimeoutError));
    assert.equal(error.wasSent, false);
    assert.ok(error.message.includes(gone.url) && !error.message.includes("aurra_"), error.message);
    assert.match(error.message, /ECONNREFUSED/);
    return true;
  });
});

test("Retry-After is waited for, up to a minute", async () => {
  server.script(problem(429, "rate_limited", { "retry-after": "1" }), answers(PLAN));
  const started = performance.now();
  await client.plan.status();
  assert.ok(performance.now() - started >= 999);
  server.script(problem(429, "rate_limited", { "retry-after": "3600" }));
  await assert.rejects(client.plan.status(), (error) => error instanceof RateLimitError && error.retryAfter === 3600);
});

describe("the caller's own signal", () => {
  const reason = new Error("enough");

  test("ends an attempt, with its reason", async () => {
    const ending = new AbortController();
    server.script(() => ending.abort(reason));
    await assert.rejects(client.plan.status({}, { signal: ending.signal }), reason);
    assert.equal(server.requests.length, 1);
  });

  test("ends a wait between attempts", async () => {
    const ending = new AbortController();
    server.script((request, response) => {
      BUSY(request, response);
      response.on("close", () => setImmediate(() => ending.abort(reason)));
    });
    await assert.rejects(server.client({ backoff: 60_000 }).plan.status({}, { signal: ending.signal }), reason);
    assert.equal(server.requests.length, 1);
  });

  test("that has ended sends nothing", async () => {
    await assert.rejects(client.plan.status({}, { signal: AbortSignal.abort(reason) }), reason);
    assert.deepEqual(server.requests, []);
  });
});

describe("how long is waited", () => {
  const busy = new ServerError("x", { status: 500 });
  const wait = (error: AurraError, retries = 0, isRepeatable = true) =>
    millisecondsBeforeRetry(error, { maxRetries: 9, backoff: 500, isRepeatable }, retries);

  test("doubles up to eight seconds and is spread", () => {
    for (const [retries, longest] of [500, 1000, 2000, 4000, 8000, 8000].entries()) {
      const waits = Array.from({ length: 50 }, () => wait(busy, retries) ?? 0);
      assert.ok(longest / 2 <= Math.min(...waits) && Math.max(...waits) <= longest);
      assert.ok(new Set(waits).size > 1);
    }
    assert.equal(wait(busy, 9), undefined);
  });

  test("may be said by a date; what is neither is ignored", () => {
    const said = (text: string) => new AurraError("x", { status: 503, headers: new Headers({ "retry-after": text }) });
    const at = said(new Date(Date.now() + 30_000).toUTCString());
    assert.ok(28 < (at.retryAfter ?? 0) && (at.retryAfter ?? 0) <= 30);
    assert.ok(28_000 < (wait(at) ?? 0));
    for (const text of ["soon", "-5", "2", "0.5"]) {
      assert.equal(said(text).retryAfter, { 2: 2, 0.5: 0.5 }[text]);
    }
  });

  test("of what is not repeatable only where it cannot have begun", () => {
    assert.equal(wait(busy, 0, false), undefined);
    assert.equal(wait(new APIConnectionError("x"), 0, false), undefined);
    assert.notEqual(wait(new APIConnectionError("x", { wasSent: false }), 0, false), undefined);
    assert.notEqual(wait(new RateLimitError("x", { status: 429 }), 0, false), undefined);
    assert.equal(wait(new AurraError("no status")), undefined);
  });
});
