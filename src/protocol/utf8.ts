import { Buffer, isUtf8 } from "node:buffer";

/** Text is latin1, one character an octet; what is asked here is what those octets are. */

export function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 127) return false;
  return true;
}

/** Below blank, DEL, and U+0080 to U+009F in UTF-8. */
const control = /[^ -~\x80-\xff]|\xc2[\x80-\x9f]/;

/** Whether the octets are UTF-8 (RFC 3629 §4: shortest forms, no surrogates) without control characters. */
export const isUtf8Text = (text: string): boolean => !control.test(text) && isUtf8(Buffer.from(text, "latin1"));
