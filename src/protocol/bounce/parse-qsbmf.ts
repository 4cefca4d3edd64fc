import type { Lines } from "./lines.ts";
import { maxReported, type ReportedRecipient, reportedText, statusIn } from "./report.ts";

/**
 * Reads a body in qmail's bounce form: the introduction, then paragraphs, up to the break. `undefined` when it does not
 * begin as one. Paragraphs that begin otherwise than with `<` are reserved, and passed over.
 */
export function parseQsbmf(lines: Lines): readonly ReportedRecipient[] | undefined {
  if (!lines.next()?.startsWith("Hi. This is the")) return undefined;
  skipParagraph(lines);
  const found: ReportedRecipient[] = [];
  while (found.length < maxReported) {
    const first = lines.next();
    if (first === undefined || first.startsWith("-")) return found;
    if (first === "") continue; // qmail leaves them behind reports that end in empty lines
    if (!first.startsWith("<") || !first.endsWith(">:")) {
      skipParagraph(lines);
      continue;
    }
    const text = reportedText(readParagraph(lines));
    found.push({ recipient: first.slice(1, -2), action: "failed", status: statusIn(text), text });
  }
  return found;
}

function skipParagraph(lines: Lines): void {
  for (let line = lines.next(); line !== undefined && line !== ""; line = lines.next());
}

function readParagraph(lines: Lines): string {
  const texts: string[] = [];
  for (let line = lines.next(); line !== undefined && line !== ""; line = lines.next()) texts.push(line);
  return texts.join("\n");
}
