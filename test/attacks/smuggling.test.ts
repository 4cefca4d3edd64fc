import assert from "node:assert/strict";
import { test } from "node:test";
import { createDataDecoder } from "../../src/protocol/smtp/data.ts";
import { createDotStuffer } from "../../src/protocol/smtp/stuff.ts";
import { openStage, plainControl } from "../dialogues/stage.ts";
import { Talk } from "../dialogues/talk.ts";
import { decodeInPieces, hasOneEnd, normalised, stuffInPieces } from "../fuzz/slow.ts";
import { everyCut } from "../fuzz/source.ts";
import { play } from "../support/remote-play.ts";
import { smugglingForms, wireOf } from "./smuggling-forms.ts";

for (const { name, form, becomes } of smugglingForms) {
  const wire = Buffer.from(wireOf(form), "latin1");

  test(`smtpd's decoder takes ${name} for ${becomes}, wherever it is cut`, () => {
    for (const pieces of [[Buffer.from(wire)], ...everyCut(wire)]) {
      const { kind, body, rest } = decodeInPieces(createDataDecoder(), pieces);
      assert.deepEqual([kind, rest], [becomes === "text" ? "end" : becomes, ""]);
      if (kind === "end") assert.ok(body.endsWith("\nsecond\n") && body.startsWith("first"));
    }
  });

  test(`what was decoded of ${name} is sent on with one end, and reads as the same message again`, () => {
    const { kind, body } = decodeInPieces(createDataDecoder(), [Buffer.from(wire)]);
    if (kind !== "end") return;
    const sent = stuffInPieces(createDotStuffer(), [Buffer.from(body, "latin1")]);
    assert.ok(hasOneEnd(sent));
    assert.deepEqual(decodeInPieces(createDataDecoder(), [sent]), { kind: "end", body, rest: "" });
  });

  test(`a stored message with ${name}, however it came in, is sent with one end at every cut`, () => {
    const message = Buffer.from(wireOf(form), "latin1");
    for (const pieces of [[message], ...everyCut(message)]) {
      const sent = stuffInPieces(createDotStuffer(), pieces);
      assert.ok(hasOneEnd(sent), JSON.stringify(sent.toString("latin1")));
    }
  });
}

/** Where servers that are lax about line ends see the end of a message, as they were or are. */
const laxEnds = [
  { name: "LF . LF", end: /\n\.\n/ },
  { name: "LF . CR LF", end: /\n\.\r\n/ },
  { name: "CR LF . LF", end: /\r\n\.\n/ },
  { name: "CR . CR", end: /\r\.\r/ },
  { name: "CR . CR LF", end: /\r\.\r\n/ },
  { name: "any line end, dot, any line end", end: /(?:\r\n|\r|\n)\.(?:\r\n|\r|\n)/ },
  { name: "line ends with NULs dropped", end: /\r?\n\.\r?\n/, drops: /\0/g },
  { name: "line ends with CRs doubled", end: /\r*\n\.\r*\n/ },
];
for (const { name, end, drops } of laxEnds) {
  test(`a next hop that ends messages at ${name} reads each of them as one`, () => {
    for (const { name: form, form: octets } of smugglingForms) {
      if (drops && octets.includes("\0")) continue; // no NUL gets in, at any entrance
      const sent = stuffInPieces(createDotStuffer(), [Buffer.from(wireOf(octets), "latin1")]).toString("latin1");
      const read = `\r\n${drops ? sent.replace(drops, "") : sent}`;
      const at = end.exec(read);
      assert.ok(at === null || at.index + at[0].length >= read.length - 1, `${form}: ${JSON.stringify(read)}`);
    }
  });
}

test("what follows an honest end is a command of its own, and the message is not touched by it", async () => {
  await using stage = await openStage(plainControl);
  const talk = await Talk.open(stage.port);
  await talk.reply();
  const envelope = (from: string): string => `MAIL FROM:<${from}@b.example>\r\nRCPT TO:<c@localhost>\r\nDATA\r\n`;
  talk.send(`${envelope("one")}first\r\n.\r\n${envelope("two")}.second\r\n..\r\n.\r\nQUIT\r\n`);
  const replies: string[] = [];
  for (let n = 0; n < 9; n++) replies.push((await talk.reply()).slice(0, 3));
  assert.deepEqual(replies, ["250", "250", "354", "250", "250", "250", "354", "250", "221"]);
  const bodies = stage.queue.messages.map(({ body }) => body.slice(body.indexOf("\n", body.indexOf("by ")) + 1));
  assert.deepEqual(bodies, ["first\n", "second\n.\n"]);
  talk.close();
});

