import { runChild } from "./child.ts";
import { type Call, fail, misused, needVariables } from "./tool.ts";

/** preline [-frdFRD] PROGRAM...: the program reads the message with From_, Return-Path and Delivered-To lines first. */
export async function preline(call: Call): Promise<number> {
  const parsed = parsePrelineOptions(call.args);
  if (parsed === undefined || parsed.program.length === 0) return misused(call, "[-frdFRD] PROGRAM ...");
  const lines = needVariables(call, variables);
  if (lines.kind !== "done") return fail(call, lines);
  const prefix = lines.value.filter((_, at) => !parsed.without.has(letters.charAt(at))).join("");
  return await runChild(call, parsed.program, withPrefix(prefix));
}

const letters = "frd";
const variables = ["UFLINE", "RPLINE", "DTLINE"];

interface PrelineOptions {
  /** Letters of the lines that are left out. */
  readonly without: ReadonlySet<string>;
  readonly program: readonly string[];
}

/** A letter leaves a line out, its capital takes it in again. `undefined` for other letters. */
export function parsePrelineOptions(args: readonly string[]): PrelineOptions | undefined {
  const without = new Set<string>();
  let at = 0;
  for (; at < args.length; at++) {
    const arg = args[at] ?? "";
    if (arg === "--" || arg === "-" || !arg.startsWith("-")) break;
    for (const letter of arg.slice(1)) {
      if (!letters.includes(letter.toLowerCase())) return undefined;
      if (letters.includes(letter)) without.add(letter);
      else without.delete(letter.toLowerCase());
    }
  }
  if (args[at] === "--") at++;
  return { without, program: args.slice(at) };
}

async function* withPrefix(prefix: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(prefix, "latin1");
  yield* process.stdin as AsyncIterable<Uint8Array>;
}
