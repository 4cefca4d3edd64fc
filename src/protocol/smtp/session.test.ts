import assert from "node:assert/strict";
import { test } from "node:test";
import { title } from "../../../test/support/title.ts";
import { noOptions, type Options } from "../wire/submission.ts";
import { noAccess } from "./access.ts";
import { parseCommand } from "./command.ts";
import { endOfData, newSession, type Rules, type Session, step } from "./session.ts";

const nowMs = Date.UTC(2030, 0, 1);

const rules: Rules = {
  greeting: "mx.example",
  tls: "none",
  access: noAccess,
  maxMessageOctets: 1_000,
  maxRecipients: 2,
  maxHoldSeconds: 100,
  maxPriority: 4,
  mayRelay: false,
  relaySuffix: "",
  queueProgram: undefined,
  isBadRecipient: () => false,
  accepts: (address) => address.endsWith("@here.example") || !address.includes("@"),
  isBadSender: (reversePath) => reversePath === "bad@sender.example",
  canonical: (path) => (path.domain === "[192.0.2.25]" ? { ...path, domain: "here.example" } : path),
};

/** Each line a command, an arrow and the begin of its reply. "." after DATA stands for a body. */
const dialogues = [
  {
    name: "takes a message",
    lines: [
      "HELO x -> 250 mx.example",
      "MAIL FROM:<a@b> -> 250 2.1.0",
      "RCPT TO:<c@here.example> -> 250 2.1.5",
      "DATA -> 354",
      ". -> ready",
    ],
  },
  {
    name: "§17.131 takes mail without HELO",
    lines: ["MAIL FROM:<> -> 250", "RCPT TO:<c@here.example> -> 250", "DATA -> 354"],
  },
  {
    name: "§17.130 lists its extensions",
    lines: [
      "EHLO x -> 250-mx.example\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250-SMTPUTF8\r\n250-DSN\r\n250-CHUNKING\r\n250-BINARYMIME\r\n250-LIMITS RCPTMAX=2\r\n250 HELP",
    ],
  },
  { name: "§17.132 wants MAIL first", lines: ["RCPT TO:<c@here.example> -> 503 5.5.1 MAIL", "DATA -> 503 5.5.1 MAIL"] },
  { name: "§17.132 wants RCPT first", lines: ["MAIL FROM:<> -> 250", "DATA -> 503 5.5.1 RCPT"] },
  { name: "§17.131 takes one MAIL", lines: ["MAIL FROM:<> -> 250", "MAIL FROM:<> -> 503 5.5.1"] },
  {
    name: "§17.134 forgets by RSET",
    lines: ["MAIL FROM:<> -> 250", "RSET -> 250 2.0.0", "RCPT TO:<c@here.example> -> 503", "MAIL FROM:<> -> 250"],
  },
  { name: "forgets by EHLO", lines: ["MAIL FROM:<> -> 250", "EHLO x -> 250", "RCPT TO:<c@here.example> -> 503"] },
  {
    name: "§17.134 keeps a transaction through NOOP, VRFY and nonsense",
    lines: [
      "MAIL FROM:<> -> 250",
      "NOOP -> 250 2.0.0",
      "VRFY a -> 252 2.0.0",
      "HELP -> 214 2.0.0",
      "WHAT -> 500 5.5.1",
      "RCPT TO:<c@here.example> -> 250",
    ],
  },
  {
    name: "§17.139 refuses to relay",
    lines: [
      "MAIL FROM:<> -> 250",
      "RCPT TO:<c@else.example> -> 550 5.7.1 sorry, that domain isn't in my list of allowed rcpthosts",
      "DATA -> 503 5.5.1 RCPT",
    ],
  },
  {
    name: "refuses percent and bang",
    lines: [
      "MAIL FROM:<> -> 250",
      "RCPT TO:<c%else.example@other.example> -> 550",
      'RCPT TO:<"c@else.example"@other.example> -> 550',
    ],
  },
  {
    name: "takes other letters in a transaction with SMTPUTF8 only",
    lines: [
      "MAIL FROM:<a@b> -> 250",
      "RCPT TO:<\xc3\xa4@here.example> -> 553 5.6.7",
      "RCPT TO:<a@here.example> ORCPT=utf-8;\xc3\xa4 -> 553 5.6.7",
      "RSET -> 250",
      "MAIL FROM:<\xc3\xa4@\xc3\xa4.example> -> 553 5.6.7",
      "MAIL FROM:<\xc3\xa4@\xc3\xa4.example> SMTPUTF8 -> 250",
      "RCPT TO:<\xc3\xa4@here.example> ORCPT=utf-8;\xc3\xa4 -> 250",
      "RCPT TO:<a@\xef\xbd\x88ere.example> -> 250",
      "RCPT TO:<\xe4@here.example> -> 501",
    ],
  },
  { name: "takes postmaster", lines: ["MAIL FROM:<> -> 250", "RCPT TO:<Postmaster> -> 250"] },
  {
    name: "§17.142 knows its own address",
    lines: ["MAIL FROM:<> -> 250", "RCPT TO:<c@[192.0.2.25]> -> 250", "RCPT TO:<c@[192.0.2.26]> -> 550"],
  },
  {
    name: "§17.137 shows a bad sender at RCPT",
    lines: [
      "MAIL FROM:<bad@sender.example> -> 250",
      "RCPT TO:<c@here.example> -> 550 5.7.1 sorry, your envelope sender",
    ],
  },
  {
    name: "§17.154 counts recipients, the same one twice",
    lines: [
      "MAIL FROM:<> -> 250",
      "RCPT TO:<c@here.example> -> 250",
      "RCPT TO:<c@here.example> -> 250",
      "RCPT TO:<d@here.example> -> 452 4.5.3",
      "DATA -> 354",
    ],
  },
  {
    name: "refuses a big message at MAIL",
    lines: ["MAIL FROM:<> SIZE=1001 -> 552 5.3.4", "MAIL FROM:<> SIZE=1000 -> 250"],
  },
  { name: "§17.134 says goodbye", lines: ["QUIT -> 221 2.0.0 mx.example"] },
] as const;

