import assert from "node:assert/strict";
import { addressOf, isPrintable, maxPathOctets, parsePath, quoteAddress } from "../../../src/protocol/address.ts";
import { createLines, type Line, strayEnd, tooLong } from "../../../src/protocol/lines.ts";
import { parseIp } from "../../../src/protocol/network/network.ts";
import { readProxyHeader } from "../../../src/protocol/proxy/proxy.ts";
import { parseAuth, parseResponse, withoutSecret } from "../../../src/protocol/smtp/auth.ts";
import { createTextDecoder } from "../../../src/protocol/smtp/chunk.ts";
import { maxCommandOctets, parseCommand } from "../../../src/protocol/smtp/command.ts";
import { createDataDecoder } from "../../../src/protocol/smtp/data.ts";
import { createHopCounter } from "../../../src/protocol/smtp/hops.ts";
import {
  createReplyReader,
  maxReplyLineOctets,
  maxReplyLines,
  quoteReply,
  type Reply,
  replyStatus,
} from "../../../src/protocol/smtp/reply.ts";
import {
  endOfChunk,
  endOfData,
  newSession,
  type Rules,
  type Session,
  step,
} from "../../../src/protocol/smtp/session.ts";
import { createDotStuffer } from "../../../src/protocol/smtp/stuff.ts";
import { receivedLine } from "../../../src/protocol/smtp/trace.ts";
import { decodeXtext } from "../../../src/protocol/smtp/xtext.ts";
import { isUtf8Text } from "../../../src/protocol/utf8.ts";
import { maxSaslOctets } from "../../../src/protocol/wire/directory.ts";
import type { Row } from "../explore.ts";
import { mutated, readSeeds } from "../mutate.ts";
import { decodeInPieces, decodeSlowly, decodeTextSlowly, hasOneEnd, normalised, stuffInPieces } from "../slow.ts";
import { everyCut, type Source } from "../source.ts";

const commands = readSeeds("smtp-commands");
const paths = readSeeds("addresses");
const replies = readSeeds("smtp-replies");
const xtexts = ["", "QQ314159", "Bob@Example.Com", "a+2Bb+3D+20c", "+7E+7F", "+0D+0A", "+2b", "+", "a=b", "\xe4"];
const proxyHeaders = [
  "PROXY TCP4 192.0.2.1 198.51.100.2 12345 25\r\n",
  "PROXY TCP6 2001:db8::1 ::1 1 25\r\n",
  "PROXY UNKNOWN\r\nEHLO x\r\n",
  "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x02\x30\x39\0\x19EHLO",
  "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
];
const authLines = ["PLAIN", "PLAIN AGEAYg==", "login YQ==", "SCRAM-SHA-256 =", "*", "", "biwsbj11c2VyLHI9"];
const bodyWords = [
  "a",
  ".",
  "\r\n",
  "\n",
  "\r",
  "..",
  "\r\n.\r\n",
  "\r\n.",
  ".\r\n",
  "\0",
  "\r\r\n",
  "x".repeat(30),
  " ",
];

const commandLine: Row = {
  name: "SMTP command",
  cases: 3_000,
  check(source) {
    const command = parseCommand(mutated(source, commands));
    if (command.verb === "wrong" || command.verb === "lost") assert.match(command.reply, /^[45][0-9]{2} [ -~]{1,200}$/);
    else if (command.verb === "HELO" || command.verb === "EHLO") assert.ok(command.name && isPrintable(command.name));
    else if (command.verb === "MAIL") {
      const again = parseCommand(`MAIL FROM:<${quoteAddress(addressOf(command.reversePath))}> SIZE=1 SMTPUTF8`);
      assert.deepEqual(again.verb === "MAIL" && again.reversePath, command.reversePath);
      assert.ok(command.sizeOctets >= 0);
      assert.ok((decodeXtext(command.options?.envelopeId ?? "")?.length ?? 999) <= 100);
    } else if (command.verb === "BDAT") {
      assert.ok(Number.isSafeInteger(command.octets) && command.octets >= 0 && command.octets <= 2 ** 32);
    } else if (command.verb === "RCPT") {
      const again = parseCommand(`rcpt to: <${quoteAddress(addressOf(command.forwardPath))}>`);
      assert.deepEqual(again.verb === "RCPT" && again.forwardPath, command.forwardPath);
      const { notify = 0, originalRecipient = "" } = command.parameters ?? {};
      assert.ok(notify >= 0 && notify <= 8);
      assert.match(originalRecipient, /^(?:[A-Za-z0-9-]+;[!-~]+|utf-8;[!-~\x80-\xff]+)?$/i);
      if (command.isUtf8) assert.ok(isUtf8Text(addressOf(command.forwardPath) + originalRecipient));
    }
  },
};

const xtext: Row = {
  name: "xtext",
  cases: 1_000,
  check(source) {
    const decoded = decodeXtext(mutated(source, xtexts));
    if (decoded !== undefined) assert.match(decoded, /^[ -~]*$/);
    const shown = source
      .octets(40)
      .toString("latin1")
      .replace(/[^ -~]/g, "?");
    const hex = (octet: string): string => `+${octet.charCodeAt(0).toString(16).toUpperCase()}`;
    assert.equal(decodeXtext(shown.replace(/[ +=]/g, hex)), shown);
  },
};

