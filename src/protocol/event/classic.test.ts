import assert from "node:assert/strict";
import { test } from "node:test";
import { renderClassic, sanitise } from "./classic.ts";
import type { Event } from "./event.ts";
import { formatTimestamp } from "./timestamp.ts";

const cases: readonly { event: Event; line: string; program?: string }[] = [
  {
    event: { event: "status", local: 0, localLimit: 10, remote: 0, remoteLimit: 20, exiting: false },
    line: "status: local 0/10 remote 0/20",
  },
  {
    event: { event: "status", local: 3, localLimit: 10, remote: 2, remoteLimit: 20, exiting: true },
    line: "status: local 3/10 remote 2/20 exitasap",
  },
  { event: { event: "new", message: 93869 }, line: "new msg 93869" },
  {
    event: { event: "info", message: 93869, octets: 2343, reversePath: "a@b.org", uid: 49491 },
    line: "info msg 93869: bytes 2343 from <a@b.org> qp 93869 uid 49491",
  },
  {
    event: { event: "info", message: 1, octets: 0, reversePath: "", uid: 4294967295 },
    line: "info msg 1: bytes 0 from <> qp 1 uid 4294967295",
  },
  {
    event: { event: "info", message: 1, octets: 0, reversePath: "a b\n%\xfc\x7f@c", uid: 0 },
    line: "info msg 1: bytes 0 from <a_b/___@c> qp 1 uid 0",
  },
  {
    event: {
      event: "starting",
      delivery: 2392,
      message: 93869,
      channel: "local",
      recipient: "djb-sos@silverton.berkeley.edu",
    },
    line: "starting delivery 2392: msg 93869 to local djb-sos@silverton.berkeley.edu",
  },
  {
    event: { event: "starting", delivery: 1, message: 2, channel: "remote", recipient: "x y@z" },
    line: "starting delivery 1: msg 2 to remote x_y@z",
  },
  {
    event: { event: "delivery", delivery: 2392, result: "success", text: "did 1+0+0\n" },
    line: "delivery 2392: success: did_1+0+0/",
  },
  {
    event: {
      event: "delivery",
      delivery: 3,
      result: "success",
      text: "1.2.3.4 accepted message.\nRemote host said: 250 ok 1234567890 qp 4242\n",
    },
    line: "delivery 3: success: 1.2.3.4_accepted_message./Remote_host_said:_250_ok_1234567890_qp_4242/",
  },
  {
    event: { event: "delivery", delivery: 4, result: "deferral", text: "Connected to 1.2.3.4 but greeting failed.\n" },
    line: "delivery 4: deferral: Connected_to_1.2.3.4_but_greeting_failed./",
  },
  {
    event: { event: "delivery", delivery: 5, result: "failure", text: "100%\tno\r\n" },
    line: "delivery 5: failure: 100__no_/",
  },
  { event: { event: "bounce", message: 7, bounce: 8 }, line: "bounce msg 7 qp 8" },
  { event: { event: "triple bounce", message: 7 }, line: "triple bounce: discarding bounce/7" },
  { event: { event: "end", message: 93869 }, line: "end msg 93869" },
  { event: { event: "stopped", pid: 5 }, line: "status: exiting" },
  { event: { event: "stopped", pid: 5 }, line: "smtpd: stopped: pid 5", program: "smtpd" },
  {
    event: { event: "warning", text: "trouble injecting bounce message, will try later" },
    line: "warning: trouble injecting bounce message, will try later",
  },
  { event: { event: "alert", text: "disk full\nnew msg 1" }, line: "alert: disk full/new msg 1" },
  { event: { event: "operator", action: "hold", count: 3, uid: 0 }, line: "queue: operator hold: 3 by uid 0" },
  {
    event: { event: "connection", connection: 9, address: "2001:db8::1", port: 4242, service: "smtp" },
    line: "smtpd: connection 9: smtp from 2001:db8::1:4242",
    program: "smtpd",
  },
  {
    event: { event: "refusal", connection: 9, address: "192.0.2.1", command: "RCPT TO:<a b>", reply: "550 5.1.1 no" },
    line: "smtpd: connection 9: refused RCPT_TO:<a_b> from 192.0.2.1: 550_5.1.1_no",
    program: "smtpd",
  },
  {
    event: { event: "tls results", domain: "a b", policy: "sts", result: "success", count: 3 },
    line: "remote: tls results a_b: sts: success: 3",
    program: "remote",
  },
  {
    event: { event: "died", name: "remote", pid: 12, why: "signal SIGKILL", againInMs: 100 },
    line: "supervise: remote died: pid 12: signal_SIGKILL: again in 100 ms",
    program: "supervise",
  },
];

for (const { event, line, program = "queue" } of cases) {
  test(`§17.227 renderClassic() writes: ${line}`, () => {
    assert.equal(renderClassic({ timeMs: 0, program, ...event }), line);
  });
}

test("§17.229 sanitise() leaves no octet that could break a line or a terminal", () => {
  const all = String.fromCharCode(...Array.from({ length: 256 }, (_, octet) => octet));
  assert.match(sanitise(all), /^[!-$&-~]{256}$/);
});

const stamps = [
  { ms: 0, kind: "tai64n", text: "@400000000000000a00000000 " },
  { ms: 810_362_814_250, kind: "tai64n", text: "@40000000304d27c80ee6b280 " },
  { ms: 810_362_814_250, kind: "iso", text: "1995-09-06T04:46:54.250Z " },
  { ms: 5, kind: "none", text: "" },
] as const;

for (const { ms, kind, text } of stamps) {
  test(`formatTimestamp() writes ${ms} as ${kind}`, () => assert.equal(formatTimestamp(ms, kind), text));
}
