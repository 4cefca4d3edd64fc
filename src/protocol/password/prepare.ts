import { Buffer } from "node:buffer";

/** Longer passwords are refused. */
export const maxPasswordOctets = 1_024;

/**
 * A password as it is hashed (RFC 8265 §4.2, OpaqueString): UTF-8, in composed form (NFC), blanks of other scripts as
 * plain ones. `undefined` when it is empty, too long, no UTF-8, or has control characters, NUL among them.
 */
export function preparePassword(octets: Uint8Array): Buffer | undefined {
  if (octets.length === 0 || octets.length > maxPasswordOctets) return undefined;
  const text = decode(octets);
  if (text === undefined || /[\p{Cc}\p{Cn}\p{Cs}]/u.test(text)) return undefined;
  return Buffer.from(text.replace(/\p{Zs}/gu, " ").normalize("NFC"), "utf8");
}

/** A leading U+FEFF is a character, not a mark to drop. */
function decode(octets: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(octets);
  } catch {
    return undefined;
  }
}
