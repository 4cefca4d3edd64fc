import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { composeDsn } from "../../src/protocol/bounce/dsn.ts";
import type { Notice } from "../../src/protocol/bounce/notice.ts";
import { composeQsbmf } from "../../src/protocol/bounce/qsbmf.ts";
import { deliveredToLine, returnPathLine } from "../../src/protocol/dot-qmail/environment.ts";
import { renderClassic } from "../../src/protocol/event/classic.ts";
import { fromLine } from "../../src/protocol/mbox/from-line.ts";
import { receivedLine } from "../../src/protocol/smtp/trace.ts";
import { complete } from "../../src/services/injection/inject.ts";
import { embeddedLayout } from "../../src/services/layout/layout.ts";
import { run } from "../support/commands.ts";
import { mailboxOf, readMaildir, runPostern, type Server, startServer, tree, until } from "../support/server.ts";
import { SmtpClient } from "../support/smtp-client.ts";
import { type Act, startSmtpPeer } from "../support/smtp-peer.ts";

/** What wants to be a line, a header field, a message, a command or a terminal's order of its own. */
const hostile = [
  "a\nBcc: victim@here.example",
  "a\r\nBcc: victim@here.example",
  "a\rBcc: victim@here.example",
  "a\n\nbody",
  "a\n\n--=_boundary\nContent-Type: text/html\n\n<script>",
  "a\nFinal-Recipient: rfc822; b@c\nAction: delivered",
  "a\nFrom victim@here.example Thu Jan  1 00:00:00 1970\nSubject: forged\n",
  "a\n.\nMAIL FROM:<x@y>",
  "a\0b",
  "a\x1b[2J\x1b]0;title\x07",
  "a\x7f\x08\x08",
  "a\x85b\u00a0c",
  "a\v\fb",
  "a>b\nc<d",
  'a"\\\n b',
  "\n\n\n",
  "\r",
  " ",
  "a\nnew msg 1\nend msg 1",
] as const;

const notice: Notice = {
  bounceFrom: "MAILER-DAEMON",
  bounceHost: "mx.example",
  reportingHost: "mx.example",
  to: "s@here.example",
  reversePath: "s@here.example",
  nowMs: 0,
  arrivedMs: 0,
  recipients: [{ forwardPath: "a@b", status: "1.1", text: "plain\n" }],
  omitted: 0,
  headerOnlyOver: undefined,
};
const mime = { boundary: "=_random", messageId: "1@mx.example", eightBit: false };
const trace = { helo: "a", protocol: "ESMTP", address: "192.0.2.1", by: "mx.example", nowMs: 0 } as const;
const failing = (text: string, forwardPath = "a@b"): Notice => ({
  ...notice,
  recipients: [{ forwardPath, status: "1.1", text }],
});
const fieldNames = (text: string): string[] => [...text.matchAll(/^([!-9;-~]+):/gm)].map(([, name = ""]) => name);
const headerOf = (text: string): string => text.slice(0, text.indexOf("\n\n"));
/** The fields of the second part, which programs obey. */
const statusOf = (text: string): string =>
  text.split("Content-Type: message/delivery-status\n\n")[1]?.split("\n--=_")[0] ?? "";

