import assert from "node:assert/strict";
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";
import { MemoryStorage } from "./memory.ts";
import { openSqliteStorage } from "./open-sqlite.ts";
import { databaseFile } from "./sqlite.ts";
import { at, messageTo, testStorage, value } from "./storage.testing.ts";
import type { Change, Storage } from "./storage.ts";

const root = mkdtempSync(join(tmpdir(), "storage-"));
after(() => rmSync(root, { recursive: true }));
const folder = (): string => mkdtempSync(join(root, "q"));
const folders = new WeakMap<Storage, string>();

async function openIn(place: string): Promise<Storage> {
  const { storage } = value(await openSqliteStorage(place, at));
  folders.set(storage, place);
  return storage;
}

/** What a killed process leaves: the file and its log, as they are. */
function copyOf(place: string): string {
  const copy = folder();
  for (const name of readdirSync(place)) copyFileSync(join(place, name), join(copy, name));
  return copy;
}

testStorage("MemoryStorage", {
  open: async () => new MemoryStorage(),
  crash: async (storage) => (storage as MemoryStorage).reopen(),
});
testStorage("openSqliteStorage()", {
  open: () => openIn(folder()),
  crash: (storage) => openIn(copyOf(folders.get(storage) ?? "")),
});

test("openSqliteStorage() keeps its instance and ids over a clean stop", async () => {
  const place = folder();
  const first = await openIn(place);
  assert.match(first.instance, /^[0-9a-f]{12}$/);
  assert.equal(first.nextId(), 1);
  await first.close();
  const second = await openIn(place);
  assert.equal(second.instance, first.instance);
  assert.equal(second.nextId(), 2);
  await second.close();
});

test("openSqliteStorage() refuses a file another queue has, and a folder that is not there", async () => {
  const place = folder();
  const first = await openIn(place);
  assert.equal((await openSqliteStorage(place, at)).kind, "temporary");
  await first.close();
  assert.equal((await openSqliteStorage(join(place, "missing"), at)).kind, "temporary");
});

test("openSqliteStorage() rolls a full disk back whole, and goes on when there is room", async () => {
  const { storage } = value(await openSqliteStorage(folder(), at, 60));
  const big = (body: number): Change => ({ kind: "chunk", body, number: 0, octets: Buffer.alloc(65_536) });
  value(await storage.apply([messageTo(1, ["a.org"], { body: 9 }), big(9), big(10)]));
  assert.equal((await storage.apply([messageTo(2, ["b.org"]), big(2), big(3)])).kind, "temporary");
  assert.equal(value(await storage.message(2)), undefined);
  assert.deepEqual(value(await storage.counts()), { messages: 1, recipients: 1, held: 0 });
  value(await storage.apply([{ kind: "drop", body: 10 }]));
  value(await storage.apply([messageTo(2, ["b.org"]), big(3)]));
  assert.ok(value(await storage.message(2)));
  await storage.close();
});

test("openSqliteStorage() gives out its reserve when the disk is full, and takes new mail when it has it again", async () => {
  const place = folder();
  const reserve = join(place, "reserve");
  const { storage } = value(await openSqliteStorage(place, at, 60));
  assert.ok(existsSync(reserve));
  const big = (body: number): Change => ({ kind: "chunk", body, number: 0, octets: Buffer.alloc(262_144) });
  const mail = [messageTo(1, ["a.org"], { body: 1 }), big(1)];
  assert.equal((await storage.apply(mail, true)).kind, "temporary");
  assert.equal(existsSync(reserve), false);
  assert.equal(storage.isShort, true);
  value(await storage.apply([messageTo(2, ["b.org"])]));
  value(await storage.apply([messageTo(3, ["b.org"])], true)); // this disk has room: it was the file that had none
  assert.equal(storage.isShort, false);
  assert.ok(existsSync(reserve));
  await storage.close();
});

