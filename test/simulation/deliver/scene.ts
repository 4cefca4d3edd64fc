import { Buffer } from "node:buffer";
import { type Delivered, deliver, type Surroundings } from "../../../src/programs/deliver/delivery.ts";
import type { Ground } from "../../../src/programs/deliver/ground.ts";
import type { Message } from "../../../src/programs/deliver/message.ts";
import { createStore, type Store } from "../../../src/programs/deliver/stores.ts";
import type { Task } from "../../../src/programs/deliver/task.ts";
import { done, temporary } from "../../../src/protocol/outcome.ts";
import { homeGiven } from "../../../src/protocol/wire/worker.ts";
import { fileNameOf } from "../../../src/services/maildir/name.ts";
import { remove } from "../../../src/services/maildir/store.ts";
import type { Choices } from "./choices.ts";
import { Dead, device, FileSystem, type Keeping, type Trouble } from "./file-system.ts";
import type { Mutant } from "./mutants.ts";
import { Oracle } from "./oracle.ts";

export const home = "/home/joe";
/** What one message meets: the lines of .qmail, and what is in the mbox before. */
export interface Setting {
  readonly qmail: string;
  readonly mbox?: string;
  readonly bodyOctets: number;
  readonly keeping: Keeping;
  readonly mutant?: Mutant;
}

/** What a reader of mail does in between. */
export const readers = ["nothing", "move", "delete"] as const;
export type Reader = (typeof readers)[number];

export const host = "mx.example";
export const fileNames = (lines: number, octets: number): string[] =>
  Array.from({ length: lines }, (_, at) => `${fileNameOf({ name: "m1", number: 1, line: at + 1, host })},S=${octets}`);

/** How an attempt ended: the process died, or it reported; "settled": and `queue` has written it down. */
export type End = "kill" | "power" | "Z" | "settled";

/** One message on its way to one mailbox, over a simulated file system, by the code that does it. */
export class Scene {
  readonly files: FileSystem;
  readonly oracle: Oracle;
  readonly #setting: Setting;
  /** What is stored in a Maildir. */
  readonly content: string;
  readonly #text: string;
  readonly #trace: (line: string) => void;
  #store: Store | undefined;
  #attempts = 0;
  #others = 0;
  #isWrittenDown = false;
  #isDisturbed = false;

  constructor(setting: Setting, choices: Choices, trace: (line: string) => void = () => {}) {
    this.#setting = setting;
    this.#trace = trace;
    this.#text = bodyOf(setting.bodyOctets);
    this.files = new FileSystem(setting.keeping, choices);
    this.files.addFolders(home);
    this.files.put(`${home}/.qmail`, setting.qmail);
    const lines = setting.qmail.split("\n");
    const maildirs = new Map<string, number>();
    for (const line of lines.filter((each) => /^\.\/.*\/$/.test(each))) {
      const folder = `${home}${line.slice(1, -1)}`;
      maildirs.set(folder, (maildirs.get(folder) ?? 0) + 1);
      this.files.addFolders(folder, `${folder}/tmp`, `${folder}/new`, `${folder}/cur`);
    }
    const boxes = lines.filter((each) => /^\.\/.*[^/]$/.test(each)).map((each) => home + each.slice(1));
    if (boxes.length > 0) this.files.put(`${home}/.qmail-other`, "./box\n");
    if (setting.mbox !== undefined) for (const box of boxes) this.files.put(box, setting.mbox);
    this.content = `Return-Path: <a@far.example>\nDelivered-To: joe@example.org\n${this.#text}`;
    this.oracle = new Oracle(this.files, {
      maildirs,
      boxes,
      before: setting.mbox ?? "",
      content: this.content,
      other: otherContent,
    });
  }

