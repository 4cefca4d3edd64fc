import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { type Ended, fingerprint, type Production } from "./production.ts";

type Hand = Pick<Production, "homeOf" | "uidOf" | "write" | "give">;

/** What a user has put where his mail is delivered, and what then becomes of a message to him. */
export interface HomeRow {
  readonly name: string;
  /** Mail goes to this user, or to `mallory-NAME` of `.qmail-NAME` when there is none. */
  readonly user?: string;
  /** The line or lines of `.qmail-NAME`. */
  readonly lines?: string;
  readonly prepare?: (home: string, hand: Hand) => void;
  readonly result: Ended["result"];
  readonly text: RegExp;
}

const victim = "victim";
export const theirs = (hand: Pick<Hand, "homeOf">, path: string): string => join(hand.homeOf(victim), path);
const link =
  (name: string, target: string) =>
  (home: string, hand: Hand): void => {
    symlinkSync(target.replace("VICTIM", hand.homeOf(victim)), join(home, name));
    hand.give("mallory", join(home, name));
  };
const maildirWith = (name: string, replace: (folder: string, hand: Hand) => void) => (home: string, hand: Hand) => {
  for (const part of ["", "tmp", "new", "cur"]) {
    mkdirSync(join(home, name, part));
    hand.give("mallory", join(home, name, part));
  }
  replace(join(home, name), hand);
};
const instead =
  (part: string, make: (path: string, hand: Hand) => void) =>
  (folder: string, hand: Hand): void => {
    rmdirSync(join(folder, part));
    make(join(folder, part), hand);
    hand.give("mallory", join(folder, part));
  };
const fifo = (path: string): unknown => execFileSync("mkfifo", [path]);
const inHome =
  (name: string, make: (path: string, hand: Hand) => void) =>
  (home: string, hand: Hand): void => {
    make(join(home, name), hand);
    hand.give("mallory", join(home, name));
  };
const minutesAgo = (minutes: number): Date => new Date(Date.now() - minutes * 60_000);

const noMaildir = /Unable to chdir to maildir/;
const trouble = /Temporary error on maildir delivery/;
const cannotOpen = /Unable to open /;
const noMailbox = /no mailbox here by that name/;
const done = /^did 1\+0\+0/;

const maildirRows: readonly HomeRow[] = [
  {
    name: "maildir-is-a-link-to-theirs",
    lines: "./m1/",
    prepare: link("m1", "VICTIM/Maildir"),
    result: "deferral",
    text: noMaildir,
  },
  { name: "maildir-is-theirs", lines: "../victim/Maildir/", result: "deferral", text: noMaildir },
  {
    name: "maildir-is-a-link-to-my-own",
    lines: "./m2/",
    prepare: link("m2", "Maildir"),
    result: "success",
    text: done,
  },
  {
    name: "new-is-a-link-to-theirs",
    lines: "./m3/",
    prepare: maildirWith(
      "m3",
      instead("new", (path, hand) => symlinkSync(theirs(hand, "Maildir/new"), path)),
    ),
    result: "deferral",
    text: trouble,
  },
  {
    name: "new-is-a-link-to-a-folder-for-all",
    lines: "./m4/",
    prepare: maildirWith(
      "m4",
      instead("new", (path) => symlinkSync("/tmp", path)),
    ),
    result: "deferral",
    text: trouble,
  },
  {
    name: "tmp-is-a-link-to-a-folder-for-all",
    lines: "./m5/",
    prepare: maildirWith(
      "m5",
      instead("tmp", (path) => symlinkSync("/tmp", path)),
    ),
    result: "deferral",
    text: trouble,
  },
  {
    name: "tmp-is-a-fifo",
    lines: "./m6/",
    prepare: maildirWith("m6", instead("tmp", fifo)),
    result: "deferral",
    text: trouble,
  },
  {
    name: "new-is-a-file",
    lines: "./m7/",
    prepare: maildirWith(
      "m7",
      instead("new", (path) => writeFileSync(path, "")),
    ),
    result: "deferral",
    text: trouble,
  },
  {
    name: "maildir-is-a-file",
    lines: "./m8/",
    prepare: inHome("m8", (path) => writeFileSync(path, "")),
    result: "deferral",
    text: noMaildir,
  },
  { name: "maildir-is-a-fifo", lines: "./m9/", prepare: inHome("m9", fifo), result: "deferral", text: noMaildir },
  { name: "maildir-is-not-there", lines: "./nowhere/", result: "deferral", text: noMaildir },
  { name: "maildir-is-in-proc", lines: "/proc/self/cwd/Maildir/", result: "deferral", text: noMaildir },
  { name: "maildir-is-elsewhere", lines: "/tmp/", result: "deferral", text: noMaildir },
];

