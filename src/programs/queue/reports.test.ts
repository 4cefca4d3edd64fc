import assert from "node:assert/strict";
import { test } from "node:test";
import { parseBounce } from "../../protocol/bounce/parse.ts";
import { MemoryStorage } from "../../services/storage/memory.ts";
import { value } from "../../services/storage/storage.testing.ts";
import { type Asked, type Delivered, Deliverer, delivers, type Fate, settingsOf, startQueue } from "./queue.testing.ts";

const never = 8;
const success = 1;
const failure = 2;
const delay = 4;
const sender = "me@there.example";
const hour = 3_600_000;

const fails = (): Fate => ({ letter: "D", status: "1.1", text: "no such user\n" });
const defers = (): Fate => ({ letter: "Z", status: "4.1", text: "try later (#4.4.1)\n" });
const takes =
  (takesDsn: number, isFinal = 0) =>
  (): Fate => ({
    letter: "K",
    text: "accepted\n",
    relayed: { peer: "mx.far.example", takesDsn, isFinal },
  });
const sends =
  (forwardPaths: readonly string[], reversePath = sender) =>
  (): Fate => ({ letter: "K", forwards: [{ reversePath, prefix: "Delivered-To: x\n", forwardPaths }] });

/** A server whose own users are at here.example, and that delivers to all others as told. */
function start(files: Record<string, string> = {}) {
  const storage = new MemoryStorage();
  const settings = settingsOf({ locals: "here.example", bouncehost: "here.example", ...files });
  const bench = startQueue(storage, settings);
  let fate: () => Fate = delivers;
  const local = new Deliverer(bench.queue, "local", () => fate());
  const remote = new Deliverer(bench.queue, "remote", (forwardPath) =>
    [sender, "x@else.example"].includes(forwardPath) ? delivers() : fate(),
  );
  const send = async (forwardPath: string | string[], asked: Asked, to: () => Fate, body?: string) => {
    fate = to;
    bench.smtpd.ask(forwardPath, { reversePath: sender, ...asked }, body);
    await bench.clock.settle();
  };
  const reports = () => remote.deliveries.filter(({ reversePath }) => reversePath === "");
  return { ...bench, storage, local, remote, send, reports };
}

const field = (body: string, name: string): string | undefined => new RegExp(`^${name}: (.*)$`, "m").exec(body)?.[1];
const actionOf = ({ body }: Delivered): string => field(body, "Action") ?? "none";

const here = "user@here.example";
const far = "user@far.example";
const cases: readonly { name: string; to: string; notify: number; fate: () => Fate; told: readonly string[] }[] = [
  { name: "NOTIFY=SUCCESS, delivered here", to: here, notify: success, fate: delivers, told: ["delivered"] },
  { name: "no NOTIFY, delivered here", to: here, notify: 0, fate: delivers, told: [] },
  { name: "NOTIFY=FAILURE, delivered here", to: here, notify: failure, fate: delivers, told: [] },
  { name: "NOTIFY=NEVER, delivered here", to: here, notify: never, fate: delivers, told: [] },
  { name: "NOTIFY=SUCCESS, passed on without DSN", to: far, notify: success, fate: takes(0), told: ["relayed"] },
  { name: "NOTIFY=SUCCESS, passed on, nobody knows how", to: far, notify: success, fate: delivers, told: ["relayed"] },
  { name: "NOTIFY=SUCCESS, passed on with DSN", to: far, notify: success, fate: takes(1), told: [] },
  { name: "NOTIFY=SUCCESS, taken by a store", to: far, notify: success, fate: takes(0, 1), told: ["delivered"] },
  { name: "NOTIFY=SUCCESS, taken by a store with DSN", to: far, notify: success, fate: takes(1, 1), told: [] },
  { name: "NOTIFY=FAILURE, passed on without DSN", to: far, notify: failure, fate: takes(0), told: [] },
  { name: "no NOTIFY, failed", to: far, notify: 0, fate: fails, told: ["failed"] },
  { name: "NOTIFY=FAILURE, failed", to: here, notify: failure, fate: fails, told: ["failed"] },
  { name: "NOTIFY=SUCCESS, failed", to: far, notify: success, fate: fails, told: [] },
  { name: "NOTIFY=NEVER, failed", to: far, notify: never, fate: fails, told: [] },
  { name: "NOTIFY=DELAY, failed", to: here, notify: delay, fate: fails, told: [] },
  {
    name: "NOTIFY=SUCCESS, to one address more",
    to: here,
    notify: success,
    fate: sends(["x@else.example"]),
    told: ["relayed"],
  },
  {
    name: "NOTIFY=SUCCESS, to several more",
    to: here,
    notify: success,
    fate: sends(["x@else.example", "x@else.example"]),
    told: ["expanded"],
  },
  {
    name: "NOTIFY=SUCCESS, to a mailing list",
    to: here,
    notify: success,
    fate: sends(["x@else.example", "x@else.example"], "owner@here.example"),
    told: ["delivered"],
  },
];

