import assert from "node:assert/strict";
import { test } from "node:test";
import { createDataDecoder } from "../../src/protocol/smtp/data.ts";
import { createDotStuffer } from "../../src/protocol/smtp/stuff.ts";
import { openStage, plainControl } from "../dialogues/stage.ts";
import { Talk } from "../dialogues/talk.ts";
import { decodeInPieces, hasOneEnd, normalised, stuffInPieces } from "../fuzz/slow.ts";
import { everyCut } from "../fuzz/source.ts";
import { play } from "../support/remote-play.ts";

/**
 * What some server somewhere takes, or took, for the end of a message though it is not CR LF . CR LF; and what becomes
 * of it here: refused, or text of the one message. Whoever sends it wants us to read one message and the next hop two.
 */
const forms = [
  { name: "LF . LF", form: "\n.\n", becomes: "bare LF" },
  { name: "LF . CR LF", form: "\n.\r\n", becomes: "bare LF" },
  { name: "CR LF . LF", form: "\r\n.\n", becomes: "bare LF" },
  { name: "CR . CR", form: "\r.\r", becomes: "bare CR" },
  { name: "CR . CR LF", form: "\r.\r\n", becomes: "bare CR" },
  { name: "CR LF . CR", form: "\r\n.\r", becomes: "bare CR" },
  { name: "CR . LF", form: "\r.\n", becomes: "bare CR" },
  { name: "LF . CR", form: "\n.\r", becomes: "bare LF" },
  { name: "LF CR . LF CR", form: "\n\r.\n\r", becomes: "bare LF" },
  { name: "CR CR LF . CR CR LF", form: "\r\r\n.\r\r\n", becomes: "bare CR" },
  { name: "CR CR LF . CR LF", form: "\r\r\n.\r\n", becomes: "bare CR" },
  { name: "CR LF . CR CR LF", form: "\r\n.\r\r\n", becomes: "bare CR" },
  { name: "CR LF . NUL CR LF", form: "\r\n.\0\r\n", becomes: "NUL" },
  { name: "CR LF NUL . CR LF", form: "\r\n\0.\r\n", becomes: "NUL" },
  { name: "CR NUL LF . CR NUL LF", form: "\r\0\n.\r\0\n", becomes: "bare CR" },
  { name: "CR LF . blank CR LF", form: "\r\n. \r\n", becomes: "text" },
  { name: "CR LF . tab CR LF", form: "\r\n.\t\r\n", becomes: "text" },
  { name: "CR LF blank . CR LF", form: "\r\n .\r\n", becomes: "text" },
  { name: "CR LF .. CR LF", form: "\r\n..\r\n", becomes: "text" },
  { name: "CR LF ... CR LF", form: "\r\n...\r\n", becomes: "text" },
  { name: "CR LF .DEL CR LF", form: "\r\n.\x7f\r\n", becomes: "text" },
  { name: "vertical tabs for line ends", form: "\v.\v", becomes: "text" },
  { name: "form feeds for line ends", form: "\f.\f", becomes: "text" },
  { name: "NEL for line ends", form: "\x85.\x85", becomes: "text" },
  { name: "line separators in UTF-8", form: "\xe2\x80\xa8.\xe2\x80\xa8", becomes: "text" },
  { name: "=0D=0A as in quoted-printable", form: "=0D=0A.=0D=0A", becomes: "text" },
] as const;

const second = "MAIL FROM:<smuggled@evil.example>\r\nRCPT TO:<victim@localhost>\r\nDATA\r\nsecond";
const wireOf = (form: string): string => `first${form}${second}\r\n.\r\n`;

for (const { name, form, becomes } of forms) {
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

test("smtpd queues one message or none for any of them, and obeys nothing that follows", async () => {
  await using stage = await openStage(plainControl);
  for (const { name, form, becomes } of forms) {
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

test("remote hands each of them to the next hop as one message", async () => {
  await using playing = await play({});
  for (const { name, form } of forms) {
    const message = wireOf(form);
    const { reports } = await playing.queue.deliver({ body: message, forwardPaths: ["c@d.example"] });
    assert.match(reports[0] ?? "", /^K /, name);
    const received = playing.peer().received.at(-1);
    assert.equal(received?.reversePath, "a@sender.example", name);
    const lines = normalised(Buffer.from(message, "latin1")).split("\n");
    const stuffed = lines.map((line) => (line.startsWith(".") ? `.${line}` : line)).join("\r\n");
    assert.equal(received?.body, stuffed, name);
  }
  assert.equal(playing.peer().received.length, forms.length);
  const obeyed = playing.peer().lines.map((line) => line.slice(0, 4));
  assert.deepEqual([...new Set(obeyed)].sort(), ["DATA", "EHLO", "MAIL", "RCPT"]);
  assert.equal(obeyed.filter((verb) => verb === "MAIL").length, forms.length);
});