for (const { name, lines } of dialogues) {
  test(title("step()", name), () => {
    let session: Session = newSession;
    for (const line of lines) {
      const [said = "", expected = ""] = line.split(" -> ");
      if (said === ".") {
        session = endOfData(session);
        assert.equal(session.at, expected);
        continue;
      }
      const { next, reply } = step(session, parseCommand(said), rules, nowMs);
      assert.ok(reply.startsWith(expected), `${said}: ${reply}`);
      session = next;
    }
  });
}

test("§17.138 step() lets relay clients send anywhere, bad senders still not", () => {
  const relaying = { ...rules, mayRelay: true };
  let session = step(newSession, parseCommand("MAIL FROM:<a@b>"), relaying, nowMs).next;
  assert.match(step(session, parseCommand("RCPT TO:<c@else.example>"), relaying, nowMs).reply, /^250/);
  session = step(newSession, parseCommand("MAIL FROM:<bad@sender.example>"), relaying, nowMs).next;
  assert.match(step(session, parseCommand("RCPT TO:<c@else.example>"), relaying, nowMs).reply, /^550/);
});

const verps = [
  { command: "MAIL FROM:<list@h> XVERP", reply: "250 2.1.0 ok", reversePath: "list+@h-@[]" },
  { command: "MAIL FROM:<list@h> XVERP=-=", reply: "250 2.1.0 ok", reversePath: "list-@h-@[]" },
  { command: "MAIL FROM:<list@h> XVERP=*=", reply: "501 5.5.4 XVERP needs two characters from -+=" },
  { command: "MAIL FROM:<> XVERP", reply: "503 5.5.4 XVERP requires non-null sender" },
  { command: "MAIL FROM:<postmaster> XVERP", reply: "501 5.1.7 XVERP requires a sender with a domain" },
  { command: "MAIL FROM:<#@[]> XVERP", reply: "501 5.1.7 XVERP requires a sender with a domain" },
] as const;

for (const { command, reply, ...taken } of verps) {
  test(`§17.226 step() answers ${reply} to ${command} of a relay client`, () => {
    const taking = step(newSession, parseCommand(command), { ...rules, mayRelay: true }, nowMs);
    assert.equal(taking.reply, reply);
    const { next } = taking;
    const expected = "reversePath" in taken ? taken.reversePath : undefined;
    assert.equal(next.at === "mail" ? next.transaction.reversePath : undefined, expected);
  });
}

test("§17.226 step() offers XVERP to relay clients and to nobody else", () => {
  const hello = parseCommand("EHLO x");
  assert.match(step(newSession, hello, { ...rules, mayRelay: true }, nowMs).reply, /\r\n250-XVERP\r\n/);
  assert.doesNotMatch(step(newSession, hello, rules, nowMs).reply, /XVERP/);
  assert.match(step(newSession, parseCommand("MAIL FROM:<a@b> XVERP"), rules, nowMs).reply, /^555 5\.5\.4 /);
});

