import type { FileSystem } from "./file-system.ts";
import { type End, fileNames, home, type Reader } from "./scene.ts";

/** What should come of one message. */
export interface Wanted {
  /** How many copies each Maildir gets. */
  readonly maildirs: ReadonlyMap<string, number>;
  readonly boxes: readonly string[];
  /** What is in each mbox before. */
  readonly before: string;
  /** Of each file in a Maildir. */
  readonly content: string;
  /** Of what else comes to an mbox. */
  readonly other: string;
}

export class Violation extends Error {}

/**
 * What must hold of a message's copies after every step: never two, never a torn one but where a power cut tore it and
 * nobody could repair it yet, and from the report on exactly one, whatever happens.
 */
export class Oracle {
  readonly #files: FileSystem;
  readonly #wanted: Wanted;
  /** An entry without its From_ line. */
  readonly #entry: string;
  #isReported = false;
  /** What was begun is still to be repaired. */
  #isInterrupted = false;
  /** Inodes that a reader has deleted. */
  readonly #deleted = new Map<number, string>();
  /** A reader moved them before they were reported: after a second cut, which undoes their removal, they may stay torn. */
  readonly #movedEarly = new Set<number>();
  #cuts = 0;
  /** What is in front of our entries now, and how many a reader has taken. */
  readonly #boxes: Map<string, { before: string; taken: number; others: number }>;

  constructor(files: FileSystem, wanted: Wanted) {
    this.#files = files;
    this.#wanted = wanted;
    this.#boxes = new Map(wanted.boxes.map((box) => [box, { before: wanted.before, taken: 0, others: 0 }]));
    this.#entry = `${wanted.content.replaceAll(/^(>*From )/gm, ">$1")}\n`;
  }

  fail(why: string): never {
    throw new Violation(why);
  }

