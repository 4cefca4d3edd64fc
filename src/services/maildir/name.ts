/** Which copy this is: of which message (a name no other message has), for which recipient, by which of its lines. */
export interface Copy {
  readonly name: string;
  readonly number: number;
  /** Counts from 1 the lines of one delivery that name the same folder. */
  readonly line: number;
  readonly host: string;
}

const maxHostOctets = 64;

/** Whether a message's name may be part of a file's. */
export const isNameSafe = (name: string): boolean => /^[A-Za-z0-9_][A-Za-z0-9_.=+-]{0,99}$/.test(name);

/** The name of its file, by the Maildir contract: the same for every attempt, different for everything else. */
export const fileNameOf = (copy: Copy): string =>
  `${copy.name}R${copy.number}${copy.line > 1 ? `D${copy.line}` : ""}.${hostPart(copy.host)}`;

const hostPart = (host: string): string =>
  host
    .replace(/[\0-\x20\x7f-\xff]/g, "_")
    .replaceAll("/", "\\057")
    .replaceAll(":", "\\072")
    .slice(0, maxHostOctets);