/** Each writes the text where it would go, and shows what must be the same whatever the text is. */
const writers: readonly { readonly name: string; readonly shape: (text: string) => unknown }[] = [
  { name: "Received, from HELO", shape: (text) => receivedLine({ ...trace, helo: text }).split("\n").length },
  {
    name: "Received, from the client's address",
    shape: (text) => receivedLine({ ...trace, address: text }).split("\n").length,
  },
  { name: "the From_ line of an mbox", shape: (text) => lines(fromLine(text.replaceAll("\r", ""), 0)) },
  { name: "Return-Path of a copy", shape: (text) => lines(returnPathLine(text.replaceAll("\r", ""))) },
  { name: "Delivered-To", shape: (text) => lines(deliveredToLine(text.replaceAll("\r", ""), "here.example")) },
  {
    name: "the header of a bounce, from its recipient",
    shape: (text) => fieldNames(headerOf(composeDsn({ ...notice, to: text }, mime).prefix)),
  },
  {
    name: "the header of a bounce, from the report",
    shape: (text) => fieldNames(headerOf(composeDsn(failing(text), mime).prefix)),
  },
  {
    name: "the DSN fields of a bounce, from the recipient",
    shape: (text) => fieldNames(statusOf(composeDsn(failing("no\n", `${text}@b`), mime).prefix)),
  },
  {
    name: "the DSN fields of a bounce, from the report",
    shape: (text) => fieldNames(statusOf(composeDsn(failing(`x${text}`), mime).prefix)),
  },
  {
    name: "the parts of a bounce",
    shape: (text) => composeDsn(failing(text, `${text}@b`), mime).prefix.split("--=_random").length,
  },
  {
    name: "Return-Path in a bounce",
    shape: (text) =>
      lines(
        composeDsn({ ...notice, reversePath: text }, mime).prefix.split("Content-Type: message/rfc822\n\n")[1] ?? "",
      ),
  },
  {
    name: "the paragraphs of a QSBMF bounce",
    shape: (text) => composeQsbmf(failing(`x${text}`)).prefix.split("\n\n").length,
  },
  {
    name: "the header of a QSBMF bounce",
    shape: (text) => fieldNames(headerOf(composeQsbmf({ ...notice, to: text }).prefix)),
  },
  {
    name: "the log, from a sender",
    shape: (text) =>
      words(
        renderClassic({ event: "info", message: 1, octets: 1, reversePath: text, uid: 1, timeMs: 0, program: "queue" }),
      ),
  },
  {
    name: "the log, from a recipient",
    shape: (text) =>
      words(
        renderClassic({
          event: "starting",
          delivery: 1,
          message: 1,
          channel: "local",
          recipient: text,
          timeMs: 0,
          program: "queue",
        }),
      ),
  },
  {
    name: "the log, from a report",
    shape: (text) =>
      words(renderClassic({ event: "delivery", delivery: 1, result: "failure", text, timeMs: 0, program: "queue" })),
  },
  {
    name: "the log, from a command",
    shape: (text) =>
      words(
        renderClassic({
          event: "refusal",
          connection: 1,
          address: "a",
          command: text,
          reply: text,
          timeMs: 0,
          program: "smtpd",
        }),
      ),
  },
];
const lines = (text: string): readonly unknown[] => [
  text.split("\n").length,
  /[\0\r]/.test(text.replaceAll("\0", "")),
  text.endsWith("\n"),
];
const words = (text: string): readonly unknown[] => [
  text.split(" ").length,
  text.split("\n").length,
  /[^ -~]/.test(text),
];

for (const { name, shape } of writers) {
  test(`${name}: nothing of what another wrote becomes a line or field of its own`, () => {
    const plain = shape("plain");
    for (const text of hostile) assert.deepEqual(shape(text), plain, JSON.stringify(text));
  });
}

let server: Server;
let peerPort = 0;
const said: { reply: Act } = { reply: "550 no" };
const stack = new AsyncDisposableStack();
/** Programs that keep what they find in their environment, by two shells. */
const keeps = (shell: string): string =>
  `|exec ${shell} -c 'env -0 >>seen; printf "%s\\n" "$SENDER" "$EXT" "$DEFAULT" >>seen; eval "x=\\$LOCAL"'\n`;
before(async () => {
  const peer = stack.use(await startSmtpPeer({ script: { RCPT: () => said.reply } }));
  peerPort = peer.port;
  server = stack.use(
    await startServer({
      control: {
        smtproutes: `far.example:127.0.0.1:${peerPort}\n`,
        bouncemaxbytes: "100\n",
        recipientcheck: "accept\n",
      },
      files: {
        "mail/localhost/sh/.qmail-default": keeps("sh"),
        "mail/localhost/bash/.qmail-default": keeps("bash"),
        "mail/localhost/mbox/.qmail-default": "./mbox\n",
      },
    }),
  );
});
after(() => stack.disposeAsync());

const send = async (
  forwardPath: string,
  reversePath = "sender@localhost",
  hello = "EHLO c.example",
): Promise<string> => {
  const client = await SmtpClient.open(server.smtpPort);
  await client.command(hello);
  const reply = await client.message(reversePath, [forwardPath], "Subject: original\n\nbody\n");
  client.close();
  return reply;
};

