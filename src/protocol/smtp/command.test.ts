import assert from "node:assert/strict";
import { test } from "node:test";
import { noOptions, type Options } from "../wire/submission.ts";
import { parseCommand } from "./command.ts";
import type { RecipientParameters } from "./parameters.ts";

const a = { localPart: "a", domain: "b" };
const mail = { verb: "MAIL", reversePath: a, sizeOctets: 0, bodyKind: 0 };
const umlaut = { localPart: "\xc3\xa4", domain: "xn--4ca.b" };
const asking = (some: Partial<Options>): Options => ({ ...noOptions, ...some });
const rcpt = (some: Partial<RecipientParameters>) => ({
  verb: "RCPT",
  forwardPath: a,
  parameters: { notify: 0, originalRecipient: "", ...some },
});
const understood: readonly (readonly [line: string, command: object, row?: string])[] = [
  ["HELO there", { verb: "HELO", name: "there" }],
  ["ehlo  [192.0.2.1] ", { verb: "EHLO", name: "[192.0.2.1]" }],
  ["LHLO there", { verb: "LHLO", name: "there" }],
  ["MAIL FROM:<a@b>", mail],
  ["mail from: <a@b>", mail],
  ["MAIL FROM:a@b", mail],
  ["MAIL FROM:a@b SIZE=5", { ...mail, sizeOctets: 5 }],
  ["MAIL FROM:<>", { ...mail, reversePath: null }],
  ["MAIL FROM:<a@b>  SIZE=12  body=8bitmime ", { ...mail, sizeOctets: 12, bodyKind: 1 }],
  ["MAIL FROM:<a@b> BODY=7BIT", mail],
  ["MAIL FROM:<a@b> xverp", { ...mail, verp: ["+", "="] }],
  ["MAIL FROM:<a@b> XVERP=-= SIZE=5", { ...mail, sizeOctets: 5, verp: ["-", "="] }],
  ["MAIL FROM:<> XVERP", { ...mail, reversePath: null, verp: ["+", "="] }],
  ["MAIL FROM:<a@b> RET=HDRS ENVID=QQ314159+2B", { ...mail, options: asking({ ret: 2, envelopeId: "QQ314159+2B" }) }],
  ["MAIL FROM:<a@b> envid=a ret=full", { ...mail, options: asking({ ret: 1, envelopeId: "a" }) }],
  [`MAIL FROM:<a@b> ENVID=${"i".repeat(100)}`, { ...mail, options: asking({ envelopeId: "i".repeat(100) }) }],
  ["MAIL FROM:<a@b> SMTPUTF8", { ...mail, options: asking({ flags: 1 }) }],
  ["MAIL FROM:<\xc3\xa4@\xc3\xa4.b> smtputf8", { ...mail, reversePath: umlaut, options: asking({ flags: 1 }) }],
  ["RCPT TO:<\xc3\xa4@\xc3\xa4.b>", { verb: "RCPT", forwardPath: umlaut, isUtf8: true }],
  ["RCPT TO:<a@b> ORCPT=UTF-8;\xc3\xa4", { ...rcpt({ originalRecipient: "UTF-8;\xc3\xa4" }), isUtf8: true }],
  ["RCPT TO:<a@b> ORCPT=utf-8;\\x{E4}", rcpt({ originalRecipient: "utf-8;\\x{E4}" })],
  ["RCPT TO:<a@b> NOTIFY=NEVER", rcpt({ notify: 8 })],
  ["RCPT TO:<a@b> notify=success,FAILURE,Delay", rcpt({ notify: 7 })],
  ["RCPT TO:<a@b> NOTIFY=FAILURE ORCPT=rfc822;Bob@B", rcpt({ notify: 2, originalRecipient: "rfc822;Bob@B" })],
  ["RCPT TO:<a@b> ORCPT=x400;C+3DUS", rcpt({ originalRecipient: "x400;C+3DUS" })],
  [`RCPT TO:<a@b> ORCPT=rfc822;${"o".repeat(493)}`, rcpt({ originalRecipient: `rfc822;${"o".repeat(493)}` })],
  ["RCPT TO:<a@b>", { verb: "RCPT", forwardPath: a }],
  ["RCPT TO:<@x,@y.z:a@b>", { verb: "RCPT", forwardPath: a }, "140"],
  ['RCPT TO:<"a b"@c>', { verb: "RCPT", forwardPath: { localPart: "a b", domain: "c" } }, "141"],
  ["rcpt to: a@b", { verb: "RCPT", forwardPath: a }],
  ["RCPT TO:<Postmaster>", { verb: "RCPT", forwardPath: { localPart: "Postmaster", domain: "" } }],
  ["data", { verb: "DATA" }],
  ["DATA ", { verb: "DATA" }],
  ["NOOP whatever", { verb: "NOOP" }],
  ["VRFY a", { verb: "VRFY" }],
  ["HELP me", { verb: "HELP" }],
  ["QUIT", { verb: "QUIT" }],
];
for (const [line, expected, row] of understood) {
  test(`${row ? `§17.${row} ` : ""}parseCommand() understands ${line}`, () =>
    assert.deepEqual(parseCommand(line), expected));
}