const proxyHeader: Row = {
  name: "PROXY header",
  cases: 2_000,
  check(source) {
    const input = Buffer.from(mutated(source, proxyHeaders), "latin1");
    const read = readProxyHeader(input);
    if (read.kind === "more") assert.ok(input.length < 2_048);
    if (read.kind !== "done") return;
    assert.ok(read.octets <= input.length);
    assert.deepEqual(readProxyHeader(input.subarray(0, read.octets - 1)), { kind: "more" });
    for (const address of read.client ? [read.client.address, read.client.localAddress] : [])
      assert.ok(parseIp(address));
  },
};

const authLine: Row = {
  name: "AUTH lines",
  cases: 1_000,
  check(source) {
    const line = mutated(source, authLines);
    const read = parseAuth(line);
    if (typeof read === "string") assert.match(read, /^50[1] 5\.5\.[24] [ -~]*$/);
    else assert.ok(/^[A-Z0-9_-]{1,20}$/.test(read.mechanism) && (read.initial?.length ?? 0) <= maxSaslOctets);
    const response = parseResponse(line);
    if ("octets" in response) assert.equal(response.octets.toString("base64"), line);
    if (typeof read !== "string" && read.initial) assert.ok(!withoutSecret(`AUTH ${line}`).includes(" ", 5 + 21));
  },
};

const rules: Rules = {
  greeting: "mx.example ESMTP",
  tls: "offered",
  access: { mechanisms: ["PLAIN"], needsTls: false, account: undefined, isRequired: false },
  maxMessageOctets: 1_000,
  maxRecipients: 3,
  maxHoldSeconds: 100,
  maxPriority: 4,
  mayRelay: false,
  relaySuffix: "",
  queueProgram: undefined,
  isBadRecipient: () => false,
  accepts: (address) => !address.endsWith("@elsewhere"),
  isBadSender: (reversePath) => reversePath.startsWith("bad"),
  canonical: (path) => path,
};

const session: Row = {
  name: "SMTP session",
  cases: 1_000,
  check(source) {
    let state: Session = newSession;
    for (let count = source.size(30); count > 0; count--) {
      const { next, reply, chunk } = step(state, parseCommand(mutated(source, commands)), rules, 0);
      // Within a login the caller says what is to be said.
      if (next.at === "auth") assert.equal(reply, "");
      else for (const line of reply.split("\r\n")) assert.match(line, /^[2-5][0-9]{2}[ -][ -~]*$/);
      assert.ok(next.at !== "chunk" || chunk);
      if ("transaction" in next) {
        const { reversePath, forwardPaths } = next.transaction;
        assert.ok(forwardPaths.length <= rules.maxRecipients);
        assert.ok([reversePath, ...forwardPaths].every((address) => isPrintable(address)));
        assert.ok(next.at === "mail" || forwardPaths.length > 0);
      }
      const ended =
        next.at === "data" || next.at === "auth" || (next.at === "chunk" && (chunk?.last || source.oneIn(3)));
      state = ended ? endOfData(next) : endOfChunk(next);
    }
  },
};

const dataDecoder: Row = {
  name: "SMTP data",
  cases: 1_500,
  check(source) {
    const wire = Buffer.from(source.text(bodyWords, 30), "latin1");
    const expected = decodeSlowly(wire);
    for (const pieces of [[Buffer.from(wire)], source.pieces(wire), ...everyCut(wire.subarray(0, 120))]) {
      const whole = Buffer.concat(pieces);
      assert.deepEqual(
        decodeInPieces(createDataDecoder(), pieces),
        whole.equals(wire) ? expected : decodeSlowly(whole),
      );
    }
  },
};

const chunkDecoder: Row = {
  name: "BDAT text",
  cases: 1_500,
  check(source) {
    const wire = Buffer.from(source.text(bodyWords, 30), "latin1");
    for (const octets of [wire, wire.subarray(0, 120)]) {
      const expected = decodeTextSlowly(octets);
      for (const pieces of [[Buffer.from(octets)], source.pieces(octets), ...everyCut(wire.subarray(0, 120))]) {
        if (!Buffer.concat(pieces).equals(octets)) continue;
        const decode = createTextDecoder();
        let body = "";
        for (const [at, piece] of [...pieces, Buffer.alloc(0)].entries()) {
          const decoded = decode(piece, at === pieces.length);
          if (typeof decoded === "string") {
            body = decoded;
            break;
          }
          body += decoded.toString("latin1");
        }
        assert.equal(body, expected);
      }
    }
  },
};

