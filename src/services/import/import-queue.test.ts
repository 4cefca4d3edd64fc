import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { type QmailMessage, records, todo, writeQmailQueue } from "../../../test/support/qmail-queue.ts";
import { readSettings } from "../../protocol/control/parse.ts";
import { type Outcome, temporary } from "../../protocol/outcome.ts";
import { createRouter } from "../../protocol/routing/router.ts";
import { lockQmailQueue, openQmailQueue, type QmailQueue } from "../qmail-queue/read-queue.ts";
import { MemoryStorage } from "../storage/memory.ts";
import { type Change, chunkOctets, type Storage } from "../storage/storage.ts";
import type { Importer } from "./import-message.ts";
import { importQueue, summarise } from "./import-queue.ts";

const folder = mkdtempSync(join(tmpdir(), "postern-import-"));
after(() => rmSync(folder, { recursive: true }));

function value<Value>(outcome: Outcome<Value>): Value {
  if (outcome.kind !== "done") throw new Error(outcome.text);
  return outcome.value;
}

const settings = value(
  readSettings(
    new Map([
      ["me", "here.example"],
      ["virtualdomains", "virtual.example:v"],
    ]),
  ),
);
const nowMs = 2_000_000_000_000;
const born = 1_999_000_000;
const importerOn = (storage: Storage): Importer => ({ storage, settings, router: createRouter(settings), nowMs });

let folders = 0;
function queueOf(messages: readonly QmailMessage[], options = {}): QmailQueue {
  const queue = join(folder, String(++folders));
  writeQmailQueue(queue, messages, options);
  return value(openQmailQueue(queue));
}

interface Shown {
  readonly from: string;
  readonly arrivedMs: number;
  readonly body: string;
  readonly open: readonly string[];
  readonly failed: readonly string[];
}

/** All messages in a store, but for what bounces say. */
async function show(storage: Storage): Promise<readonly Shown[]> {
  const shown: Shown[] = [];
  for (const { id } of value(await storage.list(0, 1_000, 0))) {
    const message = value(await storage.message(id));
    assert.ok(message);
    let body = Buffer.from(message.prefix).toString("latin1");
    for (let number = 0; number * chunkOctets < message.bodyOctets; number++) {
      body += Buffer.from(value(await storage.chunk(message.body, number)) ?? []).toString("latin1");
    }
    assert.equal(body.length, message.prefix.length + message.bodyOctets);
    const recipients = value(await storage.recipients(id, -1, 100));
    const failures = value(await storage.failures(id, 0, 100));
    shown.push({
      from: message.reversePath,
      arrivedMs: message.arrivedMs,
      body,
      open: recipients.map(({ channel, forwardPath, destination, attempts, nextAttemptMs }) => {
        const when = attempts > 0 ? ` at ${nextAttemptMs}` : "";
        return `${channel} ${forwardPath} (${destination})${when}`;
      }),
      failed: failures.map(({ forwardPath, status, text }) => `${forwardPath} ${status} ${text}`),
    });
  }
  return shown;
}

const mess = "Received: (qmail 77 invoked by uid 1000); 1 Jan 2033 00:00:00 -0000\nSubject: x\n\nbody\n";
const bounce = "<u@d>:\nno such user (#5.1.1)\n\n";
const left = { from: "s@d", arrivedMs: born * 1_000, body: mess, failed: [] };

