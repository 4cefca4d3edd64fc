import { parseIp } from "../network/network.ts";
import type { Frame } from "./frame.ts";
import { defineFrame } from "./layout.ts";

/**
 * What `authd` is asked over its Unix socket, by `postern-checkpassword` for another server of this host: one question a
 * connection, and one answer.
 *
 *   askLogin     ->  loginAnswer
 *   findAccount  ->  loginAnswer
 *
 * Accounts, passwords and paths are octets (latin1 text).
 */

/** Is this the account's password? `address` is the client's, "" where it is not known. */
export const askLogin = defineFrame(112, { account: "text", password: "octets", address: "text" });
/** Where does this account's mail lie? For who needs no password: to deliver, to look after mailboxes. */
export const findAccount = defineFrame(113, { account: "text" });
/**
 * `letter`: K yes, D no, Z nobody can tell now. With K `account` as it is written, whose mail it is and where: `folder` is
 * the Maildir, which may not be there yet, `quota` in the form of `maildirsize`, "" for none.
 */
export const loginAnswer = defineFrame(114, {
  letter: "text",
  account: "text",
  uid: "u32",
  gid: "u32",
  home: "text",
  folder: "text",
  quota: "text",
});

/** Longest account or password. */
const maxOctets = 512;

export interface LoginQuestion {
  readonly account: string;
  /** Absent where only the account is looked for. */
  readonly password?: Uint8Array;
  readonly address: string;
}

/** What a caller asks; `undefined` when it is nothing one may ask. */
export function parseLoginQuestion({ type, payload }: Frame): LoginQuestion | undefined {
  if (type === findAccount.type) {
    const account = findAccount.decode(payload)?.account ?? "";
    return isName(account) ? { account, address: "" } : undefined;
  }
  const fields = type === askLogin.type ? askLogin.decode(payload) : undefined;
  if (!fields) return undefined;
  const { account, password, address } = fields;
  const isPassword = password.length > 0 && password.length <= maxOctets && !password.includes(0);
  const isAddress = address === "" || parseIp(address) !== undefined;
  return isName(account) && isPassword && isAddress ? fields : undefined;
}

const isName = (account: string): boolean =>
  account.length > 0 && account.length <= maxOctets && !account.includes("\0");
