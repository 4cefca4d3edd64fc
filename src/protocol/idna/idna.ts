import { isUtf8 } from "node:buffer";
import { domainToASCII } from "node:url";

/** Whether all octets are below 128. */
export const isAscii = (text: string): boolean => !/[^\0-\x7f]/.test(text);

/**
 * A domain as DNS and hosts without SMTPUTF8 know it: U-labels become A-labels (RFC 5891 §4). The domain comes as in an
 * address, a character an octet of UTF-8; `undefined` when it is none. ASCII is returned as it is.
 */
export function toALabels(domain: string): string | undefined {
  if (isAscii(domain)) return domain;
  const octets = Buffer.from(domain, "latin1");
  // The library reads a host as URLs have it: what would end one must not be in it.
  if (!/^[A-Za-z0-9._\x80-\xff-]*$/.test(domain)) return undefined;
  return (isUtf8(octets) && domainToASCII(octets.toString("utf8"))) || undefined;
}
