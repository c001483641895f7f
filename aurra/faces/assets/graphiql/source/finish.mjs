// After the bundle: takes the fonts out of the styles (the page uses the system's), and gathers the licences of all that
// is in the bundle.
import { existsSync, readFileSync, readdirSync, unlinkSync, writeFileSync } from "node:fs";

const out = "..";
const styles = readFileSync(`${out}/graphiql.css`, "utf-8").replace(/@font-face\s*{[^}]*}/g, "");
writeFileSync(`${out}/graphiql.css`, styles);

const { inputs } = JSON.parse(readFileSync("meta.json", "utf-8"));
const packages = new Map();
for (const path of Object.keys(inputs)) {
  const found = path.match(/^.*node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/);
  if (found) packages.set(found[0], JSON.parse(readFileSync(`${found[0]}/package.json`, "utf-8")));
}
const texts = new Map();
for (const [path, { name, version, license }] of packages) {
  const file = readdirSync(path).find((one) => /^licen[cs]e/i.test(one));
  const text = file ? readFileSync(`${path}/${file}`, "utf-8").replace(/\r/g, "").trim() : `${license} License, as its package says.`;
  texts.set(text, [...(texts.get(text) ?? []), `${name} ${version}`]);
}
const parts = [...texts].map(([text, names]) => [names.sort().join(", "), text]).sort(([a], [b]) => (a < b ? -1 : 1));
const head = "What graphiql.js and graphiql.css are made of, and under which licences.";
const rule = "-".repeat(80);
writeFileSync(`${out}/LICENSES.txt`, [head, ...parts.map(([names, text]) => `${rule}\n${names}\n\n${text}`)].join("\n\n") + "\n");
unlinkSync("meta.json");
if (existsSync(`${out}/graphiql.js.LEGAL.txt`)) unlinkSync(`${out}/graphiql.js.LEGAL.txt`);
