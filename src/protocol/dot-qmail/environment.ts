import { Buffer } from "node:buffer";
import { quoteAddress } from "../address.ts";
import { fromLine } from "../mbox/from-line.ts";

/** What a delivery is known by, as `local` decided it. */
export interface Recipient {
  readonly user: string;
  readonly home: string;
  readonly local: string;
  readonly domain: string;
  readonly extension: string;
  readonly reversePath: string;
}

/** Says to whom this copy was delivered; never quoted. Found in a message that comes again, it means a loop. */
export const deliveredToLine = (local: string, domain: string): string =>
  `Delivered-To: ${`${local}@${domain}`.replaceAll("\n", "_")}\n`;

export const returnPathLine = (reversePath: string): string =>
  `Return-Path: <${quoteAddress(reversePath).replaceAll("\n", "_")}>\n`;

/**
 * What a program in a .qmail file finds in its environment beside PATH. `matched` is what `default` in the file's name
 * stood for; DEFAULT is not set when it stood for nothing.
 */
export function environmentOf(
  recipient: Recipient,
  found: { readonly matched: string | undefined; readonly newReversePath: string; readonly atMs: number },
): readonly (readonly [string, string])[] {
  const { user, home, local, domain, extension, reversePath } = recipient;
  const ext2 = afterFirst(extension, "-");
  const ext3 = afterFirst(ext2, "-");
  const host2 = beforeLast(domain, ".");
  const host3 = beforeLast(host2, ".");
  return [
    ["USER", user],
    ["HOME", home],
    ["LOCAL", local],
    ["HOST", domain],
    ["RECIPIENT", `${local}@${domain}`],
    ["SENDER", reversePath],
    ["NEWSENDER", found.newReversePath],
    ["EXT", extension],
    ["EXT2", ext2],
    ["EXT3", ext3],
    ["EXT4", afterFirst(ext3, "-")],
    ["HOST2", host2],
    ["HOST3", host3],
    ["HOST4", beforeLast(host3, ".")],
    ["DTLINE", deliveredToLine(local, domain)],
    ["RPLINE", returnPathLine(reversePath)],
    ["UFLINE", fromLine(reversePath, found.atMs)],
    ...(found.matched === undefined ? [] : [["DEFAULT", found.matched] as const]),
  ];
}

/** The two lines that go on top of every stored copy. */
export const traceLines = (recipient: Recipient): Buffer =>
  Buffer.from(returnPathLine(recipient.reversePath) + deliveredToLine(recipient.local, recipient.domain), "latin1");

function afterFirst(text: string, separator: string): string {
  const at = text.indexOf(separator);
  return at < 0 ? "" : text.slice(at + 1);
}

function beforeLast(text: string, separator: string): string {
  const at = text.lastIndexOf(separator);
  return at < 0 ? text : text.slice(0, at);
}
