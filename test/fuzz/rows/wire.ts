import assert from "node:assert/strict";
import { createLengthReader, decodeNetstring, encodeNetstring } from "../../../src/protocol/netstring.ts";
import { done, type Outcome } from "../../../src/protocol/outcome.ts";
import { encodeQmqpReply, maxReplyOctets, parseQmqpReply } from "../../../src/protocol/qmqp/reply.ts";
import { createQmqpReader, frameQmqpRequest, type QmqpPart } from "../../../src/protocol/qmqp/request.ts";
import * as delivery from "../../../src/protocol/wire/delivery.ts";
import * as directory from "../../../src/protocol/wire/directory.ts";
import {
  createFrameReader,
  encodeFrame,
  type Frame,
  headerOctets,
  maxPayloadOctets,
} from "../../../src/protocol/wire/frame.ts";
import type { Fields, FrameKind, Layout } from "../../../src/protocol/wire/layout.ts";
import * as login from "../../../src/protocol/wire/login.ts";
import * as mailbox from "../../../src/protocol/wire/mailbox.ts";
import * as submission from "../../../src/protocol/wire/submission.ts";
import * as worker from "../../../src/protocol/wire/worker.ts";
import type { Row } from "../explore.ts";
import { mutated, readSeeds } from "../mutate.ts";
import type { Source } from "../source.ts";

const netstrings = readSeeds("netstrings");
const addresses = readSeeds("addresses");
const octetsOf = (text: string): Buffer => Buffer.from(text, "latin1");

const netstring: Row = {
  name: "netstring",
  cases: 3_000,
  check(source) {
    const text = source.octets(300).toString("latin1");
    const wire = encodeNetstring(text);
    assert.deepEqual(decodeNetstring(Buffer.concat([wire, source.octets(4)]), 300), { text, used: wire.length });
    const cut = wire.subarray(0, source.below(wire.length));
    assert.equal(decodeNetstring(cut, 300), "more");
    if (text.length > 0) assert.equal(decodeNetstring(wire, text.length - 1), "broken");
    const hostile = octetsOf(mutated(source, netstrings));
    const most = source.below(2 ** 32);
    const decoded = decodeNetstring(hostile, most);
    if (typeof decoded === "string") return;
    assert.ok(decoded.used <= hostile.length && decoded.text.length <= most);
    assert.deepEqual(encodeNetstring(decoded.text), hostile.subarray(0, decoded.used));
  },
};

const length: Row = {
  name: "netstring length",
  cases: 1_500,
  check(source) {
    const text = source.text(["0", "1", "9", "42", ":", "-", " ", "4294967296"], 6);
    const most = source.pick([0, 9, 100, 2 ** 32, Number.MAX_SAFE_INTEGER]);
    const [, digits] = /^(0|[1-9][0-9]*):/.exec(text) ?? [];
    const expected = digits !== undefined && Number(digits) <= most ? Number(digits) : undefined;
    const read = createLengthReader();
    const results = Array.from(octetsOf(text), (octet) => read(octet, most));
    assert.equal(
      results.find((result) => result !== "more") ?? "more",
      expected ?? results.find((r) => r !== "more") ?? "more",
    );
    if (expected === undefined) assert.notEqual(typeof results.find((result) => result !== "more"), "number");
  },
};

/** Parts as they mean, however the message was cut. */
function readRequest(pieces: readonly Buffer[]): readonly unknown[] {
  const read = createQmqpReader();
  const parts: QmqpPart[] = pieces.flatMap((piece) => read(piece));
  const body = Buffer.concat(parts.flatMap((part) => (part.kind === "body" ? [part.octets] : [])));
  return [body, ...parts.filter(({ kind }) => kind !== "body")];
}

/** The octets that make a request of these parts. */
function requestOf([body, ...parts]: readonly unknown[]): Buffer {
  const [reversePath = "", ...forwardPaths] = parts.flatMap((part) => {
    const { text } = part as { text?: string };
    return text === undefined ? [] : [text];
  });
  const message = body as Buffer;
  const { before, after } = frameQmqpRequest(message.length, reversePath, forwardPaths);
  return Buffer.concat([before, message, after]);
}

