/** What the client puts on the wire, and what it makes of what comes back. */
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { inspect } from "node:util";

import * as sdk from "aurra-sdk";

import * as operations from "../dist/esm/operations.js";
import { KEY, PLAN, RETRACTED, ScriptedServer, answers, problem, sends } from "./scripted-server.js";

const { Aurra, AurraError } = sdk;
const server = await ScriptedServer.started();
const client = server.client({ maxRetries: 0 });
const failure = (call: Promise<unknown>) =>
  call.then(
    () => assert.fail(),
    (error: sdk.AurraError) => error,
  );
const PAGE = {
  warnings: [],
  memories: [],
  has_more: false,
  next_cursor: null,
  transaction: { id: 0, at: "" },
  as_of: null,
};

test("a read says who asks: the key as a bearer, the version; no body, so no content type", async () => {
  server.script(answers(PLAN));
  await client.plan.status();
  const [request] = server.requests;
  assert.deepEqual([request?.method, request?.target, request?.text], ["GET", "/plan/status", ""]);
  assert.equal(request?.headers["authorization"], `Bearer ${KEY}`);
  assert.equal(request?.headers["user-agent"], `aurra-sdk-js/${sdk.VERSION}`);
  assert.equal(request?.headers["content-type"], undefined);
});

test("only what is given is sent: null is null in a body, and nothing in a query string", async () => {
  const under = server.client({ baseUrl: `${server.url}/under/` });
  server.script(answers(RETRACTED), answers(RETRACTED), answers(PAGE));
  await under.memories.supersede("m1", { reason: null, valid_to: undefined, dry_run: true }).catch(() => undefined);
  await under.memories.delete("a b/c", { reason: null, dry_run: true });
  await under.memories.list({ as_of: new Date(0), transaction_as_of: 7, subject: "ü & +", limit: undefined });
  const [retract, remove, list] = server.requests;
  assert.deepEqual([retract?.path, retract?.body], ["/under/memories/m1/supersede", { reason: null, dry_run: true }]);
  assert.equal(retract?.headers["content-type"], "application/json");
  assert.equal(remove?.target, "/under/memories/a%20b%2Fc?dry_run=true");
  assert.deepEqual(Object.fromEntries(list?.query ?? []), {
    as_of: "1970-01-01T00:00:00.000Z",
    transaction_as_of: "7",
    subject: "ü & +",
  });
});

test("required fields go by position or by name, options come last", async () => {
  const headers = { "x-trace": "t" };
  server.script(...Array.from({ length: 4 }, () => answers({})));
  const calls = [
    client.memories.correct("m1", "typo", { content: "x" }, { headers }),
    client.memories.correct({ memory_id: "m1", reason: "typo", content: "x" }, { headers }),
    client.memories.bulk([{ content: "x", valid_from: new Date(0) }], { mode: "partial" }, { headers }),
    client.memories.bulk({ memories: [{ content: "x", valid_from: new Date(0) }], mode: "partial" }, { headers }),
  ];
  for (const call of calls) await assert.rejects(call, sdk.UnexpectedAnswerError);
  const sent = server.requests.map(({ path, body, headers }) => [path, body, headers["x-trace"]]).sort();
  assert.deepEqual(sent[0], sent[1]);
  assert.deepEqual(sent[2], sent[3]);
  assert.deepEqual(sent[0], [
    "/agent/memories/bulk",
    { memories: [{ content: "x", valid_from: "1970-01-01T00:00:00.000Z" }], mode: "partial" },
    "t",
  ]);
  assert.deepEqual(sent[2], ["/memories/m1/correct", { content: "x", reason: "typo" }, "t"]);
});

test("an id that would change the path is not sent", async () => {
  for (const id of ["", ".", "..", undefined as unknown as string]) {
    await assert.rejects(client.memories.retract(id), { name: "TypeError", message: /memory_id/ });
  }
  assert.deepEqual(server.requests, []);
});

test("the client's tenant is that of every call that names none, also inside a list", async () => {
  const acme = client.withOptions({ tenantId: "acme" });
  server.script(...Array.from({ length: 4 }, () => answers(PAGE)));
  await acme.memories.list();
  await acme.memories.list({ tenant_id: "globex" });
  await acme.memories.list({ tenant_id: null });
  await acme.memories.bulk([{ content: "a" }, { content: "b", tenant_id: null }]).catch(() => undefined);
  const [own, other, none, bulk] = server.requests;
  assert.deepEqual(
    [own?.target, other?.target, none?.target],
    ["/agent/memories?tenant_id=acme", "/agent/memories?tenant_id=globex", "/agent/memories"],
  );
  assert.deepEqual(bulk?.body, {
    memories: [
      { content: "a", tenant_id: "acme" },
      { content: "b", tenant_id: null },
    ],
  });
});

