/** Dovecot on the same mbox and the same Maildir, while mail is delivered to it. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type Production, startProduction } from "../attacks/production.ts";
import { type Fetched, fetchFrom, Imap } from "../support/dovecot.ts";
import { sendLoad } from "../support/load.ts";
import { unlessRoot, without } from "../support/missing.ts";
import { runPostern, until } from "../support/server.ts";

const messages = process.env.POSTERN_LONG ? 2_000 : 120;
const skip = unlessRoot() || without("dovecot");

/** What becomes of message n: each of four sorts, taken in turns by two sessions. */
const fates = ["flagged", "moved", "expunged", "left"] as const;
const fateOf = (n: number): (typeof fates)[number] => fates[n % 4] ?? "left";
const sessionOf = (n: number): number => (n >> 2) % 2;

const line = "From the start, with \xe9 and a long enough rest of the line.\n>From quoted\n";
const bodyOf = (n: number): string => `${n}\n${line.repeat(n % 20 === 7 ? 1_500 : 3 + (n % 5))}`;
const textOf = (n: number): string => `Subject: ${fateOf(n)}\nX-Load: ${n}\n\n${bodyOf(n)}`;
const numberOf = (text: string): number => Number(/^X-Load: (\d+)$/m.exec(text)?.[1]);
const isWhole = (text: string, body: string): boolean => text.slice(text.indexOf("\n\n") + 2) === body;

interface Kind {
  readonly user: string;
  readonly delivers: string;
  readonly settings: Readonly<Record<string, string>>;
  /** How a body stands in it. */
  readonly stored: (body: string) => string;
}

const asItIs = (body: string): string => body;
const quoted = (body: string): string => body.replace(/^(>*From )/gm, ">$1");

const kinds: readonly (Kind & { readonly name: string })[] = [
  {
    name: "a Maildir",
    user: "maildir",
    delivers: "./Maildir/\n",
    settings: { mail_location: "maildir:~/Maildir" },
    stored: asItIs,
  },
  {
    name: "an mbox",
    user: "mbox",
    delivers: "./mbox\n",
    settings: {
      mail_location: "mbox:~/mail:INBOX=~/mbox",
      ...{ mbox_read_locks: "dotlock", mbox_write_locks: "dotlock" },
      // Else flags wait in its index, and some are gone when the mbox has grown meanwhile.
      ...{ mbox_lazy_writes: "no", mbox_dirty_syncs: "no" },
    },
    stored: quoted,
  },
];

let production: Production;
before(async () => {
  if (skip) return;
  production = await startProduction({
    users: kinds.map(({ user }) => user),
    prepare: ({ homeOf, write, give }) => {
      for (const { user, delivers } of kinds) {
        write(user, join(homeOf(user), ".qmail"), delivers);
        mkdirSync(join(homeOf(user), "mail"));
        give(user, join(homeOf(user), "mail"));
      }
    },
  });
});
after(async () => {
  if (!skip) await production[Symbol.asyncDispose]();
});

const sessionFor = ({ user, settings }: Kind): Promise<Imap> =>
  Imap.start({ uid: production.uidOf(user), home: production.homeOf(user), settings });

const commandFor = { flagged: "STORE # +FLAGS (\\Flagged)", moved: "MOVE # moved", left: "STORE # +FLAGS (\\Seen)" };

/** Reads what comes, and does to each of its messages what is to be done, until `isOver` and all is read. */
async function readMail(kind: Kind, session: number, isOver: () => boolean): Promise<Map<number, number>> {
  await using imap = await sessionFor(kind);
  await imap.command("SELECT INBOX");
  const seen = new Map<number, number>();
  for (let nextUid = 1; ; ) {
    const wasOver = isOver();
    await imap.command("NOOP");
    const fetched = await fetchFrom(imap, nextUid);
    for (const { uid, text } of fetched) {
      nextUid = uid + 1;
      const n = numberOf(text);
      assert.ok(isWhole(text, kind.stored(bodyOf(n))), `message ${n} is not whole:\n${text.slice(0, 2_000)}`);
      if (sessionOf(n) !== session) continue;
      seen.set(n, (seen.get(n) ?? 0) + 1);
      const fate = fateOf(n);
      if (fate !== "expunged") await imap.command(`UID ${commandFor[fate].replace("#", String(uid))}`);
      else {
        await imap.command(`UID STORE ${uid} +FLAGS (\\Deleted)`);
        await imap.command(`UID EXPUNGE ${uid}`);
      }
    }
    if (wasOver && fetched.length === 0) break;
  }
  assert.deepEqual(imap.complaints, []);
  return seen;
}

