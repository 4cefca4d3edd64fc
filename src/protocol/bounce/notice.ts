import { quoteAddress } from "../address.ts";
import { formatDate } from "../date.ts";
import type { Status } from "../outcome.ts";

/** A recipient that failed for good. */
export interface FailedRecipient {
  /** As the sender wrote it. */
  readonly forwardPath: string;
  readonly status: Status;
  /** What the delivery said; LF between lines. */
  readonly text: string;
}

/** What a bounce is made from. All text latin1, addresses as the envelope has them. */
export interface Notice {
  readonly bounceFrom: string;
  readonly bounceHost: string;
  /** This server's name. */
  readonly reportingHost: string;
  /** Where the notice goes. */
  readonly to: string;
  /** Reverse-path of the message that failed; "" makes this a double bounce. */
  readonly reversePath: string;
  readonly nowMs: number;
  readonly arrivedMs: number;
  readonly failures: readonly FailedRecipient[];
  /** How many more failed than `failures` has room for. */
  readonly omitted: number;
  /** When only the header comes back: the octets a message may have to come back whole. */
  readonly headerOnlyOver: number | undefined;
}

/** What goes before and after the copy of the message that failed. */
export interface Bounce {
  readonly prefix: string;
  readonly suffix: string;
}

/** Date, From, To and Subject, without the empty line. */
export const noticeHeader = (notice: Notice): string =>
  `Date: ${formatDate(notice.nowMs)}
From: ${fieldAddress(`${notice.bounceFrom}@${notice.bounceHost}`)}
To: ${fieldAddress(notice.to)}
Subject: failure notice
`;

/** qmail's text: the introduction and a paragraph for each recipient. Ends with an empty line. */
export function noticeText(notice: Notice): string {
  const lines = [`Hi. This is the qmail-send program at ${notice.bounceHost}.`];
  if (notice.reversePath === "") {
    lines.push("I tried to deliver a bounce message to this address, but the bounce bounced!");
  } else {
    lines.push("I'm afraid I wasn't able to deliver your message to the following addresses.");
    lines.push("This is a permanent error; I've given up. Sorry it didn't work out.");
  }
  if (notice.headerOnlyOver !== undefined) {
    lines.push(`The message is longer than ${notice.headerOnlyOver} octets: only its header comes back.`);
  }
  if (notice.omitted > 0) lines.push(`${notice.omitted} more addresses failed than there is room for here.`);
  return `${lines.join("\n")}\n\n${notice.failures.map(paragraph).join("")}`;
}

/** The first line of the copy. */
export const returnPathLine = (reversePath: string): string => `Return-Path: <${fieldAddress(reversePath)}>\n`;

/** An address in a field of ours: whatever it holds, it stays in its line. */
export const fieldAddress = (address: string): string => quoteAddress(shownAddress(address));

const shownAddress = (address: string): string => withoutControls(address).replace(/[\t\n]/g, "_");

/**
 * One recipient's paragraph, with the empty line after it. There is none within: of LFs in a row the second and
 * further become "/". LFs at the report's end go; qmail let them make empty lines that QSBMF forbids.
 */
function paragraph({ forwardPath, text }: FailedRecipient): string {
  let end = text.length;
  while (end > 0 && text.charAt(end - 1) === "\n") end--;
  if (end === 0) return `<${shownAddress(forwardPath)}>:\n\n`;
  const report = withoutControls(`\n${text.slice(0, end)}`).replace(
    /\n\n+/g,
    (run) => `\n${"/".repeat(run.length - 1)}`,
  );
  return `<${shownAddress(forwardPath)}>:${report}\n\n`;
}

/** A reply from outside may hold anything; a message may hold no CR, no NUL. */
export function withoutControls(text: string): string {
  let clean = "";
  let from = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if ((code >= 32 && code !== 127) || code === 9 || code === 10) continue;
    clean += `${text.slice(from, at)}?`;
    from = at + 1;
  }
  return clean + text.slice(from);
}