  /** One attempt, with `trouble` at its calls; what the process wrote stays, what a power cut leaves `choices` says. */
  async attempt(choices: Choices, trouble: (call: string, number: number) => Trouble | undefined): Promise<End> {
    if (this.#isWrittenDown) return "settled";
    let calls = 0;
    let ended: "kill" | "power" | undefined;
    let hasFailedToUndo = false;
    this.files.choices = choices;
    this.files.trouble = (call) => {
      const met = trouble(call, calls++);
      this.#trace(`  ${call}${met ? `: ${met}` : ""}`);
      if (met === "kill" || met === "power") ended = met;
      else if (met !== undefined) this.#isDisturbed = true;
      if (met !== undefined && met !== "short" && (call === "truncate" || call === "unlink")) hasFailedToUndo = true;
      return met;
    };
    this.#attempts++;
    let end: "Z" | "settled" = "Z";
    try {
      end = await this.#carryOut();
    } catch (error) {
      if (!(error instanceof Dead)) throw error;
    }
    this.files.trouble = () => undefined;
    if (this.files.isDead) this.#die(ended === "power", choices);
    this.#trace(`attempt ${this.#attempts}: ${ended ?? end}`);
    this.oracle.check(ended ?? (hasFailedToUndo ? "undone badly" : end));
    return ended ?? end;
  }

  /** An attempt without trouble: must succeed. */
  async finish(choices: Choices): Promise<void> {
    this.files.nowMs += 15_000;
    const wasWrittenDown = this.#isWrittenDown;
    const end = await this.attempt(choices, () => undefined);
    if (end !== "settled") this.oracle.fail(`an undisturbed attempt ends with ${end}`);
    this.oracle.check("settled");
    if (!wasWrittenDown && this.#setting.keeping === "journal") this.oracle.checkTidy();
  }

  /** Another message comes to the mbox, and nothing disturbs it: by the process that is there, else by a new one. */
  async other(): Promise<void> {
    if (!this.files.has(`${home}/.qmail-other`)) return;
    this.#trace("another message");
    this.#store ??= createStore(this.#ground());
    const around = this.#around(this.#store);
    const task = { ...taskOf(otherText.length, `o${++this.#others}`), local: "joe-other" };
    const where = { path: home, dash: "-", extension: "other", makesMaildir: false };
    const delivered = await deliver(task, where, messageOf(otherText), around);
    if (delivered.letter !== "K") this.oracle.fail(`another message: ${delivered.letter}${delivered.text}`);
    this.#flushed(delivered);
    this.#settle(this.#store, delivered);
    this.oracle.otherCame();
  }

  read(reader: Reader, after: End): void {
    if (reader === "nothing") return;
    this.#trace(`reader: ${reader}`);
    this.oracle.read(reader, after, this.#isDisturbed);
  }

  #die(isPower: boolean, choices: Choices): void {
    this.files.restart();
    this.#store = undefined;
    if (!isPower) return;
    const lost = this.files.cutPower(choices);
    this.#trace(`  something lost of files ${lost.join(", ")}`);
    this.oracle.afterPowerCut(lost);
  }

  /** As `local` and `deliver` do it together: deliver, flush, report, and remove the marks when that is settled. */
  async #carryOut(): Promise<"Z" | "settled"> {
    const mutant = this.#setting.mutant;
    this.#store ??= createStore(this.#ground());
    const store = this.#store;
    const around = this.#around(store);
    const task = taskOf(this.#text.length, mutant?.namesAnew ? `m${this.#attempts}` : "m1");
    const where = { path: home, dash: "", extension: "", makesMaildir: false };
    const delivered = await deliver(task, where, messageOf(this.#text), around);
    if (this.files.isDead) throw new Dead();
    if (delivered.letter !== "K") {
      this.#trace(`  ${delivered.letter} ${delivered.text.trimEnd()}`);
      if (delivered.letter === "D") this.oracle.fail(`D: ${delivered.text}`);
      return "Z";
    }
    if (mutant?.settlesEarly) this.#settle(store, delivered);
    if (!mutant?.reportsUnflushed && !this.#flushed(delivered)) return "Z";
    this.#report(delivered);
    this.files.moment("queue writes down the result");
    this.#isWrittenDown = true;
    this.#settle(store, delivered);
    return "settled";
  }

  #around(store: Store): Surroundings {
    const { signal } = new AbortController();
    return { store, runProgram: () => Promise.reject(new Error("no programs here")), signal };
  }

  #flushed({ devices }: Delivered): boolean {
    if (this.#setting.qmail.includes("./") && !devices.has(device)) this.oracle.fail("the file system is not named");
    try {
      this.files.flush();
      return true;
    } catch (error) {
      if (error instanceof Dead) throw error;
      return false;
    }
  }

  #report({ forwards }: Delivered): void {
    const wanted = this.#setting.qmail.split("\n").filter((line) => line.startsWith("&"));
    const given = (forwards?.forwardPaths ?? []).map((path) => `&${path}`);
    if (given.join() !== wanted.join()) this.oracle.fail(`forwards to ${given}, not to ${wanted}`);
    this.oracle.reported();
  }

  #settle(store: Store, { marks }: Delivered): void {
    if (this.#setting.mutant?.neverSettles) return;
    for (const mark of marks) remove(store.ground.files, mark);
    this.files.moment("settled");
  }

  #ground(): Ground {
    const { mutant } = this.#setting;
    const files = mutant?.files?.(this.files.files, this) ?? this.files.files;
    return {
      files,
      nowMs: () => this.files.nowMs,
      wait: async (ms) => {
        this.files.nowMs += ms;
      },
      pid: 1, // as in a container, where the next process may well get the same
      host,
    };
  }
}

const otherText = "Subject: other\n\nno more\n";
const otherContent = `Return-Path: <a@far.example>\nDelivered-To: joe-other@example.org\n${otherText}`;

const taskOf = (octets: number, name: string): Task => ({
  name,
  number: 1,
  octets,
  user: "joe",
  home,
  homeKind: homeGiven,
  local: "joe",
  domain: "example.org",
  dash: "",
  extension: "",
  reversePath: "a@far.example",
  defaultDelivery: "./Maildir/",
  host,
  quota: "",
  fullIsPermanent: 0,
});

function bodyOf(octets: number): string {
  const head = "Subject: x\n\nFrom the beginning\n";
  return head + "line\n.\n\n".repeat(Math.max(0, Math.ceil((octets - head.length) / 8)));
}

const pieceOctets = 50_000;

function messageOf(text: string): Message {
  return {
    octets: text.length,
    *pieces() {
      for (let at = 0; at < text.length; at += pieceOctets)
        yield Buffer.from(text.slice(at, at + pieceOctets), "latin1");
    },
    write: () => done(undefined),
    isComplete: () => true,
    hasLine: () => false,
    descriptor: () => temporary("3.0", "no descriptor"),
    close() {},
  };
}
