import assert from "node:assert/strict";
import { test } from "node:test";
import { accepted, died, type Given, inDoubt, play, reset, said } from "../../../test/support/remote-play.ts";
import { die, hang } from "../../../test/support/smtp-peer.ts";
import { title } from "../../../test/support/title.ts";

const disliked = (reply: string) => `127.0.0.2 does not like recipient.\n${said(reply)}`;
const tooLong = (step: string) => `no progress for too long, waiting for ${step}`;
const short = { silenceTimeoutMs: 200 };

interface Row extends Given {
  readonly name: string;
  readonly to?: readonly string[];
  readonly reports: readonly string[];
  readonly reached: number;
}

const talk: Row[] = [
  { name: "delivers", reports: [accepted()], reached: 1 },
  {
    name: "§17.157 delivers without extensions, after HELO",
    peers: { "127.0.0.2": { script: { EHLO: "500 what" } } },
    reports: [accepted()],
    reached: 1,
  },
  {
    name: "§17.166 gives each recipient its fate",
    to: ["1@d.example", "2@d.example", "3@d.example"],
    peers: {
      "127.0.0.2": {
        script: {
          RCPT: (line) => (line.includes("1") ? "550 5.1.1 no" : line.includes("2") ? "450 4.2.0 later" : undefined),
        },
      },
    },
    reports: [`D1.1 ${disliked("550 5.1.1 no")}`, `Z2.0 ${disliked("450 4.2.0 later")}`, accepted()],
    reached: 1,
  },
  {
    name: "§17.165 §17.55 gives up on a peer that likes nobody",
    peers: { "127.0.0.2": { script: { RCPT: "550 5.1.1 no", DATA: "554 5.5.1 nobody" } } },
    reports: [`D1.1 ${disliked("550 5.1.1 no")}Giving up on 127.0.0.2.\n`],
    reached: 1,
  },
  {
    name: "§17.165 gives up on a peer that likes nobody but takes DATA",
    peers: { "127.0.0.2": { script: { RCPT: "450 no" } } },
    reports: [`Z0.0 ${disliked("450 no")}Giving up on 127.0.0.2.\n`],
    reached: 1,
  },
  ...(
    [
      ["MAIL", "550 5.7.1 no", `D7.1 Connected to 127.0.0.2 but sender was rejected.\n${said("550 5.7.1 no")}`],
      ["MAIL", "451 no", `Z0.0 Connected to 127.0.0.2 but sender was rejected.\n${said("451 no")}`],
      ["MAIL", "421 no", `Z0.0 Connected to 127.0.0.2 but sender was rejected.\n${said("421 no")}`],
      ["RCPT", "421 no", `Z0.0 ${disliked("421 no")}Giving up on 127.0.0.2.\n`],
      ["DATA", "554 no", `D0.0 127.0.0.2 failed on DATA command.\n${said("554 no")}`],
      ["DATA", "451 no", `Z0.0 127.0.0.2 failed on DATA command.\n${said("451 no")}`],
      ["DATA", "354 go\r\n250 taken", died("a reply came that nothing asked for: 250 taken")],
      ["EHLO", "250 hi\r\nwhat", died("the peer does not speak SMTP")],
      ["DATA", "250 ok", `Z5.0 127.0.0.2 failed on DATA command.\n${said("250 ok")}`],
      [
        "end",
        "554-5.6.0 a\r\n554 5.6.0 b",
        `D6.0 127.0.0.2 failed after I sent the message.\n${said("554-5.6.0 a\n554 5.6.0 b")}`,
      ],
      ["end", "452 no", `Z0.0 127.0.0.2 failed after I sent the message.\n${said("452 no")}`],
      ["end", "421 no", `Z0.0 127.0.0.2 failed after I sent the message.\n${said("421 no")}`],
      ["end", "250 a\x1b[2J\r\n250 b", `K 127.0.0.2 accepted message.\n${said("250 a?[2J")}`],
      ["end", "250-a\r\n550 b", inDoubt("the peer does not speak SMTP")],
      ["end", "999 a", inDoubt("the peer does not speak SMTP")],
      ["connect", "554 5.7.1 no", `D7.1 Connected to 127.0.0.2 but greeting failed.\n${said("554 5.7.1 no")}`],
      ["connect", "421 no", `Z0.0 Connected to 127.0.0.2 but greeting failed.\n${said("421 no")}`],
      ["EHLO", "421 no", `Z0.0 Connected to 127.0.0.2 but my name was rejected.\n${said("421 no")}`],
      ["connect", `220-a\r\n${"220-b\r\n".repeat(1_000)}220 c`, died("the peer does not speak SMTP")],
      ["connect", "x".repeat(100_000), died("the peer does not speak SMTP")],
      ["EHLO", `250-a\r\n${"250-X\r\n".repeat(1_000)}250 c`, died("the peer does not speak SMTP")],
      ["EHLO", "250-a\r\n250-SIZE 10\r\n250 X", "D3.4 127.0.0.2 takes no message of more than 10 octets. (#5.3.4)\n"],
      ["EHLO", "250-a\r\n250-SIZE abc\r\n250 X", accepted()],
    ] as const
  ).map(
    ([point, reply, report]): Row => ({
      name: `hears ${JSON.stringify(reply.slice(0, 20))} at ${point}`,
      peers: { "127.0.0.2": { script: { [point]: reply } } },
      reports: [report],
      reached: 1,
    }),
  ),
  ...(
    [
      ["EHLO", died(reset), 1],
      ["MAIL", died(reset), 1],
      ["RCPT", died(reset), 1],
      ["DATA", died(reset), 1],
      ["body", inDoubt(reset), 1],
      ["end", inDoubt(reset), 1],
    ] as const
  ).map(
    ([point, report, reached]): Row => ({
      name: `survives a death at ${point}`,
      peers: { "127.0.0.2": { script: { [point]: die }, extensions: [] } },
      reports: [report],
      reached,
    }),
  ),
  ...(
    [
      ["connect", died(tooLong("greeting")), 2],
      ["EHLO", died(tooLong("hello")), 1],
      ["MAIL", died(tooLong("command")), 1],
      ["DATA", died(tooLong("DATA")), 1],
      ["end", inDoubt(tooLong("end of data")), 1],
    ] as const
  ).map(
    ([point, report, reached]): Row => ({
      name: `does not wait for ever at ${point}`,
      config: short,
      peers: { "127.0.0.2": { script: { [point]: hang } } },
      reports: [report],
      reached,
    }),
  ),
  {
    name: "is not kept by a peer that dribbles",
    config: short,
    peers: { "127.0.0.2": { script: { connect: "220-hi\r\n220-still here" } } },
    reports: [died(tooLong("greeting"))],
    reached: 2,
  },
];