test("§17.141 step() hands on the whole envelope", () => {
  let session: Session = newSession;
  for (const line of ["EHLO x", "MAIL FROM:<A@B> BODY=8BITMIME", 'RCPT TO:<"c d"@HERE.example>', "DATA"]) {
    session = step(session, parseCommand(line), rules, nowMs).next;
  }
  assert.deepEqual(session, {
    at: "data",
    client: { name: "x", extended: true },
    transaction: { reversePath: "A@b", bodyKind: 1, forwardPaths: ["c d@here.example"], asked: [], options: undefined },
  });
});

test("step() keeps what was asked with the recipient it was asked for", () => {
  let session: Session = newSession;
  for (const line of [
    "MAIL FROM:<a@b> ENVID=x",
    "RCPT TO:<c@here.example>",
    "RCPT TO:<c@else.example> NOTIFY=NEVER",
    "RCPT TO:<d@here.example> NOTIFY=SUCCESS",
  ]) {
    session = step(session, parseCommand(line), rules, nowMs).next;
  }
  assert.ok(session.at === "mail");
  assert.equal(session.transaction.options?.envelopeId, "x");
  assert.deepEqual(Object.entries(session.transaction.asked), [["1", { notify: 1, originalRecipient: "" }]]);
});

test("§17.138 step() refuses a bad recipient whoever sends, and adds the suffix of a client that may relay", () => {
  const bad: Rules = {
    ...rules,
    mayRelay: true,
    relaySuffix: "@relay.example",
    isBadRecipient: (to) => to === "no@x.example",
  };
  const mail = step(newSession, parseCommand("MAIL FROM:<>"), bad, nowMs).next;
  const refused = step(mail, parseCommand("RCPT TO:<no@x.example>"), bad, nowMs);
  assert.equal(refused.reply, "550 5.7.1 sorry, that recipient is in my badrcptto list");
  const { next } = step(refused.next, parseCommand("RCPT TO:<yes@x.example>"), bad, nowMs);
  assert.deepEqual(next.at === "mail" && next.transaction.forwardPaths, ["yes@x.example@relay.example"]);
});

test("step() offers nothing to a client whose messages go where there is no room for it, and takes nothing", () => {
  const plain = { ...rules, isPlain: true };
  const hello = step(newSession, parseCommand("EHLO x"), plain, nowMs).reply;
  assert.doesNotMatch(hello, /DSN|CHUNKING|BINARYMIME|SMTPUTF8/);
  for (const parameter of ["RET=FULL", "ENVID=a", "SMTPUTF8", "BODY=BINARYMIME"]) {
    assert.match(step(newSession, parseCommand(`MAIL FROM:<> ${parameter}`), plain, nowMs).reply, /^555 5\.5\.4/);
  }
  const begun = step(newSession, parseCommand("MAIL FROM:<> BODY=8BITMIME"), plain, nowMs).next;
  assert.equal(begun.at, "mail");
  assert.match(step(begun, parseCommand("RCPT TO:<a@here.example> NOTIFY=NEVER"), plain, nowMs).reply, /^555 5\.5\.4/);
  assert.equal(step(begun, parseCommand("BDAT 1 LAST"), plain, nowMs).next.at, "lost");
});

