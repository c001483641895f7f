/** Never run: each line compiles, and each that must not says so. */
import {
  Aurra,
  AurraError,
  type Call,
  type ErrorCode,
  type Memory,
  type MemoryWrite,
  type WithResponse,
} from "aurra-sdk";

declare const client: Aurra;
declare const maybe: string | undefined;
declare function is<Wanted>(value: Wanted): void;

export async function typed(): Promise<void> {
  const written = await client.memories.add({
    content: "x",
    subject: maybe,
    valid_from: new Date(),
    metadata: { a: [1] },
  });
  is<string | null>(written.memory_id);
  is<number>(written.transaction.id);
  is<string[]>(written.warnings);

  is<Call<{ memories: Memory[] }>>(client.memories.list());
  const { data, response, requestId } = await client.memories.list({ limit: 5 }, { timeout: null }).withResponse();
  is<Memory[]>(data.memories);
  is<number>(response.status);
  is<string | undefined>(requestId);
  is<Promise<WithResponse<unknown>>>(client.plan.status().withResponse());
  for await (const memory of client.memories.iterate({ limit: 5 })) is<Memory>(memory);

  await client.memories.query("Where?", { limit: 3, strict: true });
  await client.memories.query({ question: "Where?", limit: 3 }, { signal: AbortSignal.timeout(5) });
  await client.transactions.diff(1, { to: new Date() });
  await client.transactions.diff({ from: 1, to: "2026-01-01" });
  const items: MemoryWrite[] = [{ content: "x" }, { messages: [{ role: "user", content: "y", at: new Date() }] }];
  await client.memories.bulk(items, { mode: "partial" }, { idempotencyKey: "k" });
  const event = await client.webhooks.unwrap<{ type: "a" }>("", new Headers(), "whsec_");
  is<"a">(event.type);

  const error = new AurraError("x");
  if (error.code === "memory_erased") is<ErrorCode>(error.code);
  is<number | undefined>(error.status);

  // @ts-expect-error No such field.
  await client.memories.add({ contents: "x" });
  // @ts-expect-error Another type.
  await client.memories.add({ content: 5 });
  // @ts-expect-error Not one of its values.
  await client.memories.add({ content: "x", cardinality: "few" });
  // @ts-expect-error The id is missing.
  await client.memories.retract();
  // @ts-expect-error The question is missing.
  await client.memories.query({ limit: 3 });
  // @ts-expect-error Options come after the fields.
  await client.plan.status({ signal: AbortSignal.timeout(5) });
  // @ts-expect-error Nor do they stand where the fields do after an id.
  await client.memories.timeline("m", { signal: AbortSignal.timeout(5) });
  // @ts-expect-error A read takes no key.
  await client.memories.list({}, { idempotencyKey: "k" });
  // @ts-expect-error No such operation.
  await client.memories.forget("m");
  // @ts-expect-error An answer has no such field.
  is(written.memory);
  // @ts-expect-error No such code.
  is(error.code === "memory_erazed");
  // @ts-expect-error Not an option.
  new Aurra({ key: "x" });
}
