import {
  closeSync,
  fstatSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  mkdirSync,
  opendirSync,
  openSync,
  readSync,
  renameSync,
  type Stats,
  statSync,
  unlinkSync,
  writeSync,
  writevSync,
} from "node:fs";

export type FileStat = Pick<
  Stats,
  "dev" | "ino" | "size" | "mode" | "atimeMs" | "mtimeMs" | "ctimeMs" | "isFile" | "isDirectory"
>;

/** The file calls of deliveries, each one system call that throws the system's error. Simulations bring their own. */
export interface Files {
  open(path: string, flags: number, mode?: number): number;
  close(fd: number): void;
  /** Reads up to `octets` at `position` to `into`, from `at` on; 0 at the end of the file. */
  read(fd: number, into: Buffer, at: number, octets: number, position: number): number;
  /** Writes `octets` from `from` on, or less of it, at `position`, or where the file's position is. */
  write(fd: number, octets: Buffer, from: number, position?: number): number;
  writev(fd: number, pieces: readonly Buffer[]): number;
  truncate(fd: number, octets: number): void;
  fstat(fd: number): FileStat;
  /** `undefined` when it is not there. */
  lstat(path: string): FileStat | undefined;
  /** As `lstat`, of what a link leads to. */
  stat(path: string): FileStat | undefined;
  link(from: string, to: string): void;
  rename(from: string, to: string): void;
  unlink(path: string): void;
  /** Makes it, and those above it, for nobody but its owner; what exists stays. */
  makeFolder(path: string): void;
  names(folder: string): Iterable<string>;
}

export const nodeFiles: Files = {
  open: openSync,
  close: closeSync,
  read: (fd, into, at, octets, position) => readSync(fd, into, at, octets, position),
  write: (fd, octets, from, position) => writeSync(fd, octets, from, octets.length - from, position ?? null),
  writev: (fd, pieces) => writevSync(fd, pieces),
  truncate: ftruncateSync,
  fstat: (fd) => fstatSync(fd),
  lstat: (path) => lstatSync(path, { throwIfNoEntry: false }),
  stat: (path) => statSync(path, { throwIfNoEntry: false }),
  link: linkSync,
  rename: renameSync,
  unlink: unlinkSync,
  makeFolder: (path) => void mkdirSync(path, { recursive: true, mode: 0o700 }),
  *names(folder) {
    using entries = opendirSync(folder);
    for (let entry = entries.readSync(); entry; entry = entries.readSync()) yield entry.name;
  },
};
