import { quoteAddress, splitAddress } from "../address.ts";
import { isAscii, toALabels } from "../idna/idna.ts";
import { xverpOf } from "../verp.ts";
import { type Fate, failed } from "./client-fate.ts";
import type { Extensions } from "./extensions.ts";
import type { Asked, Transaction } from "./transaction.ts";

/** The commands that open a transaction, each with its CRLF. */
export interface Envelope {
  readonly mail: string;
  readonly recipients: readonly string[];
}

/**
 * Says to a peer with these extensions what it must know. A fate when it cannot be told what it must: all of this is
 * for good, since a peer does not change overnight.
 */
export function composeEnvelope(transaction: Transaction, offered: Extensions, peer: string): Envelope | Fate {
  const { octets, bodyType, asked } = transaction;
  if (offered.maxOctets !== undefined && octets > offered.maxOctets) {
    return failed("3.4", `${peer} takes no message of more than ${offered.maxOctets} octets. (#5.3.4)\n`);
  }
  if (bodyType === "BINARYMIME" && !offered.binary) {
    return failed("6.1", `${peer} takes no binary messages, and this one cannot be sent otherwise. (#5.6.1)\n`);
  }
  if (asked?.requireTls && !offered.requireTls) return failed("7.30", noRequireTls(peer));
  const verp = transaction.forwardPaths.length > 1 ? xverpOf(transaction.reversePath) : undefined;
  const paths = [verp?.reversePath ?? transaction.reversePath, ...transaction.forwardPaths];
  const needsUtf8 = asked?.utf8 === true || !paths.every(isAscii);
  const fit = needsUtf8 && !offered.smtpUtf8 ? withALabels(paths, asked?.utf8 === true) : paths;
  if (!fit) return failed("6.7", `${peer} takes no addresses or header fields in UTF-8 (SMTPUTF8). (#5.6.7)\n`);
  const [reversePath = "", ...forwardPaths] = fit;
  let mail = `MAIL FROM:<${quoteAddress(reversePath)}>`;
  if (offered.maxOctets !== undefined) mail += ` SIZE=${octets}`;
  if (bodyType === "BINARYMIME" || (bodyType === "8BITMIME" && offered.eightBitMime)) mail += ` BODY=${bodyType}`;
  if (verp) mail += ` XVERP=${verp.delimiters}`;
  if (needsUtf8 && offered.smtpUtf8) mail += " SMTPUTF8";
  if (asked) mail += wishes(asked, offered);
  return {
    mail: `${mail}\r\n`,
    recipients: forwardPaths.map((path, at) => {
      const wish = asked && offered.dsn ? recipientWishes(asked, at) : "";
      return `RCPT TO:<${quoteAddress(path)}>${wish}\r\n`;
    }),
  };
}

function wishes({ requireTls, ret, envelopeId, priority }: Asked, offered: Extensions): string {
  return [
    requireTls ? " REQUIRETLS" : "",
    ret && offered.dsn ? ` RET=${ret}` : "",
    envelopeId && offered.dsn ? ` ENVID=${envelopeId}` : "",
    priority && offered.mtPriority ? ` MT-PRIORITY=${priority}` : "",
  ].join("");
}

function recipientWishes({ notify, originalRecipients }: Asked, at: number): string {
  const [wish, original] = [notify[at], originalRecipients[at]];
  return `${wish ? ` NOTIFY=${wish}` : ""}${original ? ` ORCPT=${original}` : ""}`;
}

/** RFC 8689 §5. */
export const noRequireTls = (peer: string): string =>
  `${peer} does not promise to keep this message within TLS (REQUIRETLS), as its sender demands. (#5.7.30)\n`;

/** Where only domains are not ASCII they have another form; nothing has when the header may be UTF-8 too. */
function withALabels(paths: readonly string[], headerToo: boolean): readonly string[] | undefined {
  if (headerToo) return undefined;
  const changed = paths.map((path) => {
    const { localPart, domain } = splitAddress(path);
    const labels = toALabels(domain);
    return isAscii(localPart) && labels !== undefined ? path.slice(0, path.length - domain.length) + labels : undefined;
  });
  return changed.every((path) => path !== undefined) ? changed : undefined;
}
