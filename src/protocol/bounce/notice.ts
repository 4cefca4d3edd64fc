import { quoteAddress } from "../address.ts";
import { formatDate } from "../date.ts";
import type { Status } from "../outcome.ts";

/** What became of recipients (RFC 3464 §2.3.3). */
export type Action = "failed" | "delayed" | "delivered" | "relayed" | "expanded";

/** A recipient the notice is about. */
export interface NoticeRecipient {
  /** As the sender wrote it. */
  readonly forwardPath: string;
  readonly status: Status;
  /** What the delivery said; LF between lines. */
  readonly text: string;
  /** ORCPT as the client gave it, "" or absent if it did not. */
  readonly originalRecipient?: string;
  /** The server it was passed on to. */
  readonly remoteHost?: string;
}

/** What a bounce, or another report, is made from. All text latin1, addresses as the envelope has them. */
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
  /** What became of all of them; failed unless it is said. */
  readonly action?: Action;
  readonly recipients: readonly NoticeRecipient[];
  /** How many more there are than `recipients` has room for. */
  readonly omitted: number;
  /** When only the header comes back: the octets a message may have to come back whole; 0 if that is not why. */
  readonly headerOnlyOver: number | undefined;
  /** ENVID as the client gave it. */
  readonly envelopeId?: string;
  /** Until when a delayed message is tried. */
  readonly retryUntilMs?: number;
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
Subject: ${subjects[notice.action ?? "failed"]}
`;

const subjects: Readonly<Record<Action, string>> = {
  failed: "failure notice",
  delayed: "delay notice",
  delivered: "delivery notice",
  relayed: "delivery notice",
  expanded: "delivery notice",
};

/** qmail's text: the introduction and a paragraph for each recipient. Ends with an empty line. */
export function noticeText(notice: Notice): string {
  const lines = [...introduction(notice)];
  if (notice.headerOnlyOver) {
    lines.push(`The message is longer than ${notice.headerOnlyOver} octets: only its header comes back.`);
  }
  const verb = (notice.action ?? "failed") === "failed" ? "failed" : "are meant";
  if (notice.omitted > 0) lines.push(`${notice.omitted} more addresses ${verb} than there is room for here.`);
  return `${lines.join("\n")}\n\n${notice.recipients.map(paragraph).join("")}`;
}

/** Programs know a bounce by qmail's first line: what is none begins otherwise. */
function introduction({ action = "failed", bounceHost, reversePath, retryUntilMs }: Notice): readonly string[] {
  const mailServer = `This is the mail server at ${bounceHost}.`;
  switch (action) {
    case "failed":
      return [
        `Hi. This is the qmail-send program at ${bounceHost}.`,
        ...(reversePath === ""
          ? ["I tried to deliver a bounce message to this address, but the bounce bounced!"]
          : [
              "I'm afraid I wasn't able to deliver your message to the following addresses.",
              "This is a permanent error; I've given up. Sorry it didn't work out.",
            ]),
      ];
    case "delayed":
      return [
        mailServer,
        "I have not been able to deliver your message to the following addresses yet.",
        `There is nothing you need to do: I try again until ${formatDate(retryUntilMs ?? 0)}.`,
      ];
    case "delivered":
      return [mailServer, "Your message was delivered to the following addresses, as you asked to be told."];
    case "relayed":
      return [
        mailServer,
        "You asked to be told when your message is delivered. For the following addresses it was",
        "passed on to a server that does not report that.",
      ];
    case "expanded":
      return [
        mailServer,
        "You asked to be told when your message is delivered. At the following addresses it was",
        "taken, and sent on to several others. Of those you hear only if something goes wrong.",
      ];
    default:
      return action satisfies never;
  }
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
function paragraph({ forwardPath, text }: NoticeRecipient): string {
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
