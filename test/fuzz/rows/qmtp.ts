import assert from "node:assert/strict";
import { parseQmqpServers } from "../../../src/protocol/qmqp/servers.ts";
import { QmtpExchange } from "../../../src/protocol/qmtp/exchange.ts";
import { createPackageReader, framePackage, type QmtpPart } from "../../../src/protocol/qmtp/package.ts";
import type { Row } from "../explore.ts";
import { mutated, readSeeds } from "../mutate.ts";

const netstrings = readSeeds("netstrings");
const addresses = readSeeds("addresses");
const routes = readSeeds("networks");
const lineWords = ["a", "b\n", "\r\n", "\n", "\r", "\0", "From x", "x".repeat(40)];
const octetsOf = (text: string): Buffer => Buffer.from(text, "latin1");

/** Parts as they mean, however the message was cut. Of a message that cannot be stored, how much came before is chance. */
function readPackages(pieces: readonly Buffer[]): readonly unknown[] {
  const read = createPackageReader();
  const meant: unknown[] = [];
  let body = "";
  let unfit: string | undefined;
  const take = (part: QmtpPart): void => {
    if (part.kind === "body") {
      assert.equal(unfit, undefined, "body after a fault");
      assert.ok(!part.octets.includes(0) && !part.octets.includes(13));
      body += part.octets.toString("latin1");
    } else if (part.kind === "unfit") {
      assert.equal(unfit, undefined, "a second fault");
      unfit = part.why;
    } else {
      if (part.kind === "reversePath") meant.push(unfit === undefined ? { body } : { unfit: true });
      if (part.kind === "end") [body, unfit] = ["", undefined];
      meant.push(part);
    }
  };
  for (const part of pieces.flatMap((piece) => read(piece))) take(part);
  return meant;
}

const packages: Row = {
  name: "QMTP package",
  cases: 1_500,
  check(source) {
    const message = source.text(lineWords, 20);
    const reversePath = mutated(source, addresses).slice(0, 999);
    const forwardPaths = source.list(5, () => mutated(source, addresses).slice(0, 999));
    const { before, after } = framePackage(message.length, reversePath, forwardPaths);
    const wire = Buffer.concat([before, octetsOf(message), after]);
    const expected = [
      /[\0\r]/.test(message) ? { unfit: true } : { body: message },
      { kind: "reversePath", text: reversePath },
      ...forwardPaths.map((text) => ({ kind: "forwardPath", text })),
      { kind: "end" },
    ];
    assert.deepEqual(readPackages(source.pieces(Buffer.concat([wire, wire]))), [...expected, ...expected]);
    wire[wire.indexOf(":") + 1] = 13;
    const lines = message.replaceAll("\r\n", "");
    const inCrLf = /[\0\r\n]/.test(lines) ? { unfit: true } : { body: message.replaceAll("\r\n", "\n") };
    assert.deepEqual(readPackages(source.pieces(wire)), [inCrLf, ...expected.slice(1)]);
    const hostile = octetsOf(mutated(source, [wire.toString("latin1"), ...netstrings]));
    const whole = readPackages([Buffer.from(hostile)]);
    assert.deepEqual(readPackages(source.pieces(hostile)), whole);
    const broken = whole.findIndex((part) => (part as { kind?: string }).kind === "broken");
    assert.ok(broken < 0 || broken === whole.length - 1, "a part after the end");
  },
};

const exchange: Row = {
  name: "QMTP answers",
  cases: 1_500,
  check(source) {
    const recipients = 1 + source.below(4);
    const said = octetsOf(
      source.list(5, () => mutated(source, ["5:Kok 1,", "11:Dno (#5.1.1),", "1:Z,", "0:,", ...netstrings])).join(""),
    );
    const answersTo = (pieces: readonly Buffer[]) => {
      const client = new QmtpExchange("192.0.2.1", recipients);
      client.onSent();
      for (const piece of pieces) {
        const answer = client.onAnswer(piece);
        if (answer === "broken") return client.lost("broken");
        if (answer !== "more") return answer;
      }
      return client.lost("gone");
    };
    const fates = answersTo([said]);
    assert.equal(fates.length, recipients);
    for (const { letter, status, text } of fates) {
      assert.match(text, /^[\n -~]*$/);
      assert.match(status, letter === "K" ? /^$/ : /^[0-9]{1,3}\.[0-9]{1,3}$/);
    }
    assert.equal(answersTo(source.pieces(said)).length, recipients);
  },
};

const servers: Row = {
  name: "QMQP servers",
  cases: 800,
  check(source) {
    const parsed = parseQmqpServers(source.list(3, () => mutated(source, routes)));
    if (parsed.kind !== "done") return;
    for (const { host, port } of parsed.value) assert.ok(/^[0-9a-fA-F.:]+$/.test(host) && port > 0 && port < 65_536);
  },
};

export const qmtpRows: readonly Row[] = [packages, exchange, servers];