for (const { name, to, notify, fate, told } of cases) {
  test(`queue tells of [${told}]: ${name}`, async () => {
    const { send, reports, storage, clock } = start();
    await send(to, { notify }, fate);
    await clock.advance(8 * 24 * hour);
    assert.deepEqual(reports().map(actionOf), told);
    assert.deepEqual(value(await storage.counts()), { messages: 0, recipients: 0, held: 0 });
  });
}

test("queue writes what RFC 3464 wants of it into a report, with the header only, and says so in the log", async () => {
  const { send, reports, events } = start();
  const asked = { notify: success, originalRecipient: "rfc822;joe+2Bx@old.example", envelopeId: "QQ+3D314159" };
  await send(here, { ...asked, ret: 1 }, delivers, "Subject: hello\nTo: joe\n\nsecret body\n");
  const [report] = reports();
  const body = report?.body ?? "";
  assert.deepEqual(report?.forwardPaths, [sender]);
  assert.equal(field(body, "Subject"), "delivery notice");
  assert.equal(field(body, "Original-Envelope-Id"), "QQ=314159");
  assert.equal(field(body, "Original-Recipient"), "rfc822; joe+x@old.example");
  assert.equal(field(body, "Final-Recipient"), "rfc822; user@here.example");
  assert.equal(field(body, "Status"), "2.0.0");
  assert.match(
    body,
    /\nContent-Type: text\/rfc822-headers\n\nReturn-Path: <me@there.example>\nSubject: hello\nTo: joe\n\n--/,
  );
  assert.doesNotMatch(body, /secret body/);
  const { recipients } = parseBounce(Buffer.from(body, "latin1"), { recipient: sender });
  assert.deepEqual(
    recipients.map(({ action }) => action),
    ["other"],
  );
  assert.ok(events.some((event) => event.event === "report" && event.message === 1 && event.action === "delivered"));
});

test("queue names the server a message was passed on to, one report for all of a delivery", async () => {
  const { send, reports } = start();
  await send([far, "other@far.example"], { notify: success }, takes(0));
  assert.deepEqual(
    reports().map(({ body }) => body.match(/^Final-Recipient: .*$/gm)?.length),
    [2],
  );
  assert.equal(field(reports()[0]?.body ?? "", "Remote-MTA"), "dns; mx.far.example");
});

test("queue reports to nobody what becomes of a report", async () => {
  for (const reversePath of ["", "#@[]"]) {
    const { send, clock, remote } = start();
    await send(far, { notify: success | delay, reversePath }, defers);
    await clock.advance(6 * hour);
    await send(far, { notify: success, reversePath }, takes(0));
    await clock.advance(24 * hour);
    assert.deepEqual(
      remote.deliveries.filter(({ forwardPaths }) => !forwardPaths[0]?.includes("far")),
      [],
    );
  }
});