test("openSqliteStorage() sets a file aside that is none", async () => {
  const place = folder();
  writeFileSync(databaseFile(place), "this is no database, whatever its name says".repeat(100));
  const { storage, alerts } = value(await openSqliteStorage(place, at));
  assert.equal(alerts.length, 1);
  assert.ok(existsSync(`${databaseFile(place)}.corrupt-${at}`));
  value(await storage.apply([messageTo(storage.nextId(), ["a.org"])]));
  await storage.close();
});

test("openSqliteStorage() takes over what can be read of a damaged file", async () => {
  const place = folder();
  const before = await openIn(place);
  for (let id = 1; id <= 400; id++) value(await before.apply([messageTo(id, ["a.org"])]));
  await before.close();
  damagePages(place);
  const { storage, alerts } = value(await openSqliteStorage(place, at));
  assert.equal(alerts.length, 1);
  const { messages } = value(await storage.counts());
  assert.ok(messages > 100 && messages < 400, `${messages} messages were saved`);
  assert.ok(
    (await storage.claim({ channel: "remote", nowMs: at, limit: 9, perDestination: 9, skip: [] })).kind === "done",
  );
  await storage.close();
});

test("openSqliteStorage() opens a file of before anything could be asked for", async () => {
  const place = folder();
  const before = await openIn(place);
  value(await before.apply([messageTo(1, ["a.org"])]));
  await before.close();
  forgetTables(place, ["options", "dsn"]);
  const storage = await openIn(place);
  assert.equal(value(await storage.list(0, 9, 9)).length, 1);
  value(await storage.apply([messageTo(2, ["a.org"], { dsn: { notify: 1, originalRecipient: "" } })]));
  value(await storage.apply([{ kind: "end", message: 1 }]));
  assert.equal(value(await storage.list(0, 9, 9))[0]?.recipients[0]?.dsn?.notify, 1);
  await storage.close();
});

for (const missing of [[], ["dsn"], ["options"]]) {
  test(`openSqliteStorage() takes wishes over from a damaged file, and mail without [${missing}] as well`, async () => {
    const place = folder();
    const before = await openIn(place);
    const asked = { envelopeId: "id", ret: 1, flags: 2, priority: 9, holdUntilMs: 0 };
    const dsn = { notify: 1, originalRecipient: "rfc822;x" };
    for (let id = 1; id <= 400; id++) value(await before.apply([messageTo(id, ["a.org"], { asked, dsn })]));
    value(await before.apply([{ kind: "warned", message: 1 }]));
    await before.close();
    damagePages(place);
    forgetTables(place, missing);
    const { storage } = value(await openSqliteStorage(place, at));
    const saved = value(await storage.list(0, 1_000, 9));
    assert.ok(saved.length > 100 && saved.length < 400, `${saved.length} messages were saved`);
    const isWhole = missing.length === 0;
    for (const { options, recipients } of saved) {
      assert.deepEqual([options, recipients[0]?.dsn], isWhole ? [asked, dsn] : [undefined, undefined]);
    }
    const first = saved[0]?.id ?? 0;
    assert.equal(value(await storage.message(first))?.warned, isWhole);
    await storage.close();
  });
}

function forgetTables(place: string, tables: readonly string[]): void {
  const file = new DatabaseSync(databaseFile(place));
  for (const table of tables) file.exec(`DROP TABLE ${table}`);
  file.close();
}

/** Overwrites a page in the middle of the messages. */
function damagePages(place: string): void {
  const file = new DatabaseSync(databaseFile(place));
  const row = file
    .prepare("SELECT pageno FROM dbstat WHERE name = 'message' AND pagetype = 'leaf' LIMIT 1 OFFSET 3")
    .get();
  file.close();
  const descriptor = openSync(databaseFile(place), "r+");
  writeSync(descriptor, Buffer.alloc(4_096, 0xee), 0, 4_096, (Number(row?.pageno) - 1) * 4_096);
  closeSync(descriptor);
}
