/** src/operations.ts and src/resources.ts: every operation as a method of its noun. */
import { docComment } from "./texts.mjs";
import { referencesIn } from "./types.mjs";

/** A noun that has more than operations, and the class that has it. */
const BASES = { webhooks: "ReceivesWebhooks" };
const IN_BODY = new Set(["post", "patch"]);

/** What the document says of every operation. Throws for what the SDK could not say. */
export function operationsOf({ paths, components: { schemas } }) {
  const listed = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, described]) => operationOf(path, method, described, schemas)),
  );
  return listed.sort((one, other) => (one.name < other.name ? -1 : 1));
}

function operationOf(path, method, described, schemas) {
  const name = described["x-aurra-name"];
  const [noun, verb] = /^([a-z]\w*)\.([a-z]\w*)$/.exec(name)?.slice(1) ?? [];
  if (!noun) throw new TypeError(`an operation is called noun.verb, not ${name}`);
  const [request] = referencesIn(described["x-aurra-request"]);
  const [answer] = referencesIn(described.responses["200"].content["application/json"].schema);
  const { properties = {}, required = [] } = schemas[request];
  const inPath = [...path.matchAll(/{(\w+)}/g)].map(([, field]) => field);
  const positional = [...inPath, ...required.filter((field) => !inPath.includes(field))];
  if (mayBeObject(properties[positional[0]])) {
    throw new TypeError(`${name} begins with an object, which would be taken for all of its fields`);
  }
  return {
    name,
    noun: camel(noun),
    verb: camel(verb),
    method: method.toUpperCase(),
    path,
    description: described.description,
    request,
    answer,
    properties,
    positional,
    hasMore: Object.keys(properties).length > positional.length,
    // A service older than this SDK may lack what was added since, with a default.
    answers: (schemas[answer].required ?? []).filter((field) => !("default" in schemas[answer].properties[field])),
    items: itemsOf(name, properties, schemas[answer].properties),
    isIdempotent: (described.parameters ?? []).some((parameter) => parameter.name === "Idempotency-Key"),
    isRepeatable: described["x-aurra-repeatable"],
    hasTenant: "tenant_id" in properties,
    tenantInside: Object.keys(properties).filter(
      (field) =>
        IN_BODY.has(method) &&
        referencesIn(properties[field]).some((inner) => "tenant_id" in schemas[inner].properties),
    ),
  };
}

function mayBeObject(schema) {
  return schema !== undefined && schema.type !== "array" && /"\$ref"|"type":"object"/.test(JSON.stringify(schema));
}

/** For an operation that pages: the field of the answer that has the items, and their type. */
function itemsOf(name, asked, answered) {
  if (!("cursor" in asked && "next_cursor" in answered)) return undefined;
  const lists = Object.entries(answered).filter(([, { type, items }]) => type === "array" && items.$ref);
  if (lists.length !== 1) throw new TypeError(`${name} has a next_cursor, but not exactly one list to page through`);
  return { field: lists[0][0], type: referencesIn(lists[0][1])[0] };
}

/** The source of operations.ts. */
export function operationsModule(operations) {
  const constants = operations.map((op) => {
    const said = ["name", "method", "path", "positional", "answers", "isIdempotent", "isRepeatable", "hasTenant"]
      .concat(op.tenantInside.length > 0 ? "tenantInside" : [])
      .filter((key) => op[key] !== false)
      .map((key) => field(key, op[key]));
    return `export const ${constant(op)}: Operation<types.${op.answer}> = {\n${said.join("\n")}\n};\n`;
  });
  return `/** Every operation of the service. */
import type { Operation } from "./operation.js";
import type * as types from "./types.js";

${constants.join("\n")}`;
}

