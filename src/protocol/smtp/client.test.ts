import assert from "node:assert/strict";
import { test } from "node:test";
import { title } from "../../../test/support/title.ts";
import { type ClientAction, type ClientOptions, SmtpClient } from "./client.ts";
import { createReplyReader } from "./reply.ts";
import type { Asked, Transaction } from "./transaction.ts";

const ip = "192.0.2.1";
const one: Transaction = { reversePath: "a@b.example", forwardPaths: ["c@d.example"], octets: 12, bodyType: "7BIT" };
const three: Transaction = { ...one, forwardPaths: ["1@d.example", "2@d.example", "3@d.example"] };
const mail = "MAIL FROM:<a@b.example>\r\n";
const rcpt = "RCPT TO:<c@d.example>\r\n";
const rcpts = ["RCPT TO:<1@d.example>\r\n", "RCPT TO:<2@d.example>\r\n", "RCPT TO:<3@d.example>\r\n"];

/**
 * One conversation: what the peer says, or what befalls the connection, each with what the client does about it.
 * "begin" starts the transaction, "dot" is the end of the body going out, "lost" the end of the connection.
 */
interface Case {
  readonly name: string;
  readonly transaction?: Transaction;
  readonly options?: Partial<ClientOptions>;
  readonly steps: readonly (readonly [string, string])[];
}

const plain = [
  ["220 hi", "EHLO me"],
  ["250 hi", "ready"],
] as const;
const pipelined = [
  ["220 hi", "EHLO me"],
  ["250-hi\r\n250-pipelining\r\n250-SIZE 1000\r\n250 8BITMIME", "ready"],
] as const;
const piped = "MAIL FROM:<a@b.example> SIZE=12\r\n";
const said = (text: string) => `Remote host said: ${text}\n`;
const died = (why: string) => `Z4.2 Connected to ${ip} but connection died. (#4.4.2)\n${why}\n`;
const inDoubt = (why: string) => `Z4.2 Connected to ${ip} but connection died. Possible duplicate! (#4.4.2)\n${why}\n`;
const disliked = (text: string) => `${ip} does not like recipient.\n${said(text)}`;

