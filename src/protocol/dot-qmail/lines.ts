import type { Failure } from "../outcome.ts";
import { temporary } from "../outcome.ts";

/** One thing a .qmail file asks for, and on which line. One that may not stand where it stands fails in its turn. */
export type Instruction = { readonly line: number } & (
  | { readonly kind: "maildir"; readonly path: string }
  | { readonly kind: "mbox"; readonly path: string }
  | { readonly kind: "program"; readonly command: string }
  | { readonly kind: "forward"; readonly forwardPath: string }
  | { readonly kind: "fail"; readonly failure: Failure }
);

const blankFirstLine = temporary("2.1", "Uh-oh: first line of .qmail file is blank. (#4.2.1)");
const noFiles = temporary("7.0", "Uh-oh: .qmail has file delivery but has x bit set. (#4.7.0)");
const noPrograms = temporary("7.0", "Uh-oh: .qmail has prog delivery but has x bit set. (#4.7.0)");

/**
 * Reads the lines of a .qmail file, in the order they are to be carried out. `forwardOnly` is how the file's
 * owner-execute bit begins; a line `+list` turns it on for those that follow.
 */
export function parseDotQmail(text: string, forwardOnly: boolean): readonly Instruction[] {
  const instructions: Instruction[] = [];
  let onlyForwards = forwardOnly;
  for (const [at, raw] of text.split("\n").entries()) {
    const line = withoutTrailingBlanks(raw);
    if (line === "" && at === 0) return [{ kind: "fail", failure: blankFirstLine, line: 1 }];
    if (line === "+list") onlyForwards = true;
    const instruction = parseLine(line, at + 1);
    if (!instruction) continue;
    if (instruction.kind !== "forward" && onlyForwards) {
      const failure = instruction.kind === "program" ? noPrograms : noFiles;
      instructions.push({ kind: "fail", failure, line: at + 1 });
    } else instructions.push(instruction);
  }
  return instructions;
}

function parseLine(text: string, line: number): Exclude<Instruction, { kind: "fail" }> | undefined {
  switch (text.charAt(0)) {
    case "":
    case "#":
    case "+":
      return undefined;
    case "|":
      return { kind: "program", command: text.slice(1), line };
    case ".":
    case "/":
      return { kind: text.endsWith("/") ? "maildir" : "mbox", path: text, line };
    case "&":
      return { kind: "forward", forwardPath: text.slice(1), line };
    default:
      return { kind: "forward", forwardPath: text, line };
  }
}

/** Octets from a NUL on never counted: the line is a C string to those who know the form. */
function withoutTrailingBlanks(raw: string): string {
  const nul = raw.indexOf("\0");
  let end = nul < 0 ? raw.length : nul;
  while (end > 0 && (raw.charAt(end - 1) === " " || raw.charAt(end - 1) === "\t")) end--;
  return raw.slice(0, end);
}