const qmqp: Row = {
  name: "QMQP request",
  cases: 1_500,
  check(source) {
    const message = source.octets(200);
    const reversePath = mutated(source, addresses).slice(0, 999);
    const forwardPaths = source.list(5, () => mutated(source, addresses).slice(0, 999));
    const { before, after } = frameQmqpRequest(message.length, reversePath, forwardPaths);
    const wire = Buffer.concat([before, message, after]);
    const expected = [
      message,
      { kind: "reversePath", text: reversePath },
      ...forwardPaths.map((text) => ({ kind: "forwardPath", text })),
      { kind: "end" },
    ];
    assert.deepEqual(readRequest(source.pieces(wire)), expected);
    const hostile = octetsOf(mutated(source, [wire.toString("latin1"), ...netstrings]));
    const whole = readRequest([hostile]);
    assert.deepEqual(readRequest(source.pieces(hostile)), whole);
    const kinds = whole.map((part) => (part as { kind?: string }).kind);
    if (kinds.at(-1) === "end" && !kinds.includes("overlong address")) {
      assert.equal(hostile.indexOf(requestOf(whole)), 0, "a request that nobody would write so was taken");
    }
    const last = whole.findIndex((part) => /end|broken/.test(JSON.stringify(part).slice(0, 20)));
    assert.ok(last < 0 || last === whole.length - 1);
  },
};

const qmqpReply: Row = {
  name: "QMQP reply",
  cases: 1_000,
  check(source) {
    const text = source.text(["a", " ", "(#5.1.1)", "\n", "x".repeat(5_000)], 5);
    const kind = source.pick(["done", "temporary", "permanent"] as const);
    const outcome: Outcome<string> = kind === "done" ? done(text.slice(0, 9_000)) : { kind, status: "1.1", text };
    const wire = encodeQmqpReply(outcome);
    const decoded = decodeNetstring(wire, maxReplyOctets);
    assert.ok(typeof decoded !== "string" && decoded.used === wire.length);
    const parsed = parseQmqpReply(decoded.text);
    assert.deepEqual(
      parsed,
      outcome.kind === "done" ? outcome : { ...outcome, text: text.slice(0, maxReplyOctets - 100) },
    );
    parseQmqpReply(mutated(source, [decoded.text, "", "K", "Z (#4.3.0)", "D (#5.1.1) (#5.1.1)"]));
  },
};

/** The obvious reader, of all octets at once. */
function readSlowly(wire: Buffer): readonly unknown[] {
  const all: unknown[] = [];
  for (let at = 0; wire.length - at >= headerOctets; ) {
    const length = wire.readUInt32BE(at);
    if (length > maxPayloadOctets) return [...all, "broken"];
    const start = at + headerOctets;
    at = start + length;
    if (at > wire.length) break;
    all.push({ type: wire[start - 5], stream: wire.readUInt32BE(start - 4), payload: wire.subarray(start, at) });
  }
  return all;
}

function readFrames(pieces: readonly Buffer[]): readonly unknown[] {
  const read = createFrameReader();
  const all: unknown[] = [];
  for (const piece of pieces) {
    const frames: readonly Frame[] | "broken" = read(piece);
    if (frames === "broken") return [...all, "broken"];
    all.push(...frames.map(({ type, stream, payload }) => ({ type, stream, payload: Buffer.from(payload) })));
  }
  return all;
}

const frames: Row = {
  name: "frames",
  cases: 1_200,
  check(source) {
    const sent = source.list(6, () => ({
      type: source.below(256),
      stream: source.below(2 ** 32),
      payload: source.octets(source.oneIn(20) ? maxPayloadOctets : 40),
    }));
    const wire = Buffer.concat(sent.map(({ type, stream, payload }) => encodeFrame(type, stream, payload)));
    assert.deepEqual(readFrames(source.pieces(wire)), sent);
    const size = source.pick([0, 1, maxPayloadOctets, maxPayloadOctets + 1, 2 ** 32 - 1]);
    const head = Buffer.from([size >>> 24, size >>> 16, size >>> 8, size, 7, 0, 0, 0, 1]).toString("latin1");
    const hostile = octetsOf(mutated(source, [wire.subarray(0, 400).toString("latin1") + head]));
    const expected = readSlowly(hostile);
    for (const pieces of [[hostile], source.pieces(hostile)]) {
      const read = readFrames(pieces);
      assert.equal(read.at(-1) === "broken", expected.at(-1) === "broken");
      // What came in one piece with the nonsense is not believed either.
      const frames = read.filter((frame) => frame !== "broken");
      assert.deepEqual(frames, expected.slice(0, frames.length));
      if (!read.includes("broken")) assert.equal(frames.length, expected.length);
    }
  },
};

/** A frame and how to make its fields. */
interface Sample {
  readonly name: string;
  check(source: Source): void;
}