test("iterate follows the cursor to the end, and asks for no more pages than are read", async () => {
  const page = (ids: string[], next: string | null) =>
    answers({ ...PAGE, memories: ids.map((id) => ({ id })), next_cursor: next });
  server.script(page(["1", "2"], "a"), page([], "b"), page(["3"], null), page(["4", "5"], "c"));
  const found: string[] = [];
  for await (const memory of client.memories.iterate({ limit: 2, subject: "kim" })) found.push(memory.id);
  assert.deepEqual(found, ["1", "2", "3"]);
  assert.deepEqual(
    server.requests.map(({ target }) => target),
    [
      "/agent/memories?limit=2&subject=kim",
      "/agent/memories?limit=2&subject=kim&cursor=a",
      "/agent/memories?limit=2&subject=kim&cursor=b",
    ],
  );
  for await (const memory of client.memories.iterate()) {
    assert.equal(memory.id, "4");
    break;
  }
  assert.equal(server.requests.length, 4);
});

test("withResponse gives the response too; what a newer server says besides is kept", async () => {
  server.script(answers({ ...PLAN, of_a_newer_server: 1 }, { "x-request-id": "r-7", "x-plan-warning": "soon" }));
  const { data, response, requestId } = await client.plan.status().withResponse();
  assert.deepEqual(data, { ...PLAN, of_a_newer_server: 1 });
  assert.deepEqual([response.status, response.headers.get("x-plan-warning"), requestId], [200, "soon", "r-7"]);
});

test("an older server may lack what has a default", async () => {
  const { warnings: _, ...older } = PLAN;
  server.script(answers(older));
  assert.equal((await client.plan.status()).writes_used, 49);
});

test("a call is a promise, and each way to wait for it sees its end", async () => {
  server.script(answers(PLAN), problem(404, "not_found"));
  const call = client.plan.status();
  let ended = 0;
  await Promise.all([call, call.then(), call.finally(() => ended++), call.withResponse()]);
  const refused = client.memories.get("x");
  assert.equal(await refused.catch((error: sdk.AurraError) => error.code), "not_found");
  await assert.rejects(
    refused.finally(() => ended++),
    sdk.NotFoundError,
  );
  assert.deepEqual([ended, server.requests.length], [2, 2]);
});

const kinds = {
  400: sdk.BadRequestError,
  401: sdk.AuthenticationError,
  402: sdk.PlanLimitError,
  403: sdk.PermissionDeniedError,
  404: sdk.NotFoundError,
  409: sdk.ConflictError,
  413: sdk.AurraError,
  422: sdk.UnprocessableError,
  429: sdk.RateLimitError,
  500: sdk.ServerError,
  503: sdk.ServerError,
};
for (const [status, kind] of Object.entries(kinds)) {
  test(`${status} is ${kind.name}, with everything that the problem document says`, async () => {
    const members = { param: "limit", errors: [{ param: "limit" }] };
    server.script(problem(Number(status), "some_code", { "retry-after": "7" }, members));
    const error = await failure(client.plan.status());
    assert.equal(error.constructor, kind);
    assert.equal(error.name, kind.name);
    const { code, detail, hint, requestId, retryAfter, param, errors } = error;
    assert.deepEqual(
      { status: error.status, code, detail, hint, requestId, retryAfter, param, errors },
      {
        status: Number(status),
        code: "some_code",
        detail: "It failed.",
        hint: "Try something else.",
        requestId: "r-1",
        retryAfter: 7,
        ...members,
      },
    );
    assert.equal((error.body as Record<string, unknown>)["hint"], "Try something else.");
    assert.equal(error.headers?.get("retry-after"), "7");
    assert.equal(error.message, `It failed. (${status} some_code; request r-1)`);
  });
}

for (const status of [400, 401, 503]) {
  test(`a provider that failed is an error of the provider, also with ${status}`, async () => {
    const detail = { error: "llm_provider_error", provider: "openai", message: "No credit." };
    server.script(problem(status, "llm_provider_error", {}, { detail }));
    const error = await failure(client.memories.query("what?"));
    assert.ok(error instanceof sdk.LLMProviderError);
    assert.match(error.message, /^No credit\./);
    assert.deepEqual([error.provider, error.detail], ["openai", detail]);
  });
}

test("an error that is no problem document keeps its text", async () => {
  server.script(sends(502, "<html>bad gateway</html>", { "x-request-id": "r-9" }), sends(302, "", { location: "/" }));
  await assert.rejects(client.plan.status(), {
    name: "ServerError",
    body: "<html>bad gateway</html>",
    detail: undefined,
    requestId: "r-9",
  });
  await assert.rejects(client.memories.add({ content: "never redirected" }), { name: "AurraError", status: 302 });
  assert.equal(server.requests.length, 2);
});

for (const body of ["<html>hello</html>", "[]", "null", '{"plan_tier": "free"}', ""]) {
  test(`success that is not the answer is said so: ${body}`, async () => {
    server.script(sends(200, body));
    await assert.rejects(server.client().plan.status(), (error) => {
      assert.ok(error instanceof sdk.UnexpectedAnswerError);
      assert.match(error.message, /plan\.status/);
      assert.deepEqual([error.status, error.body], [200, body]);
      assert.ok(body.length < 5 || !inspect(error).includes(body), "an answer is not for logs");
      return true;
    });
    assert.equal(server.requests.length, 1);
  });
}

