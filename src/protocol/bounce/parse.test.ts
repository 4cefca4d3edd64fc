import assert from "node:assert/strict";
import { test } from "node:test";
import { composeDsn } from "./dsn.ts";
import type { Notice } from "./notice.ts";
import { maxBounceOctets, parseBounce, verpRecipient } from "./parse.ts";
import { composeQsbmf } from "./qsbmf.ts";
import { maxReported, maxReportedTextOctets, statusIn } from "./report.ts";

const latin1 = (text: string): Buffer => Buffer.from(text, "latin1");
const parse = (text: string) => parseBounce(latin1(text), { recipient: "a@b" });
const failed = (recipient: string, text = "", status = "") => ({ recipient, action: "failed", status, text });

const introduction = "Subject: failure notice\n\nHi. This is the far program at far.example.\nSorry.\n\n";
const qsbmf = [
  { name: "a paragraph", body: "<u@d>:\nno\n\n- break\n", found: [failed("u@d", "no")] },
  {
    name: "an address that would need quotes, as it is",
    body: '<a b"c@d>:\nno\n\n--- x\n',
    found: [failed('a b"c@d', "no")],
  },
  { name: "a `>:` within an address", body: "<a>:b@d>:\nno\n\n- x\n", found: [failed("a>:b@d", "no")] },
  { name: "an empty report", body: "<u@d>:\n\n- x\n", found: [failed("u@d")] },
  { name: "a report of two lines", body: "<u@d>:\na\n/b\n\n- x\n", found: [failed("u@d", "a\n/b")] },
  {
    name: "empty lines that qmail leaves behind a report",
    body: "<u@d>:\na\n\n\n\n<v@d>:\nb\n\n- x\n",
    found: [failed("u@d", "a"), failed("v@d", "b")],
  },
  { name: "no reserved paragraph", body: "reserved\n<x@y>:\n\n<u@d>:\nno\n\n- x\n", found: [failed("u@d", "no")] },
  { name: "no paragraph whose first line goes on", body: "<u@d>: no\n\n<v@d>:\n\n- x\n", found: [failed("v@d")] },
  { name: "nothing behind the break", body: "<u@d>:\nno\n\n- x\n\n<v@d>:\nno\n\n", found: [failed("u@d", "no")] },
  { name: "a body that is cut off", body: "<u@d>:\nno", found: [failed("u@d", "no")] },
  {
    name: "the code of a report (HCMSSC)",
    body: "<u@d>:\nno mailbox. (#5.1.1)\n\n- x\n",
    found: [failed("u@d", "no mailbox. (#5.1.1)", "5.1.1")],
  },
  { name: "controls as question marks", body: "<u@d>:\na\x1b[2J\n\n- x\n", found: [failed("u@d", "a?[2J")] },
];
for (const { name, body, found } of qsbmf) {
  for (const lineEnd of ["\n", "\r\n"]) {
    test(`parseBounce() finds in qmail's form: ${name}, ${JSON.stringify(lineEnd)}`, () => {
      const message = `${introduction}${body}`.replaceAll("\n", lineEnd);
      assert.deepEqual(parse(message), { form: "qsbmf", recipients: found });
    });
  }
}

const perMessage = "Reporting-MTA: dns; far.example\n\n";
const report = (status: string, type = "message/delivery-status"): string =>
  `Subject: x\nContent-Type: Multipart/Report; report-type="delivery-status";\n\tboundary="b;\\"1"\n\n--b;"1\n\ntext\n--b;"1  \nContent-Type: ${type}\n\n${status}\n--b;"1\nContent-Type: message/rfc822\n\nOriginal-Recipient: rfc822; other@d\n--b;"1--\n`;
