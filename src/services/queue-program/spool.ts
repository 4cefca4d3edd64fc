import { randomUUID } from "node:crypto";
import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import { done, type Outcome, temporary } from "../../protocol/outcome.ts";
import { errorCode } from "../maildir/file.ts";

/** Octets on their way to a program, in a file that has no name any more: it goes when nobody has it open. */
export interface Spool {
  /** The program that is given this reads from the first octet on. */
  readonly fd: number;
  /** One call at a time. Never rejects. */
  write(octets: Uint8Array): Promise<Outcome<void>>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** An empty one, in a folder that is ours to write in. */
export async function openSpool(folder: string): Promise<Outcome<Spool>> {
  const path = join(folder, `message-${randomUUID()}`);
  try {
    const file = await open(path, "wx+", 0o600);
    await rm(path);
    let length = 0;
    return done({
      fd: file.fd,
      async write(octets) {
        try {
          // By position: the file's own place stays at its beginning, for the program to read from.
          for (let at = 0; at < octets.length; ) {
            const { bytesWritten } = await file.write(octets, at, octets.length - at, length);
            at += bytesWritten;
            length += bytesWritten;
          }
          return done(undefined);
        } catch (error) {
          return cannotSpool(folder, error);
        }
      },
      [Symbol.asyncDispose]: () => file.close(),
    });
  } catch (error) {
    return cannotSpool(folder, error);
  }
}

const cannotSpool = (folder: string, error: unknown) =>
  temporary("3.1", `cannot write a message in ${folder}: ${errorCode(error)}`);