const refused: readonly (readonly [line: string, reply: string, row?: string])[] = [
  ["", "500 5.5.1"],
  [" NOOP", "500 5.5.1"],
  ["HELLO", "500 5.5.1", "133"],
  ["__proto__", "500 5.5.1"],
  ["GET / HTTP/1.1", "500 5.5.1"],
  ["NOOP\t", "500 5.5.2"],
  ["MAIL FROM:<a@b\0>", "500 5.5.2"],
  ["HELO a\rb", "500 5.5.2"],
  ["HELO", "501 5.5.4"],
  ["EHLO ", "501 5.5.4"],
  ["DATA now", "501 5.5.4"],
  ["QUIT now", "501 5.5.4"],
  ["RSET a", "501 5.5.4"],
  ["EXPN a", "502 5.5.1", "133"],
  ["STARTTLS now", "501 5.5.4"],
  ["MAIL", "501 5.5.4"],
  ["MAIL <a@b>", "501 5.5.4"],
  ["MAIL FROM:", "501 5.1.7"],
  ["MAIL FROM:<a>", "501 5.1.7"],
  ["MAIL FROM:<a@b>SIZE=1", "501 5.1.7"],
  ["MAIL FROM:<a@b> SIZE=", "501 5.5.4"],
  ["MAIL FROM:<a@b> SIZE=0x10", "501 5.5.4"],
  ["MAIL FROM:<a@b> SIZE=-1", "501 5.5.4"],
  ["MAIL FROM:<a@b> BODY=BINARY", "501 5.5.4"],
  ["MAIL FROM:<a@b> SMTPUTF8=1", "501 5.5.4"],
  ["MAIL FROM:<\xc3\xa4@b>", "553 5.6.7"],
  ["MAIL FROM:<a@\xc3\xa4.b> BODY=8BITMIME", "553 5.6.7"],
  ["MAIL FROM:<\xe4@b> SMTPUTF8", "501 5.1.7"],
  ["MAIL FROM:<a@\xe4> SMTPUTF8", "501 5.1.7"],
  ["RCPT TO:<\xe4@b>", "501 5.1.3"],
  ["RCPT TO:<a@b> ORCPT=utf-8;\xe4", "501 5.5.4"],
  ["RCPT TO:<a@b> ORCPT=utf-8;\xc3\xa4+2B", "501 5.5.4"],
  ["MAIL FROM:<a@b> XVERP=", "501 5.5.4"],
  ["MAIL FROM:<a@b> XVERP=+", "501 5.5.4"],
  ["MAIL FROM:<a@b> XVERP=+=-", "501 5.5.4"],
  ["MAIL FROM:<a@b> XVERP=*=", "501 5.5.4"],
  ["MAIL FROM:<a@b> constructor=1", "555 5.5.4"],
  ["RCPT TO:<>", "501 5.1.3"],
  ["RCPT TO:<a\\@b@c>", "501 5.1.3", "141"],
  ["RCPT TO:<a>", "501 5.1.3"],
  ["MAIL FROM:<a@b> NOTIFY=NEVER", "555 5.5.4", "144"],
  ["RCPT TO:<a@b> RET=FULL", "555 5.5.4", "144"],
  ...[
    ..."RET RET= RET=ALL RET=FULL,HDRS ENVID ENVID= ENVID=+ ENVID=+2b ENVID=a+0D ENVID=a+0Ab ENVID=+7F ENVID=a=b".split(
      " ",
    ),
    ..."ENVID=\xe4 SIZE=1~SIZE=1 RET=FULL~ret=FULL ENVID=a~ENVID=a BODY=7BIT~BODY=7BIT".split(" "),
    `ENVID=${"i".repeat(101)}`,
  ].map((parameter) => [`MAIL FROM:<a@b> ${parameter.replace("~", " ")}`, "501 5.5.4"] as const),
  ...[
    ..."NOTIFY NOTIFY= NOTIFY=NEVER,FAILURE NOTIFY=SUCCESS,NEVER NOTIFY=SUCCESS, NOTIFY=,DELAY NOTIFY=ALWAYS".split(
      " ",
    ),
    ..."NOTIFY=NEVER~NOTIFY=NEVER ORCPT ORCPT= ORCPT=rfc822 ORCPT=rfc822; ORCPT=;a ORCPT=a/b;c ORCPT=a;b+c".split(" "),
    ..."ORCPT=rfc822;a~ORCPT=rfc822;b ORCPT=rfc822;a+0Ab ORCPT=rfc822;a=b ORCPT=rfc822;\xe4".split(" "),
    `ORCPT=rfc822;${"o".repeat(494)}`,
  ].map((parameter) => [`RCPT TO:<a@b> ${parameter.replace("~", " ")}`, "501 5.5.4"] as const),
  ["RCPT FROM:<a@b>", "501 5.5.4"],
];
for (const [line, reply, row] of refused) {
  test(`${row ? `§17.${row} ` : ""}parseCommand() answers ${reply} to ${JSON.stringify(line)}`, () => {
    const command = parseCommand(line);
    assert.ok(command.verb === "wrong", command.verb);
    assert.equal(command.reply.slice(0, 9), reply);
  });
}

test("parseCommand() takes any octets without throwing, and its replies are one line", () => {
  let seed = 1;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((seed / 2 ** 31) * below);
  };
  const lines = [...understood, ...refused].map(([line]) => line);
  for (let round = 0; round < 5_000; round++) {
    const line = lines[random(lines.length)] ?? "";
    const at = random(line.length + 1);
    const command = parseCommand(line.slice(0, at) + String.fromCharCode(random(256)) + line.slice(at + random(2)));
    if (command.verb === "wrong") assert.match(command.reply, /^5\d\d 5\.\d\.\d [ -~]+$/);
  }
});