const cases: Case[] = [
  {
    name: "§17.55 delivers, one command at a time",
    steps: [
      ...plain,
      ["begin", mail],
      ["250 ok", rcpt],
      ["250 ok", "DATA\r\n"],
      ["354 go", "body"],
      ["dot", ""],
      ["250 2.0.0 taken", `finished, reusable: K ${ip} accepted message.\n${said("250 2.0.0 taken")}`],
    ],
  },
  {
    name: "§17.226 asks a peer that offers it to make a reverse-path for each recipient",
    transaction: { ...three, reversePath: "list-@b.example-@[]" },
    steps: [
      ["220 hi", "EHLO me"],
      ["250-hi\r\n250 XVERP", "ready"],
      ["begin", "MAIL FROM:<list@b.example> XVERP=-=\r\n"],
    ],
  },
  {
    name: "delivers, all commands at once",
    steps: [
      ...pipelined,
      ["begin", `${piped}${rcpt}DATA\r\n`],
      ["250 ok\r\n250 ok", "wait, wait"],
      ["354 go", "body"],
      ["dot", ""],
      ["250 taken", `finished, reusable: K ${ip} accepted message.\n${said("250 taken")}`],
      ["begin", `${piped}${rcpt}DATA\r\n`],
    ],
  },
  {
    name: "§17.157 falls back to HELO, and uses no extension then",
    transaction: { ...one, bodyType: "8BITMIME" },
    steps: [
      ["220 hi", "EHLO me"],
      ["502 what", "HELO me"],
      ["250-hi\r\n250 PIPELINING", "ready"],
      ["begin", mail],
    ],
  },
  {
    name: "declares eight bits where it can",
    transaction: { ...one, bodyType: "8BITMIME" },
    steps: [...pipelined, ["begin", `MAIL FROM:<a@b.example> SIZE=12 BODY=8BITMIME\r\n${rcpt}DATA\r\n`]],
  },
  {
    name: "§17.171 quotes addresses",
    transaction: { ...one, reversePath: "", forwardPaths: ['a "b@d.example'] },
    steps: [...plain, ["begin", "MAIL FROM:<>\r\n"], ["250 ok", 'RCPT TO:<"a \\"b"@d.example>\r\n']],
  },
  {
    name: "does not send what is too large",
    transaction: { ...one, octets: 1_001 },
    steps: [
      ...pipelined,
      ["begin", `finished, reusable: D3.4 ${ip} takes no message of more than 1000 octets. (#5.3.4)\n`],
    ],
  },
  {
    name: "knows no limit from SIZE=0 or nonsense",
    steps: [
      ["220 hi", "EHLO me"],
      ["250-hi\r\n250 SIZE 0", "ready"],
      ["begin", "MAIL FROM:<a@b.example> SIZE=12\r\n"],
    ],
  },
  {
    name: "§17.156 §17.166 gives each recipient its own fate",
    transaction: three,
    steps: [
      ...pipelined,
      ["begin", `${piped}${rcpts.join("")}DATA\r\n`],
      ["250 ok\r\n550 5.1.1 no\r\n450 later\r\n250 ok\r\n354 go", "wait, wait, wait, wait, body"],
      ["dot", ""],
      [
        "250 taken",
        `finished, reusable: D1.1 ${disliked("550 5.1.1 no")}|Z0.0 ${disliked("450 later")}|K ${ip} accepted message.\n${said("250 taken")}`,
      ],
    ],
  },
  {
    name: "§17.55 §17.165 gives up when no recipient is liked, and resets",
    steps: [
      ...plain,
      ["begin", mail],
      ["250 ok", rcpt],
      ["550 no", `finished, reusable: D0.0 ${disliked("550 no")}Giving up on ${ip}.\n`],
      ["begin", "RSET\r\n"],
      ["250 ok", mail],
    ],
  },
  {
    name: "ends the DATA of nobody with an empty message",
    steps: [
      ...pipelined,
      ["begin", `${piped}${rcpt}DATA\r\n`],
      ["250 ok\r\n550 no\r\n354 go", "wait, wait, .\r\n"],
      ["554 nobody", `finished, reusable: D0.0 ${disliked("550 no")}Giving up on ${ip}.\n`],
      ["begin", `${piped}${rcpt}DATA\r\n`],
    ],
  },
  {
    name: "does not go on with a peer that wants more than an empty message",
    steps: [
      ...pipelined,
      ["begin", `${piped}${rcpt}DATA\r\n`],
      ["250 ok\r\n550 no\r\n354 go", "wait, wait, .\r\n"],
      ["354 more", `finished: D0.0 ${disliked("550 no")}Giving up on ${ip}.\n`],
    ],
  },
  {
    name: "takes the refusal of DATA for what follows from no recipients",
    steps: [
      ...pipelined,
      ["begin", `${piped}${rcpt}DATA\r\n`],
      [
        "250 ok\r\n450 later\r\n503 no",
        `wait, wait, finished, reusable: Z0.0 ${disliked("450 later")}Giving up on ${ip}.\n`,
      ],
      ["begin", `RSET\r\n${piped}${rcpt}DATA\r\n`],
      ["500 what", died("answered RSET with 500 what").replace("Z", "finished, untouched: Z")],
    ],
  },
  {
    name: "§17.165 reports a refused sender",
    steps: [
      ...plain,
      ["begin", mail],
      ["553 5.1.8 no", `finished, reusable: D1.8 Connected to ${ip} but sender was rejected.\n${said("553 5.1.8 no")}`],
    ],
  },
  {
    name: "waits for all replies after a refused sender",
    steps: [
      ...pipelined,
      ["begin", `${piped}${rcpt}DATA\r\n`],
      ["451 no\r\n503 no", "wait, wait"],
      ["503 no", `finished, reusable: Z0.0 Connected to ${ip} but sender was rejected.\n${said("451 no")}`],
    ],
  },
  {
    name: "reports a refused DATA",
    steps: [
      ...plain,
      ["begin", mail],
      ["250 ok", rcpt],
      ["250 ok", "DATA\r\n"],
      ["451 no", `finished, reusable: Z0.0 ${ip} failed on DATA command.\n${said("451 no")}`],
    ],
  },
  {
    name: "does not trust a 250 to DATA",
    steps: [
      ...plain,
      ["begin", mail],
      ["250 ok", rcpt],
      ["250 ok", "DATA\r\n"],
      ["250 ok", `finished: Z5.0 ${ip} failed on DATA command.\n${said("250 ok")}`],
    ],
  },
  {
    name: "does not trust a 354 to MAIL",
    steps: [
      ...plain,
      ["begin", mail],
      ["354 go", died("answered MAIL with 354 go").replace("Z", "finished, untouched: Z")],
    ],
  },
  ...(["550", "450"] as const).map((code): Case => {
    const fate = `${code === "550" ? "D" : "Z"}0.0 ${ip} failed after I sent the message.\n${said(`${code} no`)}`;
    return {
      name: `reports ${code} to the final dot`,
      steps: [
        ...pipelined,
        ["begin", `${piped}${rcpt}DATA\r\n`],
        ["250 ok\r\n250 ok\r\n354 go", "wait, wait, body"],
        ["dot", ""],
        [`${code} no`, `finished, reusable: ${fate}`],
      ],
    };
  }),
  {
    name: "stops at a refusal that comes before the final dot",
    steps: [
      ...pipelined,
      ["begin", `${piped}${rcpt}DATA\r\n`],
      ["250 ok\r\n250 ok\r\n354 go", "wait, wait, body"],
      ["552 5.3.4 big", `finished: D3.4 ${ip} refused the message before its end.\n${said("552 5.3.4 big")}`],
    ],
  },
  {
    name: "does not trust a 250 that comes before the final dot",
    steps: [
      ...pipelined,
      ["begin", `${piped}${rcpt}DATA\r\n`],
      ["250 ok\r\n250 ok\r\n354 go", "wait, wait, body"],
      ["250 ok", died("answered before the end of the message: 250 ok").replace("Z", "finished: Z")],
    ],
  },
  {
    name: "§17.168 sees no duplicate in a death before the final dot",
    steps: [
      ...pipelined,
      ["begin", `${piped}${rcpt}DATA\r\n`],
      ["250 ok\r\n250 ok\r\n354 go", "wait, wait, body"],
      ["lost", died("gone").replace("Z", "finished: Z")],
    ],
  },
  {
    name: "§17.168 sees a possible duplicate in a death after the final dot",
    steps: [
      ...pipelined,
      ["begin", `${piped}${rcpt}DATA\r\n`],
      ["250 ok\r\n250 ok\r\n354 go", "wait, wait, body"],
      ["dot", ""],
      ["lost", inDoubt("gone").replace("Z", "finished: Z")],
    ],
  },
  {
    name: "ends a connection that died before MAIL was answered untouched",
    steps: [
      ...pipelined,
      ["begin", `${piped}${rcpt}DATA\r\n`],
      ["lost", died("gone").replace("Z", "finished, untouched: Z")],
    ],
  },
  {
    name: "ends on 421 to a recipient, keeping what was decided",
    transaction: three,
    steps: [
      ...pipelined,
      ["begin", `${piped}${rcpts.join("")}DATA\r\n`],
      [
        "250 ok\r\n550 no\r\n421 bye",
        `wait, wait, finished: D0.0 ${disliked("550 no")}|Z0.0 ${disliked("421 bye")}|${died("Remote host said: 421 bye")}`,
      ],
    ],
  },
  {
    name: "ends untouched on 421 to MAIL",
    steps: [
      ...plain,
      ["begin", mail],
      ["421 bye", `finished, untouched: Z0.0 Connected to ${ip} but sender was rejected.\n${said("421 bye")}`],
    ],
  },
  {
    name: "ends on 421 to the final dot",
    steps: [
      ...pipelined,
      ["begin", `${piped}${rcpt}DATA\r\n`],
      ["250 ok\r\n250 ok\r\n354 go", "wait, wait, body"],
      ["dot", ""],
      ["421 bye", `finished: Z0.0 ${ip} failed after I sent the message.\n${said("421 bye")}`],
    ],
  },
  {
    name: "cannot use a host that says something while nobody asked",
    steps: [...plain, ["421 idle", `unusable: ${died("a reply came that nothing asked for: 421 idle")}`]],
  },
  ...[
    ["554 5.7.1 no", "D7.1"],
    ["421 no", "Z0.0"],
    ["250 no", "Z5.0"],
  ].map(
    ([reply, fate]): Case => ({
      name: `cannot use a host that greets with ${reply}`,
      steps: [[`${reply}`, `unusable: ${fate} Connected to ${ip} but greeting failed.\n${said(`${reply}`)}`]],
    }),
  ),
  {
    name: "cannot use a host that refuses our name twice",
    steps: [
      ["220 hi", "EHLO me"],
      ["550 no", "HELO me"],
      ["550 no", `unusable: D0.0 Connected to ${ip} but my name was rejected.\n${said("550 no")}`],
    ],
  },
  {
    name: "cannot use a host that refuses our name for now",
    steps: [
      ["220 hi", "EHLO me"],
      ["450 no", `unusable: Z0.0 Connected to ${ip} but my name was rejected.\n${said("450 no")}`],
    ],
  },
  { name: "cannot use a host that dies before its greeting", steps: [["lost", `unusable: ${died("gone")}`]] },
  {
    name: "starts TLS, and forgets what was offered in clear",
    options: { tls: "may" },
    steps: [
      ["220 hi", "EHLO me"],
      ["250-hi\r\n250-PIPELINING\r\n250 STARTTLS", "STARTTLS\r\n"],
      ["220 go", "start TLS"],
      ["tls", "EHLO me"],
      ["250-hi\r\n250 STARTTLS", "ready"],
      ["begin", mail],
    ],
  },
  ...[
    ["lost", "the connection"],
    ["500 what", "its mind"],
  ].map(
    ([event, what]): Case => ({
      name: `tells that TLS came to nothing when the peer lost ${what}`,
      options: { tls: "may" },
      steps: [
        ["220 hi", "EHLO me"],
        ["250-hi\r\n250 STARTTLS", "STARTTLS\r\n"],
        ["220 go", "start TLS"],
        [`${event}`, event === "lost" ? "no TLS: gone" : "no TLS: a reply came that nothing asked for: 500 what"],
      ],
    }),
  ),
  ...["250 ok", "354 go"].map(
    (reply): Case => ({
      name: `says nothing in clear to a peer that grants STARTTLS by ${reply}`,
      options: { tls: "may" },
      steps: [
        ["220 hi", "EHLO me"],
        ["250-hi\r\n250 STARTTLS", "STARTTLS\r\n"],
        [reply, `no TLS: answered STARTTLS with ${reply}`],
      ],
    }),
  ),
  {
    name: "tells that TLS came to nothing when STARTTLS is not answered",
    options: { tls: "may" },
    steps: [
      ["220 hi", "EHLO me"],
      ["250-hi\r\n250 STARTTLS", "STARTTLS\r\n"],
      ["lost", "no TLS: gone"],
    ],
  },
  ...(
    [
      ["250 hi", "it does not offer STARTTLS"],
      ["250-hi\r\n250 STARTTLS", "STARTTLS"],
    ] as const
  ).map(
    ([offers, next]): Case => ({
      name: `sends no mail in clear when TLS must be: ${offers.length > 6 ? "offered" : "not offered"}`,
      options: { tls: "must" },
      steps: [
        ["220 hi", "EHLO me"],
        [offers, next === "STARTTLS" ? "STARTTLS\r\n" : `no TLS: ${next}`],
        ...(next === "STARTTLS" ? ([["454 no", "no TLS: its answer to STARTTLS was 454 no"]] as const) : []),
      ],
    }),
  ),
  {
    name: "sends no mail after HELO when TLS must be",
    options: { tls: "must" },
    steps: [
      ["220 hi", "EHLO me"],
      ["500 what", "HELO me"],
      ["250 hi", "no TLS: it does not offer STARTTLS"],
    ],
  },
  {
    name: "stays in clear when TLS is refused",
    options: { tls: "may" },
    steps: [
      ["220 hi", "EHLO me"],
      ["250-hi\r\n250-PIPELINING\r\n250 STARTTLS", "STARTTLS\r\n"],
      ["454 no", "ready"],
      ["begin", `${mail}${rcpt}DATA\r\n`],
    ],
  },
];

