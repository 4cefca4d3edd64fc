/** mutt on the same mbox and the same Maildir, while mail is delivered to it. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type Production, startProduction } from "../attacks/production.ts";
import { sendLoad } from "../support/load.ts";
import { unlessRoot, without } from "../support/missing.ts";
import { readMaildir, until } from "../support/server.ts";

const messages = process.env.POSTERN_LONG ? 1_000 : 120;
const skip = unlessRoot() || without("mutt", "script");

const fateOf = (n: number): string => ["flagged", "moved", "left"][n % 3] ?? "";
const bodyOf = (n: number): string =>
  `${n}\n${"From a line of text.\n>From quoted\n".repeat(n % 20 === 7 ? 3_000 : 5)}`;
const textOf = (n: number): string => `Subject: ${fateOf(n)}\nX-Load: ${n}\n\n${bodyOf(n)}`;
const quoted = (body: string): string => body.replace(/^(>*From )/gm, ">$1");

interface Found {
  readonly n: number;
  readonly isFlagged: boolean;
  readonly body: string;
}

function found(text: string, isFlagged: boolean): Found {
  return { n: Number(/^X-Load: (\d+)$/m.exec(text)?.[1]), isFlagged, body: text.slice(text.indexOf("\n\n") + 2) };
}

function inMbox(path: string): readonly Found[] {
  const text = readFileSync(path, "latin1");
  assert.ok(text.startsWith("From ") && text.endsWith("\n\n"));
  return text
    .slice(5, -1)
    .split("\n\nFrom ")
    .map((entry) => (entry.endsWith("\n") ? entry : `${entry}\n`))
    .map((entry) => found(entry, /^X-Status: F$/m.test(entry)));
}

const inMaildir = (path: string): readonly Found[] =>
  readMaildir(path).map(({ name, text }) => found(text, /:2,[A-Z]*F/.test(name)));

const kinds = [
  { user: "mbox", box: "inbox", line: "./inbox\n", type: "mbox", read: inMbox, stored: quoted },
  {
    user: "maildir",
    box: "Maildir",
    line: "./Maildir/\n",
    type: "Maildir",
    read: inMaildir,
    stored: (body: string) => body,
  },
] as const;

/** Z: flags what is to be flagged, moves what is to be moved, and writes it all back. */
const settings = (type: string): string => `
set folder=~ mbox_type=${type} timeout=1 mail_check=0 mark_old=no
set move=no delete=yes confirmappend=no confirmcreate=no quit=yes wait_key=no beep=no header_cache=""
macro index Z "<untag-pattern>.<enter><tag-pattern>~s flagged !~F<enter><tag-prefix-cond><flag-message><end-cond>\
<untag-pattern>.<enter><tag-pattern>~s moved !~D<enter><tag-prefix-cond><save-message>=moved<enter><end-cond>\
<sync-mailbox>"
`;

let production: Production;
before(async () => {
  if (skip) return;
  production = await startProduction({
    users: [...kinds.map(({ user }) => user), "holder", "other"],
    prepare: ({ homeOf, write }) => {
      for (const { user, line, type } of kinds) {
        write(user, join(homeOf(user), ".qmail"), line);
        write(user, join(homeOf(user), ".muttrc"), settings(type));
      }
      write("holder", join(homeOf("holder"), ".qmail"), "./Maildir/\n./inbox\n");
      write("other", join(homeOf("other"), ".qmail"), "./Maildir/\n");
    },
  });
});
after(async () => {
  if (!skip) await production[Symbol.asyncDispose]();
});

interface Mutt {
  /** Presses keys. */
  type(keys: string): void;
  readonly closed: Promise<unknown>;
}