const recipientFields = (fields: string): string => `${perMessage}Final-Recipient: rfc822; u@d\n${fields}\n`;
const dsn = [
  {
    name: "a failure",
    status: recipientFields("Action: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 no"),
    found: [failed("u@d", "550 no", "5.1.1")],
  },
  {
    name: "folded fields in any case",
    status: recipientFields("ACTION:Failed\nstatus: 5.1.1 (no)\nDiagnostic-Code:\n smtp;\n\t550\n no"),
    found: [failed("u@d", "550 no", "5.1.1")],
  },
  {
    name: "a delay",
    status: recipientFields("Action: delayed\nStatus: 4.0.0"),
    found: [{ ...failed("u@d", "", "4.0.0"), action: "delayed" }],
  },
  {
    name: "a delivery",
    status: recipientFields("Action: delivered\nStatus: 2.0.0"),
    found: [{ ...failed("u@d", "", "2.0.0"), action: "other" }],
  },
  {
    name: "an action it does not know",
    status: recipientFields("Action: lost"),
    found: [{ ...failed("u@d"), action: "other" }],
  },
  {
    name: "the recipient as it was first",
    status: recipientFields("Original-Recipient: rfc822;first@d\nAction: failed"),
    found: [failed("first@d")],
  },
  {
    name: "quotes and brackets",
    status: `${perMessage}Final-Recipient: rfc822; <"a\\"b c"@d>\nAction: failed\n`,
    found: [failed('a"b c@d')],
  },
  {
    name: "several recipients",
    status: `${recipientFields("Action: failed\n")}\n\nFinal-Recipient: rfc822; v@d\nAction: failed\n`,
    found: [failed("u@d"), failed("v@d")],
  },
  { name: "no block without a recipient", status: `${perMessage}Action: failed\n`, found: [] },
  {
    name: "no status that is none",
    status: recipientFields("Action: failed\nStatus: 5.1.1.1"),
    found: [failed("u@d")],
  },
];
for (const { name, status, found } of dsn) {
  for (const lineEnd of ["\n", "\r\n"]) {
    test(`parseBounce() finds in a multipart/report: ${name}, ${JSON.stringify(lineEnd)}`, () => {
      const message = report(status).replaceAll("\n", lineEnd);
      assert.deepEqual(parse(message), { form: "dsn", recipients: found });
    });
  }
}

const wrapped = (depth: number): string => {
  let inner = report(recipientFields("Action: failed")).replaceAll('b;"1', "in").replaceAll('b;\\"1', "in");
  for (let level = 0; level < depth; level++) {
    inner = `Content-Type: multipart/mixed; boundary=o${level}\n\n--o${level}\n${inner}\n--o${level}--\n`;
  }
  return inner;
};
const nothing = [
  { name: "a letter", text: "Subject: x\n\nHi there.\n\n<u@d>:\nno\n\n" },
  { name: "no octets", text: "" },
  { name: "a body quoting a bounce", text: `Subject: x\n\n> ${introduction}<u@d>:\n\n` },
  { name: "a report without a status", text: report(perMessage, "text/plain") },
  { name: "a bounce within a message within a report", text: report(wrapped(0), "message/rfc822") },
  { name: "a status outside a report", text: report(recipientFields("Action: failed")).replace("Report;", "mixed;") },
  {
    name: "no boundary",
    text: 'Content-Type: multipart/report; boundary=""\n\n--\nContent-Type: message/delivery-status\n\n',
  },
  { name: "multiparts too deep in each other", text: wrapped(4) },
];
for (const { name, text } of nothing) {
  test(`parseBounce() finds nothing in ${name}`, () => {
    assert.deepEqual(parse(text), { form: "none", recipients: [] });
  });
}

test("parseBounce() looks through what a gateway wrapped around a report", () => {
  for (const depth of [1, 2, 3]) assert.deepEqual(parse(wrapped(depth)).recipients, [failed("u@d")]);
});

const notice: Notice = {
  bounceFrom: "MAILER-DAEMON",
  bounceHost: "mx.example",
  reportingHost: "mx.example",
  to: "s@example.org",
  reversePath: "s@example.org",
  nowMs: 0,
  arrivedMs: 0,
  recipients: [
    { forwardPath: 'a "b@far.org', status: "1.1", text: "Remote host said: 550 5.1.1 no\n\nsuch user\n" },
    { forwardPath: "late@far.org", status: "4.7", text: "late\n" },
    { forwardPath: "mute@far.org", status: "0.0", text: "" },
  ],
  omitted: 2,
  headerOnlyOver: 9,
};

test("§11.3 parseBounce() reads back what composeQsbmf() wrote", () => {
  for (const reversePath of ["s@example.org", ""]) {
    const { prefix } = composeQsbmf({ ...notice, reversePath });
    assert.deepEqual(parse(`${prefix}Subject: copy\n\n<not@me>:\n\n`), {
      form: "qsbmf",
      recipients: [
        failed('a "b@far.org', "Remote host said: 550 5.1.1 no\n/such user", "5.1.1"),
        failed("late@far.org", "late"),
        failed("mute@far.org"),
      ],
    });
  }
});

