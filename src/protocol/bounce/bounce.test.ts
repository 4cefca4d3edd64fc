import assert from "node:assert/strict";
import { test } from "node:test";
import { composeDsn } from "./dsn.ts";
import { type Notice, noticeText } from "./notice.ts";
import { composeQsbmf } from "./qsbmf.ts";

const notice: Notice = {
  bounceFrom: "MAILER-DAEMON",
  bounceHost: "mx.example.net",
  reportingHost: "mx.example.net",
  to: "a b@example.org",
  reversePath: "a b@example.org",
  nowMs: 810_362_814_000,
  arrivedMs: 810_362_000_000,
  recipients: [
    {
      forwardPath: "user@far.org",
      status: "1.1",
      text: "1.2.3.4 does not like recipient.\nRemote host said: 550 no\n",
    },
    { forwardPath: "other@far.org", status: "4.7", text: "late\n" },
  ],
  omitted: 0,
  headerOnlyOver: undefined,
};
const header = `Date: 6 Sep 1995 04:46:54 -0000
From: MAILER-DAEMON@mx.example.net
To: "a b"@example.org
Subject: failure notice
`;
const text = `Hi. This is the qmail-send program at mx.example.net.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<user@far.org>:
1.2.3.4 does not like recipient.
Remote host said: 550 no

<other@far.org>:
late

`;

test("§17.214 §17.215 §17.218 composeQsbmf() is qmail's notice, to the octet", () => {
  assert.deepEqual(composeQsbmf(notice), {
    prefix: `${header}
${text}--- Below this line is a copy of the message.

Return-Path: <"a b"@example.org>
`,
    suffix: "",
  });
});

test("§17.219 composeQsbmf() is qmail's double bounce, to the octet", () => {
  const { prefix } = composeQsbmf({ ...notice, to: "postmaster@mx.example.net", reversePath: "" });
  assert.equal(
    prefix,
    `Date: 6 Sep 1995 04:46:54 -0000
From: MAILER-DAEMON@mx.example.net
To: postmaster@mx.example.net
Subject: failure notice

Hi. This is the qmail-send program at mx.example.net.
I tried to deliver a bounce message to this address, but the bounce bounced!

<user@far.org>:
1.2.3.4 does not like recipient.
Remote host said: 550 no

<other@far.org>:
late

--- Below this line is the original bounce.

Return-Path: <>
`,
  );
});

test("composeQsbmf() says when only the header follows, and when addresses are left out", () => {
  const { prefix } = composeQsbmf({ ...notice, recipients: [], headerOnlyOver: 50_000, omitted: 3 });
  assert.match(
    prefix,
    /work out\.\nThe message is longer than 50000 octets: only its header comes back\.\n3 more addr/,
  );
  assert.match(prefix, /\n--- Below this line is the header of the message\.\n\nReturn-Path: </);
});

const paragraphs = [
  { name: "ends a report that has no LF", report: "no", paragraph: "<u@d>:\nno\n\n" },
  { name: "keeps one LF", report: "no\n", paragraph: "<u@d>:\nno\n\n" },
  { name: "takes an empty report", report: "", paragraph: "<u@d>:\n\n" },
  { name: "leaves no empty line inside", report: "a\n\n\nb\n", paragraph: "<u@d>:\na\n//b\n\n" },
  { name: "leaves no empty line before", report: "\na", paragraph: "<u@d>:\n/a\n\n" },
  { name: "leaves no empty line behind", report: "a\n\n\n", paragraph: "<u@d>:\na\n\n" },
  { name: "makes CR, NUL and DEL harmless", report: "a\r\nb\0\x7f\tc", paragraph: "<u@d>:\na?\nb??\tc\n\n" },
  { name: "keeps octets above 127", report: "\xe4", paragraph: "<u@d>:\n\xe4\n\n" },
];
for (const { name, report, paragraph } of paragraphs) {
  test(`§17.216 noticeText() ${name}`, () => {
    const recipients = [{ forwardPath: "u@d", status: "0.0", text: report }] as const;
    assert.ok(noticeText({ ...notice, recipients }).endsWith(`out.\n\n${paragraph}`));
  });
}

test("composeDsn() is a multipart/report around qmail's text, to the octet", () => {
  const mime = { boundary: "=_b", messageId: "1.Q2I3@mx.example.net", eightBit: false };
  assert.deepEqual(composeDsn(notice, mime), {
    prefix: `${header}Message-ID: <1.Q2I3@mx.example.net>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
	boundary="=_b"

--=_b
Content-Type: text/plain; charset=us-ascii

${text}
--=_b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net
Arrival-Date: 6 Sep 1995 04:33:20 -0000

Final-Recipient: rfc822; user@far.org
Action: failed
Status: 5.1.1
Diagnostic-Code: x-postern; 1.2.3.4 does not like recipient. Remote host said: 550 no

Final-Recipient: rfc822; other@far.org
Action: failed
Status: 5.4.7
Diagnostic-Code: x-postern; late

--=_b
Content-Type: message/rfc822

Return-Path: <"a b"@example.org>
`,
    suffix: "\n--=_b--\n",
  });
});

