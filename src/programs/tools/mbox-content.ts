import { createHash } from "node:crypto";
import { parseFromLine } from "../../protocol/mbox/parse-from-line.ts";
import { createMboxScanner, type MessageStart } from "../../protocol/mbox/split.ts";
import { type MboxStatus, takeStatus } from "../../protocol/mbox/status.ts";
import { createMboxUnquoter } from "../../protocol/mbox/unquote.ts";
import type { Content } from "../../services/maildir/file.ts";
import type { Files } from "../../services/maildir/files.ts";

/** A message of an mbox, as a Maildir is to have it. */
export interface MboxMessage {
  /** The octet of the mbox at which it begins. */
  readonly at: number;
  readonly dateMs: number | undefined;
  readonly status: Omit<MboxStatus, "header">;
  readonly content: Content;
  /** Of its content. */
  readonly hash: string;
}

const pieceOctets = 65_536;
/** A header that does not end within this stays as it is. */
const maxHeaderOctets = 1_048_576;

/** The messages of the mbox open as `fd`, in order; text before the first is none of them. Throws the system's error. */
export function* messagesOf(files: Files, fd: number): Generator<MboxMessage> {
  let last: MessageStart | undefined;
  const scanner = createMboxScanner();
  const { size } = files.fstat(fd);
  for (const piece of range(files, fd, 0, size)) {
    for (const start of scanner.write(piece)) {
      if (last) yield readMessage(files, fd, last, start.at);
      last = start;
    }
  }
  if (last) yield readMessage(files, fd, last, size);
}

function readMessage(files: Files, fd: number, { at, line }: MessageStart, end: number): MboxMessage {
  const from = afterFromLine(files, fd, at, end);
  const to = withoutEmptyLine(files, fd, from, end);
  const head = Buffer.concat([...range(files, fd, from, Math.min(to, from + maxHeaderOctets))]);
  const empty = head[0] === 10 ? 0 : head.indexOf("\n\n") + 1;
  const headerEnd = empty > 0 || head[0] === 10 ? empty : to - from === head.length ? head.length : 0;
  const { header, isNew, flags } = takeStatus(head.toString("latin1", 0, headerEnd));
  function* pieces(): Generator<Buffer> {
    const unquoter = createMboxUnquoter();
    yield* unquoter.write(Buffer.from(header, "latin1"));
    for (const piece of range(files, fd, from + headerEnd, to)) yield* unquoter.write(piece);
    yield* unquoter.end();
  }
  const hash = createHash("sha256");
  let octets = 0;
  for (const piece of pieces()) {
    hash.update(piece);
    octets += piece.length;
  }
  const content = { octets, pieces };
  return { at, dateMs: parseFromLine(line).atMs, status: { isNew, flags }, content, hash: hash.digest("hex") };
}

function afterFromLine(files: Files, fd: number, at: number, end: number): number {
  let position = at;
  for (const piece of range(files, fd, at, end)) {
    const lineEnd = piece.indexOf(10);
    if (lineEnd >= 0) return position + lineEnd + 1;
    position += piece.length;
  }
  return end;
}

/** The empty line at the end is the mbox's, not the message's. */
function withoutEmptyLine(files: Files, fd: number, from: number, end: number): number {
  const tail = Buffer.concat([...range(files, fd, Math.max(from, end - 2), end)]).toString("latin1");
  return tail === "\n\n" || tail === "\n" ? end - 1 : end;
}

function* range(files: Files, fd: number, from: number, end: number): Generator<Buffer> {
  for (let at = from; at < end; ) {
    const piece = Buffer.allocUnsafe(Math.min(pieceOctets, end - at));
    const got = files.read(fd, piece, 0, piece.length, at);
    if (got === 0) throw Object.assign(new Error("the mbox became shorter"), { code: "EIO" });
    yield piece.subarray(0, got);
    at += got;
  }
}