const kept: readonly { name: string; message: Omit<QmailMessage, "number">; shown: Omit<Shown, "body"> }[] = [
  {
    name: "routes what was not preprocessed",
    message: { mess, todo: todo("s@d", "a", "b@virtual.example", "@nobody", "c@far.example"), intd: "x", born },
    shown: {
      ...left,
      open: [
        "local a@here.example (a@here.example)",
        "local v-b@virtual.example (v-b@virtual.example)",
        "remote c@far.example (far.example)",
      ],
    },
  },
  {
    name: "takes todo for true when there is info as well",
    message: { mess, todo: todo("s@d", "c@far.example"), info: records("Fother@d"), local: records("Tx@y"), born },
    shown: { ...left, open: ["remote c@far.example (far.example)"] },
  },
  {
    name: "keeps channels and addresses of what was preprocessed, and leaves out who is done",
    message: {
      mess,
      info: records("Fs@d"),
      local: records("Da@here.example", "Tv-b@old.example"),
      remote: records("Tc@FAR.example", "Dd@far.example"),
      born,
      next: born,
    },
    shown: { ...left, open: ["local v-b@old.example (v-b@old.example)", "remote c@FAR.example (far.example)"] },
  },
  {
    name: "keeps the time of the next attempt",
    message: { mess, info: records("F"), remote: records("Tc@far.example"), born, next: born + 400 },
    shown: { ...left, from: "", open: [`remote c@far.example (far.example) at ${(born + 400) * 1_000}`] },
  },
  {
    name: "keeps the bounce so far",
    message: { mess, info: records("Fs@d"), local: records("Ta@here.example", "Du@d"), bounce, born },
    shown: { ...left, open: ["local a@here.example (a@here.example)"], failed: ["u@d 1.1 no such user (#5.1.1)"] },
  },
  {
    name: "fails an address that cannot be queued",
    message: { mess, info: records("Fs@d"), remote: records("Ta@far.example", "Tb\n@far.example"), born },
    shown: {
      ...left,
      open: ["remote a@far.example (far.example)"],
      failed: ["b\n@far.example 0.0 This address has control characters or more than 1000 octets.\n"],
    },
  },
];

for (const { name, message, shown } of kept) {
  for (const options of [{}, { split: 211 }, { splitTodo: true }, { split: 1 }]) {
    test(`§17.22 §17.23 importQueue() ${name}, ${JSON.stringify(options)}`, async () => {
      const storage = new MemoryStorage();
      const counts = value(await importQueue(importerOn(storage), queueOf([{ number: 4711, ...message }], options)));
      assert.deepEqual(counts, { queued: 1, bounced: 0, nothing: 0, already: 0, damaged: 0 });
      assert.deepEqual(await show(storage), [{ body: mess, ...shown }]);
    });
  }
}

const bounced = [
  { name: "to its sender", sender: "s@here.example", from: "", to: "local s@here.example (s@here.example)" },
  {
    name: "to the sender of a VERP message",
    sender: "l-@far.example-@[]",
    from: "",
    to: "remote l-@far.example (far.example)",
  },
  {
    name: "twice, for the empty sender",
    sender: "",
    from: "#@[]",
    to: "local postmaster@here.example (postmaster@here.example)",
  },
];
for (const { name, sender, from, to } of bounced) {
  test(`importQueue() makes the bounce that was not sent, ${name}`, async () => {
    const storage = new MemoryStorage();
    const queue = queueOf([{ number: 5, mess, info: records(`F${sender}`), bounce, born }]);
    assert.equal(value(await importQueue(importerOn(storage), queue)).bounced, 1);
    const [shown, ...more] = await show(storage);
    assert.deepEqual([shown?.from, shown?.open, shown?.failed, shown?.arrivedMs, more], [from, [to], [], nowMs, []]);
    assert.match(
      shown?.body ?? "",
      /invoked for bounce\); .*\nDate: [\s\S]*\n<u@d>:\nno such user \(#5.1.1\)\n\n--- Below/,
    );
    assert.ok(shown?.body.endsWith(`>\n${mess}`));
  });
}

