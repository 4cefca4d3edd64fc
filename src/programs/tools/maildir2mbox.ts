import {
  closeSync,
  constants,
  createReadStream,
  fsyncSync,
  openSync,
  renameSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { errorWords } from "../../protocol/dot-qmail/error-words.ts";
import { fromLine } from "../../protocol/mbox/from-line.ts";
import { createMboxQuoter } from "../../protocol/mbox/quote.ts";
import { temporary } from "../../protocol/outcome.ts";
import { errorCode, safeFlags } from "../../services/maildir/file.ts";
import { withDotLock } from "./dot-lock.ts";
import { type MaildirMessage, messagesIn, readHead } from "./maildir-messages.ts";
import { type Call, exitDone, exitTemporary, fail, needVariables } from "./tool.ts";

/**
 * maildir2mbox: moves the messages of MAILDIR to the end of MAIL. Everything is written to MAILTMP, on disk, before
 * that takes MAIL's place and the messages go: killed in between, it leaves messages in both.
 */
export async function maildir2mbox(call: Call): Promise<number> {
  const variables = needVariables(call, ["MAILDIR", "MAIL", "MAILTMP"]);
  if (variables.kind !== "done") {
    fail(call, variables);
    return exitTemporary;
  }
  const { MAILDIR = "", MAIL = "", MAILTMP = "" } = call.environment;
  try {
    const moved = await withDotLock(MAIL, async () => {
      const messages = messagesIn(MAILDIR, ["new", "cur"]);
      if (messages.length === 0) return;
      await writeMbox(MAIL, MAILTMP, messages);
      renameSync(MAILTMP, MAIL);
      flushFolder(dirname(MAIL));
      for (const { path } of messages) unlinkSync(path);
    });
    return moved.kind === "done" ? exitDone : fail(call, moved);
  } catch (error) {
    const code = errorCode(error);
    return fail(call, temporary("3.0", `unable to move ${MAILDIR} to ${MAIL}: ${errorWords(code)}; nothing is lost`));
  }
}

async function writeMbox(mbox: string, temporaryPath: string, messages: readonly MaildirMessage[]): Promise<void> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | safeFlags;
  const fd = openSync(temporaryPath, flags, 0o600);
  try {
    let last = 10;
    for await (const piece of piecesOf(mbox, "may be missing")) {
      writeAll(fd, piece);
      last = piece.at(-1) ?? last;
    }
    if (last !== 10) writeAll(fd, Buffer.from("\n"));
    for (const message of messages) await appendMessage(fd, message);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

async function appendMessage(fd: number, { path, mtimeMs }: MaildirMessage): Promise<void> {
  writeAll(fd, Buffer.from(fromLine(senderOf(readHead(path, maxFirstLineOctets)), mtimeMs), "latin1"));
  const quoter = createMboxQuoter();
  for await (const piece of piecesOf(path)) for (const part of quoter.write(piece)) writeAll(fd, part);
  for (const part of quoter.end()) writeAll(fd, part);
}

const maxFirstLineOctets = 4_096;

/** Who sent it, by the Return-Path in the first line; "" where that does not tell. */
export function senderOf(head: Buffer): string {
  const [line = ""] = head.toString("latin1").split("\n", 1);
  const open = line.indexOf("<");
  const isReturnPath = line.toLowerCase().startsWith("return-path:");
  return isReturnPath && open > 0 && line.endsWith(">") ? line.slice(open + 1, -1) : "";
}

async function* piecesOf(path: string, missing?: "may be missing"): AsyncGenerator<Buffer> {
  try {
    yield* createReadStream(path) as AsyncIterable<Buffer>;
  } catch (error) {
    if (missing === undefined || errorCode(error) !== "ENOENT") throw error;
  }
}

function writeAll(fd: number, octets: Buffer): void {
  for (let at = 0; at < octets.length; ) at += writeSync(fd, octets, at);
}

function flushFolder(folder: string): void {
  const fd = openSync(folder, constants.O_RDONLY);
  fsyncSync(fd);
  closeSync(fd);
}
