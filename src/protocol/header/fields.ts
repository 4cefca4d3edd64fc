/** One header field, with the lines it goes on in, and its line end. */
export interface Field {
  /** In lower case. */
  readonly name: string;
  readonly text: string;
}

export interface MessageParts {
  readonly fields: readonly Field[];
  /** What follows the empty line; `undefined` when there is no such line, and nothing after the fields. */
  readonly body: Buffer | undefined;
}

const LF = 0x0a;
const isContinuation = (octet: number): boolean => octet === 0x20 || octet === 0x09;

/**
 * Takes a message with LF line ends apart. The header ends at an empty line or, for the careless, at the first line
 * that is no field (RFC 5322 §2.2): that one is body already. `From ` lines of mailboxes become MBOX-Line fields.
 */
export function splitMessage(message: Buffer): MessageParts {
  const fields: Field[] = [];
  let at = 0;
  while (at < message.length) {
    if (message[at] === LF) return { fields, body: message.subarray(at + 1) };
    const end = endOfField(message, at);
    const name = fieldName(message.toString("latin1", at, Math.min(end, at + maxNameOctets)));
    if (name === undefined) return { fields, body: message.subarray(at) };
    const text = message.toString("latin1", at, end) + (message[end - 1] === LF ? "" : "\n");
    fields.push(name === "" ? { name: "mbox-line", text: `MBOX-Line: ${text}` } : { name, text });
    at = end;
  }
  return { fields, body: undefined };
}

const maxNameOctets = 1_000;

function endOfField(message: Buffer, from: number): number {
  let at = from;
  for (;;) {
    const lineEnd = message.indexOf(LF, at);
    if (lineEnd < 0) return message.length;
    at = lineEnd + 1;
    if (!isContinuation(message[at] ?? LF)) return at;
  }
}

/** The name a field begins with, "" for a mailbox's `From ` line, `undefined` for what is no field. */
function fieldName(text: string): string | undefined {
  const name = /^[!-9;-~]+(?=[ \t]*:)/.exec(text)?.[0];
  return name?.toLowerCase() ?? (text.startsWith("From ") ? "" : undefined);
}

/** What stands after the colon of a field. */
export const fieldValue = (field: Field): string => field.text.slice(field.text.indexOf(":") + 1);