const binary: Transaction = { ...one, bodyType: "BINARYMIME" };
const nothingAsked: Asked = {
  ...{ envelopeId: "", ret: "", notify: ["", "", ""], originalRecipients: ["", "", ""] },
  ...{ utf8: false, requireTls: false, tlsOptional: false, priority: 0 },
};
const allAsked: Transaction = {
  ...one,
  asked: {
    ...{ envelopeId: "QQ+3D1", ret: "HDRS", notify: ["SUCCESS,DELAY"], originalRecipients: ["rfc822;c+2Bd@e"] },
    ...{ utf8: true, requireTls: true, tlsOptional: false, priority: -3 },
  },
};
const utf8 = (text: string) => Buffer.from(text).toString("latin1");
const opens = (offers: string) =>
  [
    ["220 hi", "EHLO me"],
    [["250-hi", ...offers.split(" ").map((word) => `250-${word.replace("/", " ")}`), "250 X"].join("\r\n"), "ready"],
  ] as const;

cases.push(
  {
    name: "sends what must not be changed as one chunk",
    transaction: binary,
    steps: [
      ...opens("PIPELINING CHUNKING BINARYMIME"),
      ["begin", `MAIL FROM:<a@b.example> BODY=BINARYMIME\r\n${rcpt}`],
      ["250 ok\r\n250 ok", "wait, body: BDAT 12 LAST\r\n"],
      ["dot", ""],
      ["250 taken", `finished, reusable: K ${ip} accepted message.\n${said("250 taken")}`],
      ["begin", `RSET\r\nMAIL FROM:<a@b.example> BODY=BINARYMIME\r\n${rcpt}`],
    ],
  },
  {
    name: "sends a chunk to those who are liked, one command at a time",
    transaction: { ...binary, forwardPaths: three.forwardPaths },
    steps: [
      ...opens("CHUNKING BINARYMIME"),
      ["begin", "MAIL FROM:<a@b.example> BODY=BINARYMIME\r\n"],
      ["250 ok", `${rcpts[0]}`],
      ["250 ok", `${rcpts[1]}`],
      ["550 no", `${rcpts[2]}`],
      ["450 no", "body: BDAT 12 LAST\r\n"],
      [
        "552 big",
        `finished: D0.0 ${ip} refused the message before its end.\n${said("552 big")}|D0.0 ${disliked("550 no")}|Z0.0 ${disliked("450 no")}`,
      ],
    ],
  },
  {
    name: "sends no chunk to nobody",
    transaction: binary,
    steps: [
      ...opens("PIPELINING CHUNKING BINARYMIME"),
      ["begin", `MAIL FROM:<a@b.example> BODY=BINARYMIME\r\n${rcpt}`],
      ["250 ok\r\n550 no", `wait, finished, reusable: D0.0 ${disliked("550 no")}Giving up on ${ip}.\n`],
    ],
  },
  ...["CHUNKING", "BINARYMIME", "8BITMIME"].map(
    (offers): Case => ({
      name: `does not send a binary message to a peer that offers only ${offers}`,
      transaction: binary,
      steps: [
        ...opens(offers),
        [
          "begin",
          `finished, reusable: D6.1 ${ip} takes no binary messages, and this one cannot be sent otherwise. (#5.6.1)\n`,
        ],
      ],
    }),
  ),
  {
    name: "passes on what was asked for",
    transaction: allAsked,
    steps: [
      ...opens("DSN SMTPUTF8 REQUIRETLS MT-PRIORITY"),
      ["begin", "MAIL FROM:<a@b.example> SMTPUTF8 REQUIRETLS RET=HDRS ENVID=QQ+3D1 MT-PRIORITY=-3\r\n"],
      ["250 ok", "RCPT TO:<c@d.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;c+2Bd@e\r\n"],
    ],
  },
  {
    name: "asks nothing of a peer that offers nothing",
    transaction: { ...one, asked: { ...nothingAsked, envelopeId: "e", ret: "FULL", notify: ["NEVER"], priority: 4 } },
    steps: [...plain, ["begin", mail], ["250 ok", rcpt]],
  },
  {
    name: "fails what must stay within TLS at a peer that does not promise it",
    transaction: { ...one, asked: { ...nothingAsked, requireTls: true } },
    steps: [
      ...plain,
      [
        "begin",
        `finished, reusable: D7.30 ${ip} does not promise to keep this message within TLS (REQUIRETLS), as its sender demands. (#5.7.30)\n`,
      ],
    ],
  },
  ...(
    [
      ["the header is UTF-8", { ...one, asked: { ...nothingAsked, utf8: true } }],
      ["a local part is UTF-8", { ...one, forwardPaths: [utf8("ü@d.example")] }],
      ["a domain is no UTF-8", { ...one, reversePath: "a@\xe9.example" }],
    ] as const
  ).map(
    ([why, transaction]): Case => ({
      name: `fails at a peer without SMTPUTF8 when ${why}`,
      transaction,
      steps: [
        ...plain,
        ["begin", `finished, reusable: D6.7 ${ip} takes no addresses or header fields in UTF-8 (SMTPUTF8). (#5.6.7)\n`],
      ],
    }),
  ),
  {
    name: "writes domains as A-labels for a peer without SMTPUTF8",
    transaction: { ...one, reversePath: utf8("a@bücher.example") },
    steps: [...plain, ["begin", "MAIL FROM:<a@xn--bcher-kva.example>\r\n"]],
  },
  {
    name: "leaves domains as they are where SMTPUTF8 is offered",
    transaction: { ...one, reversePath: utf8("a@bücher.example") },
    steps: [...opens("SMTPUTF8"), ["begin", utf8("MAIL FROM:<a@bücher.example> SMTPUTF8\r\n")]],
  },
  {
    name: "logs in by PLAIN",
    options: { login: { user: "us", password: "p\xc3\xa4ss" } },
    steps: [
      ["220 hi", "EHLO me"],
      ["250-hi\r\n250 AUTH login plain", "AUTH PLAIN AHVzAHDDpHNz\r\n"],
      ["235 ok", "ready"],
    ],
  },
  {
    name: "logs in by LOGIN where there is no PLAIN",
    options: { login: { user: "us", password: "pass" } },
    steps: [
      ["220 hi", "EHLO me"],
      ["250-hi\r\n250 AUTH LOGIN CRAM-MD5", "AUTH LOGIN\r\n"],
      ["334 VXNlcm5hbWU6", "dXM=\r\n"],
      ["334 UGFzc3dvcmQ6", "cGFzcw==\r\n"],
      ["235 2.7.0 ok", "ready"],
    ],
  },
  ...(["535 5.7.8 no", "454 4.7.0 later", "334 more"] as const).map(
    (reply): Case => ({
      name: `defers when its login is answered with ${reply}`,
      options: { login: { user: "us", password: "pass" } },
      steps: [
        ["220 hi", "EHLO me"],
        ["250-hi\r\n250 AUTH PLAIN", "AUTH PLAIN AHVzAHBhc3M=\r\n"],
        [
          reply,
          `unusable: Z${{ 535: "7.8", 454: "7.0", 334: "5.0" }[reply.slice(0, 3)]} Connected to ${ip} but my login was rejected.\n${said(reply)}`,
        ],
      ],
    }),
  ),
  {
    name: "defers when it cannot log in",
    options: { login: { user: "us", password: "pass" } },
    steps: [
      ["220 hi", "EHLO me"],
      [
        "250-hi\r\n250 AUTH XOAUTH2",
        `unusable: Z7.8 Connected to ${ip} but it offers no way to log in that I know. (#4.7.8)\n`,
      ],
    ],
  },
  {
    name: "hears LMTP's reply for each recipient that was taken",
    transaction: three,
    options: { protocol: "LMTP" },
    steps: [
      ["220 hi", "LHLO me"],
      ["250-hi\r\n250 PIPELINING", "ready"],
      ["begin", `${mail}${rcpts.join("")}DATA\r\n`],
      ["250 ok\r\n250 ok\r\n550 no\r\n250 ok\r\n354 go", "wait, wait, wait, wait, body"],
      ["dot", ""],
      ["250 stored", "wait"],
      [
        "452 4.2.2 full",
        `finished, reusable: K ${ip} accepted message.\n${said("250 stored")}|D0.0 ${disliked("550 no")}|Z2.2 ${ip} failed after I sent the message.\n${said("452 4.2.2 full")}`,
      ],
      ["begin", `${mail}${rcpts.join("")}DATA\r\n`],
    ],
  },
  {
    name: "keeps LMTP's replies when the connection dies between them",
    transaction: three,
    options: { protocol: "LMTP" },
    steps: [
      ["220 hi", "LHLO me"],
      ["250-hi\r\n250 PIPELINING", "ready"],
      ["begin", `${mail}${rcpts.join("")}DATA\r\n`],
      ["250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go", "wait, wait, wait, wait, body"],
      ["dot", ""],
      ["250 stored", "wait"],
      ["lost", `finished: K ${ip} accepted message.\n${said("250 stored")}|${inDoubt("gone")}|${inDoubt("gone")}`],
    ],
  },
  {
    name: "does not fall back to HELO in LMTP",
    options: { protocol: "LMTP" },
    steps: [
      ["220 hi", "LHLO me"],
      ["500 what", `unusable: D0.0 Connected to ${ip} but my name was rejected.\n${said("500 what")}`],
    ],
  },
);