const mboxRows: readonly HomeRow[] = [
  {
    name: "mbox-is-a-link-to-theirs",
    lines: "./b1",
    prepare: link("b1", "VICTIM/private"),
    result: "deferral",
    text: cannotOpen,
  },
  {
    name: "mbox-is-a-link-to-one-that-all-may-write",
    lines: "./b2",
    prepare: link("b2", "VICTIM/for-all"),
    result: "deferral",
    text: cannotOpen,
  },
  {
    name: "mbox-is-a-link-to-my-own-file",
    lines: "./b3",
    prepare: inHome("b3", (path) => symlinkSync(".profile", path)),
    result: "deferral",
    text: cannotOpen,
  },
  { name: "mbox-is-theirs", lines: "../victim/private", result: "deferral", text: cannotOpen },
  { name: "mbox-is-one-that-all-may-write", lines: "../victim/for-all", result: "deferral", text: cannotOpen },
  { name: "mbox-is-the-passwd-file", lines: "/etc/passwd", result: "deferral", text: cannotOpen },
  { name: "mbox-is-a-cron-table", lines: "/etc/cron.d/mallory", result: "deferral", text: cannotOpen },
  { name: "mbox-is-in-tmp", lines: "/tmp/mallory-mbox", result: "deferral", text: cannotOpen },
  {
    name: "mbox-is-a-hard-link-to-theirs",
    lines: "./b4",
    prepare: (home, hand) => linkSync(theirs(hand, "private"), join(home, "b4")),
    result: "deferral",
    text: cannotOpen,
  },
  { name: "mbox-is-a-fifo", lines: "./b5", prepare: inHome("b5", fifo), result: "deferral", text: cannotOpen },
  {
    name: "mbox-is-a-folder",
    lines: "./b6",
    prepare: inHome("b6", (path) => mkdirSync(path)),
    result: "deferral",
    text: cannotOpen,
  },
  {
    name: "mbox-is-a-terminal",
    lines: "./b7",
    prepare: inHome("b7", (path) => execFileSync("mknod", [path, "c", "5", "0"])),
    result: "deferral",
    text: cannotOpen,
  },
  {
    name: "mbox-is-the-null-device",
    lines: "./b8",
    prepare: inHome("b8", (path) => execFileSync("mknod", [path, "c", "1", "3"])),
    result: "deferral",
    text: cannotOpen,
  },
  { name: "mbox-is-my-input", lines: "/proc/self/fd/3", result: "deferral", text: cannotOpen },
];

const waits = /File has been locked for 30 seconds straight/;
export const lockRows: readonly HomeRow[] = [
  {
    name: "lock-is-somebody-elses",
    lines: "./l1",
    prepare: (home) => writeFileSync(join(home, "l1.lock"), "1"),
    result: "deferral",
    text: waits,
  },
  {
    name: "lock-is-a-link-to-theirs",
    lines: "./l2",
    prepare: link("l2.lock", "VICTIM/private"),
    result: "deferral",
    text: waits,
  },
  {
    name: "lock-is-a-folder",
    lines: "./l3",
    prepare: inHome("l3.lock", (path) => mkdirSync(path)),
    result: "deferral",
    text: waits,
  },
  { name: "lock-is-a-fifo", lines: "./l4", prepare: inHome("l4.lock", fifo), result: "deferral", text: waits },
  {
    name: "lock-nobody-renewed",
    lines: "./l5",
    prepare: inHome("l5.lock", (path) => {
      writeFileSync(path, "");
      utimesSync(path, minutesAgo(20), minutesAgo(20));
    }),
    result: "success",
    text: done,
  },
  {
    name: "lock-that-says-it-is-ours",
    lines: "./l6",
    prepare: inHome("l6.lock", (path) => {
      writeFileSync(path, `postern deliver 1 ${hostname()}\n`);
      utimesSync(path, minutesAgo(1), minutesAgo(1));
    }),
    result: "success",
    text: done,
  },
  {
    name: "lock-that-says-it-is-another-hosts",
    lines: "./l7",
    prepare: inHome("l7.lock", (path) => {
      writeFileSync(path, "postern deliver 1 elsewhere.example\n");
      utimesSync(path, minutesAgo(1), minutesAgo(1));
    }),
    result: "deferral",
    text: waits,
  },
];

