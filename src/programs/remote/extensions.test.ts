import assert from "node:assert/strict";
import { test } from "node:test";
import { accepted, died, play, reset, said } from "../../../test/support/remote-play.ts";
import { die, type Script } from "../../../test/support/smtp-peer.ts";
import { title } from "../../../test/support/title.ts";
import { flagRequireTls, flagUtf8 } from "../../protocol/wire/submission.ts";

const nothing = { envelopeId: "", ret: 0, flags: 0, priority: 9, notify: [0], originalRecipients: [""] };
const all = { envelopeId: "env+20id", ret: 2, flags: 0, priority: 12, notify: [7], originalRecipients: ["rfc822;x@y"] };

const rows = [
  {
    name: "passes on what was asked for, and says that the peer sees to it",
    options: all,
    extensions: ["DSN", "MT-PRIORITY"],
    lines: [
      "MAIL FROM:<a@sender.example> RET=HDRS ENVID=env+20id MT-PRIORITY=3",
      "RCPT TO:<c@d.example> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;x@y",
    ],
    answered: { reports: [accepted()], reached: 1, relayed: ["mx1.example 1"] },
  },
  {
    name: "says that a peer does not see to what was asked for",
    options: all,
    lines: ["MAIL FROM:<a@sender.example>", "RCPT TO:<c@d.example>"],
    answered: { reports: [accepted()], reached: 1, relayed: ["mx1.example 0"] },
  },
  {
    name: "lets nothing into a command that could not be there",
    options: { ...all, ret: 9, priority: 99, envelopeId: "a\r\nRSET", notify: [16], originalRecipients: ["a b"] },
    extensions: ["DSN", "MT-PRIORITY"],
    lines: ["MAIL FROM:<a@sender.example>", "RCPT TO:<c@d.example>"],
    answered: { reports: [accepted()], reached: 1, relayed: ["mx1.example 1"] },
  },
  {
    name: "says nothing of what failed",
    options: all,
    script: { RCPT: "550 5.1.1 no" },
    lines: ["MAIL FROM:<a@sender.example>", "RCPT TO:<c@d.example>"],
    answered: {
      reports: [`D1.1 127.0.0.2 does not like recipient.\n${said("550 5.1.1 no")}Giving up on 127.0.0.2.\n`],
      reached: 1,
    },
  },
  {
    name: "fails what is UTF-8 at a peer without SMTPUTF8",
    options: { ...nothing, flags: flagUtf8 },
    lines: [],
    answered: {
      reports: ["D6.7 127.0.0.2 takes no addresses or header fields in UTF-8 (SMTPUTF8). (#5.6.7)\n"],
      reached: 1,
    },
  },
  {
    name: "gives a peer with SMTPUTF8 what is UTF-8",
    options: { ...nothing, flags: flagUtf8 },
    extensions: ["SMTPUTF8"],
    lines: ["MAIL FROM:<a@sender.example> SMTPUTF8", "RCPT TO:<c@d.example>"],
    answered: { reports: [accepted()], reached: 1, relayed: ["mx1.example 0"] },
  },
  {
    name: "sends a message that must stay within TLS to nobody without",
    options: { ...nothing, flags: flagRequireTls },
    extensions: ["REQUIRETLS"],
    lines: [],
    answered: {
      reports: [
        "D7.30 Connected to 127.0.0.2 but it does not offer STARTTLS. REQUIRETLS demands TLS with a certificate. (#5.7.30)\n",
      ],
      reached: 1,
    },
  },
] as const;

for (const { name, options, lines, answered, ...given } of rows) {
  test(title("remote", name), async () => {
    const extensions = "extensions" in given ? given.extensions : [];
    const peer = { extensions, ...("script" in given && { script: given.script }) };
    await using playing = await play({ peers: { "127.0.0.2": peer } });
    const { queue } = playing;
    assert.deepEqual(await queue.deliver({ body: "x\n", forwardPaths: ["c@d.example"], options }), answered);
    assert.deepEqual(
      playing.peer().lines.filter((line) => /^(?:MAIL|RCPT)/.test(line)),
      lines,
    );
  });
}

test("remote sends a binary message octet for octet", async () => {
  await using playing = await play({
    peers: { "127.0.0.2": { extensions: ["PIPELINING", "CHUNKING", "BINARYMIME"] } },
  });
  const body = `Subject: x\r\n\r\n.\n..\r\0\xff\r\r\n${"z".repeat(300_000)}`;
  for (let n = 0; n < 2; n++) {
    const { reports } = await playing.queue.deliver({ body, forwardPaths: ["c@d.example"], bodyKind: 2 });
    assert.deepEqual(reports, [accepted()]);
    assert.ok(playing.peer().received[n]?.body === body);
  }
  assert.equal(playing.peer().connections, 1);
});

test("remote fails a binary message at a peer that does not take it", async () => {
  await using playing = await play({});
  const { reports } = await playing.queue.deliver({ body: "x", forwardPaths: ["c@d.example"], bodyKind: 2 });
  assert.match(reports[0] ?? "", /^D6\.1 /);
});

test("remote keeps to the limits of a peer", async () => {
  const extensions = ["PIPELINING", "LIMITS RCPTMAX=2 MAILMAX=2 RCPTDOMAINMAX=1"];
  await using playing = await play({ peers: { "127.0.0.2": { extensions } } });
  const forwardPaths = ["1@d.example", "2@d.example", "3@d.example"];
  const { reports } = await playing.queue.deliver({ body: "x\n", forwardPaths });
  // No report: `queue` sends the third at once.
  assert.deepEqual(reports, [accepted(), accepted()]);
  for (const path of ["1@d.example", "1@d.example", "1@two.example"]) {
    await playing.queue.deliver({ body: "x\n", forwardPaths: [path] });
  }
  assert.deepEqual(
    playing.peer().received.map(({ connection, forwardPaths: paths }) => [connection, ...paths]),
    [
      [1, "1@d.example", "2@d.example"],
      [1, "1@d.example"],
      [2, "1@d.example"],
      [3, "1@two.example"],
    ],
  );
});

test("remote defers all recipients when a peer that takes few at once dies", async () => {
  const script = { RCPT: die } satisfies Script;
  await using playing = await play({ peers: { "127.0.0.2": { extensions: ["LIMITS RCPTMAX=2"], script } } });
  const forwardPaths = ["1@d.example", "2@d.example", "3@d.example"];
  const { reports } = await playing.queue.deliver({ body: "x\n", forwardPaths });
  assert.deepEqual(reports, Array(3).fill(died(reset)));
});

test("remote finds the servers of a domain by its A-labels", async () => {
  const rules = {
    "xn--bcher-kva.example MX": { kind: "answer", records: [{ type: "MX", preference: 1, exchange: "mx1.example" }] },
  } as const;
  await using playing = await play({ rules });
  const forwardPaths = [Buffer.from("c@bücher.example").toString("latin1")];
  assert.deepEqual((await playing.queue.deliver({ body: "x\n", forwardPaths })).reports, [accepted()]);
  assert.ok(playing.peer().lines.includes("RCPT TO:<c@xn--bcher-kva.example>"));
});

test("remote breaks off with a queue whose options do not fit the recipients", async () => {
  await using playing = await play({});
  const options = { ...nothing, notify: [0, 0] };
  await assert.rejects(playing.queue.deliver({ body: "x\n", forwardPaths: ["c@d.example"], options }));
});
