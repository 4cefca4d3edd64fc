import { Buffer } from "node:buffer";

/** No more is read by a program of that interface. */
const maxInputOctets = 512;

/**
 * What a checkpassword program reads on descriptor 3: name, password, timestamp (none), each with a NUL behind it.
 * `undefined` when that would be too long, or the name or password empty or with a NUL.
 */
export function checkpasswordInput(account: string, password: Buffer): Buffer | undefined {
  if (account === "" || account.includes("\0") || password.length === 0 || password.includes(0)) return undefined;
  const input = Buffer.concat([Buffer.from(`${account}\0`, "latin1"), password, Buffer.from("\0\0")]);
  return input.length <= maxInputOctets ? input : undefined;
}
