/** What a mailbox may hold; 0 for no bound. */
export interface Quota {
  readonly octets: number;
  readonly messages: number;
}

export interface Usage {
  readonly octets: number;
  readonly messages: number;
}

/** What the file `maildirsize` of a Maildir says (Maildir++). */
export interface SizeFile {
  readonly quota: Quota;
  /** Absent when the file is too long or damaged: then all is to be counted anew. */
  readonly usage: Usage | undefined;
  /** It was counted, and nothing has changed since. */
  readonly isFresh: boolean;
}

/** A longer one is counted anew: that is how it stays small, and how its errors go away. */
export const maxSizeFileOctets = 5_120;

/** Reads "10000000S,1000C": octets, messages, either of them or both; `undefined` when it is neither. */
export function parseQuota(text: string): Quota | undefined {
  let octets: number | undefined;
  let messages: number | undefined;
  for (const part of text.trim().split(",")) {
    const [, digits = "", unit = ""] = /^([0-9]{1,15})([A-Z])$/.exec(part) ?? [];
    if (unit === "S") octets = Number(digits);
    else if (unit === "C") messages = Number(digits);
    else if (unit === "") return undefined; // other letters are others' business
  }
  if (octets === undefined && messages === undefined) return undefined;
  return { octets: octets ?? 0, messages: messages ?? 0 };
}

export const quotaText = ({ octets, messages }: Quota): string =>
  [...(octets > 0 ? [`${octets}S`] : []), ...(messages > 0 ? [`${messages}C`] : [])].join(",") || "0S";

export const isSameQuota = (one: Quota, other: Quota): boolean =>
  one.octets === other.octets && one.messages === other.messages;

/** Reads the file, latin1, or as much as its bound and one octet more; `undefined` when it begins with no quota. */
export function parseSizeFile(text: string): SizeFile | undefined {
  const [first = "", ...lines] = text.split("\n");
  const quota = parseQuota(first);
  if (!quota) return undefined;
  const isWhole = lines.pop() === "" && lines.length > 0 && text.length <= maxSizeFileOctets;
  return { quota, usage: isWhole ? sumOf(lines) : undefined, isFresh: lines.length === 1 };
}

function sumOf(lines: readonly string[]): Usage | undefined {
  let octets = 0;
  let messages = 0;
  for (const line of lines) {
    const [, size, count] = /^ *(-?[0-9]{1,15}) +(-?[0-9]{1,9}) *$/.exec(line) ?? [];
    if (size === undefined || count === undefined) return undefined;
    octets += Number(size);
    messages += Number(count);
  }
  return octets < 0 || messages < 0 ? undefined : { octets, messages };
}

export const changeLine = ({ octets, messages }: Usage): string => `${octets} ${messages}\n`;

export const sizeFileText = (quota: Quota, usage: Usage): string => `${quotaText(quota)}\n${changeLine(usage)}`;

/** Whether so much more may come. */
export const hasRoom = (quota: Quota, usage: Usage, more: Usage): boolean =>
  (quota.octets === 0 || usage.octets + more.octets <= quota.octets) &&
  (quota.messages === 0 || usage.messages + more.messages <= quota.messages);