/** On a busy machine the lock of an mbox may never be free when we look: then a retry follows, here at once. */
async function allDelivered(user: string): Promise<boolean> {
  const ended = production.ended().filter(({ recipient }) => recipient.startsWith(user));
  const others = ended.filter(({ result }) => result !== "success");
  for (const { text } of others) assert.match(text, /File has been locked for 30 seconds straight/);
  if (others.length > 0) await runPostern(["queue", "retry", "--all", "--root", production.root]);
  return ended.length - others.length >= messages;
}

async function contentOf(kind: Kind, folder: string): Promise<readonly Fetched[]> {
  await using imap = await sessionFor(kind);
  await imap.command(`SELECT ${folder}`);
  const fetched = await fetchFrom(imap, 1);
  assert.deepEqual(imap.complaints, []);
  return fetched;
}

const all = Array.from({ length: messages }, (_, n) => n);
const inOrder = (numbers: Iterable<number>): number[] => [...numbers].sort((a, b) => a - b);
const withFate = (...chosen: readonly string[]): number[] => all.filter((n) => chosen.includes(fateOf(n)));

for (const kind of kinds) {
  test(`two sessions of Dovecot fetch, flag, move and expunge in ${kind.name}`, { skip }, async () => {
    const { user } = kind;
    await using first = await sessionFor(kind);
    await first.command("CREATE moved");
    let isOver = false;
    const readers = [0, 1].map((session) => readMail(kind, session, () => isOver));
    const load = { messages, sessions: 4, forwardPath: () => `${user}@mx.example`, text: textOf };
    const sending = sendLoad(production.port, load)
      .then(({ acknowledged }) => {
        assert.equal(acknowledged.size, messages);
        return until("all deliveries", () => allDelivered(user), 240_000);
      })
      .finally(() => {
        isOver = true;
      });
    const [, ...seen] = await Promise.all([sending, ...readers]);
    assert.deepEqual(inOrder(seen.flatMap((numbers) => [...numbers.keys()])), all);
    assert.ok(seen.every((numbers) => [...numbers.values()].every((count) => count === 1)));
    const inbox = await contentOf(kind, "INBOX");
    assert.deepEqual(inOrder(inbox.map(({ text }) => numberOf(text))), withFate("flagged", "left"));
    const moved = await contentOf(kind, "moved");
    assert.deepEqual(inOrder(moved.map(({ text }) => numberOf(text))), withFate("moved"));
    for (const { text, flags } of [...inbox, ...moved]) {
      const n = numberOf(text);
      assert.ok(isWhole(text, kind.stored(bodyOf(n))), `message ${n}`);
      const expected = { flagged: "\\Flagged", left: "\\Seen", moved: "", expunged: "" }[fateOf(n)];
      assert.equal(flags.filter((flag) => flag !== "\\Recent").join(" "), expected, `message ${n}`);
    }
    const mbox = join(production.homeOf(user), "mbox");
    if (existsSync(mbox)) assert.deepEqual(entriesOf(mbox), withFate("flagged", "left"));
    assert.equal(existsSync(`${mbox}.lock`), false);
  });
}

/** The messages of an mbox, by the rules of nobody but this test. */
function entriesOf(mbox: string): number[] {
  const text = readFileSync(mbox, "latin1");
  assert.ok(text.startsWith("From ") && text.endsWith("\n\n"));
  const entries = text.slice(5, -2).split("\n\nFrom ");
  return inOrder(
    entries.map((entry) => {
      const n = numberOf(entry);
      assert.ok(isWhole(entry, quoted(bodyOf(n)).slice(0, -1)), `message ${n}:\n${entry.slice(0, 500)}`);
      return n;
    }),
  );
}
