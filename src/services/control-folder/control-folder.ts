import { randomUUID } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { foreignControl } from "../../protocol/control/foreign.ts";
import { isSecret } from "../../protocol/control/table.ts";
import { done, type Outcome, temporary } from "../../protocol/outcome.ts";

/**
 * The control files in a folder, by name, as text (latin1). Files that start with a dot and backups (`me~`) are none, nor
 * is a secret one that we may not read.
 */
export function readControlFiles(folder: string): Outcome<ReadonlyMap<string, string>> {
  let tried = folder;
  try {
    const names = readdirSync(folder).filter((name) => !name.startsWith(".") && !name.endsWith("~"));
    const files = new Map<string, string>();
    for (const name of names.sort()) {
      tried = join(folder, name);
      // Known from qmail and not ours: its presence is all that counts, and it may be a folder or a private key.
      const text = foreignControl(name) === undefined ? readUnlessSecret(tried, name) : "";
      if (text !== undefined) files.set(name, text);
    }
    return done(files);
  } catch (error) {
    return temporary("3.0", `cannot read ${tried}: ${codeOf(error)}`);
  }
}

function readUnlessSecret(path: string, name: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch (error) {
    if (isSecret(name) && codeOf(error) === "EACCES") return undefined;
    throw error;
  }
}

/** One control file, or `undefined` when there is none. */
export function readControlFile(folder: string, name: string): Outcome<string | undefined> {
  try {
    return done(readFileSync(join(folder, name), "latin1"));
  } catch (error) {
    if (codeOf(error) === "ENOENT") return done(undefined);
    return temporary("3.0", `cannot read ${join(folder, name)}: ${codeOf(error)}`);
  }
}

/** Puts a control file in place: after a crash there is the old one or the whole new one, and once this resolves, the new. */
export async function writeControlFile(folder: string, name: string, text: string): Promise<Outcome<void>> {
  try {
    await writeDurably(folder, name, text);
    return done(undefined);
  } catch (error) {
    return temporary("3.0", `cannot write ${join(folder, name)}: ${codeOf(error)}`);
  }
}

/** Takes a control file away: its default counts again. */
export async function removeControlFile(folder: string, name: string): Promise<Outcome<void>> {
  try {
    await rm(join(folder, name), { force: true });
    await flushFolder(folder);
    return done(undefined);
  } catch (error) {
    return temporary("3.0", `cannot remove ${join(folder, name)}: ${codeOf(error)}`);
  }
}

async function writeDurably(folder: string, name: string, text: string): Promise<void> {
  const temporaryPath = join(folder, `.${name}.${randomUUID()}`); // its dot keeps it from being read as a control file
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(() => rm(temporaryPath, { force: true }));
  const file = cleanup.use(await open(temporaryPath, "wx", isSecret(name) ? 0o600 : 0o644));
  await file.writeFile(text, "latin1");
  await file.sync();
  await rename(temporaryPath, join(folder, name));
  await flushFolder(folder);
}

async function flushFolder(folder: string): Promise<void> {
  await using handle = await open(folder);
  await handle.sync();
}

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? String(error);
