import { Buffer } from "node:buffer";
import { constants } from "node:fs";
import { dirname } from "node:path";
import type { FileStat, Files } from "../../../src/services/maildir/files.ts";
import type { Choices } from "./choices.ts";

/**
 * What a power cut keeps of names. "journal": in each folder the first so many changes that were not flushed, as ext4,
 * XFS and btrfs do, and a rename in both folders or in none; what flushes a new file flushes its name. "any": whichever.
 */
export type Keeping = "journal" | "any";

/** What a call does instead of what it should. "kill" and "power" end the process there. */
export type Trouble = "kill" | "power" | "ENOSPC" | "EIO" | "short";

/** Thrown by every call of a process that is dead. */
export class Dead extends Error {}
const dead = new Dead("this process has ended");

interface Inode {
  readonly number: number;
  data: Buffer;
  /** What is on the disk. */
  durable: Buffer;
  isDirty: boolean;
  changedMs: number;
  modifiedMs: number;
  readonly mode: number;
  /** Its first name, which is flushed with it. */
  created: Change | undefined;
  /** A power cut has damaged it; "garbage": by what nobody wrote there. */
  isTorn: boolean;
  hasGarbage: boolean;
}

interface Change {
  readonly kind: "add" | "remove" | "move";
  readonly path: string;
  readonly to?: string;
  readonly inode: Inode;
}

interface Open {
  readonly inode: Inode | undefined;
  readonly folder?: string;
  readonly flags: number;
  at: number;
}

const blockOctets = 4_096;
const accessMode = constants.O_WRONLY | constants.O_RDWR;
export const device = 7;

/** One file system, as processes see it and as it would be after a power cut. */
export class FileSystem {
  nowMs = 1_700_000_000_000;
  /** Asked before each call of a process. */
  trouble: (call: string) => Trouble | undefined = () => undefined;
  /** Chooses how much of a write that is interrupted was done. */
  choices: Choices;
  readonly #keeping: Keeping;
  #names = new Map<string, Inode>();
  #durable = new Map<string, Inode>();
  #pending: Change[] = [];
  readonly #folders = new Set<string>();
  #open = new Map<number, Open>();
  #lastFd = 2;
  #lastInode = 10;
  #isDead = false;

  constructor(keeping: Keeping, choices: Choices) {
    this.#keeping = keeping;
    this.choices = choices;
  }

  /** Not by a process of ours, and on the disk at once. */
  put(path: string, text: string): void {
    const octets = Buffer.from(text, "latin1");
    const inode = this.#inode(0o600);
    inode.data = octets;
    inode.durable = octets;
    this.#names.set(path, inode);
    this.#durable.set(path, inode);
  }

  addFolders(...paths: string[]): void {
    for (const path of paths) this.#folders.add(path);
  }