test("the environment says what the constructor does not", () => {
  const kept = { ...process.env };
  try {
    Object.assign(process.env, {
      AURRA_API_KEY: ` ${KEY}\n`,
      AURRA_BASE_URL: "https://memory.example/aurra/",
      AURRA_TENANT_ID: "acme",
    });
    const client = new Aurra();
    assert.deepEqual([client.baseUrl, client.tenantId], ["https://memory.example/aurra", "acme"]);
    const other = new Aurra({ baseUrl: "http://b", tenantId: null });
    assert.deepEqual([other.baseUrl, other.tenantId], ["http://b", null]);
    assert.equal(other.withOptions({ timeout: 1, tenantId: undefined }).tenantId, null);
    Object.assign(process.env, { AURRA_BASE_URL: "", AURRA_TENANT_ID: "" });
    assert.deepEqual([new Aurra().baseUrl, new Aurra().tenantId], ["http://127.0.0.1:8000", null]);
    process.env["AURRA_SIGNING_SECRET"] = "aurra_sign_x";
    assert.throws(() => new Aurra({ apiKey: "aurra_x" }), /has no id/);
    new Aurra({ apiKey: "aurra_x", signingSecret: null });
  } finally {
    for (const name of Object.keys(process.env)) if (name.startsWith("AURRA_")) delete process.env[name];
    Object.assign(process.env, kept);
  }
});

test("what cannot be used is refused at once, without showing it", () => {
  const url = "http://a";
  const refused: sdk.ClientOptions[] = [
    { apiKey: "", baseUrl: url },
    { apiKey: "aurra_canary\nx", baseUrl: url },
    { baseUrl: "127.0.0.1:8000" },
    { baseUrl: "http://" },
    { baseUrl: "ftp://canary" },
    { baseUrl: "http://user:canary@host" },
    { baseUrl: url, timeout: 0 },
    { baseUrl: url, timeout: Infinity },
    { baseUrl: url, maxRetries: -1 },
  ];
  for (const options of refused) {
    assert.throws(
      () => new Aurra({ apiKey: KEY, ...options }),
      (error) => error instanceof AurraError && !error.message.includes("canary"),
    );
  }
});

test("nothing shows the key or the secret", () => {
  const shown = new Aurra({ apiKey: KEY, signingSecret: "aurra_sign_canary" });
  for (const text of [inspect(shown, { depth: 9, showHidden: true }), JSON.stringify(shown)]) {
    assert.ok(!text.includes("canary"), text);
  }
});

test("a fetch of one's own is used", async () => {
  const seen: string[] = [];
  const own: typeof fetch = async (input, init) => {
    seen.push(`${init?.method} ${String(input)}`);
    return new Response(JSON.stringify(PLAN));
  };
  assert.equal((await new Aurra({ apiKey: KEY, baseUrl: "http://nowhere", fetch: own }).plan.status()).writes_used, 49);
  assert.deepEqual(seen, ["GET http://nowhere/plan/status"]);
});

test("what a runtime says of a connection that was never made is understood", async () => {
  const refused = (error: object) => Promise.reject(Object.assign(new TypeError("fetch failed"), error));
  const said: [object, boolean][] = [
    [{ cause: { code: "ENOTFOUND" } }, false],
    [{ code: "ConnectionRefused" }, false],
    [{ cause: { message: "client error (Connect): tcp connect error: Connection refused" } }, false],
    [{ cause: { code: "UND_ERR_SOCKET", message: "other side closed" } }, true],
    [{}, true],
  ];
  for (const [error, wasSent] of said) {
    let attempts = 0;
    const own = server.client({ maxRetries: 1, fetch: () => (attempts++, refused(error)) });
    await assert.rejects(own.keys.revoke("k"), { name: "APIConnectionError", wasSent });
    assert.equal(attempts, wasSent ? 1 : 2);
  }
});

test("every operation is a method, and so is its iteration where it pages", () => {
  const table = Object.values(operations);
  assert.ok(table.length > 40);
  for (const { name } of table) {
    const [noun, verb] = name
      .split(".")
      .map((part) => part.replaceAll(/_(.)/g, (_, letter: string) => letter.toUpperCase()));
    const resource = (client as unknown as Record<string, Record<string, unknown>>)[noun ?? ""];
    assert.equal(typeof resource?.[verb ?? ""], "function", name);
  }
  assert.equal(typeof client.conversations.iterateMessages, "function");
});

test("CommonJS has the same", () => {
  const required = createRequire(import.meta.url)("aurra-sdk") as typeof sdk;
  assert.deepEqual(Object.keys(required).sort(), Object.keys(sdk).sort());
  assert.equal(new required.Aurra({ apiKey: KEY }).baseUrl, "http://127.0.0.1:8000");
});
