import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { EventEmitter } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { done, permanent } from "../../protocol/outcome.ts";
import { homeBelow, homeGiven, homeMade, homeOfNobody, homeOwned } from "../../protocol/wire/worker.ts";
import type { Route } from "../../services/directory/route.ts";
import type { LaunchPlan } from "../../services/launch/plan.ts";
import { findMailbox, maildirOf } from "./mailbox.ts";
import { createMailboxes, maxMailboxes } from "./mailboxes.ts";

let root = "";
before(() => {
  root = mkdtempSync(join(tmpdir(), "postern-mailbox-"));
  mkdirSync(join(root, "joe/Maildir"), { recursive: true });
  mkdirSync(join(root, "ann"), { recursive: true });
  mkdirSync(join(root, "bob"), { recursive: true });
  writeFileSync(join(root, "bob/Maildir"), "a file");
});
after(() => rmSync(root, { recursive: true }));

const routeOf = (changed: Partial<Route>): Route => ({
  confinement: { key: "mail", uid: 7, gid: 8, folder: root, isUser: false },
  user: "joe",
  home: join(root, "joe"),
  homeKind: homeGiven,
  dash: "",
  extension: "",
  ...changed,
});

const cases: readonly (readonly [name: string, address: string, () => Partial<Route>, folder: string | undefined])[] = [
  ["a user's", "joe@x", () => ({}), "joe/Maildir"],
  ["an account's", "joe@x", () => ({ homeKind: homeOwned }), "joe/Maildir"],
  ["a folder of a domain", "Joe@x", () => ({ home: root, homeKind: homeBelow }), "joe/Maildir"],
  ["one that would be made", "joe@x", () => ({ home: root, homeKind: homeMade }), "joe/Maildir"],
  ["one without a Maildir yet", "ann@x", () => ({ home: root, homeKind: homeMade }), ""],
  ["one whose Maildir is a file", "bob@x", () => ({ home: root, homeKind: homeBelow }), ""],
  ["a name with a way out of it", "../joe@x", () => ({ home: root, homeKind: homeBelow }), undefined],
  ["a hidden name", ".joe@x", () => ({ home: root, homeKind: homeBelow }), undefined],
  ["no name", "@x", () => ({ home: root, homeKind: homeBelow }), undefined],
  ["somebody's extension", "joe-x@x", () => ({ dash: "-", extension: "x" }), undefined],
  ["an alias of accounts", "all@x", () => ({ homeKind: homeOfNobody }), undefined],
];
for (const [name, address, changed, folder] of cases) {
  test(`findMailbox() of ${name}: ${folder === undefined ? "none" : folder || "empty"}`, async () => {
    const found = await findMailbox(address, done(routeOf(changed())), "./Maildir/");
    if (folder === undefined) return assert.equal(found.kind, "permanent");
    const expected = folder === "" ? "" : join(root, folder);
    const inode = folder === "" ? 0 : statSync(expected).ino;
    assert.deepEqual(found, done({ uid: 7, gid: 8, folder: expected, inode }));
  });
}

test("findMailbox() of an address that nobody has, or nobody reads", async () => {
  assert.equal((await findMailbox("a@x", permanent("1.1", "no"), "./Maildir/")).kind, "permanent");
  assert.equal((await findMailbox("a@x", done(undefined), "./Maildir/")).kind, "permanent");
});

const defaults: readonly (readonly [lines: readonly string[], maildir: string])[] = [
  [["./Maildir/"], "./Maildir/"],
  [["|prog", "./.mail/", "./Maildir/"], "./.mail/"],
  [["./Mailbox"], "./Maildir/"],
  [["/var/mail/x/", "./../other/"], "./Maildir/"],
];
for (const [lines, maildir] of defaults) {
  test(`maildirOf() ${JSON.stringify(lines)} is ${maildir}`, () => assert.equal(maildirOf(lines), maildir));
}

const wall: LaunchPlan["wall"] = {
  ...{ read: [], write: [], network: "none", ffi: false, kernel: "confined" },
  limits: { descriptors: 256, heapMiB: 64 },
};
const plan: LaunchPlan = { node: "node", code: "/code", program: "pop3session", wall };

function stage(embedded: boolean) {
  const started: { readonly plan: LaunchPlan; readonly folder: string; readonly socket: Socket }[] = [];
  const mailboxes = createMailboxes({
    ...{ embedded, plan, log: () => {} },
    start(given, folder) {
      const socket = new Socket();
      started.push({ plan: given, folder, socket });
      const child = Object.assign(new EventEmitter(), { stdio: [null, null, null, socket], kill: () => true });
      return child as unknown as ChildProcess;
    },
  });
  return { mailboxes, started };
}
const nobody = { onFrame: () => undefined, onLost: () => {} };
const open = ({ mailboxes }: ReturnType<typeof stage>, uid: number, folder: string, inode = 1): string => {
  const taken = mailboxes.take({ uid, gid: 8, folder, inode });
  if (taken.kind !== "done") return taken.text;
  taken.value.open(nobody);
  return "open";
};

test("createMailboxes() walls each process in by its one Maildir, as its user", () => {
  const at = stage(false);
  for (const [uid, folder] of [
    [7, "/mail/a"],
    [7, "/mail/b"],
    [7, "/mail/a"],
    [9, "/mail/a"],
    [7, ""],
  ] as const) {
    assert.equal(open(at, uid, folder), "open");
  }
  assert.deepEqual(
    at.started.map(({ plan: { wall: built }, folder }) => [built.user?.uid, built.write, built.read, folder]),
    [
      [7, ["/mail/a"], [], "/mail/a"],
      [7, ["/mail/b"], [], "/mail/b"],
      [9, ["/mail/a"], [], "/mail/a"],
      [7, [], [], ""],
    ],
  );
  at.mailboxes.close();
});

test("createMailboxes() starts another process for a Maildir that was put in the place of an old one", () => {
  const at = stage(true);
  for (const inode of [1, 2, 2]) assert.equal(open(at, 7, "/mail/a", inode), "open");
  assert.equal(at.started.length, 2);
  at.mailboxes.close();
});

test("createMailboxes() bounds sessions of a mailbox and mailboxes; an idle one gives way", () => {
  const at = stage(true);
  for (let n = 0; n < 20; n++) assert.equal(open(at, 7, "/mail/a"), "open");
  assert.match(open(at, 7, "/mail/a"), /too many sessions/);
  for (let n = 1; n < maxMailboxes; n++) assert.equal(open(at, 7, `/mail/${n}`), "open");
  assert.match(open(at, 7, "/mail/more"), /too many mailboxes/);
  at.mailboxes.close();
  const idle = stage(true);
  for (let n = 0; n < maxMailboxes; n++)
    assert.equal(idle.mailboxes.take({ uid: 7, gid: 8, folder: `/${n}`, inode: n }).kind, "done");
  assert.equal(open(idle, 7, "/mail/more"), "open");
  idle.mailboxes.close();
});
