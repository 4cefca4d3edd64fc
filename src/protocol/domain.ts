import { Buffer } from "node:buffer";
import { domainToASCII } from "node:url";
import { isAscii, isUtf8Text } from "./utf8.ts";

const maxOctets = 255;
const label = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;

/**
 * The one form in which a domain with other letters than ASCII's is kept, compared and looked up: A-labels by UTS 46 (RFC
 * 5890, RFC 6531 §3.7.1). The octets are UTF-8, as latin1 text. `undefined` for what is no such domain. ASCII comes back as
 * it is. Full-width digits can make an address of a name: that is refused.
 */
export function asciiDomain(domain: string): string | undefined {
  if (isAscii(domain)) return domain;
  if (!isUtf8Text(domain)) return undefined;
  const ascii = domainToASCII(Buffer.from(domain, "latin1").toString("utf8"));
  const labels = ascii.split(".");
  const isName = ascii.length <= maxOctets && labels.every((text) => label.test(text));
  return isName && !/^[0-9]+$/.test(labels.at(-1) ?? "") ? ascii : undefined;
}