test("composeDsn() declares 8-bit messages, bare headers, and keeps its own text in ASCII", () => {
  const recipients = [{ forwardPath: "\xe4@d", status: "1.1", text: `\xe4 ${"x".repeat(2_000)}` }] as const;
  const mime = { boundary: "=_b", messageId: "m@h", eightBit: true };
  const { prefix } = composeDsn({ ...notice, recipients, headerOnlyOver: 1 }, mime);
  assert.match(prefix, /boundary="=_b"\nContent-Transfer-Encoding: 8bit\n\n--=_b/);
  assert.match(prefix, /Content-Type: text\/rfc822-headers\nContent-Transfer-Encoding: 8bit\n\nReturn-Path/);
  assert.match(prefix, /Final-Recipient: rfc822; "\?"@d\n/);
  assert.match(prefix, /Diagnostic-Code: x-postern; \? x{898}\n/);
});

const told = [
  { action: "delivered", subject: "delivery notice", says: "Your message was delivered to", status: "2.0.0" },
  { action: "relayed", subject: "delivery notice", says: "passed on to a server that does not", status: "2.0.0" },
  { action: "expanded", subject: "delivery notice", says: "sent on to several others", status: "2.0.0" },
  { action: "delayed", subject: "delay notice", says: "I try again until 6 Sep 1995 04:46:54 -0000.", status: "4.0.0" },
] as const;
for (const { action, subject, says, status } of told) {
  test(`composeDsn() tells of what was ${action}, in a form nobody takes for a bounce`, () => {
    const originalRecipient = "rfc822;old+40far.org";
    const recipients = [{ forwardPath: "u@far.org", status: "0.0", text: "", originalRecipient }] as const;
    const late = action === "delayed" ? { retryUntilMs: notice.nowMs } : {};
    const asked = { ...notice, action, recipients, headerOnlyOver: 0, envelopeId: "QQ+2B1", ...late };
    const { prefix } = composeDsn(asked, { boundary: "=_b", messageId: "m@h", eightBit: false });
    assert.match(prefix, new RegExp(`^Subject: ${subject}$`, "m"));
    assert.ok(prefix.replaceAll("\n", " ").includes(says), prefix);
    assert.doesNotMatch(prefix, /^Hi\. This is/m);
    assert.ok(
      prefix.includes(`
Original-Envelope-Id: QQ+1
Reporting-MTA: dns; mx.example.net
Arrival-Date: 6 Sep 1995 04:33:20 -0000

Original-Recipient: rfc822; old@far.org
Final-Recipient: rfc822; u@far.org
Action: ${action}
Status: ${status}
${action === "delayed" ? "Will-Retry-Until: 6 Sep 1995 04:46:54 -0000\n" : ""}
--=_b
`),
      prefix,
    );
  });
}

test("composeDsn() leaves out an ENVID and an ORCPT that are none, and shows one that is no xtext as it came", () => {
  const recipients = ["no type", "rfc822;a+4 b\nX: y", "utf-8;\\x{E4}@d"].map((originalRecipient) => {
    return { forwardPath: "u@d", status: "1.1", text: "", originalRecipient } as const;
  });
  const { prefix } = composeDsn(
    { ...notice, recipients, envelopeId: "a b" },
    { boundary: "=_b", messageId: "m@h", eightBit: false },
  );
  assert.doesNotMatch(prefix, /Original-Envelope-Id/);
  const originals = prefix.match(/^Original-Recipient: .*$/gm);
  assert.deepEqual(originals, ["Original-Recipient: rfc822; a+4 b X: y", "Original-Recipient: utf-8; \\x{E4}@d"]);
});

test("composeDsn() writes UTF-8 where it is, and only there, when the message needed SMTPUTF8", () => {
  const utf8 = Buffer.from("jürgen@düren.example").toString("latin1");
  const text = Buffer.from("et voilà: non").toString("latin1"); // with an octet 160, which is no blank
  const recipients = [
    { forwardPath: utf8, status: "1.1", text: `${text} ${utf8}` },
    { forwardPath: "\xe4@d", status: "1.1", text: "\xff" },
  ] as const;
  const mime = { boundary: "=_b", messageId: "m@h", eightBit: false, utf8: true };
  const { prefix } = composeDsn({ ...notice, recipients, headerOnlyOver: 0 }, mime);
  assert.ok(prefix.includes(`Diagnostic-Code: x-postern; ${text} ${utf8}\n`));
  assert.match(prefix, /Final-Recipient: utf-8; j\xc3\xbcrgen@d\xc3\xbcren\.example\n/);
  assert.match(prefix, /Final-Recipient: rfc822; "\?"@d\n/);
  assert.match(prefix, /\nContent-Type: message\/global-headers\nContent-Transfer-Encoding: 8bit\n\nReturn-Path/);
});