for (const { name, to = ["c@d.example"], reports, reached, ...given } of talk) {
  test(title("remote", name), async () => {
    await using playing = await play(given);
    const answered = await playing.queue.deliver({ body: "Subject: x\n\n.\nbody\n", forwardPaths: to });
    assert.deepEqual(answered, { reports, reached });
  });
}

test("§17.170 §17.171 remote sends the envelope and the message as SMTP wants them", async () => {
  await using playing = await play({});
  await playing.queue.deliver({
    body: "8 bits: \xe9\n.dot\nno end",
    forwardPaths: ["1@d.example", 'a "b@d.example'],
    reversePath: "",
    bodyKind: 1,
  });
  assert.deepEqual(playing.peer().lines, [
    "EHLO us.example",
    "MAIL FROM:<> SIZE=21 BODY=8BITMIME",
    "RCPT TO:<1@d.example>",
    'RCPT TO:<"a \\"b"@d.example>',
    "DATA",
  ]);
  assert.equal(playing.peer().received[0]?.body, "8 bits: \xe9\r\n..dot\r\nno end\r\n");
});

test("remote streams a large message to a peer, within its credit", async () => {
  await using playing = await play({});
  const body = `${"x".repeat(998)}\n`.repeat(3_000);
  const { reports } = await playing.queue.deliver({ body, forwardPaths: ["c@d.example"] });
  assert.deepEqual(reports, [accepted()]);
  assert.equal(playing.peer().received[0]?.body, body.replaceAll("\n", "\r\n"));
});

test("remote sees no duplicate in a death before the dot", async () => {
  await using playing = await play({ peers: { "127.0.0.2": { script: { body: die } } } });
  const body = Buffer.alloc(2 ** 25, "x\n");
  const { reports } = await playing.queue.deliver({ body, forwardPaths: ["c@d.example"] });
  assert.deepEqual(reports, [died(reset)]);
});

test("remote gives up on a peer that reads nothing", async () => {
  await using playing = await play({ config: short, peers: { "127.0.0.2": { script: { body: hang } } } });
  const body = Buffer.alloc(2 ** 25, "x\n");
  const { reports } = await playing.queue.deliver({ body, forwardPaths: ["c@d.example"] });
  assert.deepEqual(reports, [died(tooLong("body"))]);
});

test("remote stops sending at an early refusal", async () => {
  await using playing = await play({ peers: { "127.0.0.2": { script: { body: "552 5.3.4 too big" } } } });
  const body = Buffer.alloc(2 ** 25, "x\n");
  const { reports } = await playing.queue.deliver({ body, forwardPaths: ["c@d.example"] });
  assert.deepEqual(reports, [`D3.4 127.0.0.2 refused the message before its end.\n${said("552 5.3.4 too big")}`]);
});
