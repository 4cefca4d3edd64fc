import assert from "node:assert/strict";
import { test } from "node:test";
import { renderClassic } from "../event/classic.ts";
import type { Event, Logged } from "../event/event.ts";
import { formatTimestamp } from "../event/timestamp.ts";
import { Histogram } from "./histogram.ts";
import { reasonOf } from "./reason.ts";
import { parseLogLine } from "./record.ts";
import { LogReport } from "./report.ts";
import { maxKeys, Tally } from "./tally.ts";
import { takeTimestamp } from "./timestamp.ts";

const stamps = [
  { line: "@40000000304d27c80ee6b280 new msg 1", timeMs: 810_362_814_250 },
  { line: "@400000000000000a00000000 new msg 1", timeMs: 0 },
  { line: "810362814.250000 new msg 1", timeMs: 810_362_814_250 },
  { line: "810362814 new msg 1", timeMs: 810_362_814_000 },
  { line: "1995-09-06T04:46:54.250Z new msg 1", timeMs: 810_362_814_250 },
  { line: "Sep  6 04:46:54 mx qmail: 810362814.250000 new msg 1", timeMs: 810_362_814_250 },
  { line: "1995-09-06T04:46:54.25+00:00 mx qmail[7]: 810362814.250000 new msg 1", timeMs: 810_362_814_250 },
  { line: "new msg 1", timeMs: undefined },
  { line: "@400000000000000a0000000 new msg 1", timeMs: undefined },
  { line: "9999-99-99T99:99:99Z new msg 1", timeMs: undefined },
  { line: "", timeMs: undefined },
];
for (const { line, timeMs } of stamps) {
  test(`takeTimestamp() of: ${line}`, () => {
    const taken = takeTimestamp(line);
    assert.equal(taken?.timeMs, timeMs);
    if (taken) assert.equal(taken.text, "new msg 1");
  });
}

const session: readonly Event[] = [
  { event: "started", pid: 7 },
  { event: "status", local: 0, localLimit: 10, remote: 0, remoteLimit: 20, exiting: false },
  { event: "new", message: 93869 },
  { event: "info", message: 93869, octets: 2343, reversePath: "a b@b.org", uid: 49491 },
  { event: "starting", delivery: 1, message: 93869, channel: "local", recipient: "djb-sos@silverton.example" },
  { event: "starting", delivery: 2, message: 93869, channel: "remote", recipient: "u@Far.example" },
  { event: "delivery", delivery: 2, result: "deferral", text: "Connected to 192.0.2.7 but greeting failed.\n" },
  { event: "delivery", delivery: 1, result: "success", text: "did 1+0+0\n" },
  { event: "starting", delivery: 3, message: 93869, channel: "remote", recipient: "u@far.example" },
  {
    event: "delivery",
    delivery: 3,
    result: "failure",
    text: "192.0.2.9 does not like recipient.\nno <u@far.example>\n",
  },
  { event: "bounce", message: 93869, bounce: 93870 },
  { event: "end", message: 93869 },
  { event: "warning", text: "trouble in select" },
  { event: "refusal", connection: 1, address: "192.0.2.1", command: "RCPT TO:<a@b>", reply: "550 5.7.1 no relaying" },
  { event: "reloaded" },
  { event: "stopped", pid: 7 },
];
const logged: readonly Logged[] = session.map((event, at) => ({
  timeMs: 810_362_814_000 + at * 1_000,
  program: "queue",
  ...event,
}));
const forms = {
  json: (event: Logged) => JSON.stringify(event),
  iso: (event: Logged) => formatTimestamp(event.timeMs, "iso") + renderClassic(event),
  tai64n: (event: Logged) => formatTimestamp(event.timeMs, "tai64n") + renderClassic(event),
  seconds: (event: Logged) => `${event.timeMs / 1000} ${renderClassic(event)}`,
  syslog: (event: Logged) => `Sep  6 04:46:54 mx qmail: ${(event.timeMs / 1000).toFixed(6)} ${renderClassic(event)}`,
};

for (const [name, form] of Object.entries(forms)) {
  test(`§17.233 LogReport matches every line of a session, from ${name}`, () => {
    const report = new LogReport();
    for (const event of logged) report.take(form(event));
    assert.deepEqual([report.lines, report.unread, report.unmatched, report.interrupted], [16, 0, 0, 0]);
    assert.deepEqual([report.openMessages, report.openDeliveries], [0, 0]);
    assert.deepEqual([report.arrived, report.arrivedOctets, report.ended, report.bounces], [1, 2343, 1, 1]);
    assert.deepEqual(report.fates.local, { success: 1, deferral: 0, failure: 0 });
    assert.deepEqual(report.fates.remote, { success: 0, deferral: 1, failure: 1 });
    assert.equal(report.deliveredOctets, 2343);
    assert.deepEqual([report.delays.local.sumMs, report.attempts.remote.sumMs, report.stays.sumMs], [5000, 2000, 9000]);
    assert.deepEqual(
      report.domains.top(9, ({ failure }) => failure),
      [["far.example", { messages: 0, octets: 0, success: 0, deferral: 1, failure: 1, delayMs: 0 }]],
    );
    assert.deepEqual(
      report.senders.top(9, ({ messages }) => messages).map(([key]) => key),
      ["<a_b@b.org>"],
    );
    assert.deepEqual(
      report.uids.top(9, ({ octets }) => octets).map(([key]) => key),
      ["49491"],
    );
    assert.deepEqual(
      report.deferrals.top(9, ({ deferral }) => deferral).map(([key]) => key),
      ["Connected to IP but greeting failed."],
    );
    assert.deepEqual(
      report.failures.top(9, ({ failure }) => failure).map(([key]) => key),
      ["IP does not like recipient. no <ADDRESS>"],
    );
    assert.deepEqual([report.refused, report.warnings], [1, 1]);
  });
}