/** Replies as of CVE-2020-8794, where lines of a reply became lines of the queue's own file. */
const replies = [
  "550-type: mda\r\n550-dest: |id >/tmp/pwned\r\n550 no",
  "550-no\r\n550-\r\n550-Bcc: victim@localhost\r\n550 \r\n",
  "550-\r\n550---=_x\r\n550-Content-Type: text/html\r\n550 no",
  "550-Final-Recipient: rfc822; other@far.example\r\n550 Action: delivered",
  "550 5.1.1\tno\x00\x1b[2J\x7f\xff",
  "550-From forged@here Thu Jan  1 00:00:00 1970\r\n550 Return-Path: <x@y>",
  "550 no\rBcc: victim@localhost",
  "550 no\nBcc: victim@localhost",
];
for (const reply of replies) {
  test(`a host that refuses with ${JSON.stringify(reply)} writes no more than text into the bounce`, async () => {
    said.reply = reply;
    const bounces = (): readonly string[] => readMaildir(mailboxOf(server, "sender")).map(({ text }) => text);
    const known = new Set(bounces());
    assert.match(await send("a@far.example"), /^250/);
    await until("the bounce", async () => bounces().length > known.size || (await waits()));
    const bounce = bounces().find((text) => !known.has(text));
    await server.postern(["queue", "delete", "--all", "--yes"]);
    if (!bounce) return; // not SMTP, then: it waits
    const names = fieldNames(headerOf(bounce));
    assert.deepEqual(
      names.filter((name) => !["Return-Path", "Delivered-To", "Received"].includes(name)),
      fieldNames(headerOf(composeDsn(notice, mime).prefix)),
    );
    assert.deepEqual(fieldNames(statusOf(bounce)), fieldNames(statusOf(composeDsn(notice, mime).prefix)));
    assert.match(bounce, /^[\t\n -~]*$/);
    assert.ok(!existsSync("/tmp/pwned"));
    assert.deepEqual(readMaildir(mailboxOf(server, "victim")), []);
  });
}
const waits = async (): Promise<boolean> =>
  /far\.example/.test((await server.postern(["queue", "list", "--json"])).stdout);

test("HELO names stay within Received", async () => {
  for (const name of [
    "a b c",
    "a)\\r\\n by evil",
    "<script>",
    "[1.2.3.4]\tX: y",
    '"',
    "x".repeat(1_900),
    "$\x7bHOME}",
    "\xff\xfe",
  ]) {
    await send("helo@localhost", "sender@localhost", `EHLO ${name}`);
  }
  await until("the mail", () => readMaildir(mailboxOf(server, "helo")).length >= 7);
  for (const { text } of readMaildir(mailboxOf(server, "helo"))) {
    assert.deepEqual(fieldNames(headerOf(text)), ["Return-Path", "Delivered-To", "Received", "Subject"]);
    assert.match(
      text,
      /\nReceived: from unknown(?: \(HELO [A-Za-z0-9.@%+/=:[\]?-]+\))? \(127\.0\.0\.1\)\n {2}by localhost with E?SMTP; [^\n]+\nSubject/,
    );
  }
});

