import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** Writes files below a folder, by their paths, and makes what folders they need. */
export function writeTree(root: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    const path = join(root, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text, "latin1");
  }
}

export function makeMaildir(path: string): void {
  for (const sub of ["tmp", "new", "cur"]) mkdirSync(join(path, sub), { recursive: true });
}

/** One kind of .qmail file of the user joe, and what comes of a message to the address it is for. */
export interface DotQmailKind {
  /** What follows `joe-`. */
  readonly extension: string;
  /** The file's name; `.qmail-EXTENSION` unless it differs. */
  readonly file?: string;
  readonly text: string;
  readonly mode?: number;
  /** Maildirs and files of joe's home that hold it afterwards. */
  readonly arrives: readonly string[];
  /** Its sender gets a bounce; it waits to be tried again. */
  readonly fate?: "bounces" | "waits";
}

/** Thirty kinds. `home` is joe's. */
export const dotQmailKinds = (home: string): readonly DotQmailKind[] => [
  { extension: "maildir", text: "./in-maildir/\n", arrives: ["in-maildir/"] },
  { extension: "absolute", text: `${home}/in-absolute/\n`, arrives: ["in-absolute/"] },
  { extension: "mbox", text: "./in-mbox\n", arrives: ["in-mbox"] },
  { extension: "unended", text: "./in-unended/", arrives: ["in-unended/"] },
  { extension: "blanks", text: "./in-blanks/ \t\n", arrives: ["in-blanks/"] },
  { extension: "both", text: "./in-both/\n./in-both-mbox\n", arrives: ["in-both/", "in-both-mbox"] },
  { extension: "comment", text: "# nobody\n", arrives: [] },
  { extension: "commented", text: "# first\n\n./in-commented/\n", arrives: ["in-commented/"] },
  { extension: "empty", text: "", arrives: ["Maildir/"] },
  { extension: "forward", text: "&joe-target1@old.example\n", arrives: ["in-target1/"] },
  { extension: "target1", text: "./in-target1/\n", arrives: ["in-target1/"] },
  { extension: "bare", text: "joe-target2@old.example\n", arrives: ["in-target2/"] },
  { extension: "nodomain", text: "&joe-target2\n", arrives: ["in-target2/"] },
  { extension: "target2", text: "./in-target2/\n", arrives: ["in-target2/"] },
  {
    extension: "two",
    text: "&joe-target1@old.example\n&joe-target2@old.example\n",
    arrives: ["in-target1/", "in-target2/"],
  },
  { extension: "list", text: "+list\njoe-target1@old.example\n", arrives: ["in-target1/"] },
  { extension: "owned", text: "joe-target1@old.example\n", arrives: ["in-target1/"] },
  { extension: "owned-owner", text: "./in-owner/\n", arrives: ["in-owner/"] },
  { extension: "program", text: "|cat > in-program\n", arrives: ["in-program"] },
  { extension: "variables", text: '|echo "$EXT $HOST $SENDER $RECIPIENT" > in-variables\n', arrives: ["in-variables"] },
  { extension: "exit0", text: "|exit 0\n./in-exit0/\n", arrives: ["in-exit0/"] },
  { extension: "exit99", text: "|exit 99\n./in-exit99/\n", arrives: [] },
  { extension: "exit100", text: "|exit 100\n", arrives: [], fate: "bounces" },
  { extension: "exit111", text: "|exit 111\n", arrives: [], fate: "waits" },
  { extension: "missing", text: "./in-missing/\n", arrives: [], fate: "waits" },
  { extension: "writable", text: "./in-maildir/\n", mode: 0o666, arrives: [], fate: "waits" },
  { extension: "executable", text: "|cat > in-executable\n", mode: 0o744, arrives: [], fate: "waits" },
  { extension: "dot.ted", file: ".qmail-dot:ted", text: "./in-dotted/\n", arrives: ["in-dotted/"] },
  { extension: "UPPER", file: ".qmail-upper", text: "./in-upper/\n", arrives: ["in-upper/"] },
  { extension: "any-thing-else", file: ".qmail-any-default", text: "./in-any/\n", arrives: ["in-any/"] },
  { extension: "others", file: ".qmail-default", text: "./in-default/\n", arrives: ["in-default/"] },
];

/** Puts joe's home there: his .qmail files, and the Maildirs they name but for those that are to be missing. */
export function writeHome(home: string): void {
  makeMaildir(join(home, "Maildir"));
  for (const { extension, file = `.qmail-${extension}`, text, mode, arrives } of dotQmailKinds(home)) {
    writeFileSync(join(home, file), text);
    chmodSync(join(home, file), mode ?? 0o644);
    for (const name of arrives) if (name.endsWith("/")) makeMaildir(join(home, name));
  }
}

/** A qmail with two domains of its own, a virtual one, one of vpopmail's, and aliases. All homes are one user's. */
export function writeQmailSite(
  folder: string,
  homes: string,
  uid = process.getuid?.(),
  gid = process.getgid?.(),
): void {
  const ids = `${uid}:${gid}`;
  const domain = join(folder, "domains/pop.example");
  writeTree(folder, {
    rc: '#!/bin/sh\n# qmail-start ./Mailbox\nexec env - PATH="/var/qmail/bin:$PATH" \\\nqmail-start ./Maildir/ splogger qmail\n',
    "control/me": "old.example\n",
    "control/locals": "old.example\nother.example\n",
    "control/rcpthosts": "old.example\nother.example\nvirtual.example\npop.example\n",
    "control/virtualdomains": "virtual.example:alias-virt\npop.example:pop.example\n",
    "control/defaultdomain": "example\n",
    "control/concurrencyremote": "50\n",
    "control/tlsserverciphers": "HIGH\n",
    "control/mystery": "x\n",
    "control/queuelifetime": "a week\n",
    "users/assign": `=joe:joe:${ids}:${homes}/joe:::\n+joe-:joe:${ids}:${homes}/joe:-::\n=sender:sender:${ids}:${homes}/sender:::\n+pop.example-:pop.example:${ids}:${domain}:-::\n.\n`,
    "users/poppasswd": "secret\n",
    "alias/.qmail-postmaster": "&joe-target2@old.example\n",
    "alias/.qmail-virt-default": "&joe-target1@old.example\n",
    "alias/.qmail-virt-lists-default": "&joe-target2@old.example\n",
    "alias/Mailbox": "From x\n",
    "domains/pop.example/vpasswd": `ann:$1$x:1:0:Ann:${domain}/ann:NOQUOTA:pw\nbob:$1$x:1:0:Bob:${domain}/bob:NOQUOTA\ncid:$1$x:1:0:Cid:${domain}/cid:NOQUOTA\n`,
    "domains/pop.example/.qmail-bob": "&joe-target1@old.example\n",
    "domains/pop.example/.qmail-default": "|/home/vpopmail/bin/vdelivermail '' bounce-no-mailbox\n",
  });
  symlinkSync(".qmail-postmaster", join(folder, "alias/.qmail-mailer-daemon"));
  for (const name of ["ann", "bob"]) makeMaildir(join(domain, name, "Maildir"));
  writeHome(join(homes, "joe"));
  makeMaildir(join(homes, "sender/Maildir"));
}
