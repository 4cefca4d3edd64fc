import { quoteAddress, splitAddress } from "../address.ts";
import { isAscii, toALabels } from "../idna/idna.ts";
import { xverpOf } from "../verp.ts";
import { type Fate, failed } from "./client-fate.ts";
import type { Extensions } from "./extensions.ts";
import type { Transaction } from "./transaction.ts";

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
  const parameters = [
    offered.maxOctets !== undefined && `SIZE=${octets}`,
    bodyType === "BINARYMIME" && "BODY=BINARYMIME",
    bodyType === "8BITMIME" && offered.eightBitMime && "BODY=8BITMIME",
    verp && `XVERP=${verp.delimiters}`,
    needsUtf8 && offered.smtpUtf8 && "SMTPUTF8",
    asked?.requireTls && "REQUIRETLS",
    asked?.ret && offered.dsn && `RET=${asked.ret}`,
    asked?.envelopeId && offered.dsn && `ENVID=${asked.envelopeId}`,
    asked?.priority && offered.mtPriority && `MT-PRIORITY=${asked.priority}`,
  ];
  return {
    mail: command(`MAIL FROM:<${quoteAddress(reversePath)}>`, parameters),
    recipients: forwardPaths.map((path, at) =>
      command(`RCPT TO:<${quoteAddress(path)}>`, [
        asked?.notify[at] && offered.dsn && `NOTIFY=${asked.notify[at]}`,
        asked?.originalRecipients[at] && offered.dsn && `ORCPT=${asked.originalRecipients[at]}`,
      ]),
    ),
  };
}

/** RFC 8689 §5. */
export const noRequireTls = (peer: string): string =>
  `${peer} does not promise to keep this message within TLS (REQUIRETLS), as its sender demands. (#5.7.30)\n`;

const command = (verb: string, parameters: readonly (string | number | false | undefined)[]): string =>
  `${[verb, ...parameters.filter((parameter) => typeof parameter === "string" && parameter !== "")].join(" ")}\r\n`;

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
