import { closeSync, constants, openSync, readdirSync, readSync, statSync } from "node:fs";
import { safeFlags } from "../../services/maildir/file.ts";

/** A message in a Maildir. */
export interface MaildirMessage {
  readonly path: string;
  readonly mtimeMs: number;
}

/** The messages in some folders of a Maildir, oldest first. What vanishes meanwhile is left out. Throws the system's error. */
export function messagesIn(maildir: string, folders: readonly string[]): readonly MaildirMessage[] {
  const messages = folders.flatMap((folder) =>
    readdirSync(`${maildir}/${folder}`)
      .filter((name) => !name.startsWith("."))
      .flatMap((name) => {
        const path = `${maildir}/${folder}/${name}`;
        const stat = statSync(path, { throwIfNoEntry: false });
        return stat?.isFile() ? [{ path, mtimeMs: stat.mtimeMs }] : [];
      }),
  );
  return messages.sort((one, other) => one.mtimeMs - other.mtimeMs || (one.path < other.path ? -1 : 1));
}

/** The first octets of a file. Throws the system's error. */
export function readHead(path: string, mostOctets: number): Buffer {
  const fd = openSync(path, constants.O_RDONLY | safeFlags);
  try {
    const head = Buffer.alloc(mostOctets);
    return head.subarray(0, readSync(fd, head, 0, mostOctets, 0));
  } finally {
    closeSync(fd);
  }
}
