/**
 * Every operation of the registry is called as whoever wrote the file AURRA_OPERATIONS says: `[{name, fields}]`, of an
 * account that has something of every kind.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { Aurra, type Call, ConflictError } from "aurra-sdk";

import type { AnyOperation } from "../../dist/esm/operation.js";
import * as generated from "../../dist/esm/operations.js";

interface Asked {
  name: string;
  fields: Record<string, unknown>;
}
type Method = (...given: unknown[]) => Call<Record<string, unknown>>;

const client = new Aurra({ maxRetries: 0 });
const asked = JSON.parse(readFileSync(process.env["AURRA_OPERATIONS"] ?? "", "utf8")) as Asked[];
const table = new Map(
  Object.values(generated as Record<string, AnyOperation>).map((operation) => [operation.name, operation]),
);

test("there is a method for every operation of the registry, and no other", () => {
  assert.deepEqual([...table.keys()].sort(), asked.map(({ name }) => name).sort());
});

for (const { name, fields } of asked) {
  test(`${name} is answered, and by position as by name`, async () => {
    const operation = table.get(name);
    assert.ok(operation, "it is missing");
    const [noun = "", verb = ""] = name
      .split(".")
      .map((part) => part.replaceAll(/_(.)/g, (_, letter: string) => letter.toUpperCase()));
    const resource = (client as unknown as Record<string, Record<string, Method>>)[noun]!;
    await isAnswered(resource[verb]!(fields));
    const rest = Object.fromEntries(Object.entries(fields).filter(([field]) => !operation.positional.includes(field)));
    await isAnswered(resource[verb]!(...operation.positional.map((field) => fields[field]), rest));
  });
}

/** With success, which the SDK itself has looked at; or not, since what it asks for has been done. */
async function isAnswered(call: Call<Record<string, unknown>>): Promise<void> {
  try {
    assert.ok(Array.isArray((await call)["warnings"]));
    assert.ok((await call.withResponse()).requestId);
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
  }
}
