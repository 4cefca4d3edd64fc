import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder, tree } from "./server.ts";

/** One deliberate fault: in a compiled file, below dist/, the text `from` becomes `to`. */
export interface Fault {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

export interface Mutant extends Disposable {
  /** For `startServer`. */
  readonly tree: string;
}

/**
 * A copy of the compiled programs with deliberate faults, to show that a test notices them. Throws when a fault no
 * longer finds its text: a mutant without a fault would prove nothing.
 */
export function mutant(...faults: readonly Fault[]): Mutant {
  const copy = temporaryFolder();
  for (const part of ["bin", "dist", "package.json"]) {
    cpSync(join(tree, part), join(copy, part), { recursive: true });
  }
  mkdirSync(join(copy, "node_modules"));
  symlinkSync(join(tree, "node_modules/node"), join(copy, "node_modules/node"));
  for (const { file, from, to } of faults) {
    const path = join(copy, "dist", file);
    const code = readFileSync(path, "utf8");
    if (code.split(from).length !== 2) throw new Error(`${file} does not have exactly one "${from}"`);
    writeFileSync(
      path,
      code.replace(from, () => to),
    );
  }
  return {
    tree: copy,
    [Symbol.dispose]: () => rmSync(copy, { recursive: true, force: true }),
  };
}