const shown = (action: ClientAction): string => {
  switch (action.kind) {
    case "send":
      return action.text;
    case "unusable":
      return `unusable: ${action.fate.letter}${action.fate.status} ${action.fate.text}`;
    case "no TLS":
      return `no TLS: ${action.why}`;
    case "body":
      return `body${action.encoding === "octets" ? `: ${action.opening}` : ""}`;
    case "finished": {
      const how = action.reusable ? ", reusable" : action.untouched ? ", untouched" : "";
      return `finished${how}: ${action.fates.map((fate) => `${fate.letter}${fate.status} ${fate.text}`).join("|")}`;
    }
    default:
      return action.kind;
  }
};

function perform(client: SmtpClient, event: string, transaction: Transaction): string {
  if (event === "begin") return shown(client.begin(transaction));
  if (event === "tls") return shown(client.onTls());
  if (event === "lost") return shown(client.lost("gone"));
  if (event === "dot") {
    client.onDotSent();
    return "";
  }
  const replies = createReplyReader()(Buffer.from(`${event}\r\n`));
  return replies.map((reply) => (reply === "broken" ? "broken" : shown(client.onReply(reply)))).join(", ");
}

const usual: ClientOptions = { peer: ip, heloHost: "me", tls: "none", protocol: "SMTP" };

