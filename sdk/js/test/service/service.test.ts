/** A story told to a real service, whose key and URL are in the environment. */
import assert from "node:assert/strict";
import { test } from "node:test";

import {
  Aurra,
  AuthenticationError,
  BadRequestError,
  ConflictError,
  type MemoryList,
  NotFoundError,
  PermissionDeniedError,
  UnprocessableError,
} from "aurra-sdk";

const client = new Aurra();

async function decisions(fields: MemoryList, of = client): Promise<string[]> {
  return (await of.memories.list(fields)).memories.map((memory) => memory.decision);
}

test("what is stored is answered with its citation", async () => {
  const written = await client.memories.add({ content: "Kim lives in Oslo", subject: "kim", attribute: "city" });
  assert.equal(written.status, "saved");
  const found = await client.memories.query("Where does Kim live?", { limit: 5 });
  assert.match(found.answer, /Oslo/);
  assert.equal(found.citations[0]?.memory_id, written.memory_id);
  assert.equal(found.memories[0]?.source_citation.type, "agent");
});

test("a chain is superseded and shown whole", async () => {
  const old = (await client.memories.add({ content: "The office is in Rome" })).memory_id ?? "";
  const now = (await client.memories.add({ content: "The office is in Turin" })).memory_id ?? "";
  assert.equal((await client.memories.supersede(old, { superseded_by: now })).superseded_by, now);
  assert.deepEqual(
    (await client.memories.timeline(now)).timeline.map(({ id }) => id),
    [old, now],
  );
  assert.equal((await client.memories.getAudit(old)).history[0]?.event, "created");
  assert.ok((await client.memories.get({ memory_id: old })).memory.temporal.is_superseded);
  await assert.rejects(client.memories.supersede(old, { superseded_by: now }), (error) => {
    assert.ok(error instanceof ConflictError);
    assert.equal(error.code, "already_superseded");
    assert.ok(error.requestId);
    return true;
  });
});

test("every verb is a method, and null is not the same as nothing", async () => {
  const slot = { subject: "mia", attribute: "city" };
  const { memory_id, transaction } = await client.memories.add({
    content: "Olso",
    valid_from: "2026-01-01",
    valid_to: new Date("2026-02-01"),
    ...slot,
  });
  const id = memory_id ?? "";
  const end = async () => (await client.memories.get(id)).memory.valid_to;
  await client.memories.correct(id, "spelling", { content: "Oslo" });
  assert.equal(await end(), "2026-02-01T00:00:00.000000+00:00");
  const opened = await client.memories.correct(id, "still there", { valid_to: null });
  assert.equal(await end(), null);
  assert.equal(
    (await client.transactions.restore(opened.transaction.id, { reason: "no" })).restored,
    opened.transaction.id,
  );
  const { changes } = await client.transactions.diff(transaction.id, { to: opened.transaction.id });
  assert.deepEqual(new Set(changes.map((change) => change.after?.decision)), new Set(["Oslo"]));
  assert.deepEqual(await decisions({ ...slot, as_of: new Date("2026-01-15") }), ["Oslo"]);
  assert.deepEqual(await decisions({ ...slot, as_of: "2026-01-15", transaction_as_of: transaction.id }), ["Olso"]);
  assert.equal((await client.memories.eraseMatching({ subject: "mia" })).count, 1);
  await assert.rejects(
    client.memories.get(id),
    (error) => error instanceof NotFoundError && error.code === "memory_erased",
  );
  assert.ok((await client.transactions.verify()).ok);
});

test("iterate yields every memory once, whatever the size of a page", async () => {
  const contents = Array.from({ length: 5 }, (_, number) => `fact number ${number}`);
  const written = await client.memories.bulk(contents.map((content) => ({ content, topic: "facts" })));
  assert.equal(written.saved_count, 5);
  const found: string[] = [];
  for await (const memory of client.memories.iterate({ topic: "facts", limit: 2 })) found.push(memory.decision);
  assert.deepEqual(found.sort(), contents);
});

test("turns are kept, and their pages iterated; a name may hold a slash", async () => {
  const turns = ["I moved to Lisbon.", "Noted."].map((content, place) => ({
    role: place ? "assistant" : "user",
    content,
  }));
  await client.conversations.add("calls/7", turns, { extraction: "never" });
  const said: string[] = [];
  for await (const turn of client.conversations.iterateMessages("calls/7", { limit: 1 })) said.push(turn.content);
  assert.deepEqual(
    said,
    turns.map(({ content }) => content),
  );
});

test("an idempotency key of the caller's own is replayed", async () => {
  const key = { idempotencyKey: crypto.randomUUID() };
  const fact = { content: "Bo likes tea", subject: "bo", attribute: "drink" };
  const first = await client.memories.add(fact, key).withResponse();
  const second = await client.memories.add(fact, key).withResponse();
  assert.deepEqual(second.data, first.data);
  assert.deepEqual(
    [first, second].map(({ response }) => response.headers.get("idempotent-replayed")),
    [null, "true"],
  );
  assert.notEqual(first.requestId, second.requestId);
  await assert.rejects(client.memories.add({ content: "something else" }, key), UnprocessableError);
});

test("the client's tenant is that of every call that names none", async () => {
  const acme = client.withOptions({ tenantId: "acme" });
  await acme.memories.add({ content: "of acme" });
  await acme.memories.bulk([{ content: "bulk of acme" }, { content: "of none", tenant_id: null }]);
  assert.deepEqual(await decisions({}, acme), ["bulk of acme", "of acme"]);
  assert.deepEqual(await decisions({ limit: 1, tenant_id: null }, acme), ["of none"]);
  assert.deepEqual(await decisions({}, client.withOptions({ tenantId: "globex" })), []);
});

test("a request that is signed is taken, and the key alone is not", async () => {
  const made = await client.keys.create(["memories:read", "memories:write"], { is_signed: true });
  const signing = client.withOptions({ apiKey: made.key, signingSecret: made.signing_secret, tenantId: "signed" });
  for (const number of [1, 2, 3]) await signing.memories.add({ content: `Füße ${number}`, subject: "a/b ü" });
  const found: string[] = [];
  for await (const memory of signing.memories.iterate({ limit: 1, subject: "a/b ü" })) found.push(memory.decision);
  assert.equal(found.length, 3);
  assert.equal((await signing.subjects.get("a/b ü")).subject, "a/b ü");
  await assert.rejects(
    signing.withOptions({ signingSecret: null }).memories.list(),
    (error) => error instanceof AuthenticationError && error.code === "signature_required",
  );
});

test("what is refused is an error of its kind", async () => {
  const reader = client.withOptions({ apiKey: (await client.keys.create(["memories:read"])).key });
  await assert.rejects(reader.memories.add({ content: "x" }), PermissionDeniedError);
  await assert.rejects(client.withOptions({ apiKey: "aurra_live_nobody" }).plan.status(), AuthenticationError);
  await assert.rejects(client.settings.update({ min_confidence: 0.1 }), BadRequestError);
  const hints: string[] = [];
  await client.memories.add({ content: 5 as unknown as string }).catch((error: UnprocessableError) => {
    hints.push(error.param ?? "", error.hint ?? "");
  });
  assert.equal(hints[0], "content");
  assert.ok(hints[1]);
});