  otherCame(): void {
    for (const state of this.#boxes.values()) state.others++;
    this.check("undone badly");
  }

  reported(): void {
    this.#isReported = true;
  }

  check(after: End | "undone badly"): void {
    if (after !== "Z") this.#isInterrupted = after !== "settled";
    for (const [folder, copies] of this.#wanted.maildirs) {
      for (const name of fileNames(copies, this.#wanted.content.length)) this.#checkCopy(folder, name, after);
      this.#checkNames(folder, copies);
    }
    for (const box of this.#boxes.keys()) this.#checkBox(box, after);
  }

  /** Nothing is left but what was delivered. */
  checkTidy(): void {
    for (const folder of [home, ...[...this.#wanted.maildirs.keys()].map((maildir) => `${maildir}/tmp`)]) {
      for (const { path } of this.#files.list(folder)) {
        const isWanted = path.startsWith(`${home}/.qmail`) || this.#boxes.has(path);
        // Names that tell the age of a file, or the owner of a lock, and marks of other messages, which nobody repeats,
        // may outlive a crash; they go when they are stale.
        const isLeftover = /\.qk$|\/\.postern-o|\/\.postern-lock-[0-9]+\.mx\.example\.q$/.test(path);
        if (!isWanted && !isLeftover) this.fail(`${path} is left`);
      }
    }
  }

  /** `isDisturbed`: calls have failed, so that a mark may not say that its message is whole. */
  read(reader: Exclude<Reader, "nothing">, after: End, isDisturbed: boolean): void {
    for (const folder of this.#wanted.maildirs.keys()) this.#readMaildir(folder, reader);
    if (reader === "delete") for (const box of this.#boxes.keys()) if (!isDisturbed) this.#readBox(box, after);
    this.check("undone badly");
  }

  /** What was lost before it was reported has not been delivered, whatever a reader made of it. */
  afterPowerCut(lost: readonly number[]): void {
    this.#cuts++;
    if (!this.#isReported) for (const inode of lost) this.#deleted.delete(inode);
  }

  #readMaildir(folder: string, reader: "move" | "delete"): void {
    for (const { path, inode, isTorn } of this.#visible(folder)) {
      if (!this.#isReported) this.#movedEarly.add(inode);
      if (reader === "delete") {
        this.#files.discard(path);
        if (!isTorn) this.#deleted.set(inode, path);
      } else if (path.includes("/new/")) this.#files.move(path, `${path.replace("/new/", "/cur/")}:2,S`);
    }
  }

  /** Keeps to the lock; and does not come first after a power cut, which may have taken the lock and left the rest. */
  #readBox(box: string, after: End): void {
    const state = this.#boxes.get(box);
    if (!state || this.#files.has(`${box}.lock`) || after === "power") return;
    state.taken += this.#entries(box);
    state.before = "";
    state.others = 0;
    this.#files.empty(box);
  }

  #visible(folder: string) {
    return [...this.#files.list(`${folder}/new`), ...this.#files.list(`${folder}/cur`)];
  }

  #checkNames(folder: string, copies: number): void {
    const known = fileNames(copies, this.#wanted.content.length);
    for (const { path } of this.#visible(folder)) {
      if (!known.some((name) => path.includes(`/${name}`))) this.fail(`there is a second copy: ${path}`);
    }
  }

  #checkCopy(folder: string, name: string, after: End | "undone badly"): void {
    const copies = new Set<number>();
    for (const { path, inode, text, isTorn } of this.#visible(folder)) {
      const isThis = path.endsWith(`/${name}`) || path.endsWith(`/${name}:2,S`);
      if (!isThis) continue;
      if (text === this.#wanted.content) copies.add(inode);
      else if (!isTorn) this.fail(`${path} is torn, and no power cut did it`);
      else if (this.#isReported) {
        if (this.#cuts < 2 || !this.#movedEarly.has(inode)) this.fail(`${path} is torn though it was reported`);
      } else if (after === "settled") this.fail(`${path} is still torn`);
    }
    for (const [inode, path] of this.#deleted)
      if (path.includes(`${folder}/`) && path.includes(`/${name}`)) copies.add(inode);
    this.#checkCount(`${folder} ${name}`, copies.size, after);
  }

  #checkCount(what: string, copies: number, after: End | "undone badly"): void {
    if (copies > 1) this.fail(`${what}: ${copies} copies`);
    if (copies === 0 && (this.#isReported || after === "settled")) this.fail(`${what}: lost`);
  }

  #entries(box: string): number {
    return (this.#files.text(box) ?? "").split(this.#entry).length - 1;
  }

  #checkBox(box: string, after: End | "undone badly"): void {
    const { before, taken, others } = this.#boxes.get(box) ?? { before: "", taken: 0, others: 0 };
    const text = this.#files.text(box) ?? "";
    if (!text.startsWith(before)) this.fail(`${box} has lost what was in it`);
    const other = `${this.#wanted.other}\n`;
    const added = text.slice(before.length);
    if (added.split(other).length - 1 !== others) this.fail(`${box} has not ${others} other messages`);
    const upToLastOther = others === 0 ? 0 : added.lastIndexOf(other) + other.length;
    const isLineOpen = before !== "" && !before.endsWith("\n");
    const isFromLine = (piece: string, at: number) =>
      /^\n?From [^\n]*\n$/.test(piece) && (at > 0 || piece.startsWith("\n") === isLineOpen);
    const isWhole = (part: string): boolean => {
      const rest = part.split(this.#entry).flatMap((piece) => piece.split(other));
      return rest.pop() === "" && rest.every(isFromLine);
    };
    const mayBeTorn = (this.#isInterrupted && !this.#isReported) || this.#files.hasGarbage(box);
    if (!isWhole(added) && !mayBeTorn) this.fail(`${box} is torn`);
    if (!isWhole(added.slice(0, upToLastOther)) && !this.#files.hasGarbage(box))
      this.fail(`${box} is torn, and another message is behind it`);
    this.#checkCount(box, this.#entries(box) + taken, after);
  }
}