const leftBehind: readonly { name: string; message: Omit<QmailMessage, "number">; kind: string }[] = [
  { name: "a message without envelope", message: { mess }, kind: "unfinished" },
  { name: "an envelope being written", message: { mess, intd: todo("s@d", "a@b") }, kind: "unfinished" },
  { name: "a message all done", message: { mess, info: records("Fs@d"), local: records("Da@b") }, kind: "finished" },
  { name: "an envelope without message", message: { todo: todo("s@d", "a@b") }, kind: "damaged" },
  { name: "info without message", message: { info: records("Fs@d"), local: records("Ta@b") }, kind: "damaged" },
  { name: "todo cut short", message: { mess, todo: todo("s@d", "a@b").slice(0, -1) }, kind: "damaged" },
  { name: "todo without sender", message: { mess, todo: records("u1", "Ta@b") }, kind: "damaged" },
  { name: "todo with a strange record", message: { mess, todo: records("Fs@d", "Xa@b") }, kind: "damaged" },
  { name: "an empty info", message: { mess, info: "", local: records("Ta@b") }, kind: "damaged" },
  { name: "a channel file cut short", message: { mess, info: records("Fs@d"), local: "Ta@b" }, kind: "damaged" },
  { name: "a strange mark", message: { mess, info: records("Fs@d"), remote: records("?a@b") }, kind: "damaged" },
];
for (const { name, message, kind } of leftBehind) {
  test(`importQueue() leaves ${name}, as ${kind}`, async () => {
    const storage = new MemoryStorage();
    const queue = queueOf([{ number: 6, ...message }]);
    const { leftovers, damage, messages } = value(summarise(queue));
    assert.deepEqual({ unfinished: 0, finished: 0, damaged: 0, [kind]: 1 }, leftovers);
    assert.deepEqual([messages, damage.length], [0, kind === "damaged" ? 1 : 0]);
    await importQueue(importerOn(storage), queue);
    assert.deepEqual(await show(storage), []);
  });
}

test("importQueue() has nobody to tell of a triple bounce", async () => {
  const storage = new MemoryStorage();
  const queue = queueOf([{ number: 7, mess, info: records("F#@[]"), bounce, born }]);
  assert.equal(value(await importQueue(importerOn(storage), queue)).nothing, 1);
  assert.deepEqual(await show(storage), []);
});

/** A store that is broken off before or after one of its writes, and then gone. */
const breakingAt = (storage: Storage, write: number, isWritten: boolean): Storage => {
  let writes = 0;
  return Object.assign(Object.create(storage) as Storage, {
    nextId: () => storage.nextId(),
    isMarked: (name: string) => storage.isMarked(name),
    apply: async (changes: readonly Change[]) => {
      if (writes++ === write) {
        if (isWritten) await storage.apply(changes);
        return temporary("3.0", "broken off");
      }
      return storage.apply(changes);
    },
  });
};

test("importQueue() brings every message once, wherever it is broken off and begun again", async () => {
  const long = `${mess}${"x".repeat(chunkOctets * 2)}\n`;
  const queue = queueOf([
    { number: 1, mess: `1${long}`, todo: todo("s@d", "a@far.example"), born },
    { number: 2, mess: `2${mess}`, info: records("Fs@d"), local: records("Ta@here.example"), bounce, born },
    { number: 3, mess: `3${mess}`, info: records("Fs@d"), bounce, born },
    { number: 4, mess: `4${mess}`, info: records("F#@[]"), bounce, born },
  ]);
  const whole = new MemoryStorage();
  value(await importQueue(importerOn(whole), queue));
  const expected = await show(whole);
  assert.equal(expected.length, 3);
  const withoutIds = (shown: readonly Shown[]) =>
    shown.map(({ body, ...rest }) => ({ ...rest, body: body.replace(/postern [0-9]+ invoked/, "") }));
  const writes = 6;
  for (let write = 0; write <= writes; write++) {
    for (const isWritten of [false, true]) {
      const storage = new MemoryStorage();
      const first = await importQueue(importerOn(breakingAt(storage, write, isWritten)), queue);
      assert.equal(first.kind, write === writes ? "done" : "temporary", `write ${write}`);
      value(await importQueue(importerOn(storage.reopen()), queue));
      assert.deepEqual(withoutIds(await show(storage)), withoutIds(expected), `write ${write}, ${isWritten}`);
    }
  }
});

test("lockQmailQueue() refuses while another holds the lock", () => {
  queueOf([]);
  const queue = join(folder, String(folders));
  const fd = value(lockQmailQueue(queue));
  assert.ok(fd !== undefined);
  const second = lockQmailQueue(queue);
  assert.equal(second.kind, "temporary");
  assert.match(second.kind === "temporary" ? second.text : "", /qmail-send is running/);
});