test("smtpd queues one message or none for any of them, and obeys nothing that follows", async () => {
  await using stage = await openStage(plainControl);
  for (const { name, form, becomes } of smugglingForms) {
    const before = stage.queue.messages.length;
    const talk = await Talk.open(stage.port);
    await talk.reply();
    talk.send("EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@localhost>\r\nDATA\r\n");
    for (let replies = 0; replies < 4; replies++) assert.match(await talk.reply(), /^[23]/);
    talk.send(`${wireOf(form)}QUIT\r\n`);
    const verdict = await talk.reply();
    const then = await talk.reply();
    const expected = becomes === "text" ? [/^250 2\.0\.0 ok/, /^221 /] : [/^55[04] /, /^\(closed\)$/];
    assert.match(verdict, expected[0] ?? /never/, name);
    assert.match(then, expected[1] ?? /never/, name);
    assert.equal(stage.queue.messages.length - before, becomes === "text" ? 1 : 0, name);
    talk.close();
  }
  assert.ok(stage.queue.messages.every(({ reversePath }) => reversePath === "a@b.example"));
});

for (const { kind, parameters } of [
  { kind: "text", parameters: "" },
  { kind: "binary", parameters: " BODY=BINARYMIME" },
] as const) {
  test(`smtpd queues one message or none for any of them by BDAT, as ${kind}, and obeys what follows the chunk`, async () => {
    await using stage = await openStage(plainControl);
    for (const { name, form, becomes } of smugglingForms) {
      const before = stage.queue.messages.length;
      const wire = wireOf(form);
      const isTaken = kind === "binary" || becomes === "text";
      for (const cut of [0, wire.indexOf(form) + 1, wire.indexOf("second")]) {
        const talk = await Talk.open(stage.port);
        await talk.reply();
        talk.send(`MAIL FROM:<a@b.example>${parameters}\r\nRCPT TO:<c@localhost>\r\n`);
        assert.deepEqual([await talk.reply(), await talk.reply()], ["250 2.1.0 ok", "250 2.1.5 ok"]);
        talk.send(`BDAT ${cut}\r\n${wire.slice(0, cut)}BDAT ${wire.length - cut} LAST\r\n${wire.slice(cut)}QUIT\r\n`);
        const replies = [await talk.reply(), await talk.reply(), await talk.reply(), await talk.reply()];
        const verdict = replies.slice(0, 2).join();
        assert.match(verdict, isTaken ? /^250 .*,250 2\.0\.0 ok/ : /554 5\.6\.(?:0|11)/, `${name}: ${replies}`);
        assert.deepEqual(replies.slice(2), ["221 2.0.0 localhost", "(closed)"], name);
        talk.close();
      }
      assert.equal(stage.queue.messages.length - before, isTaken ? 3 : 0, name);
      if (kind === "binary")
        assert.ok(
          stage.queue.messages.slice(before).every(({ body }) => body.endsWith(wire)),
          name,
        );
    }
    assert.ok(stage.queue.messages.every(({ reversePath }) => reversePath === "a@b.example"));
  });
}

test("remote hands each of them to the next hop as one message", async () => {
  await using playing = await play({});
  for (const { name, form } of smugglingForms) {
    const message = wireOf(form);
    const { reports } = await playing.queue.deliver({ body: message, forwardPaths: ["c@d.example"] });
    assert.match(reports[0] ?? "", /^K /, name);
    const received = playing.peer().received.at(-1);
    assert.equal(received?.reversePath, "a@sender.example", name);
    const lines = normalised(Buffer.from(message, "latin1")).split("\n");
    const stuffed = lines.map((line) => (line.startsWith(".") ? `.${line}` : line)).join("\r\n");
    assert.equal(received?.body, stuffed, name);
  }
  assert.equal(playing.peer().received.length, smugglingForms.length);
  const obeyed = playing.peer().lines.map((line) => line.slice(0, 4));
  assert.deepEqual([...new Set(obeyed)].sort(), ["DATA", "EHLO", "MAIL", "RCPT"]);
  assert.equal(obeyed.filter((verb) => verb === "MAIL").length, smugglingForms.length);
});
