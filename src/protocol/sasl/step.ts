import type { Buffer } from "node:buffer";
import type { ScramKeys } from "../password/scram-keys.ts";

/**
 * What a login exchange (RFC 4422) needs next. Mechanisms know no account: they say what is to be looked up or checked,
 * and are told. Accounts are octets (latin1), in lower case; whether they exist no step tells.
 */
export type Step =
  /** To be sent to the client; its response goes to `next`. */
  | { readonly kind: "challenge"; readonly octets: Buffer; readonly next: (response: Buffer) => Step }
  /** The last step: this is right or it is not. */
  | { readonly kind: "password"; readonly account: string; readonly password: Buffer }
  /** What is kept of the account's password; of one that does not exist, what could be. */
  | { readonly kind: "keys"; readonly account: string; readonly next: (keys: ScramKeys) => Step }
  /** The account's password itself, where one is kept. */
  | { readonly kind: "secret"; readonly account: string; readonly next: (secret: Buffer | undefined) => Step }
  /** The client has proved to be `account`; `additional` is for it. */
  | { readonly kind: "proved"; readonly account: string; readonly additional: Buffer }
  /** Refused. `account` as far as it is known, `why` for the log, not for the client. */
  | { readonly kind: "failed"; readonly account: string; readonly why: string };

export const failed = (account: string, why: string): Step => ({ kind: "failed", account, why });

/** What a mechanism is begun with. */
export interface Start {
  /** The initial response; `undefined` when there was none, which is not the same as an empty one. */
  readonly initial: Buffer | undefined;
  /** The channel binding the client can use, if there is TLS. */
  readonly binding: { readonly type: string; readonly octets: Buffer } | undefined;
  /** For a nonce or a challenge: random, printable, without "," and blanks. */
  readonly nonce: string;
  /** This server's name. */
  readonly host: string;
}
