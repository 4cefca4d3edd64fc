import { execFile } from "node:child_process";
import { chmodSync, chownSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Pass, Siege } from "./siege.ts";

export interface Scene {
  /** "many": each program has a user of its own, which needs root. */
  readonly users: "one" | "many";
  /** The uid all of it runs as; else ours. */
  readonly as?: number;
}

/** Lays siege to every program once, in a folder of its own. `walls`: the folder of siege.ts, of another tree perhaps. */
export async function besiege(pass: Pass, { users, as }: Scene, walls = import.meta.dirname): Promise<Siege> {
  const folder = mkdtempSync(join(tmpdir(), "postern-walls-"));
  try {
    chmodSync(folder, 0o755);
    if (as !== undefined) chownSync(folder, as, as);
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ["--disable-warning=ExperimentalWarning", join(walls, "siege.ts"), folder, pass, users],
      as === undefined ? {} : { uid: as, gid: as },
    );
    return JSON.parse(stdout);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