function sample<L extends Layout>(name: string, kind: FrameKind<L>, make: (source: Source) => Fields<L>): Sample {
  const check = (source: Source): void => {
    const fields = make(source);
    const stream = source.below(2 ** 32);
    const wire = kind.encode(stream, fields);
    const payload = wire.subarray(headerOctets);
    assert.deepEqual(readFrames([wire]), [{ type: kind.type, stream, payload }]);
    assert.deepEqual(kind.decode(payload), fields);
    const hostile = octetsOf(mutated(source, [payload.toString("latin1")])).subarray(0, maxPayloadOctets);
    const decoded = kind.decode(hostile);
    if (decoded) assert.deepEqual(kind.encode(stream, decoded).subarray(headerOctets), hostile);
    if (hostile.length > 0) assert.notDeepEqual(kind.decode(hostile.subarray(0, -1)), decoded ?? null);
  };
  return { name, check };
}

const u8 = (source: Source): number => source.below(256);
const u32 = (source: Source): number => source.pick([0, 1, 2 ** 31, 2 ** 32 - 1, source.below(2 ** 32)]);
const u53 = (source: Source): number => source.pick([0, 2 ** 32, Number.MAX_SAFE_INTEGER, source.below(2 ** 32)]);
const text = (source: Source): string => mutated(source, addresses).slice(0, 1_000);
const texts = (source: Source): string[] => source.list(20, () => text(source));
const none = (): Record<never, never> => ({});