const uhOh = /Uh-oh: \.qmail file is writable/;
const dotQmail =
  (name: string, make: (path: string, hand: Hand) => void) =>
  (home: string, hand: Hand): void => {
    make(join(home, `.qmail-${name}`), hand);
  };
const fileRows: readonly HomeRow[] = [
  {
    name: "file-is-a-link-to-theirs",
    prepare: dotQmail("file-is-a-link-to-theirs", (path, hand) => symlinkSync(theirs(hand, "private"), path)),
    result: "deferral",
    text: cannotOpen,
  },
  {
    name: "file-is-a-link-to-the-passwd-file",
    prepare: dotQmail("file-is-a-link-to-the-passwd-file", (path) => symlinkSync("/etc/passwd", path)),
    result: "deferral",
    text: cannotOpen,
  },
  {
    name: "file-is-a-link-to-nothing",
    prepare: dotQmail("file-is-a-link-to-nothing", (path) => symlinkSync("nothing", path)),
    result: "failure",
    text: noMailbox,
  },
  {
    name: "file-is-a-link-to-itself",
    prepare: dotQmail("file-is-a-link-to-itself", (path) => symlinkSync(".qmail-file-is-a-link-to-itself", path)),
    result: "deferral",
    text: cannotOpen,
  },
  { name: "file-is-a-fifo", prepare: dotQmail("file-is-a-fifo", fifo), result: "failure", text: noMailbox },
  {
    name: "file-is-a-folder",
    prepare: dotQmail("file-is-a-folder", (path) => mkdirSync(path)),
    result: "failure",
    text: noMailbox,
  },
  {
    name: "file-is-endless",
    prepare: dotQmail("file-is-endless", (path) => symlinkSync("/dev/zero", path)),
    result: "failure",
    text: noMailbox,
  },
  {
    name: "file-all-may-write",
    prepare: dotQmail("file-all-may-write", (path) => {
      writeFileSync(path, "./Maildir/\n");
      chmodSync(path, 0o646);
    }),
    result: "deferral",
    text: uhOh,
  },
  {
    name: "file-link-to-one-all-may-write",
    prepare: dotQmail("file-link-to-one-all-may-write", (path, hand) => {
      symlinkSync(`${path}.real`, path);
      hand.write("mallory", `${path}.real`, "./Maildir/\n", 0o606);
    }),
    result: "deferral",
    text: uhOh,
  },
  {
    name: "file-nobody-may-read",
    prepare: dotQmail("file-nobody-may-read", (path, hand) => hand.write("mallory", path, "./Maildir/\n", 0)),
    result: "deferral",
    text: cannotOpen,
  },
  {
    name: "file-of-another-is-obeyed-as-me",
    prepare: dotQmail("file-of-another-is-obeyed-as-me", (path, hand) =>
      hand.write(victim, path, `${theirs(hand, "private")}\n`, 0o644),
    ),
    result: "deferral",
    text: cannotOpen,
  },
  {
    name: "file-of-10-gigabytes",
    prepare: dotQmail("file-of-10-gigabytes", (path, hand) => {
      hand.write("mallory", path, "./Maildir/\n");
      truncateSync(path, 10 * 2 ** 30);
    }),
    result: "deferral",
    text: cannotOpen,
  },
  {
    name: "file-of-a-megabyte-of-zeros",
    prepare: dotQmail("file-of-a-megabyte-of-zeros", (path, hand) => {
      hand.write("mallory", path, "");
      truncateSync(path, 2 ** 20);
    }),
    result: "deferral",
    text: /first line of \.qmail file is blank/,
  },
];