const copies = [
  { name: "RET=FULL", asked: { ret: 1 }, isWhole: true },
  { name: "nothing asked", asked: {}, isWhole: true },
  { name: "RET=HDRS", asked: { ret: 2 }, isWhole: false },
  { name: "RET=FULL, over bouncemaxbytes", asked: { ret: 1 }, files: { bouncemaxbytes: "10" }, isWhole: false },
  { name: "REQUIRETLS", asked: { ret: 1, flags: 2 }, isWhole: false },
  { name: "BINARYMIME", asked: { ret: 1, bodyKind: 2 }, isWhole: false },
  { name: "RET=HDRS, as qmail bounces", asked: { ret: 2 }, files: { bounceformat: "qsbmf" }, isWhole: false },
] as const;
for (const { name, asked, isWhole, ...rest } of copies) {
  test(`a bounce returns ${isWhole ? "all" : "the header"}: ${name}`, async () => {
    const { send, reports } = start("files" in rest ? rest.files : {});
    await send(far, { originalRecipient: "rfc822;x", ...asked }, fails, "Subject: hello\n\nbody\0octets\n");
    const [bounce] = reports();
    assert.match(bounce?.body ?? "", /\nReturn-Path: <me@there.example>\nSubject: hello\n/);
    assert.equal(bounce?.body.includes("body\0octets"), isWhole);
    assert.equal(bounce?.bodyKind, 0);
    assert.equal(bounce?.body.includes("longer than"), "files" in rest && "bouncemaxbytes" in rest.files);
    assert.deepEqual(bounce?.options?.flags, "flags" in asked ? asked.flags : undefined);
  });
}

test("a report on a message with UTF-8 addresses is one itself (RFC 6533)", async () => {
  const { send, reports } = start();
  const utf8 = (text: string) => Buffer.from(text).toString("latin1");
  await send(utf8("jürgen@here.example"), { notify: success, flags: 1, originalRecipient: "rfc822;x" }, delivers);
  const [report] = reports();
  assert.equal(field(report?.body ?? "", "Final-Recipient"), utf8("utf-8; jürgen@here.example"));
  assert.match(
    report?.body ?? "",
    /\nContent-Type: message\/global-delivery-status\nContent-Transfer-Encoding: 8bit\n/,
  );
  assert.match(report?.body ?? "", /\nContent-Type: message\/global-headers\nContent-Transfer-Encoding: 8bit\n/);
  assert.deepEqual([report?.bodyKind, report?.options?.flags], [1, 1]);
});

test("remote hears what was asked, local does not, and nobody does of other mail", async () => {
  const { send, smtpd, clock, remote, local } = start();
  const asked = { envelopeId: "QQ", ret: 2, flags: 3, priority: 12 };
  await send([far, here], { ...asked, notify: 6, originalRecipient: "rfc822;x", bodyKind: 2 }, delivers);
  const { originalRecipients, ...options } = remote.deliveries[0]?.options ?? {};
  assert.deepEqual(options, { ...asked, notify: [6] });
  assert.deepEqual(originalRecipients, ["rfc822;x"]);
  assert.equal(remote.deliveries[0]?.bodyKind, 2);
  assert.equal(local.deliveries[0]?.options, undefined);
  smtpd.submit("plain\n", ["plain@far.example"], sender);
  await clock.settle();
  assert.equal(remote.deliveries.at(-1)?.options, undefined);
});

const onward = [
  { name: "to one address", to: ["x@far.example"], from: sender, passed: { envelopeId: "QQ", ret: 1, notify: [7] } },
  {
    name: "to several",
    to: ["x@far.example", "y@far.example"],
    from: sender,
    passed: { envelopeId: "QQ", ret: 1, notify: [6, 6] },
  },
  {
    name: "to a list",
    to: ["x@far.example"],
    from: "owner@here.example",
    passed: { envelopeId: "", ret: 0, notify: [0] },
  },
];
for (const { name, to, from, passed } of onward) {
  test(`a forward ${name} takes over what RFC 3461 §5.2.7 lets it, and how it is to be handled`, async () => {
    const { send, remote } = start();
    const asked = { envelopeId: "QQ", ret: 1, flags: 2, priority: 12, notify: 7, originalRecipient: "rfc822;x" };
    let first = true;
    await send(here, asked, () => {
      const fate = first ? sends(to, from)() : takes(1)();
      first = false;
      return fate;
    });
    const forwarded = remote.deliveries.find(({ forwardPaths }) => forwardPaths[0] === "x@far.example");
    const originalRecipients = to.map(() => (from === sender ? "rfc822;x" : ""));
    assert.deepEqual({ ...forwarded?.options }, { ...passed, flags: 2, priority: 12, originalRecipients });
  });
}

