/** What a bounce says of one recipient. */
export interface ReportedRecipient {
  /** As whoever bounced it saw it; unquoted. */
  readonly recipient: string;
  /** "delayed" is a warning: it is tried on. "other" is delivered, relayed or expanded. */
  readonly action: "failed" | "delayed" | "other";
  /** With its class, "5.1.1" (RFC 3463); "" when none was given. */
  readonly status: string;
  /** What the failing server said, at most `maxReportedTextOctets`; LF between lines, no other controls. */
  readonly text: string;
}

export const maxReportedTextOctets = 4_096;
/** A bounce names no more; what is beyond is passed over. */
export const maxReported = 10_000;

/** The first status code in a text: qmail's `#5.1.1` (HCMSSC), or one behind a reply code. */
export const statusIn = (text: string): string =>
  /(?:#|\b[45][0-9]{2}[ -])([245]\.[0-9]{1,3}\.[0-9]{1,3})(?![0-9.]*[0-9])/.exec(text)?.[1] ?? "";

/** Text of a report, made harmless and short. */
export function reportedText(text: string): string {
  let clean = "";
  for (const character of text.slice(0, maxReportedTextOctets)) {
    const code = character.charCodeAt(0);
    clean += (code < 32 && code !== 10 && code !== 9) || code === 127 ? "?" : character;
  }
  return clean;
}
