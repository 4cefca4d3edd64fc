/** A password as it was typed (octets, latin1), or a hash made elsewhere. */
export type Credential =
  | { readonly password: string /** It is kept as it is, too. */; readonly keep: boolean }
  | { readonly hash: string };

export interface UserOptions {
  /** 0: no bound. */
  readonly quotaOctets?: number;
  readonly quotaMessages?: number;
  readonly enabled?: boolean;
  readonly sendAs?: readonly string[];
  readonly noSendAs?: readonly string[];
}

export interface AppPasswordOptions {
  readonly scopes?: readonly string[];
  /** 0: never. */
  readonly expiresMs?: number;
}

/** What the commands ask of the accounts. Names and addresses are octets (latin1), as they were typed. Plain data. */
export type AccountsRequest =
  | { readonly action: "domain add"; readonly domain: string; readonly mail: boolean }
  | { readonly action: "domain set"; readonly domain: string; readonly catchAll: readonly string[] }
  | { readonly action: "domain list" | "domain show" | "domain remove"; readonly domain: string }
  | {
      readonly action: "user add";
      readonly address: string;
      readonly credential: Credential;
      readonly options: UserOptions;
    }
  | {
      readonly action: "user set";
      readonly address: string;
      readonly credential: Credential | undefined;
      readonly options: UserOptions;
    }
  | {
      readonly action: "user import";
      readonly users: readonly {
        readonly address: string;
        readonly credential: Credential;
        readonly quota: string;
        /** Of "POP3", "IMAP" and "SMTP" what it was kept from; from all of them, it is disabled. */
        readonly forbids?: readonly string[];
      }[];
    }
  /** Of a list: "" for all, or a domain. */
  | { readonly action: "user list" | "user show" | "user remove"; readonly address: string }
  | { readonly action: "alias add" | "alias set"; readonly address: string; readonly targets: readonly string[] }
  | { readonly action: "alias list" | "alias show" | "alias remove"; readonly address: string }
  | {
      readonly action: "app-password add" | "app-password set";
      readonly address: string;
      readonly name: string;
      readonly options: AppPasswordOptions;
    }
  | { readonly action: "app-password list"; readonly address: string }
  | { readonly action: "app-password show" | "app-password remove"; readonly address: string; readonly name: string };

/** What came of it: what to say, and the rows of a list, each plain data. */
export interface AccountsAnswer {
  readonly lines: readonly string[];
  readonly rows: readonly Readonly<Record<string, string | number | boolean | readonly string[]>>[];
}