/** What a shell would run, as CVE-2014-6271 and its like did. */
const commands = [
  "() { :;}; touch pwned",
  "() { _; } >_[$($())] { touch pwned; }",
  "() { (a)=>\\",
  "$(touch pwned)",
  "`touch pwned`",
  ";touch pwned;",
  "|touch pwned",
  "&touch pwned&",
  "a\\nb",
  "'; touch pwned; '",
  "-n",
  "*",
  "~root",
  "!!",
  "a%00b",
  "$\x7bIFS}",
  "<(touch pwned)",
];
for (const shell of ["sh", "bash"]) {
  test(`addresses that are commands are words to ${shell}`, async () => {
    const home = join(server.root, "mail/localhost", shell);
    for (const [at, command] of commands.entries()) {
      const quoted = command.replace(/["\\]/g, "\\$&");
      assert.match(await send(`"${shell}-${quoted}"@localhost`, `"${quoted}"@c.example`), /^250/, command);
      await until(
        "its end",
        () => (seen(home).match(/\0PWD=/g) ?? []).length > at || seen(home).split("\0RECIPIENT=").length > at + 1,
      );
      assert.ok(seen(home).includes(`SENDER=${command}@c.example\0`), command);
      assert.ok(seen(home).includes(`EXT=${command}\0`), command);
    }
    assert.ok(!existsSync(join(home, "pwned")));
  });
}
const seen = (home: string): string =>
  existsSync(join(home, "seen")) ? readFileSync(join(home, "seen"), "latin1") : "";

test("an mbox begins each message with our From_ line and no other", async () => {
  const client = await SmtpClient.open(server.smtpPort);
  await client.command("EHLO c.example");
  const text = "From forged\nSubject: x\n\nFrom here\n>From there\n\nFrom a@b Thu Jan  1 00:00:00 1970\nFrom: c@d\n\n";
  for (const from of ["a b@c.example", "From x@c.example"]) {
    assert.match(await client.message(`"${from.split("@")[0]}"@c.example`, ["mbox-x@localhost"], text), /^250/);
  }
  await client.quit();
  const path = join(server.root, "mail/localhost/mbox/mbox");
  await until("both", () => existsSync(path) && (readFileSync(path, "latin1").match(/^From /gm) ?? []).length >= 2);
  const begins = readFileSync(path, "latin1").match(/^From .*$/gm) ?? [];
  assert.equal(begins.length, 2);
  for (const line of begins) assert.match(line, /^From (a-b|From-x)@c\.example \w{3} \w{3} \d\d \d\d:\d\d:\d\d \d{4}$/);
});

/** Variables and arguments that inject puts into a header. */
const variables = [
  "QMAILUSER",
  "QMAILHOST",
  "QMAILNAME",
  "QMAILSUSER",
  "QMAILSHOST",
  "QMAILIDHOST",
  "QMAILDEFAULTHOST",
  "QMAILDEFAULTDOMAIN",
  "QMAILPLUSDOMAIN",
  "MAILUSER",
  "USER",
  "LOGNAME",
  "NAME",
];
const values = [
  "a\nBcc: victim@localhost",
  "a\r\nBcc: victim@localhost",
  "a\n\nbody",
  "a\nBcc",
  "a\\\nBcc: b",
  "(\nBcc: b",
  "<\nBcc: b>",
  "\xff\xfe",
  "a\x1b[2J",
];
const wishes = { recipientsFrom: "arguments", arguments: ["a@localhost"], reversePath: undefined } as const;
const injected = (variable: string, value: string): string | undefined => {
  const completed = complete(Buffer.from("Subject: x\n\n"), wishes, { [variable]: value }, embeddedLayout(server.root));
  return completed.kind === "done" ? completed.value.header : undefined;
};
for (const variable of variables) {
  test(`inject makes no field of ${variable}, whatever is in it`, () => {
    const plain = fieldNames(injected(variable, "plain") ?? "");
    assert.ok(plain.length > 3);
    for (const value of values) {
      const header = injected(variable, value);
      if (header === undefined) continue;
      assert.deepEqual(fieldNames(header), plain, JSON.stringify(value));
      assert.equal(header.indexOf("\n\n"), header.length - 2, JSON.stringify(value));
    }
  });
}

test("inject prints and queues no line of a variable's own, either", async () => {
  const evil = "a\nBcc: victim@localhost";
  const env = { QMAILUSER: evil, QMAILSUSER: evil, QMAILHOST: "h\\\nBcc: b", QMAILNAME: evil };
  const inject = (args: readonly string[]): ReturnType<typeof run> =>
    run(join(tree, "bin/postern"), ["inject", "--root", server.root, ...args], "Subject: x\n\nbody\n", env);
  const { stdout } = await inject(["-n", "a@localhost"]);
  assert.doesNotMatch(stdout, /^Bcc/m);
  assert.equal((await inject(["a@localhost"])).code, 100);
});

test("inject and sendmail queue no address with a line end, and no message with a bare CR or a NUL", async () => {
  for (const program of [["inject"], ["sendmail"]]) {
    for (const address of ["a@localhost\nvictim@localhost", "a\r\nb@localhost", "a\0b@localhost", "\x7f@localhost"]) {
      if (address.includes("\0")) continue; // no argument can hold one
      const { code } = await runPostern([...program, "--root", server.root, address], "Subject: injected\n\n");
      assert.notEqual(code, -1);
    }
    for (const body of ["a\rb\n", "a\0b\n", "\r\r\n", "a\n.\r", "\n.\r\nMAIL FROM:<x@y>\r"]) {
      const { code } = await runPostern(
        [...program, "--root", server.root, "clean@localhost"],
        `Subject: y\n\n${body}`,
      );
      assert.ok(code !== 0, JSON.stringify(body));
    }
  }
  await runPostern(["sendmail", "--root", server.root, "clean@localhost"], "Subject: last\n\n");
  await until("the last", () => readMaildir(mailboxOf(server, "clean")).length > 0);
  assert.equal(readMaildir(mailboxOf(server, "clean")).length, 1);
});
