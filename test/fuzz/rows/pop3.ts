import assert from "node:assert/strict";
import { createLines, tooLong } from "../../../src/protocol/lines.ts";
import { newAuthorization, stepAuthorization } from "../../../src/protocol/pop3/authorization.ts";
import { maxCommandOctets, parseCommand } from "../../../src/protocol/pop3/command.ts";
import { createMultiLineEncoder } from "../../../src/protocol/pop3/multi-line.ts";
import { createTransaction } from "../../../src/protocol/pop3/transaction.ts";
import type { Row } from "../explore.ts";
import { mutated, readSeeds } from "../mutate.ts";

const commands = readSeeds("pop3-commands");
const octetsOf = (text: string): Buffer => Buffer.from(text, "latin1");

function linesOf(pieces: readonly Buffer[]): readonly string[] {
  const lines = createLines(maxCommandOctets);
  const taken: string[] = [];
  for (const piece of pieces) {
    lines.put(piece);
    for (let line = lines.take(); line !== undefined; line = lines.take())
      taken.push(line === tooLong ? "(too long)" : line);
  }
  assert.ok(lines.rest().length < maxCommandOctets);
  return taken;
}

const someLines: Row = {
  name: "POP3 lines",
  cases: 1_500,
  check(source) {
    const wire = octetsOf(source.list(6, () => mutated(source, commands) + source.pick(["\r\n", "\n", "\r"])).join(""));
    const whole = linesOf([wire]);
    assert.deepEqual(linesOf(source.pieces(wire)), whole);
    for (const line of whole) assert.ok(line.length < maxCommandOctets && !line.includes("\n"));
  },
};

const beforeLogin: Row = {
  name: "POP3 before the login",
  cases: 1_500,
  check(source) {
    const mechanisms = source.pick([[], ["PLAIN"], ["PLAIN", "SCRAM-SHA-256"]]);
    const terms = { offersTls: source.oneIn(2), mechanisms, stamp: source.oneIn(2) ? "<1@h>" : undefined };
    let state = newAuthorization;
    for (const line of source.list(8, () => mutated(source, commands))) {
      const step = stepAuthorization(state, parseCommand(line), terms);
      if (step.kind === "login") {
        assert.ok(step.mechanism === "APOP" ? terms.stamp : step.once || mechanisms.includes(step.mechanism));
        if (step.once && step.mechanism === "PLAIN")
          assert.equal(step.initial?.toString("latin1").split("\0").length, 3);
        return;
      }
      assert.match(step.reply, /^[+-](OK|ERR) ?[ -~]*(\r\n[ -~]+)*$/, "a reply repeats what the client said");
      if (step.kind === "reply") state = step.next;
    }
  },
};

const afterLogin: Row = {
  name: "POP3 after the login",
  cases: 1_500,
  check(source) {
    const sizes = source.list(5, () => source.below(1_000));
    const totalOctets = sizes.reduce((sum, size) => sum + size, 0);
    const message = (number: number) => ({ uid: `u${number}`, octets: sizes[number - 1] ?? Number.NaN });
    const transaction = createTransaction({ count: sizes.length, totalOctets, message }, []);
    for (const line of source.list(10, () => mutated(source, commands))) {
      const step = transaction.step(parseCommand(line));
      if (step.kind === "message") assert.ok(step.number >= 1 && step.number <= sizes.length);
      if (step.kind === "lines") for (const text of step.lines) assert.match(text, /^[0-9]+ u?[0-9]+$/);
      if (step.kind === "reply") assert.match(step.reply, /^[+-](OK|ERR) ?[ -~]*(\r\n[ -~]+)*$/);
    }
    const stat = transaction.step({ keyword: "STAT", argument: "" });
    const left = sizes.filter((_, at) => !transaction.deletedNumbers.has(at + 1));
    assert.deepEqual(stat, { kind: "reply", reply: `+OK ${left.length} ${left.reduce((sum, size) => sum + size, 0)}` });
  },
};

const words = ["a", "b\n", "\r\n", "\n", ".", "\n.\n", "..", "\r", "\0", "A: b\n", "x".repeat(80)];

/** As a client reads it; only a line's own CR before its end cannot be told from that end. */
const decoded = (wire: string): string =>
  wire
    .slice(0, -3)
    .split("\r\n")
    .map((line) => (line.startsWith(".") ? line.slice(1) : line))
    .join("\n");

const multiLine: Row = {
  name: "POP3 messages, encoded and read back",
  cases: 1_500,
  check(source) {
    const stored = source.text(words, 20);
    const pieces = source.pieces(octetsOf(stored));
    const encoder = createMultiLineEncoder();
    let wire = "";
    for (const piece of pieces) wire += encoder.encode(piece);
    wire += encoder.end();
    assert.ok(wire.endsWith(".\r\n") && !/(^|\r\n)\.\r\n./s.test(wire), "an end within the message");
    const ended = stored === "" || stored.endsWith("\n") ? stored : `${stored}\n`;
    assert.equal(decoded(wire), ended.replaceAll("\r\n", "\n"));
    const lines = source.below(5);
    const top = createMultiLineEncoder(lines);
    let part = "";
    for (const piece of pieces) part += top.encode(piece);
    assert.ok(wire.startsWith(part));
    assert.ok((/\r\n\r\n(.*)$/s.exec(part)?.[1]?.split("\r\n").length ?? 0) <= lines + 1);
  },
};

export const pop3Rows: readonly Row[] = [someLines, beforeLogin, afterLogin, multiLine];