test("a forward of a message for which only success was asked is never reported", async () => {
  const { send, remote } = start();
  let first = true;
  await send(here, { notify: success }, () => {
    const fate = first ? sends(["x@far.example", "y@far.example"])() : fails();
    first = false;
    return fate;
  });
  assert.deepEqual(remote.deliveries.filter(({ reversePath }) => reversePath === "").map(actionOf), ["expanded"]);
  assert.deepEqual(remote.deliveries.find(({ options }) => options)?.options?.notify, [never, never]);
});

const delays = [
  { name: "who asked", files: {}, notify: delay, after: 4, told: 1 },
  { name: "nobody who did not ask", files: {}, notify: 0, after: 4, told: 0 },
  { name: "who asked for nothing, by delaywarning", files: { delaywarning: "7200" }, notify: 0, after: 2, told: 1 },
  { name: "who asked, by delaywarning", files: { delaywarning: "7200" }, notify: delay, after: 2, told: 1 },
  { name: "nobody who asked for other things", files: { delaywarning: "7200" }, notify: failure, after: 2, told: 0 },
  { name: "nobody who wants to hear nothing", files: { delaywarning: "7200" }, notify: never, after: 2, told: 0 },
];
for (const { name, files, notify, after, told } of delays) {
  test(`queue tells of a delay ${name}, once, and a restart does not change that`, async () => {
    const first = start(files);
    await first.send([here, far], { notify }, defers);
    await first.clock.advance((after - 1) * hour);
    assert.equal(first.reports().length, 0);
    await first.clock.advance(2 * hour);
    assert.deepEqual(first.reports().map(actionOf), told ? ["delayed"] : []);
    const [report] = first.reports();
    if (told) {
      assert.equal(report?.body.match(/^Action: delayed$/gm)?.length, 2);
      assert.equal(field(report?.body ?? "", "Status"), "4.4.1");
      assert.match(field(report?.body ?? "", "Will-Retry-Until") ?? "", /2023/);
      const { recipients } = parseBounce(Buffer.from(report?.body ?? "", "latin1"), { recipient: sender });
      assert.deepEqual(
        recipients.map(({ action }) => action),
        ["delayed", "delayed"],
      );
    }
    await first.clock.advance(24 * hour);
    assert.equal(first.reports().length, told);
    first.smtpd.close();
    const clock = first.clock;
    const again = startQueue(first.storage.reopen(), settingsOf(files));
    again.clock.wall = clock.wall;
    const remote = new Deliverer(again.queue, "remote", defers);
    await again.clock.advance(12 * hour);
    assert.deepEqual(
      remote.deliveries.filter(({ reversePath }) => reversePath === ""),
      [],
    );
    assert.ok(remote.deliveries.length > 0);
  });
}

test("what a queue reports of success is written with it, while its header is read nothing else happens", async () => {
  const storage = new MemoryStorage();
  const { clock, queue, smtpd } = startQueue(storage, settingsOf({ locals: "here.example" }));
  const local = new Deliverer(queue, "local", delivers);
  const batches: string[][] = [];
  const apply = storage.apply.bind(storage);
  storage.apply = (changes) => {
    batches.push(changes.map(({ kind }) => kind));
    return apply(changes);
  };
  smtpd.ask([here, "b@here.example"], { notify: success }, `Subject: long\n\n${"x".repeat(100_000)}\n`);
  await clock.settle();
  assert.equal(local.deliveries.length, 2);
  const results = batches.filter((kinds) => kinds.includes("end") || kinds.includes("delivered"));
  for (const kinds of results) {
    const done = kinds.filter((kind) => kind === "delivered" || kind === "end").length;
    assert.equal(kinds.filter((kind) => kind === "message").length, done, kinds.join());
  }
});