const samples: readonly Sample[] = [
  sample("open", submission.open, none),
  sample("recipients", submission.recipients, (s) => ({ forwardPaths: texts(s) })),
  sample("commit", submission.commit, (s) => ({ reversePath: text(s), bodyKind: u8(s), uid: u32(s) })),
  sample("abandon", submission.abandon, none),
  sample("stored", submission.stored, (s) => ({ queueId: u53(s) })),
  sample("refused", submission.refused, (s) => ({ permanent: u8(s), status: text(s), text: text(s) })),
  sample("client", submission.client, (s) => ({
    ...{ address: text(s), port: u32(s), localAddress: text(s), localPort: u32(s) },
  })),
  sample("dsnRecipients", submission.dsnRecipients, (s) => ({
    ...{ forwardPaths: texts(s), notify: s.list(20, () => u32(s)), originalRecipients: texts(s) },
  })),
  sample("options", submission.options, (s) => ({
    ...{ envelopeId: text(s), ret: u8(s), flags: u8(s), priority: u8(s), holdUntilMs: u53(s) },
  })),
  sample("submissionCredit", submission.submissionCredit, (s) => ({ octets: u32(s) })),
  sample("deliver", delivery.deliver, (s) => ({
    ...{ queueId: u53(s), name: text(s), arrivedMs: u53(s), octets: u53(s), bodyKind: u8(s), attempt: u32(s) },
    ...{ reversePath: text(s), numbers: s.list(50, () => u32(s)), forwardPaths: texts(s) },
  })),
  sample("deliverOptions", delivery.deliverOptions, (s) => ({
    ...{ envelopeId: text(s), ret: u8(s), flags: u8(s), priority: u8(s) },
    ...{ notify: s.list(20, () => u32(s)), originalRecipients: texts(s) },
  })),
  sample("relayed", delivery.relayed, (s) => ({ peer: text(s), takesDsn: u8(s), isFinal: u8(s) })),
  sample("bodyEnd", delivery.bodyEnd, none),
  sample("settled", delivery.settled, none),
  sample("deliveryCredit", delivery.deliveryCredit, (s) => ({ octets: u32(s) })),
  sample("forward", delivery.forward, (s) => ({ reversePath: text(s), prefix: s.octets(500), forwardPaths: texts(s) })),
  sample("report", delivery.report, (s) => ({ number: u32(s), letter: text(s), status: text(s), text: text(s) })),
  sample("ended", delivery.ended, (s) => ({ reached: u8(s) })),
  sample("task", worker.task, (s) => ({
    ...{ name: text(s), number: u32(s), octets: u53(s), user: text(s), home: text(s), homeKind: u8(s), local: text(s) },
    ...{
      domain: text(s),
      dash: text(s),
      extension: text(s),
      reversePath: text(s),
      defaultDelivery: text(s),
      host: text(s),
      quota: text(s),
      fullIsPermanent: u8(s),
    },
  })),
  sample("ran", worker.ran, (s) => ({ exitCode: u8(s), signalled: u8(s), output: text(s) })),
  sample("worker abandon", worker.abandon, none),
  sample("written", worker.written, (s) => ({ device: u53(s), folder: u32(s) })),
  sample("run", worker.run, (s) => ({ command: text(s), home: text(s), file: u32(s), environment: texts(s) })),
  sample("probe", worker.probe, (s) => ({
    ...{ home: text(s), homeKind: u8(s), local: text(s), dash: text(s), extension: text(s) },
    ...{ defaultDelivery: text(s), quota: text(s), fullIsPermanent: u8(s) },
  })),
  sample("probed", worker.probed, (s) => ({ answer: u8(s) })),
  sample("askRecipient", directory.askRecipient, (s) => ({ address: text(s) })),
  sample("recipientAnswer", directory.recipientAnswer, (s) => ({ answer: u8(s) })),
  sample("askSender", directory.askSender, (s) => ({ account: text(s), address: text(s) })),
  sample("senderAnswer", directory.senderAnswer, (s) => ({ answer: u8(s) })),
  sample("saslBegin", directory.saslBegin, (s) => ({
    ...{ service: text(s), mechanism: text(s), address: text(s), hasInitial: u8(s), initial: s.octets(500) },
    ...{ bindingType: text(s), binding: s.octets(100) },
  })),
  sample("saslResponse", directory.saslResponse, (s) => ({ octets: s.octets(500) })),
  sample("saslChallenge", directory.saslChallenge, (s) => ({ octets: s.octets(500) })),
  sample("saslEnd", directory.saslEnd, (s) => ({
    ...{ letter: text(s), account: text(s), text: text(s), additional: s.octets(100), ticket: s.octets(32) },
  })),
  sample("saslCancel", directory.saslCancel, none),
  sample("askMailbox", directory.askMailbox, (s) => ({ address: text(s) })),
  sample("forgetMailbox", directory.forgetMailbox, () => ({})),
  sample("mailboxAnswer", directory.mailboxAnswer, (s) => ({ answer: u8(s) })),
  sample("askPassword", directory.askPassword, (s) => ({ account: text(s), password: s.octets(500) })),
  sample("passwordAnswer", directory.passwordAnswer, (s) => ({ letter: text(s) })),
  sample("grant", directory.grant, (s) => ({ ticket: s.octets(32), address: text(s) })),
  sample("askRelay", directory.askRelay, (s) => ({ address: text(s) })),
  sample("relayAnswer", directory.relayAnswer, (s) => ({ answer: u8(s) })),
  sample("askPlace", directory.askPlace, (s) => ({ address: text(s) })),
  sample("placeAnswer", directory.placeAnswer, (s) => ({
    ...{ answer: u8(s), uid: u32(s), gid: u32(s), home: text(s), folder: text(s), quota: text(s) },
  })),
  sample("askLogin", login.askLogin, (s) => ({ account: text(s), password: s.octets(500), address: text(s) })),
  sample("findAccount", login.findAccount, (s) => ({ account: text(s) })),
  sample("loginAnswer", login.loginAnswer, (s) => ({
    ...{ letter: text(s), account: text(s), uid: u32(s), gid: u32(s), home: text(s), folder: text(s), quota: text(s) },
  })),
  sample("openSession", mailbox.openSession, (s) => ({ ticket: s.octets(64), logins: texts(s) })),
  sample("outputCredit", mailbox.outputCredit, (s) => ({ octets: u32(s) })),
  sample("closeSession", mailbox.closeSession, none),
  sample("opened", mailbox.opened, none),
  sample("refusedSession", mailbox.refusedSession, (s) => ({ text: text(s) })),
  sample("inputCredit", mailbox.inputCredit, (s) => ({ octets: u32(s) })),
  sample("sessionEnded", mailbox.sessionEnded, (s) => ({ retrieved: u32(s), deleted: u32(s) })),
];

/** Every frame there is: the names under which these modules export one. */
export const frameNames = [submission, delivery, worker, directory, login, mailbox].flatMap((module) =>
  Object.entries(module).flatMap(([name, value]) => (typeof value === "object" && "decode" in value ? [name] : [])),
);
export const sampledFrames = samples.map(({ name }) => name.replace("worker ", ""));

const layouts = samples.map(({ name, check }): Row => ({ name: `frame ${name}`, cases: 250, check }));

export const wireRows: readonly Row[] = [netstring, length, qmqp, qmqpReply, frames, ...layouts];
