import { Buffer } from "node:buffer";

/** No more is read by a program of that interface. */
export const maxInputOctets = 512;

/**
 * What a checkpassword program reads on descriptor 3: name, password, timestamp (none), each with a NUL behind it.
 * `undefined` when that would be too long, or the name or password empty or with a NUL.
 */
export function checkpasswordInput(account: string, password: Buffer): Buffer | undefined {
  if (account === "" || account.includes("\0") || password.length === 0 || password.includes(0)) return undefined;
  const input = Buffer.concat([Buffer.from(`${account}\0`, "latin1"), password, Buffer.from("\0\0")]);
  return input.length <= maxInputOctets ? input : undefined;
}

/** What a caller of a checkpassword program has given it. */
export interface CheckpasswordInput {
  readonly account: string;
  /** Empty where it was left out. */
  readonly password: Buffer;
}

/**
 * Reads such an input to its end; whatever follows the password is none of our business. `undefined` for one that is no
 * name and password, or too long.
 */
export function parseCheckpasswordInput(octets: Buffer): CheckpasswordInput | undefined {
  const nameEnd = octets.indexOf(0);
  const passwordEnd = octets.indexOf(0, nameEnd + 1);
  if (nameEnd <= 0 || passwordEnd < 0 || octets.length > maxInputOctets) return undefined;
  return { account: octets.toString("latin1", 0, nameEnd), password: octets.subarray(nameEnd + 1, passwordEnd) };
}