  /** What is in a folder, by its names there. */
  list(folder: string): { path: string; inode: number; text: string; isTorn: boolean }[] {
    return [...this.#names]
      .filter(([path]) => dirname(path) === folder)
      .map(([path, { number, data, isTorn }]) => ({ path, inode: number, text: data.toString("latin1"), isTorn }));
  }

  has(path: string): boolean {
    return this.#names.has(path);
  }

  hasGarbage(path: string): boolean {
    return this.#names.get(path)?.hasGarbage ?? false;
  }

  text(path: string): string | undefined {
    return this.#names.get(path)?.data.toString("latin1");
  }

  /** As a mail reader does it: not flushed. */
  move(path: string, to: string): void {
    const inode = this.#names.get(path);
    if (inode) this.#change({ kind: "move", path, to, inode });
  }

  discard(path: string): void {
    const inode = this.#names.get(path);
    if (inode) this.#change({ kind: "remove", path, inode });
  }

  empty(path: string): void {
    const inode = this.#names.get(path);
    if (!inode) return;
    inode.data = Buffer.alloc(0);
    inode.durable = inode.data;
    inode.isDirty = false;
  }

  /** Writes everything to the disk, as a process asks for it. */
  flush(): void {
    this.#step("flush");
    for (const inode of new Set([...this.#names.values(), ...this.#durable.values()])) settle(inode);
    for (const change of this.#pending) apply(this.#durable, change);
    this.#pending = [];
  }

  /** A moment at which a process may die, beside its file calls. */
  moment(name: string): void {
    this.#step(name);
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  /** The process that died, if one did, is gone; another may start. */
  restart(): void {
    this.#isDead = false;
    this.#open = new Map();
  }

  /** The power goes and comes back. Returns the files that are not where they were moved to, or not whole, any more. */
  cutPower(choices: Choices): readonly number[] {
    const lost = this.#keepNames(choices).flatMap(({ to, inode }) => (to === undefined ? [] : [inode.number]));
    for (const inode of new Set(this.#durable.values())) {
      if (inode.isDirty) {
        const left = remainder(inode, choices);
        inode.isTorn = !left.equals(inode.data);
        inode.data = left;
        if (inode.isTorn) lost.push(inode.number);
      }
      settle(inode);
    }
    this.#names = new Map(this.#durable);
    this.#pending = [];
    return lost;
  }

  #keepNames(choices: Choices): Change[] {
    if (this.#keeping === "any") {
      const kept = this.#pending.filter(() => choices.below(2) === 1);
      for (const change of kept) apply(this.#durable, change);
      return this.#pending.filter((change) => !kept.includes(change));
    }
    const left = new Map<string, number>();
    const foldersOf = ({ path, to }: Change) => [...new Set([dirname(path), dirname(to ?? path)])];
    for (const folder of this.#pending.flatMap(foldersOf)) left.set(folder, (left.get(folder) ?? 0) + 1);
    for (const [folder, count] of left) left.set(folder, choices.below(count + 1));
    const lost: Change[] = [];
    for (const change of this.#pending) {
      const folders = foldersOf(change);
      const isKept = folders.every((folder) => (left.get(folder) ?? 0) > 0);
      for (const folder of folders) left.set(folder, isKept ? (left.get(folder) ?? 0) - 1 : 0);
      if (isKept) apply(this.#durable, change);
      else lost.push(change);
    }
    return lost;
  }

  /** The calls of a process. */
  readonly files: Files = {
    open: (path, flags, mode = 0o600) => this.#openFile(path, flags, mode),
    close: (fd) => {
      this.#step("close");
      if (!this.#open.delete(fd)) throw failure("EBADF");
    },
    read: (fd, into, at, octets, position) => {
      this.#step("read");
      const { data } = this.#file(fd, constants.O_WRONLY);
      return position < data.length ? data.copy(into, at, position, position + octets) : 0;
    },
    write: (fd, octets, from, position) => this.#write(fd, octets.subarray(from), position),
    writev: (fd, pieces) => this.#write(fd, Buffer.concat(pieces)),
    truncate: (fd, octets) => {
      this.#step("truncate");
      if ((this.#opened(fd).flags & accessMode) === constants.O_RDONLY) throw failure("EINVAL");
      const inode = this.#file(fd);
      inode.data = Buffer.concat([inode.data.subarray(0, octets)], octets);
      inode.modifiedMs = this.nowMs;
      inode.isDirty = true;
    },
    fstat: (fd) => {
      this.#step("fstat");
      const { inode } = this.#opened(fd);
      return inode ? this.#stat(inode) : folderStat;
    },
    lstat: (path) => this.#lookUp(path),
    stat: (path) => this.#lookUp(path),
    link: (from, to) => {
      this.#step("link");
      const inode = this.#existing(from);
      this.#free(to);
      this.#change({ kind: "add", path: to, inode });
    },
    rename: (from, to) => {
      this.#step("rename");
      const inode = this.#existing(from);
      if (!this.#folders.has(dirname(to))) throw failure("ENOENT");
      if (this.#names.get(to) !== inode) this.#change({ kind: "move", path: from, to, inode });
    },
    unlink: (path) => {
      this.#step("unlink");
      this.#change({ kind: "remove", path, inode: this.#existing(path) });
    },
    makeFolder: (path) => {
      this.#step("mkdir");
      this.#folders.add(path);
      this.#folders.add(dirname(path));
    },
    names: (folder) => {
      this.#step("readdir");
      if (!this.#folders.has(folder)) throw failure("ENOENT");
      return this.list(folder).map(({ path }) => path.slice(folder.length + 1));
    },
  };

  #openFile(path: string, flags: number, mode: number): number {
    this.#step("open");
    const fd = ++this.#lastFd;
    if (flags & constants.O_DIRECTORY) {
      if (!this.#folders.has(path)) throw failure("ENOENT");
      this.#open.set(fd, { inode: undefined, folder: path, flags, at: 0 });
      return fd;
    }
    let inode = this.#names.get(path);
    if (inode && flags & constants.O_EXCL) throw failure("EEXIST");
    if (!inode) {
      if (!(flags & constants.O_CREAT)) throw failure("ENOENT");
      inode = this.#create(path, mode);
    }
    if (flags & constants.O_TRUNC && inode.data.length > 0) {
      inode.data = Buffer.alloc(0);
      inode.isDirty = true;
    }
    this.#open.set(fd, { inode, flags, at: 0 });
    return fd;
  }

  #create(path: string, mode: number): Inode {
    this.#free(path);
    const inode = this.#inode(mode);
    inode.created = { kind: "add", path, inode };
    this.#change(inode.created);
    return inode;
  }

  #write(fd: number, octets: Buffer, position?: number): number {
    const trouble = this.#ask("write");
    const whole = trouble === undefined;
    const length = whole ? octets.length : Math.floor((octets.length * this.choices.below(3)) / 2);
    const taken = octets.subarray(0, trouble === "short" ? Math.max(1, length) : length);
    const inode = this.#file(fd, constants.O_RDONLY);
    const open = this.#opened(fd);
    const { flags } = open;
    const at = flags & constants.O_APPEND ? inode.data.length : (position ?? open.at);
    const before = Buffer.concat([inode.data.subarray(0, at)], at); // with zeros where nothing was
    if (taken.length > 0) inode.data = Buffer.concat([before, taken, inode.data.subarray(at + taken.length)]);
    if (position === undefined) open.at = at + taken.length;
    inode.modifiedMs = this.nowMs;
    inode.changedMs = this.nowMs;
    inode.isDirty = true;
    this.#fail(trouble);
    if (flags & constants.O_DSYNC) this.#sync(inode);
    return taken.length;
  }

  /** On the disk: the file, its first name, and with "journal" what was done in that folder before. */
  #sync(inode: Inode): void {
    settle(inode);
    const { created } = inode;
    const at = created ? this.#pending.indexOf(created) : -1;
    if (!created || at < 0 || this.#keeping === "any") return;
    const folder = dirname(created.path);
    const flushed = this.#pending.slice(0, at + 1).filter(({ path, to }) => dirname(path) === folder && !to);
    if (this.#pending.slice(0, at).some(({ path, to }) => to && [dirname(path), dirname(to)].includes(folder))) {
      for (const change of this.#pending.splice(0, at + 1)) apply(this.#durable, change);
      return;
    }
    for (const change of flushed) apply(this.#durable, change);
    this.#pending = this.#pending.filter((change) => !flushed.includes(change));
  }

  #step(call: string): void {
    this.#fail(this.#ask(call));
  }

  #ask(call: string): Trouble | undefined {
    if (this.#isDead) throw dead;
    return this.trouble(call);
  }

  #fail(trouble: Trouble | undefined): void {
    if (trouble === "kill" || trouble === "power") {
      this.#isDead = true;
      throw dead;
    }
    if (trouble !== undefined && trouble !== "short") throw failure(trouble);
  }

  #change(change: Change): void {
    apply(this.#names, change);
    change.inode.changedMs = this.nowMs;
    this.#pending.push(change);
  }

  #inode(mode: number): Inode {
    const empty = Buffer.alloc(0);
    const times = { changedMs: this.nowMs, modifiedMs: this.nowMs };
    const number = ++this.#lastInode;
    return {
      number,
      data: empty,
      durable: empty,
      isDirty: false,
      ...times,
      mode,
      created: undefined,
      isTorn: false,
      hasGarbage: false,
    };
  }

  #opened(fd: number): Open {
    const open = this.#open.get(fd);
    if (!open) throw failure("EBADF");
    return open;
  }

  /** `not`: a way of opening that does not do. */
  #file(fd: number, not?: number): Inode {
    const { inode, flags } = this.#opened(fd);
    if (!inode || (flags & accessMode) === not) throw failure("EBADF");
    return inode;
  }

  #existing(path: string): Inode {
    const inode = this.#names.get(path);
    if (!inode) throw failure("ENOENT");
    return inode;
  }

  #free(path: string): void {
    if (!this.#folders.has(dirname(path))) throw failure("ENOENT");
    if (this.#names.has(path)) throw failure("EEXIST");
  }

  #lookUp(path: string): FileStat | undefined {
    this.#step("stat");
    const plain = path.endsWith("/.") ? path.slice(0, -2) : path;
    const inode = this.#names.get(plain);
    if (inode) return this.#stat(inode);
    return this.#folders.has(plain) ? folderStat : undefined;
  }

  #stat({ number, data, mode, changedMs, modifiedMs }: Inode): FileStat {
    return {
      dev: device,
      ino: number,
      size: data.length,
      mode: 0o100000 | mode,
      atimeMs: changedMs,
      mtimeMs: modifiedMs,
      ctimeMs: changedMs,
      isFile: () => true,
      isDirectory: () => false,
    };
  }
}

const folderStat: FileStat = {
  dev: device,
  ino: 2,
  size: 4_096,
  mode: 0o40700,
  atimeMs: 0,
  mtimeMs: 0,
  ctimeMs: 0,
  isFile: () => false,
  isDirectory: () => true,
};

const failure = (code: string): Error => Object.assign(new Error(code), { code });

function settle(inode: Inode): void {
  inode.durable = inode.data;
  inode.isDirty = false;
}

function apply(names: Map<string, Inode>, { kind, path, to, inode }: Change): void {
  if (kind === "add") names.set(path, inode);
  else if (names.get(path) === inode) names.delete(path);
  if (to !== undefined) names.set(to, inode);
}

/** What a power cut leaves of a file that was not flushed: nothing new, all, a part, zeros, garbage at its end. */
function remainder(inode: Inode, choices: Choices): Buffer {
  const { durable, data } = inode;
  const same = commonOctets(durable, data);
  const part = () => same + Math.ceil(((data.length - same) * (1 + choices.below(2))) / 3);
  const padded = (octets: Buffer) => Buffer.concat([octets], data.length);
  switch (choices.below(5)) {
    case 0:
      return durable;
    case 1:
      return data;
    case 2:
      return data.subarray(0, part());
    case 3:
      return padded(data.subarray(0, part()));
    default: {
      inode.hasGarbage = true;
      const from = Math.max(same, data.length - (data.length % blockOctets || blockOctets));
      return Buffer.concat([data.subarray(0, from), Buffer.alloc(data.length - from, "garbage\n")]);
    }
  }
}

function commonOctets(one: Buffer, other: Buffer): number {
  const limit = Math.min(one.length, other.length);
  for (let at = 0; at < limit; at++) if (one[at] !== other[at]) return at;
  return limit;
}
