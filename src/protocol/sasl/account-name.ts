import { asciiLowerCase } from "../address.ts";

const maxAccountOctets = 320;

/**
 * A name as accounts are looked up by: UTF-8 octets (latin1 text), ASCII in lower case. `undefined` when it is empty, too
 * long, no UTF-8, or has blanks or control characters, NUL among them.
 */
export function accountName(octets: Uint8Array): string | undefined {
  if (octets.length === 0 || octets.length > maxAccountOctets) return undefined;
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(octets);
    if (/[\p{Cc}\p{Cf}\p{Cn}\p{Z}]/u.test(text)) return undefined;
    return asciiLowerCase(Buffer.from(text.normalize("NFC"), "utf8").toString("latin1"));
  } catch {
    return undefined;
  }
}