const dotStuffer: Row = {
  name: "dot stuffing",
  cases: 1_500,
  check(source) {
    const message = Buffer.from(source.text(bodyWords, 40), "latin1");
    const wire = stuffInPieces(createDotStuffer(), [message]);
    assert.ok(hasOneEnd(wire), JSON.stringify(wire.toString("latin1")));
    for (const pieces of [source.pieces(message), ...everyCut(message.subarray(0, 60))]) {
      const whole = Buffer.concat(pieces);
      const expected = whole.equals(message) ? wire : stuffInPieces(createDotStuffer(), [whole]);
      assert.deepEqual(stuffInPieces(createDotStuffer(), pieces), expected);
    }
    if (message.includes(0)) return;
    const decoded = decodeInPieces(createDataDecoder(), source.pieces(wire));
    assert.deepEqual(decoded, { kind: "end", body: normalised(message), rest: "" });
  },
};

const address: Row = {
  name: "address",
  cases: 4_000,
  check(source) {
    const text = mutated(source, paths);
    const parsed = parsePath(text);
    if (parsed.kind !== "done") {
      assert.match(parsed.text, /^[ -~]{1,100}$/);
      return;
    }
    const printed = quoteAddress(addressOf(parsed.value));
    assert.ok(isPrintable(printed) && printed.length + 2 <= maxPathOctets);
    assert.deepEqual(parsePath(`<${printed}>`), parsed);
  },
};

const isReply = (reply: Reply | "broken"): reply is Reply => reply !== "broken";

function readReplies(pieces: readonly Buffer[]): readonly (Reply | "broken")[] {
  const read = createReplyReader();
  const all: (Reply | "broken")[] = [];
  for (const piece of pieces) {
    all.push(...read(piece));
    if (all.at(-1) === "broken") break;
  }
  return all;
}

const reply: Row = {
  name: "SMTP reply",
  cases: 1_500,
  check(source) {
    const wire = Buffer.from(mutated(source, replies), "latin1");
    const whole = readReplies([wire]);
    assert.deepEqual(readReplies(source.pieces(wire)), whole);
    for (const one of whole.filter(isReply)) {
      assert.ok(one.lines.length >= 1 && one.lines.length <= maxReplyLines);
      for (const line of one.lines) assert.ok(line.length <= maxReplyLineOctets && /^[\t -~]*$/.test(line));
      assert.match(quoteReply(one), /^[\t\n -~]{5,5001}$/);
      assert.match(replyStatus(one) ?? "0.0", /^[0-9]{1,3}\.[0-9]{1,3}$/);
    }
  },
};

const hops: Row = {
  name: "hop counter",
  cases: 800,
  check(source) {
    const words = [
      "received",
      "Received: x",
      "delivered-to",
      "DELIVERED",
      "deliverec",
      "\n",
      "\n\n",
      "x",
      "r",
      "D",
      " ",
    ];
    const body = Buffer.from(source.text(words, 40), "latin1");
    const header = body.toString("latin1").split(/(?:^|\n)\n/, 1)[0] ?? "";
    const expected = header.split("\n").filter((line) => /^(received|delivered)/i.test(line)).length;
    // A line counts when it ends; the last one may be still to come.
    const whole = Buffer.concat([body, Buffer.from("\n")]);
    for (const pieces of [[whole], source.pieces(whole)]) {
      const count = createHopCounter();
      assert.equal(pieces.map((piece) => count(piece)).at(-1), expected);
    }
  },
};

const hostile = (source: Source): string => mutated(source, [...paths, ...replies]);

const trace: Row = {
  name: "Received line",
  cases: 800,
  check(source) {
    const nowMs = source.below(2 ** 32) * 1_000;
    const line = receivedLine({
      helo: hostile(source),
      protocol: "ESMTP",
      address: hostile(source),
      by: hostile(source),
      nowMs,
    });
    assert.match(
      line,
      /^Received: from unknown( \(HELO [!-~]{1,255}\))?( \([!-~]{1,255}\))?\n {2}by [!-~]{0,255} with ESMTP; [ -~]{1,40}\n$/,
    );
  },
};

function commandLinesOf(pieces: readonly Buffer[]): readonly Line[] {
  const lines = createLines(maxCommandOctets, "CR LF");
  const taken: Line[] = [];
  for (const piece of pieces) {
    lines.put(piece);
    for (let line = lines.take(); line !== undefined; line = lines.take()) taken.push(line);
    assert.ok(lines.octets < maxCommandOctets);
  }
  return taken;
}

const commandLines: Row = {
  name: "SMTP lines",
  cases: 1_500,
  check(source) {
    const ends = ["\r\n", "\n", "\r", "\r\r\n", "\0"];
    const wire = Buffer.from(source.list(6, () => mutated(source, commands) + source.pick(ends)).join(""), "latin1");
    const whole = commandLinesOf([wire]);
    assert.deepEqual(commandLinesOf(source.pieces(wire)), whole);
    for (const line of whole)
      if (line !== tooLong && line !== strayEnd) assert.ok(line.length < maxCommandOctets && !/[\r\n]/.test(line));
  },
};

export const smtpRows: readonly Row[] = [
  commandLine,
  xtext,
  commandLines,
  session,
  dataDecoder,
  chunkDecoder,
  dotStuffer,
  proxyHeader,
  authLine,
  address,
  reply,
  hops,
  trace,
];