const wholeHomeRows: readonly HomeRow[] = [
  {
    name: "all-may-write",
    user: "h-open",
    prepare: (home) => chmodSync(home, 0o777),
    result: "deferral",
    text: /Uh-oh: home directory is writable/,
  },
  {
    name: "sticky",
    user: "h-sticky",
    prepare: (home) => chmodSync(home, 0o1700),
    result: "deferral",
    text: /Home directory is sticky/,
  },
  {
    name: "a link to theirs",
    user: "h-link",
    prepare: (home, hand) => {
      rmSync(home, { recursive: true });
      symlinkSync(hand.homeOf(victim), home);
    },
    result: "failure",
    text: noMailbox,
  },
  {
    name: "a link to a folder of theirs, which is mine",
    user: "h-moved",
    prepare: (home, hand) => {
      renameSync(home, theirs(hand, "moved"));
      symlinkSync(theirs(hand, "moved"), home);
    },
    result: "success",
    text: done,
  },
  {
    name: "owned by another",
    user: "h-other",
    prepare: (home, hand) => chownSync(home, hand.uidOf(victim), hand.uidOf(victim)),
    result: "failure",
    text: noMailbox,
  },
  {
    name: "not there",
    user: "h-gone",
    prepare: (home) => rmSync(home, { recursive: true }),
    result: "failure",
    text: noMailbox,
  },
  { name: "closed to all", user: "h-closed", prepare: (home) => chmodSync(home, 0), result: "deferral", text: /./ },
  {
    name: "a file",
    user: "h-file",
    prepare: (home, hand) => {
      rmSync(home, { recursive: true });
      hand.write("h-file", home, "");
    },
    result: "deferral",
    text: /./,
  },
  {
    name: "a fifo",
    user: "h-fifo",
    prepare: (home, hand) => {
      rmSync(home, { recursive: true });
      fifo(home);
      hand.give("h-fifo", home);
    },
    result: "deferral",
    text: /./,
  },
];

export const homeRows: readonly HomeRow[] = [...maildirRows, ...mboxRows, ...fileRows, ...wholeHomeRows];
export const usersOf = (rows: readonly HomeRow[]): readonly string[] => [
  ...new Set([victim, "mallory", ...rows.flatMap(({ user }) => user ?? [])]),
];

export function prepareRows(rows: readonly HomeRow[], hand: Hand): void {
  hand.write(victim, theirs(hand, "private"), "private\n");
  hand.write(victim, theirs(hand, "for-all"), "for all\n", 0o666);
  chmodSync(hand.homeOf(victim), 0o755); // else their home's mode alone would keep all of it safe
  hand.write("mallory", join(hand.homeOf("mallory"), ".profile"), "mine\n");
  for (const { name, user = "mallory", lines, prepare } of rows) {
    const home = hand.homeOf(user);
    if (lines !== undefined) hand.write(user, join(home, `.qmail-${name}`), `${lines}\n`);
    prepare?.(home, hand);
  }
}

/** What the victim would see of an attack: each of her files, and what is in it. */
export function sceneOf(hand: Pick<Hand, "homeOf">): readonly string[] {
  const folder = hand.homeOf(victim);
  const paths = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((path) => !path.startsWith("moved"));
  return paths.toSorted().map((path) => {
    const print = fingerprint(join(folder, path));
    return /^(private|for-all|Maildir\/new\/)/.test(path)
      ? `${path} ${print} ${readFileSync(join(folder, path), "latin1")}`
      : `${path} ${print.split(" ").slice(1, 4).join(" ")}`;
  });
}

/** Sends a message for each row and says which of them ended otherwise than they should. */
export async function playRows(production: Production, rows: readonly HomeRow[]): Promise<readonly string[]> {
  const localPartOf = ({ user, name }: HomeRow): string => user ?? `mallory-${name}`;
  const reply = await production.send(rows.map((row) => `${localPartOf(row)}@mx.example`));
  if (!reply.startsWith("250")) return [reply];
  const wrong: string[] = [];
  for (const row of rows) {
    const { result, text } = await production.endOf(localPartOf(row));
    if (result !== row.result || !row.text.test(text)) wrong.push(`${row.name}: ${result}: ${text}`);
  }
  return wrong;
}
