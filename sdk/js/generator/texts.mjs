/** Doc comments. */
const WIDTH = 120;

/** The text as a doc comment; what is under `tags` follows it, one a tag. */
export function docComment(text, indent = "", tags = []) {
  const paragraphs = unindented(text)
    .split("\n\n")
    .map((paragraph) => paragraph.split(/\s+/).filter(Boolean).join(" "));
  const lines = paragraphs
    .filter(Boolean)
    .flatMap((paragraph, place) => [...(place > 0 ? [""] : []), ...filled(paragraph, WIDTH - indent.length - 3)]);
  if (tags.length > 0) lines.push("");
  for (const tag of tags) lines.push(...filled(tag, WIDTH - indent.length - 3, "  "));
  const safe = lines.map((line) => line.replaceAll("*/", "*\\/"));
  if (safe.length === 1 && safe[0].length + indent.length + 7 <= WIDTH) return `${indent}/** ${safe[0]} */`;
  return [`${indent}/**`, ...safe.map((line) => `${indent} * ${line}`.trimEnd()), `${indent} */`].join("\n");
}

/** The text as it would be at the margin. */
function unindented(text) {
  return text.replaceAll(/^[ \t]+/gm, "").trim();
}

function filled(text, width, hanging = "") {
  const lines = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line && line.length + 1 + word.length > width) {
      lines.push(line);
      line = hanging + word;
    } else {
      line = line ? `${line} ${word}` : word;
    }
  }
  return [...lines, line];
}
