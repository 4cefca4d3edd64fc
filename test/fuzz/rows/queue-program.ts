import assert from "node:assert/strict";
import { encodeEnvelope, maxAddressOctets, parseEnvelope } from "../../../src/protocol/queue-program/envelope.ts";
import { exitCodeOf, verdictOf } from "../../../src/protocol/queue-program/verdict.ts";
import type { Row } from "../explore.ts";
import { mutated } from "../mutate.ts";

const envelopes = [
  "Fs@x\0Ta@y\0Tb@z\0\0",
  "F\0Ta\0\0",
  "Fs\0\0",
  "\0",
  "Ta\0\0",
  "Fs@x\0Ta",
  `F${"x".repeat(1_002)}\0\0`,
];
const words = ["Dno (#5.7.1)\n", "Zlater", "D", "Kok", "Z (#4.3.0)", "D(#9.9.9)"];

const envelope: Row = {
  name: "envelope of a queueing program",
  cases: 3_000,
  check(source) {
    const hostile = Buffer.from(mutated(source, envelopes, ["\0", "F", "T", "\0\0"]), "latin1");
    const read = parseEnvelope(hostile);
    if (read.kind === "envelope") {
      const { reversePath, forwardPaths } = read;
      const written = encodeEnvelope(reversePath, forwardPaths);
      assert.deepEqual(written, hostile.subarray(0, written.length));
      assert.ok(
        [reversePath, ...forwardPaths].every((text) => text.length <= maxAddressOctets && !text.includes("\0")),
      );
    }
    const path = source.octets(40).toString("latin1").replaceAll("\0", "");
    const whole = encodeEnvelope(path, [path]);
    assert.deepEqual(parseEnvelope(whole), { kind: "envelope", reversePath: path, forwardPaths: [path] });
    assert.equal(parseEnvelope(whole.subarray(0, source.below(whole.length))).kind, "ended early");
  },
};

const verdict: Row = {
  name: "end of a queueing program",
  cases: 2_000,
  check(source) {
    const exitCode = source.below(5) === 0 ? undefined : source.pick([82, source.below(256)]);
    const outcome = verdictOf({ exitCode, words: mutated(source, words) });
    assert.equal(outcome.kind === "done", exitCode === 0);
    if (outcome.kind === "done") return;
    assert.ok(outcome.text.length <= 255 && /^\d{1,3}\.\d{1,3}$/.test(outcome.status));
    const isForGood = exitCode !== undefined && ((exitCode >= 11 && exitCode <= 40) || exitCode === 115);
    if (exitCode !== 82) assert.equal(outcome.kind, isForGood ? "permanent" : "temporary");
    assert.equal(exitCodeOf(outcome) === 31, outcome.kind === "permanent");
  },
};

export const queueProgramRows: readonly Row[] = [envelope, verdict];