/** The source of resources.ts. */
export function resourcesModule(operations) {
  const nouns = [...new Set([...operations.map(({ noun }) => noun), ...Object.keys(BASES)])].sort();
  const classes = nouns.map((noun) =>
    resource(
      noun,
      operations.filter((op) => op.noun === noun),
    ),
  );
  const bases = Object.values(BASES).map((base) => `import { ${base} } from "./webhooks.js";\n`);
  return `/** Every operation of the service as a method. */
import * as operations from "./operations.js";
import type { CallOptions, WriteOptions } from "./options.js";
import { type Call, Resource } from "./resource.js";
import type { Transport } from "./transport.js";
import type * as types from "./types.js";
${bases.join("")}
${classes.join("\n\n")}

/** Every operation of the service. */
export class Resources {
${nouns.map((noun) => `  readonly ${noun}: ${title(noun)};`).join("\n")}

  /** @internal */
  constructor(transport: Transport) {
${nouns.map((noun) => `    this.${noun} = new ${title(noun)}(transport);`).join("\n")}
  }
}
`;
}

function resource(noun, operations) {
  const methods = operations.flatMap((op) => (op.items ? [method(op), iterate(op)] : [method(op)]));
  const body = methods.length > 0 ? `{\n${methods.join("\n\n")}\n}` : "{}";
  return `/** \`client.${noun}\`. */\nexport class ${title(noun)} extends ${BASES[noun] ?? "Resource"} ${body}`;
}

function method(op) {
  const options = op.isIdempotent ? "WriteOptions" : "CallOptions";
  const run = `return this._call(operations.${constant(op)}, given);`;
  return overloads(op, op.verb, options, `Call<types.${op.answer}>`, op.description, run);
}

function iterate(op) {
  const name = op.verb === "list" ? "iterate" : `iterate${title(op.verb)}`;
  const run = `return this._iterate(operations.${constant(op)}, "${op.items.field}", given);`;
  const said = `Every item of \`${op.verb}\`, page after page; \`limit\` is the size of a page.`;
  return overloads(op, name, "CallOptions", `AsyncGenerator<types.${op.items.type}, void, undefined>`, said, run);
}

/** A method with its fields by position, and with all in one object; they are the same where none is required. */
function overloads(op, name, options, answer, description, run) {
  const whole = Object.keys(op.properties).length > 0 ? `types.${op.request}` : "Record<string, never>";
  const called = (parameters) => {
    const line = `  ${name}(${parameters.join(", ")}): ${answer};`;
    return line.length <= 120
      ? line
      : `  ${name}(\n${parameters.map((one) => `    ${one},\n`).join("")}  ): ${answer};`;
  };
  const end = `options?: ${options}`;
  const byPosition = op.positional.map((field) => `"${field}"`).join(" | ");
  const signatures =
    op.positional.length === 0
      ? [docComment(description, "  "), called([`fields?: ${whole}`, end])]
      : [
          docComment(
            description,
            "  ",
            op.positional.map((field) => said(op, field)),
          ),
          called([
            ...op.positional.map((field) => `${parameter(field)}: types.${op.request}["${field}"]`),
            `fields?: ${op.hasMore ? `Omit<${whole}, ${byPosition}>` : "Record<string, never>"}`,
            end,
          ]),
          called([`fields: ${whole}`, end]),
        ];
  return [...signatures, `  ${name}(...given: unknown[]): ${answer} {\n    ${run}\n  }`].join("\n");
}

function said(op, field) {
  const property = op.properties[field];
  const described = property.description ?? property.anyOf?.find(({ description }) => description)?.description;
  return `@param ${parameter(field)} ${described ?? ""}`.trimEnd();
}

function constant(op) {
  return op.noun + title(op.verb);
}

function camel(name) {
  return name.replaceAll(/_+([a-z0-9])/g, (_, letter) => letter.toUpperCase());
}

function title(name) {
  return name[0].toUpperCase() + name.slice(1);
}

/** The field's name, as a parameter may have it: `from` may, `in` may not. */
function parameter(field) {
  return RESERVED.has(field) ? `${field}_` : field;
}

function field(key, value) {
  if (!Array.isArray(value)) return `  ${key}: ${JSON.stringify(value)},`;
  const line = `  ${key}: [${value.map((one) => JSON.stringify(one)).join(", ")}],`;
  return line.length <= 120 ? line : `  ${key}: [\n${value.map((one) => `    ${JSON.stringify(one)},\n`).join("")}  ],`;
}

const RESERVED = new Set(
  `break case catch class const continue debugger default delete do else enum export extends false finally for function
  if implements import in instanceof interface let new null package private protected public return static super switch
  this throw true try typeof var void while with yield await arguments eval`.split(/\s+/),
);
