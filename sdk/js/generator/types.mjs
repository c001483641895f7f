/** src/types.ts: a type for everything that goes in or comes out. */
import openapiTS, { astToString } from "openapi-typescript";
import ts from "typescript";

import { docComment } from "./texts.mjs";

const DATE = ts.factory.createTypeReferenceNode("Date");
const STRING = ts.factory.createKeywordTypeNode(ts.SyntaxKind.StringKeyword);
const UNDEFINED = ts.factory.createKeywordTypeNode(ts.SyntaxKind.UndefinedKeyword);

/**
 * The source. What is sent may be generous: an instant may be a `Date`, and what is optional may be undefined. A schema
 * that is both sent and answered is written as an answer.
 */
export async function typesModule(document, operations) {
  const { schemas } = document.components;
  const answered = closure(schemas, [...operations.map(({ answer }) => answer), "Problem"]);
  // A request without fields needs no type.
  const named = Object.entries(schemas).filter(
    ([name, { properties }]) => answered.has(name) || Object.keys(properties ?? {}).length > 0,
  );
  const prepared = Object.fromEntries(named.map(([name, schema]) => [name, schemaFor(schema, !answered.has(name))]));
  const nodes = await openapiTS(
    { openapi: document.openapi, info: document.info, paths: {}, components: { schemas: prepared } },
    {
      defaultNonNullable: false,
      emptyObjectsUnknown: true,
      transform: (schema) => (schema["x-moment"] ? ts.factory.createUnionTypeNode([STRING, DATE]) : undefined),
      transformProperty: (property, schema) =>
        schema["x-given"] && property.questionToken ? orUndefined(property) : undefined,
    },
  );
  const members = membersOf(nodes);
  const declared = Object.entries(schemas)
    .filter(([name]) => members.has(name))
    .map(([name, { description }]) => {
      const type = astToString([flattened(declaration(name, members.get(name)))])
        .replaceAll(/components\["schemas"\]\["(\w+)"\]/g, "$1")
        .replaceAll("    ", "  ")
        .replaceAll(/^( *)\/\*\*(.*?)\*\/\n/gms, (_, indent, said) => docComment(plain(said), indent, []) + "\n");
      return `${description ? `${docComment(description)}\n` : ""}${type}`;
    });
  return `${docComment("Everything typed that goes in or comes out, as on the wire.")}\n\n${declared.join("\n")}`;
}

/** What a doc comment says, without what the type says already. */
function plain(comment) {
  return comment
    .replaceAll(/^\s*\* ?/gm, "")
    .replaceAll(/^\s*@(enum|constant) .*$/gm, "")
    .replaceAll("@description ", "");
}

/** The schemas of these names, and all that they name. */
function closure(schemas, names) {
  const found = new Set();
  for (const waiting = [...names]; waiting.length > 0;) {
    const name = waiting.pop();
    if (found.has(name)) continue;
    found.add(name);
    waiting.push(...referencesIn(schemas[name]));
  }
  return found;
}

/** The names of the schemas that a schema refers to. */
export function referencesIn(schema) {
  return [...JSON.stringify(schema).matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name);
}

/** The schema as the types are to be made of it. */
function schemaFor(schema, isGiven) {
  const { title: _, description: __, ...plain } = schema;
  const properties = Object.entries(plain.properties ?? {}).map(([name, property]) => [
    name,
    propertyFor(property, isGiven),
  ]);
  return { ...plain, properties: Object.fromEntries(properties) };
}

function propertyFor(property, isGiven) {
  const { default: otherwise, format, ...rest } = property;
  const described = rest.anyOf?.find(({ description }) => description)?.description;
  const description = [rest.description ?? described, saidOfDefault(otherwise, isGiven)].filter(Boolean).join(" ");
  return {
    ...(isGiven ? withMoments({ ...rest, format }) : withoutFormats({ ...rest, format })),
    ...(description && { description }),
    ...(isGiven && { "x-given": true }),
  };
}

function saidOfDefault(otherwise, isGiven) {
  const isSaid =
    isGiven && otherwise != null && otherwise !== false && otherwise !== "" && typeof otherwise !== "object";
  return isSaid ? `Default: ${otherwise}.` : "";
}

/** Marks every text that is an instant. */
function withMoments({ format, ...schema }, isInstant = false) {
  const is = isInstant || format === "date-time";
  const anyOf = schema.anyOf?.map((member) => withMoments(member, is));
  const items = schema.items && withMoments(schema.items);
  return {
    ...schema,
    ...(anyOf && { anyOf }),
    ...(items && { items }),
    ...(is && schema.type === "string" && { "x-moment": true }),
  };
}

function withoutFormats({ format: _, ...schema }) {
  return { ...schema, ...(schema.anyOf && { anyOf: schema.anyOf.map(withoutFormats) }) };
}

/** The same without unions inside unions. */
function flattened(node) {
  const visited = ts.visitEachChild(node, flattened, undefined);
  if (!ts.isUnionTypeNode(visited)) return visited;
  return ts.factory.createUnionTypeNode(
    visited.types.flatMap((member) => {
      const inside = ts.isParenthesizedTypeNode(member) ? member.type : member;
      return ts.isUnionTypeNode(inside) ? inside.types : [member];
    }),
  );
}

function orUndefined(property) {
  const type = ts.factory.createUnionTypeNode([property.type, UNDEFINED]);
  const { modifiers, name, questionToken } = property;
  return ts.factory.updatePropertySignature(property, modifiers, name, questionToken, type);
}

/** The type of each schema, by its name. */
function membersOf(nodes) {
  const components = nodes.find((node) => node.name?.text === "components");
  const schemas = components.members.find((member) => member.name.text === "schemas");
  return new Map(schemas.type.members.map((member) => [member.name.text, member.type]));
}

function declaration(name, type) {
  const exported = [ts.factory.createModifier(ts.SyntaxKind.ExportKeyword)];
  return ts.isTypeLiteralNode(type)
    ? ts.factory.createInterfaceDeclaration(exported, name, undefined, undefined, type.members)
    : ts.factory.createTypeAliasDeclaration(exported, name, undefined, type);
}
