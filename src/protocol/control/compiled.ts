import { Buffer } from "node:buffer";
import { readCdb } from "../cdb/read.ts";
import { clientRuleLines } from "../network/client-rules.ts";
import { done, type Outcome, permanent } from "../outcome.ts";
import type { ControlName, Settings } from "./table.ts";

/** A control file that qmail's tools make from text. */
export interface Compiled {
  /** The control file whose lines it brings more of. */
  readonly adds: ControlName &
    keyof { [Name in keyof Settings as Settings[Name] extends readonly string[] ? Name : never]: 0 };
  /** It counts only when that one has no file. */
  readonly onlyWithout: boolean;
  lines(file: Buffer): Outcome<readonly string[]>;
}

/** Lines from one cdb: they are handed to programs with the other settings. */
const maxCompiledLines = 250_000;

const compiled = new Map<string, Compiled>([
  ["morercpthosts.cdb", { adds: "morercpthosts", onlyWithout: false, lines: keysOf }],
  ["tcp.smtp.cdb", { adds: "smtprules", onlyWithout: true, lines: clientRuleLines }],
]);

export const compiledControl = (name: string): Compiled | undefined => compiled.get(name);

/** The lines that a compiled control file stands for. `text` is its octets as latin1. Fails when it is damaged. */
export function parseCompiled(name: string, { lines }: Compiled, text: string): Outcome<readonly string[]> {
  const read = lines(Buffer.from(text, "latin1"));
  if (read.kind !== "done") return permanent("3.5", `control/${name}: ${read.text}`);
  if (read.value.length <= maxCompiledLines) return read;
  return permanent("3.5", `control/${name}: ${read.value.length} records are more than ${maxCompiledLines}`);
}

function keysOf(file: Buffer): Outcome<readonly string[]> {
  const read = readCdb(file);
  return read.kind === "done" ? done([...read.value.keys()]) : read;
}