/** mutt on a terminal, by a user that it can find in /etc/passwd; resolves when it shows the box. */
async function openMutt(user: string, box: string): Promise<Mutt> {
  const home = production.homeOf(user);
  const id = String(production.uidOf(user));
  const become = ["setpriv", "--reuid", id, "--regid", id, "--clear-groups", "env", "-i", "-C", home];
  const environment = ["PATH=/usr/bin:/bin", `HOME=${home}`, "TERM=vt100", "LINES=24", "COLUMNS=80"];
  const mutt = ["script", "-qec", `mutt -f =${box}`, "/dev/null"];
  const within = ["--mount", "--propagation", "private", "sh", "-c", 'mount --bind "$0" /etc/passwd && exec "$@"'];
  const passwd = join(production.root, "passwd");
  const child = spawn("unshare", [...within, passwd, ...become, ...environment, ...mutt]);
  child.stdin.on("error", () => {});
  let shown = "";
  child.stdout.on("data", (chunk: Buffer) => (shown = (shown + chunk.toString("latin1")).slice(-4_000)));
  const closed = once(child, "exit");
  await until("mutt's index", () => {
    if (child.exitCode !== null) throw new Error(`mutt does not run: ${shown}`);
    return shown.includes("Mutt: ");
  });
  return { type: (keys) => void child.stdin.write(keys), closed };
}

const inOrder = (numbers: readonly number[]): number[] => [...numbers].sort((a, b) => a - b);
const all = Array.from({ length: messages }, (_, n) => n);

for (const { user, box, type, read, stored } of kinds) {
  test(`mutt flags, moves and syncs in a ${type} that grows`, { skip }, async () => {
    const at = (folder: string): string => join(production.homeOf(user), folder);
    const endedFor = (): number =>
      production.ended().filter(({ recipient, result }) => recipient === `${user}@mx.example` && result === "success")
        .length;
    await production.send([`${user}@mx.example`], textOf(0));
    await until("the first delivery", () => endedFor() === 1);
    const first = await openMutt(user, box);
    const { acknowledged } = await sendLoad(production.port, {
      ...{ messages: messages - 1, sessions: 4, forwardPath: () => `${user}@mx.example`, text: (n) => textOf(n + 1) },
      progress: (through) => through % 10 === 0 && first.type("Z"),
    });
    assert.equal(acknowledged.size, messages - 1);
    await until("all deliveries", () => endedFor() === messages);
    first.type("Zq");
    await first.closed;
    const last = await openMutt(user, box);
    last.type("Zq");
    await last.closed;

    const inbox = read(at(box));
    const moved = read(at("moved"));
    assert.deepEqual(
      inOrder(inbox.map(({ n }) => n)),
      all.filter((n) => fateOf(n) !== "moved"),
    );
    assert.deepEqual(
      inOrder(moved.map(({ n }) => n)),
      all.filter((n) => fateOf(n) === "moved"),
    );
    for (const { n, body, isFlagged } of [...inbox, ...moved]) {
      assert.equal(body, stored(bodyOf(n)), `message ${n}`);
      assert.equal(isFlagged, fateOf(n) === "flagged", `message ${n}`);
    }
    assert.equal(existsSync(`${at(box)}.lock`), false);
  });
}

test("while mutt_dotlock holds the lock a delivery waits, and then goes on", { skip }, async () => {
  const inbox = join(production.homeOf("holder"), "inbox");
  const seen = "From mutt Sun Nov 22 10:00:00 2026\nSubject: before\n\n\n";
  production.write("holder", inbox, seen);
  const lock = await production.as("holder", "mutt_dotlock inbox");
  assert.equal(lock.code, 0, lock.stderr);
  await production.send(["holder@mx.example"], "Subject: waits\n\n");
  await until("the line before", () => production.mailOf("holder").length === 1);
  await production.send(["other@mx.example"], "Subject: does not wait\n\n");
  assert.equal((await production.endOf("other")).result, "success");
  assert.equal(readFileSync(inbox, "latin1"), seen);
  appendFileSync(inbox, seen);
  assert.equal((await production.as("holder", "mutt_dotlock -u inbox")).code, 0);
  assert.equal((await production.endOf("holder")).result, "success");
  const text = readFileSync(inbox, "latin1");
  assert.ok(text.startsWith(seen + seen) && /^Subject: waits$/m.test(text.slice(2 * seen.length)), text);
});
