import { mkdirSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** One message as qmail leaves it on disk. What is absent has no file. */
export interface QmailMessage {
  readonly number: number;
  readonly mess?: string;
  readonly todo?: string;
  readonly intd?: string;
  readonly info?: string;
  readonly local?: string;
  readonly remote?: string;
  readonly bounce?: string;
  /** Seconds since 1970: of info, or of todo. */
  readonly born?: number;
  /** Of the channel files. */
  readonly next?: number;
}

export const records = (...texts: readonly string[]): string => texts.map((text) => `${text}\0`).join("");
export const todo = (reversePath: string, ...recipients: readonly string[]): string =>
  records("u1000", "p77", `F${reversePath}`, ...recipients.map((each) => `T${each}`));

/** Makes a queue folder as qmail's installation does, and puts messages into it. */
export function writeQmailQueue(
  queue: string,
  messages: readonly QmailMessage[],
  options: { readonly split?: number; readonly splitTodo?: boolean } = {},
): void {
  const split = options.split ?? 23;
  for (const place of ["mess", "info", "local", "remote"]) {
    for (let folder = 0; folder < split; folder++) mkdirSync(join(queue, place, String(folder)), { recursive: true });
  }
  for (const place of ["todo", "intd", "bounce", "pid", "lock"]) mkdirSync(join(queue, place), { recursive: true });
  writeFileSync(join(queue, "lock/sendmutex"), "");
  for (const message of messages) writeMessage(queue, message, split, options.splitTodo ?? false);
}

function writeMessage(queue: string, message: QmailMessage, split: number, splitTodo: boolean): void {
  const { number, born, next } = message;
  for (const place of ["mess", "info", "local", "remote", "todo", "intd", "bounce"] as const) {
    const text = message[place];
    if (text === undefined) continue;
    const isSplit = ["mess", "info", "local", "remote"].includes(place) || (splitTodo && place !== "bounce");
    const path = join(queue, place, ...(isSplit ? [String(number % split)] : []), String(number));
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text, "latin1");
    const time = ["info", "todo"].includes(place) ? born : ["local", "remote"].includes(place) ? next : undefined;
    if (time !== undefined) utimesSync(path, time, time);
  }
}