for (const { name, transaction = one, options, steps } of cases) {
  test(title("SmtpClient", name), () => {
    const client = new SmtpClient({ ...usual, ...options });
    for (const [event, expected] of steps) {
      assert.equal(perform(client, event, transaction).replace(/^(..LO me)\r\n$/, "$1"), expected, event);
    }
  });
}

test("§17.155 SmtpClient gives every recipient one fate, whatever the peer says", () => {
  let seed = 1;
  const draw = <Value>(values: readonly Value[]): Value => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return values[seed % values.length] as Value;
  };
  const codes = [220, 250, 250, 250, 354, 354, 421, 450, 500, 550];
  for (let round = 0; round < 2_000; round++) {
    const client = new SmtpClient({ ...usual, tls: draw(["may", "none"]) });
    const lines = draw([[""], ["", "PIPELINING"], ["", "STARTTLS", "SIZE 100"]]);
    for (let step = 0, action: ClientAction = { kind: "wait" }; step < 40; step++) {
      if (action.kind === "unusable" || action.kind === "no TLS") break;
      if (action.kind === "finished") {
        assert.equal(action.fates.filter((fate) => "KZD".includes(fate.letter)).length, 3);
        if (!action.reusable) break;
      }
      const begins = action.kind === "ready" || action.kind === "finished";
      if (action.kind === "body" && draw([true, true, false])) client.onDotSent();
      if (begins) action = client.begin(three);
      else if (action.kind === "start TLS") action = client.onTls();
      else action = step === 39 ? client.lost("gone") : client.onReply({ code: draw(codes), lines });
    }
  }
});