test("LogReport notices what was broken off, what it did not see begin, and what is no log", () => {
  const report = new LogReport();
  const lines = [
    "delivery 7: success: x",
    "end msg 5",
    "new msg 1",
    "info msg 1: bytes 10 from <> qp 1 uid 0",
    "starting delivery 1: msg 1 to local a@b",
    "new msg 1",
    "info msg 1: bytes 10 from <> qp 1 uid 0",
    "starting delivery 1: msg 1 to local a@b",
    "status: exiting",
    "starting delivery 1: msg 1 to local a@b",
    "delivery 1: report mangled, will defer",
    "starting delivery 2: msg 1 to nowhere a@b",
    "info msg x: bytes 10 from <> qp 1 uid 0",
    "hello",
  ];
  for (const [at, text] of lines.entries()) report.take(`${1_000_000 + at} ${text}`);
  assert.deepEqual([report.unmatched, report.interrupted, report.unread], [2, 2, 3]);
  assert.deepEqual(report.fates.local, { success: 0, deferral: 1, failure: 0 });
  assert.equal(report.openMessages, 1);
});

test("parseLogLine() makes harmless what another's log holds", () => {
  const { record } = parseLogLine("1000000 delivery 1: failure: \x1b[2Jx\x07") ?? {};
  assert.deepEqual(record, { kind: "delivery", delivery: 1, result: "failure", text: "_[2Jx_" });
});

const strange = [
  "",
  "{",
  "null",
  "{}",
  '{"timeMs":1,"event":"info","message":"x"}',
  '{"timeMs":1,"event":"delivery","delivery":1,"result":"lost"}',
  '{"timeMs":1,"event":"new","message":-1}',
  "1000000 new msg -1",
  "1000000 new msg 1e9",
  "1000000 ",
];
for (const line of strange) {
  test(`parseLogLine() takes nothing from: ${line}`, () => assert.equal(parseLogLine(line), undefined));
}

const reasons = [
  [
    "192.0.2.1_failed_after_I_sent_the_message./Remote_host_said:_451_4.3.0_q8A1B2C3D4/",
    "IP failed after I sent the message. Remote host said: 451 4.3.0 ID",
  ],
  ["Connected_to_2001:db8::1_but_sender_was_rejected./", "Connected to IP but sender was rejected."],
  ["550_<u@d.example>:_no_such_user,_ref_123456", "550 <ADDRESS>: no such user, ref NUMBER"],
  ["mail.far1.example_said_no", "mail.far1.example said no"],
  ["", ""],
] as const;
for (const [text, reason] of reasons) test(`reasonOf() ${text}`, () => assert.equal(reasonOf(text), reason));

test("reasonOf() is short", () => assert.equal(reasonOf("x_".repeat(10_000)).length <= 120, true));

test("Histogram gives percentiles to two in a hundred, and parts within a time", () => {
  const times = new Histogram();
  assert.equal(times.percentile(0.5), 0);
  for (let ms = 1; ms <= 1_000; ms++) times.add(ms);
  for (const [part, exact] of [
    [0.5, 500],
    [0.9, 900],
    [0.99, 990],
    [1, 1_000],
  ] as const) {
    assert.ok(Math.abs(times.percentile(part) / exact - 1) < 0.021, String(part));
  }
  assert.deepEqual([times.count, times.mostMs, times.sumMs], [1_000, 1_000, 500_500]);
  const [half = 0, all] = times.within([500, 1_000_000]);
  assert.ok(Math.abs(half - 500) <= 10);
  assert.equal(all, 1_000);
});

test("Tally forgets the least of too many keys, and keeps the sums", () => {
  const tally = new Tally();
  for (let key = 0; key < maxKeys; key++) tally.of(`k${key}`).messages++;
  tally.of("k7").messages += 5;
  assert.equal(tally.isExact, true);
  tally.of("one more").messages++;
  assert.equal(tally.isExact, false);
  assert.equal(tally.size, maxKeys / 2 + 1);
  assert.equal(tally.others.messages, maxKeys / 2);
  assert.deepEqual(
    tally.top(1, ({ messages }) => messages).map(([key, { messages }]) => [key, messages]),
    [["k7", 6]],
  );
});