const trusted: Rules = { ...rules, mayRelay: true, tls: "on" };
const noon = "2030-01-01T00:01:40Z";
const wishes: readonly (readonly [parameters: string, rules: Rules, reply: string, options?: Partial<Options>])[] = [
  ["REQUIRETLS", trusted, "250 2.1.0", { flags: 2 }],
  ["REQUIRETLS SMTPUTF8", { ...rules, tls: "on" }, "250 2.1.0", { flags: 3 }],
  ["REQUIRETLS", rules, "555 5.5.4"],
  ["REQUIRETLS=1", trusted, "501 5.5.4"],
  ["MT-PRIORITY=3", trusted, "250 2.1.0", { priority: 12 }],
  ["MT-PRIORITY=-9", trusted, "250 2.1.0", { priority: 0 }],
  ["MT-PRIORITY=9", trusted, "250 2.3.6", { priority: 13 }],
  ["MT-PRIORITY=0", trusted, "250 2.1.0", { priority: 9 }],
  ["MT-PRIORITY=3", rules, "555 5.5.4"],
  ...["", "=", "=10", "=-0", "=+1", "=01", "=1.5"].map((text) => [`MT-PRIORITY${text}`, trusted, "501 5.5.4"] as const),
  ["HOLDFOR=100", trusted, "250 2.1.0", { holdUntilMs: nowMs + 100_000 }],
  ["HOLDFOR=101", trusted, "501 5.5.4"],
  ["HOLDFOR=1", rules, "555 5.5.4"],
  ["HOLDFOR=1", { ...trusted, maxHoldSeconds: 0 }, "555 5.5.4"],
  [`HOLDUNTIL=${noon}`, trusted, "250 2.1.0", { holdUntilMs: nowMs + 100_000 }],
  ["HOLDUNTIL=2030-01-01T00:01:41Z", trusted, "501 5.5.4"],
  ["HOLDUNTIL=2029-12-31T23:59:59Z", trusted, "250 2.1.0", { holdUntilMs: nowMs - 1_000 }],
  [`HOLDUNTIL=${noon}`, rules, "555 5.5.4"],
  [`HOLDFOR=1 HOLDUNTIL=${noon}`, trusted, "501 5.5.4"],
  ...["", "=", "=0", "=-1", "=1.5", "=9999999999"].map((text) => [`HOLDFOR${text}`, trusted, "501 5.5.4"] as const),
  ...[
    "2030-02-30T00:00:00Z",
    "2030-01-01T24:00:00Z",
    "2030-01-01t00:00:00z",
    "2030-01-01T00:00:00+00:00",
    "now",
    "",
  ].map((text) => [`HOLDUNTIL=${text}`, trusted, "501 5.5.4"] as const),
];
for (const [parameters, whose, reply, options] of wishes) {
  test(`step() answers ${reply} to ${parameters} of ${whose.mayRelay ? "a client that may relay" : "a stranger"}`, () => {
    const taking = step(newSession, parseCommand(`MAIL FROM:<a@b> ${parameters}`), whose, nowMs);
    assert.ok(taking.reply.startsWith(reply), taking.reply);
    const got = taking.next.at === "mail" ? taking.next.transaction.options : undefined;
    assert.deepEqual(got, options && { ...noOptions, ...options });
  });
}

test("step() offers REQUIRETLS within TLS, and priorities and holding to clients that may relay", () => {
  const offered = (whose: Rules): string => step(newSession, parseCommand("EHLO x"), whose, nowMs).reply;
  const all =
    /\r\n250-REQUIRETLS\r\n250-MT-PRIORITY\r\n250-FUTURERELEASE 100 2030-01-01T00:01:40Z\r\n250-LIMITS RCPTMAX=2\r\n/;
  assert.match(offered(trusted), all);
  assert.doesNotMatch(offered(rules), /REQUIRETLS|PRIORITY|FUTURE/);
  assert.doesNotMatch(offered({ ...trusted, maxHoldSeconds: 0 }), /FUTURE/);
});

const mechanisms = ["PLAIN"];
const helps: readonly (readonly [which: string, changed: Partial<Rules>, verbs: string])[] = [
  ["by SMTP", {}, "HELO EHLO MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT"],
  ["by LMTP", { isLmtp: true }, "LHLO MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT"],
  ["of sendmail -bs", { isPlain: true }, "HELO EHLO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT"],
  ["before TLS", { tls: "offered" }, "HELO EHLO STARTTLS MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT"],
  [
    "that may log in",
    { tls: "on", access: { ...noAccess, mechanisms } },
    "HELO EHLO AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT",
  ],
  [
    "that is logged in",
    { tls: "on", access: { ...noAccess, mechanisms, account: "joe@here.example" } },
    "HELO EHLO MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT",
  ],
];
for (const [which, changed, verbs] of helps) {
  test(`step() tells a client ${which} the commands it may use`, () => {
    const { reply } = step(newSession, parseCommand("HELP"), { ...rules, ...changed }, 0);
    assert.equal(reply, `214 2.0.0 postern: ${verbs}`);
  });
}

for (const [account, reversePath, asked] of [
  ["joe@here.example", "joe@here.example", undefined],
  ["joe@here.example", "Joe@HERE.example", undefined],
  ["joe@here.example", "", undefined],
  ["joe@here.example", "jill@here.example", "jill@here.example"],
  ["joe@here.example", "joe@here.example.org", "joe@here.example.org"],
  ["joe", "joe@here.example", "joe@here.example"],
] as const) {
  test(`step() has ${asked ? "it asked whether" : "nobody asked whether"} ${account} may send as <${reversePath}>`, () => {
    const loggedIn = { ...rules, access: { ...noAccess, account } };
    const greeted = step(newSession, parseCommand("EHLO client.example"), loggedIn, nowMs).next;
    const { next, sender } = step(greeted, parseCommand(`MAIL FROM:<${reversePath}>`), loggedIn, nowMs);
    assert.deepEqual([next.at, sender], ["mail", asked && reversePath]);
  });
}
