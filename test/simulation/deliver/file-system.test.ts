/** The simulated file system answers as the real one does, call by call: else what is shown on it is shown of nothing. */
import assert from "node:assert/strict";
import { constants, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type Files, nodeFiles } from "../../../src/services/maildir/files.ts";
import { seeded } from "../../support/seeded.ts";
import { temporaryFolder } from "../../support/server.ts";
import { FileSystem } from "./file-system.ts";

const runs = 60;
const callsEach = 150;
const folders = ["tmp", "new"];
const { O_APPEND, O_CREAT, O_DSYNC, O_EXCL, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } = constants;
const flagSets = [
  O_WRONLY | O_CREAT | O_EXCL,
  O_WRONLY | O_CREAT | O_EXCL | O_DSYNC,
  O_RDONLY,
  O_RDWR,
  O_RDWR | O_CREAT,
  O_WRONLY | O_APPEND | O_DSYNC,
  O_WRONLY | O_APPEND | O_CREAT,
  O_WRONLY | O_TRUNC,
];

/** A process: its files below `top`, and the descriptors it has, in the order in which it got them. */
interface Process {
  readonly files: Files;
  readonly top: string;
  readonly open: number[];
}
type Call = (process: Process) => unknown;

/** Draws a call: the same for whoever makes it. */
function drawCall(random: () => number): Call {
  const below = (bound: number): number => Math.floor(random() * bound);
  const name = `${folders[below(2)]}/${"abc"[below(3)]}`;
  const other = `${folders[below(2)]}/${"abc"[below(3)]}`;
  const [which, octets, position, bound] = [below(5), below(40), below(60), below(30)];
  const flags = flagSets[below(flagSets.length)] ?? 0;
  const text = Buffer.alloc(octets, 97 + below(26));
  const at = ({ top }: Process, path: string): string => join(top, path);
  const descriptor = ({ open }: Process): number => open[which % Math.max(1, open.length)] ?? -1;
  const calls: readonly Call[] = [
    (process) => process.open.push(process.files.open(at(process, name), flags, 0o600)),
    (process) => process.open.push(process.files.open(at(process, name), flags, 0o600)),
    (process) => {
      const [fd] = process.open.splice(which % Math.max(1, process.open.length), 1);
      if (fd !== undefined) process.files.close(fd);
    },
    (process) => process.open.length > 0 && process.files.write(descriptor(process), text, 0),
    (process) => process.open.length > 0 && process.files.write(descriptor(process), text, 0, position),
    (process) => process.open.length > 0 && process.files.writev(descriptor(process), [text, Buffer.from("end")]),
    (process) => process.open.length > 0 && process.files.truncate(descriptor(process), bound),
    (process) => {
      if (process.open.length === 0) return undefined;
      const into = Buffer.alloc(80);
      return [process.files.read(descriptor(process), into, 5, 1 + bound, position), into.toString("latin1")];
    },
    (process) => process.open.length > 0 && process.files.fstat(descriptor(process)).size,
    (process) => process.files.lstat(at(process, name))?.size,
    (process) => process.files.stat(at(process, name))?.isFile(),
    (process) => process.files.stat(at(process, folders[which % 2] ?? ""))?.isDirectory(),
    (process) => process.files.link(at(process, name), at(process, other)),
    (process) => process.files.rename(at(process, name), at(process, other)),
    (process) => process.files.rename(at(process, name), at(process, `nowhere/${which}`)),
    (process) => process.files.unlink(at(process, name)),
    (process) => [...process.files.names(at(process, folders[which % 2] ?? ""))].sort(),
    (process) => [...process.files.names(at(process, "nowhere"))],
  ];
  return calls[below(calls.length)] ?? (() => undefined);
}

function outcome(call: Call, process: Process): unknown {
  try {
    return call(process);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? error;
  }
}

test("the simulated file system answers as the real one, whatever is called", () => {
  for (let seed = 1; seed <= runs; seed++) {
    const top = temporaryFolder();
    const random = seeded(seed);
    const simulated = new FileSystem("journal", { below: () => 0 });
    simulated.addFolders("/", "/tmp", "/new");
    for (const folder of folders) mkdirSync(join(top, folder));
    const ours: Process = { files: simulated.files, top: "/", open: [] };
    const real: Process = { files: nodeFiles, top, open: [] };
    for (let n = 0; n < callsEach; n++) {
      const call = drawCall(random);
      const expected = outcome(call, real);
      assert.deepEqual(outcome(call, ours), expected, `seed ${seed}, call ${n}: ${call}`);
    }
    for (const fd of real.open) nodeFiles.close(fd);
    rmSync(top, { recursive: true });
  }
});