test("parseBounce() reads back what composeDsn() wrote", () => {
  const { prefix, suffix } = composeDsn(notice, { boundary: "=_b", messageId: "m@h", eightBit: true });
  assert.deepEqual(parse(`${prefix}Subject: copy\n\n--x\n${suffix}`), {
    form: "dsn",
    recipients: [
      failed('a "b@far.org', "Remote host said: 550 5.1.1 no such user", "5.1.1"),
      failed("late@far.org", "late", "5.4.7"),
      failed("mute@far.org", "", "5.0.0"),
    ],
  });
});

const verp = [
  { name: "takes what stands between", address: "list-u=d.org@h", recipient: "u@d.org" },
  { name: "takes the last `=` for the @", address: "list-a=b=d.org@h", recipient: "a=b@d.org" },
  { name: "takes any case", address: "LIST-U=d.org@H", recipient: "U@d.org" },
  { name: "keeps a prefix of the local part", address: "list-x-u=d@h", recipient: "x-u@d" },
  { name: "takes nothing of another list", address: "lost-u=d@h", recipient: undefined },
  { name: "takes nothing of another host", address: "list-u=d@i", recipient: undefined },
  { name: "takes no empty local part", address: "list-=d@h", recipient: undefined },
  { name: "takes no empty domain", address: "list-u=@h", recipient: undefined },
  { name: "takes no bare address", address: "list-@h", recipient: undefined },
];
for (const { name, address, recipient } of verp) {
  test(`verpRecipient() ${name}`, () => assert.equal(verpRecipient(address, "list-@h"), recipient));
}

test("parseBounce() believes the VERP address about who, and the text about what happened", () => {
  const envelope = { recipient: "list-u=d@h", verpBase: "list-@h" };
  const ask = (text: string) => parseBounce(latin1(text), envelope);
  assert.deepEqual(ask("I am on holiday"), { form: "verp", recipients: [failed("u@d")] });
  const delayed = report(recipientFields("Action: delayed\nStatus: 4.4.1"));
  assert.deepEqual(ask(delayed).recipients, [{ ...failed("u@d", "", "4.4.1"), action: "delayed" }]);
  const forwarded = `${introduction}<elsewhere@e>:\nfull (#5.2.2)\n\n`;
  assert.deepEqual(ask(forwarded).recipients, [failed("u@d", "full (#5.2.2)", "5.2.2")]);
  assert.equal(parseBounce(latin1(forwarded), { ...envelope, recipient: "list-@h" }).form, "qsbmf");
  const marked = parseBounce(latin1(""), { recipient: "list-u+d@h", verpBase: "list-@h", verpDelimiter: "+" });
  assert.deepEqual(marked.recipients, [failed("u@d")]);
});

test("parseBounce() has bounds for recipients, their texts and what is read", () => {
  const many = parse(introduction + "<u@d>:\nno\n\n".repeat(maxReported + 1));
  assert.equal(many.recipients.length, maxReported);
  const long = parse(`${introduction}<u@d>:\n${"x".repeat(maxReportedTextOctets + 1)}\n\n`);
  assert.equal(long.recipients[0]?.text.length, maxReportedTextOctets);
  const far = parse(`${introduction}${"x".repeat(maxBounceOctets)}\n\n<u@d>:\nno\n\n`);
  assert.deepEqual(far, { form: "qsbmf", recipients: [] });
  const blocks = `Final-Recipient: rfc822; u@d\nAction: failed\n\n`.repeat(maxReported + 1);
  assert.equal(parse(report(perMessage + blocks)).recipients.length, maxReported);
});

const codes = [
  ["no. (#5.1.1)", "5.1.1"],
  ["#4.4.1", "4.4.1"],
  ["550 5.7.1 no", "5.7.1"],
  ["550-5.7.1 no", "5.7.1"],
  ["version 5.1.1", ""],
  ["1.2.3.4", ""],
  ["#5.1.1.9", ""],
  ["#3.1.1", ""],
] as const;
for (const [text, status] of codes) test(`statusIn() ${text}`, () => assert.equal(statusIn(text), status));
