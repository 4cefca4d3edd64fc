/** What is known of a domain whose mailboxes are folders. */
export interface MailboxDomain {
  /** A mailbox is made by its first message. */
  readonly create: boolean;
  /** Its mailboxes are those of the accounts in it, and there are aliases. */
  readonly accounts: boolean;
}

/** Reads the lines of control/mailboxdomains, `domain`, `domain:create` or `domain:accounts`. */
export function mailboxDomains(lines: readonly string[]): ReadonlyMap<string, MailboxDomain> {
  return new Map(
    lines.map((line) => {
      const [domain = "", option] = line.toLowerCase().split(":");
      return [domain, { create: option === "create", accounts: option === "accounts" }];
    }),
  );
}
