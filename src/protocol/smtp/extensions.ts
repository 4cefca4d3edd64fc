/** What a server offers in its reply to EHLO or LHLO, as far as we use it. */
export interface Extensions {
  readonly pipelining: boolean;
  readonly eightBitMime: boolean;
  readonly startTls: boolean;
  readonly xverp: boolean;
  readonly smtpUtf8: boolean;
  /** CHUNKING and BINARYMIME, which are of use together only (RFC 3030 §3). */
  readonly binary: boolean;
  readonly dsn: boolean;
  readonly requireTls: boolean;
  readonly mtPriority: boolean;
  /** In upper case. */
  readonly loginMechanisms: readonly string[];
  /** Largest message taken; undefined when it does not say. */
  readonly maxOctets?: number;
  readonly limits: Limits;
}

/** RFC 9422 §4: recipients of one message, messages and domains of one session. */
export interface Limits {
  readonly maxRecipients: number;
  readonly maxMessages: number;
  readonly maxDomains: number;
}

export const noLimits: Limits = {
  maxRecipients: Number.POSITIVE_INFINITY,
  maxMessages: Number.POSITIVE_INFINITY,
  maxDomains: Number.POSITIVE_INFINITY,
};

/** The lines of a reply to EHLO, its first left out (RFC 5321 §4.1.1.1). Keywords we do not know are passed over. */
export function readExtensions(lines: readonly string[]): Extensions {
  const offers = new Map(lines.map((line) => [keyword(line), line]));
  const words = (name: string) => (offers.get(name) ?? "").toUpperCase().split(" ").slice(1);
  const size = /^[0-9]{1,20}$/.exec(words("SIZE").join(" "))?.[0];
  return {
    pipelining: offers.has("PIPELINING"),
    eightBitMime: offers.has("8BITMIME"),
    startTls: offers.has("STARTTLS"),
    xverp: offers.has("XVERP"),
    smtpUtf8: offers.has("SMTPUTF8"),
    binary: offers.has("CHUNKING") && offers.has("BINARYMIME"),
    dsn: offers.has("DSN"),
    requireTls: offers.has("REQUIRETLS"),
    mtPriority: offers.has("MT-PRIORITY"),
    loginMechanisms: words("AUTH"),
    limits: offers.has("LIMITS") ? readLimits(words("LIMITS")) : noLimits,
    ...(offers.has("SIZE") && { maxOctets: Number(size) || Number.POSITIVE_INFINITY }),
  };
}

export const noExtensions: Extensions = readExtensions([]);

const keyword = (line: string): string => (line.split(" ", 1)[0] ?? "").toUpperCase();

/** A limit that is no number from 1 to 999999 is none (RFC 9422 §3). */
function readLimits(words: readonly string[]): Limits {
  const limits = new Map(
    words.map((word) => /^([A-Z0-9-]+)=([1-9][0-9]{0,5})$/.exec(word)?.slice(1, 3) ?? []) as [string, string][],
  );
  const limit = (name: string): number => Number(limits.get(name) ?? Number.POSITIVE_INFINITY);
  return { maxRecipients: limit("RCPTMAX"), maxMessages: limit("MAILMAX"), maxDomains: limit("RCPTDOMAINMAX") };
}
