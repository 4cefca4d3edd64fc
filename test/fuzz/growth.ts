import { parseDotQmail } from "../../src/protocol/dot-qmail/lines.ts";
import { completeMessage } from "../../src/protocol/header/complete.ts";
import { splitMessage } from "../../src/protocol/header/fields.ts";
import { createMboxQuoter } from "../../src/protocol/mbox/quote.ts";
import { createQmqpReader } from "../../src/protocol/qmqp/request.ts";
import { createDataDecoder } from "../../src/protocol/smtp/data.ts";
import { createHopCounter } from "../../src/protocol/smtp/hops.ts";
import { createReplyReader } from "../../src/protocol/smtp/reply.ts";
import { createDotStuffer } from "../../src/protocol/smtp/stuff.ts";
import { parseAssign } from "../../src/protocol/users/assign.ts";
import { createFrameReader, encodeFrame } from "../../src/protocol/wire/frame.ts";

/** Something that is given an input of about `size` octets, of the kind that costs it most. */
export interface GrowthRow {
  readonly name: string;
  readonly work: (size: number) => void;
}

const repeated = (text: string, size: number): string => text.repeat(Math.ceil(size / text.length));
const octetsOf = (text: string): Buffer => Buffer.from(text, "latin1");
const byOctets = (octets: Buffer, take: (piece: Buffer) => unknown): void => {
  for (let at = 0; at < octets.length; at++) take(octets.subarray(at, at + 1));
};

const inject = (header: string): void => {
  const completed = completeMessage(octetsOf(header), {
    author: { user: "u", host: "h", name: undefined, senderUser: undefined, senderHost: undefined },
    completion: { defaulthost: "h", defaultdomain: "d", plusdomain: "p" },
    idhost: "i",
    letters: new Set(),
    recipientsFrom: "header",
    arguments: [],
    reversePath: undefined,
    mailingLists: new Set(["a@b"]),
    nowMs: 0,
    pid: 1,
  });
  if (completed.kind === "temporary") throw new Error(completed.text);
};

export const growthRows: readonly GrowthRow[] = [
  { name: "inject: addresses in brackets", work: (size) => inject(`To: ${repeated("<a@b>,", size)}c@d\n\n`) },
  { name: "inject: words before an address", work: (size) => inject(`To: ${repeated("a ", size)}<c@d>\n\n`) },
  { name: "inject: addresses without commas", work: (size) => inject(`To: ${repeated("a@b ", size)}\n\n`) },
  { name: "inject: open comments", work: (size) => inject(`To: ${repeated("(", size)}\n\n`) },
  { name: "inject: open brackets", work: (size) => inject(`To: ${repeated("<", size)}\n\n`) },
  { name: "inject: one atom", work: (size) => inject(`To: ${repeated("a", size)}\n\n`) },
  { name: "inject: routes", work: (size) => inject(`To: <${repeated("@a,", size)}:b@c>\n\n`) },
  { name: "inject: folded lines", work: (size) => inject(`To: ${repeated("a,\n ", size)}b\n\n`) },
  { name: "inject: fields", work: (size) => inject(`${repeated("To: a\n", size)}\n`) },
  {
    name: "header fields: names without a colon",
    work: (size) => splitMessage(octetsOf(repeated(`${"x".repeat(900)}\n`, size))),
  },
  {
    name: "SMTP data, octet by octet",
    work: (size) => byOctets(octetsOf(repeated("..a\r\n", size)), createDataDecoder()),
  },
  { name: "SMTP data, empty lines", work: (size) => createDataDecoder()(octetsOf(repeated("\r\n", size))) },
  { name: "SMTP data, stuffed dots", work: (size) => createDataDecoder()(octetsOf(repeated("..\r\n", size))) },
  { name: "dot stuffing, line ends", work: (size) => createDotStuffer()(octetsOf(repeated("\r\n.\n\r", size)), true) },
  {
    name: "SMTP replies, octet by octet",
    work: (size) => byOctets(octetsOf(repeated("250 x\r\n", size)), createReplyReader()),
  },
  {
    name: "hops, octet by octet",
    work: (size) => byOctets(octetsOf(repeated("received\n", size)), createHopCounter()),
  },
  {
    name: "mbox, octet by octet",
    work: (size) => {
      const quoter = createMboxQuoter();
      byOctets(octetsOf(repeated(">From \n", size)), (piece) => quoter.write(piece));
    },
  },
  { name: "mbox, one line of quotes", work: (size) => createMboxQuoter().write(octetsOf(repeated(">", size))) },
  {
    name: "QMQP, octet by octet",
    work: (size) => byOctets(octetsOf(`${size + 20}:${size}:${repeated("x", size)},`), createQmqpReader()),
  },
  { name: "users/assign", work: (size) => parseAssign(`${repeated("=a:b:1:1:/c:::\n", size)}.\n`) },
  {
    name: ".qmail lines of blanks",
    work: (size) => parseDotQmail(`#\n${repeated(" ", size)}x${repeated(" ", size)}`, false),
  },
  {
    name: "frames, octet by octet",
    work: (size) => {
      const payload = Math.min(size, 65_536);
      byOctets(encodeFrame(1, 1, Buffer.alloc(payload)), createFrameReader());
    },
  },
];

/** Small enough for the short form, large enough that a square would be seen by whoever waits for it. */
export const growthOctets = 400_000;
const base = 16_384;
/** Four times the input may take eight times as long, for caches and collections; the square would take sixteen. */
const mostRatio = 10;
const tries = 4;

/** How the time of a row grows from 16 KiB to four times as much: the best of some tries, for others use the machine. */
export function measureGrowth({ name, work }: GrowthRow): string {
  const time = (size: number): number => {
    const before = process.cpuUsage();
    for (let repeat = 0; repeat < 5; repeat++) work(size);
    const { user, system } = process.cpuUsage(before);
    return Math.max(1, user + system);
  };
  time(base);
  const ratio = Math.min(...Array.from({ length: tries }, () => time(4 * base) / time(base)));
  if (ratio > mostRatio) process.exitCode = 1;
  return `${ratio.toFixed(1).padStart(9)}  times as long for four times as much: ${name}${ratio > mostRatio ? "  TOO MUCH" : ""}`;
}
