import assert from "node:assert/strict";
import { test } from "node:test";
import { title } from "../../../test/support/title.ts";
import { type ClientAction, SmtpClient, type Transaction } from "./client.ts";
import { createReplyReader } from "./reply.ts";

const ip = "192.0.2.1";
const one: Transaction = { reversePath: "a@b.example", forwardPaths: ["c@d.example"], octets: 12, eightBit: false };
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
  readonly startTls?: boolean;
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
    transaction: { ...one, eightBit: true },
    steps: [
      ["220 hi", "EHLO me"],
      ["502 what", "HELO me"],
      ["250-hi\r\n250 PIPELINING", "ready"],
      ["begin", mail],
    ],
  },
  {
    name: "declares eight bits where it can",
    transaction: { ...one, eightBit: true },
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
    startTls: true,
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
      startTls: true,
      steps: [
        ["220 hi", "EHLO me"],
        ["250-hi\r\n250 STARTTLS", "STARTTLS\r\n"],
        ["220 go", "start TLS"],
        [`${event}`, "no TLS"],
      ],
    }),
  ),
  {
    name: "tells that TLS came to nothing when STARTTLS is not answered",
    startTls: true,
    steps: [
      ["220 hi", "EHLO me"],
      ["250-hi\r\n250 STARTTLS", "STARTTLS\r\n"],
      ["lost", "no TLS"],
    ],
  },
  {
    name: "stays in clear when TLS is refused",
    startTls: true,
    steps: [
      ["220 hi", "EHLO me"],
      ["250-hi\r\n250-PIPELINING\r\n250 STARTTLS", "STARTTLS\r\n"],
      ["454 no", "ready"],
      ["begin", `${mail}${rcpt}DATA\r\n`],
    ],
  },
];

const shown = (action: ClientAction): string => {
  switch (action.kind) {
    case "send":
      return action.text;
    case "unusable":
      return `unusable: ${action.fate.letter}${action.fate.status} ${action.fate.text}`;
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

for (const { name, transaction = one, startTls = false, steps } of cases) {
  test(title("SmtpClient", name), () => {
    const client = new SmtpClient(ip, "me", startTls);
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
    const client = new SmtpClient(ip, "me", draw([true, false]));
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
